/**
 * Every bound of the supervisors, with its unit in the name and its reason beside it.
 */

import assert from 'node:assert/strict';

import { LIMITS as RUNTIME_LIMITS } from '../runtime/index.ts';

export const LIMITS: Readonly<{
  intensityDefault: number;
  periodMsDefault: number;
  intensityMax: number;
  shutdownMsDefault: number;
  shutdownMsMax: number;
  childCountMax: number;
  dynamicChildCountMax: number;
  partitionCountMax: number;
  stopBatchCount: number;
  stopPauseMs: number;
  requestMsMax: number;
}> = Object.freeze({
  /** Restarts within the period before the supervisor gives up. OTP's default. */
  intensityDefault: 1,
  /** OTP's default of 5 seconds. */
  periodMsDefault: 5_000,
  /** The window keeps a time for each restart in it; nobody means more than this. */
  intensityMax: 100_000,
  /** Milliseconds for a worker child to end in order. OTP's default. Supervisors default to `'infinity'`. */
  shutdownMsDefault: 5_000,
  /** Milliseconds: the longest wait that the runtime allows. */
  shutdownMsMax: RUNTIME_LIMITS.callTimeoutMsMax,
  /** Children with a specification of their own. A larger number is data and belongs to a dynamic supervisor. */
  childCountMax: 10_000,
  /** Children of one dynamic supervisor: as many as a worker has actors. */
  dynamicChildCountMax: RUNTIME_LIMITS.processCountMax,
  /** Partitions of one set. More than a machine has cores or a store has shards brings nothing but names. */
  partitionCountMax: 1_024,
  /**
   * Children of a dynamic supervisor that are told to stop in one go. Each needs a monitor of about 200 bytes while it
   * ends, and telling 10,000 takes about 5 ms, after which sockets are read again.
   */
  stopBatchCount: 10_000,
  /** Milliseconds that a batch has to end before the next one is told, whether it has ended or not. */
  stopPauseMs: 1,
  /** Milliseconds that a request to a supervisor waits: starting a child may open files, stopping one may take its time. */
  requestMsMax: 30_000,
});

assert.ok(LIMITS.intensityDefault <= LIMITS.intensityMax);
assert.ok(LIMITS.shutdownMsDefault <= LIMITS.shutdownMsMax);
assert.ok(LIMITS.partitionCountMax <= LIMITS.childCountMax, 'a partition is a child with a specification');
assert.ok(LIMITS.shutdownMsDefault < LIMITS.requestMsMax, 'a request to stop a child must outlast its stop');
