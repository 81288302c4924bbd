/**
 * How long to wait before the next attempt: exponential steps, full jitter.
 *
 * The decision is a range and not a number, so that it stays pure; whoever carries it out draws from it. Full jitter
 * (uniform from zero to the step) spreads the clients of a restarted server evenly over the step, where "step plus a bit
 * of jitter" brings them back in waves.
 */

import type { Random } from './environment.ts';
import { LIMITS } from './limits.ts';

/** A delay to be drawn: uniform in `floorMs` to `floorMs + spanMs`. */
export interface DelayRange {
  readonly floorMs: number;
  readonly spanMs: number;
}

/**
 * The range before attempt number `attempt`.
 *
 * @param attempt - Failures so far in a row, from 0.
 * @param floorMs - Least delay, when the server named one.
 */
export function backoff(attempt: number, floorMs: number = 0): DelayRange {
  // 2^30 steps would overflow nothing, but the bound keeps the arithmetic obviously finite.
  const stepMs = Math.min(LIMITS.backoffStepMsMax, LIMITS.backoffBaseMs * 2 ** Math.min(attempt, 30));
  return { floorMs, spanMs: stepMs };
}

/** Draws a delay in whole milliseconds. */
export function drawDelayMs(range: DelayRange, random: Random): number {
  return range.floorMs + random.integer(Math.floor(range.spanMs) + 1);
}
