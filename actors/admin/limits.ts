/**
 * Every bound of what operators can ask of a node, with its reason. Units stand in the names.
 */

import assert from 'node:assert/strict';
import { LIMITS as RUNTIME_LIMITS } from '../../runtime/index.ts';

export const LIMITS = {
  /** Bytes of one request line. Requests name things; the longest hold a few settings. */
  requestLineBytesMax: 65_536,
  /** Bytes of one answer line. A view is windowed where it is made; this stops what is not. */
  answerLineBytesMax: 4_194_304,
  /** Operators connected at once, with the tools they leave open. */
  operatorCountMax: 64,
  /** Requests under way of one of them. */
  operatorRequestsMax: 16,
  /** UTF-16 units of one parameter, and of what a refusal repeats of it. */
  parameterCharsMax: 1_024,
  refusedCharsMax: 64,
  /** How long the main thread waits for a worker: one that is busy answers late, one that is stuck is reported as such. */
  workerAnswerMs: 2_000,
  /** Questions that one worker works on at a time; the rest are refused, since operators ask again. */
  workerQuestionsMax: 64,
  /** Bytes of one audit file, and files kept: the last one and one before it. */
  auditBytesMax: 16_777_216,
} as const;

assert.ok(LIMITS.workerAnswerMs <= RUNTIME_LIMITS.callTimeoutMsMax, 'a worker is asked by a call');
