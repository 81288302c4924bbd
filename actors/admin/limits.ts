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
  /** The same where it looks through all that it keeps, page by page: a full shard of reports takes some five seconds, twice that beside traffic. */
  searchAnswerMs: 120_000,
  /** Questions that one worker works on at a time; the rest are refused, since operators ask again. */
  workerQuestionsMax: 64,
  /** Milliseconds of a slice in which a worker looks at its actors; between two it reads its sockets. */
  sliceMs: 3,
  /** How long a view waits for a pass over all actors before it tells what was seen so far. */
  passWaitMs: 60,
  /** A pass that ended no longer ago serves another view. */
  passAgeMs: 400,
  /** Rankings that a worker keeps at the same time, and how long after they were last asked for. */
  rankingsMax: 8,
  rankingAgeMs: 10_000,
  /** After so long without a question a worker forgets what it keeps for views. */
  agentIdleMs: 30_000,
  /** Rows of a view. Between threads a row takes about 300 bytes, and a packet holds 128 KiB. */
  rowsMax: 200,
  rowsDefault: 20,
  /** Milliseconds between two frames of a live view. */
  frameMsMin: 200,
  frameMsMax: 60_000,
  /** Actors of a tree that are shown, and generations. */
  treeActorsMax: 400,
  treeDepthMax: 12,
  /** Links, monitors that an inspection lists. */
  relationsMax: 20,
  /** What is shown of a state: levels, entries of a collection, characters of a text before it is masked. */
  stateDepthMax: 4,
  stateEntriesMax: 20,
  /** Milliseconds after which a suspended actor goes on by itself, unless told otherwise. */
  suspendMsDefault: 30_000,
  /** Events of a trace, and milliseconds. */
  traceEventsMax: 10_000,
  traceMsMax: 600_000,
  /** Events of a trace that wait for a slow reader; beyond it the oldest is lost and counted. */
  traceWaitingMax: 1_000,
  /** Bytes of one audit file, and files kept: the last one and one before it. */
  auditBytesMax: 16_777_216,
} as const;

assert.ok(LIMITS.rowsMax <= RUNTIME_LIMITS.surveyRowsMax, 'the rows of a view come from one ranking');
assert.ok(LIMITS.rowsMax * 300 < RUNTIME_LIMITS.workerPacketBytesMax, 'a view travels in one packet');
assert.ok(LIMITS.treeActorsMax * 300 < RUNTIME_LIMITS.workerPacketBytesMax, 'and so does a tree');
assert.ok(LIMITS.traceEventsMax <= RUNTIME_LIMITS.traceEventCountMax && LIMITS.traceMsMax <= RUNTIME_LIMITS.traceMsMax);
assert.ok(LIMITS.workerAnswerMs <= RUNTIME_LIMITS.callTimeoutMsMax, 'a worker is asked by a call');
assert.ok(LIMITS.searchAnswerMs <= RUNTIME_LIMITS.callTimeoutMsMax);
