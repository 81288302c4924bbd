/**
 * Adapters to the platform: the system's clock, its randomness and its event loop.
 *
 * One of the few files where `Date.now`, `performance.now`, `setTimeout` and `setImmediate` may stand.
 */

import { randomBytes, randomInt } from 'node:crypto';
import { performance } from 'node:perf_hooks';

import type { Clock, Loop, Random } from './contracts.ts';

// The platform fires a longer timeout at once.
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Wall time and monotonic time of this machine. A timer may fire early if it is set beyond 24 days. */
export const systemClock: Clock = Object.freeze({
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (delayMs: number, callback: () => void) => setTimeout(callback, Math.min(delayMs, TIMEOUT_MS_MAX)),
  clearTimer: (handle: unknown) => clearTimeout(handle as NodeJS.Timeout),
});

/** Cryptographically strong. */
export const systemRandom: Random = Object.freeze({
  // Copied: small results of randomBytes may be slices of a shared pool.
  bytes: (length: number) => new Uint8Array(randomBytes(length)),
  integer: (bound: number) => randomInt(bound),
});

/** Comes back after the sockets of this thread were read. */
export const systemLoop: Loop = Object.freeze({
  defer: (callback: () => void) => void setImmediate(callback),
  // Node's queueMicrotask also makes an object for asynchronous hooks each time.
  soon: (callback: () => void) => void RESOLVED.then(callback),
});

const RESOLVED: Promise<void> = Promise.resolve();
