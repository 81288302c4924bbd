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
  stopBatchCount: number;
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
  /** Children of a dynamic supervisor that are stopped side by side: each costs a pending wait of about 500 bytes. */
  stopBatchCount: 1_000,
});

assert.ok(LIMITS.intensityDefault <= LIMITS.intensityMax);
assert.ok(LIMITS.shutdownMsDefault <= LIMITS.shutdownMsMax);
