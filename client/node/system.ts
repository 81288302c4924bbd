/**
 * The adapter to Node's clock, timers and random source: the only file of the client that touches them.
 */

import { randomBytes, randomInt } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Clock, Random } from '../environment.ts';

/** The system's time. A pending timer keeps the process alive, as a connected client should. */
export const systemClock: Clock = Object.freeze({
  nowMs: (): number => Date.now(),
  monotonicMs: (): number => performance.now(),
  setTimer: (delayMs: number, callback: () => void): unknown => setTimeout(callback, delayMs),
  clearTimer: (handle: unknown): void => clearTimeout(handle as NodeJS.Timeout | undefined),
});

/** The system's cryptographically strong randomness. */
export const systemRandom: Random = Object.freeze({
  // A copy: a Buffer of this size is a view into Node's shared pool, and keys should not lie there for others to see.
  bytes: (length: number): Uint8Array => new Uint8Array(randomBytes(length)),
  integer: (bound: number): number => randomInt(bound),
});
