/**
 * How often is too often: at most `intensity` restarts within `periodMs`. Pure; time is an argument.
 *
 * The window is a queue of the times of recent restarts, and persistent: adding makes a new one and leaves the old one
 * as it was, in constant time on average, so that ten thousand restarts in one millisecond cost what ten thousand
 * separate ones do. It is made of two halves, as functional queues are: old times in an array that is only read, new ones
 * in a list that is turned into the next array when that one is used up.
 */

import { LIMITS } from './limits.ts';

export interface RestartLimits {
  /** Restarts allowed within a period; one more and the supervisor gives up. 0 allows none. */
  readonly intensity: number;
  readonly periodMs: number;
}

/** The times of recent restarts, monotonic milliseconds. */
export interface RestartWindow {
  /** Restarts in the window when the last one was added. */
  readonly count: number;
  /** The oldest times, in order, from `front[from]` on. */
  readonly front: readonly number[];
  readonly from: number;
  /** The times after those, newest first. */
  readonly back: Restarted | null;
}

interface Restarted {
  readonly atMs: number;
  readonly earlier: Restarted | null;
}

export const EMPTY_WINDOW: RestartWindow = Object.freeze({ count: 0, front: Object.freeze([]), from: 0, back: null });

/**
 * Adds a restart at `nowMs`. `allowed` says whether the window still holds no more than `intensity` of them; a restart
 * that is exactly `periodMs` old still counts.
 */
export function addRestart(
  window: RestartWindow,
  nowMs: number,
  { intensity, periodMs }: RestartLimits,
): { window: RestartWindow; allowed: boolean } {
  const { count, front, from, back } = dropBefore(window, nowMs - periodMs);
  const next = { count: count + 1, front, from, back: { atMs: nowMs, earlier: back } };
  return { window: next, allowed: next.count <= intensity };
}

/**
 * Fills in OTP's defaults.
 *
 * @throws {RangeError} naming the field.
 */
export function completeLimits(limits: Partial<RestartLimits>): RestartLimits {
  const { intensity = LIMITS.intensityDefault, periodMs = LIMITS.periodMsDefault } = limits;
  if (!Number.isInteger(intensity) || intensity < 0 || intensity > LIMITS.intensityMax) {
    throw new RangeError(`"intensity" expected 0 to ${LIMITS.intensityMax}, got ${intensity}`);
  }
  if (!(periodMs > 0 && Number.isFinite(periodMs))) {
    throw new RangeError(`"periodMs" expected more than 0, got ${periodMs}`);
  }
  return { intensity, periodMs };
}

function dropBefore(window: RestartWindow, sinceMs: number): RestartWindow {
  let { count, front, from, back } = window;
  while (count > 0) {
    if (from === front.length) {
      front = inOrder(back);
      from = 0;
      back = null;
    }
    if (front[from]! >= sinceMs) return { count, front, from, back };
    from += 1;
    count -= 1;
  }
  return EMPTY_WINDOW;
}

function inOrder(back: Restarted | null): number[] {
  const times: number[] = [];
  for (let entry = back; entry !== null; entry = entry.earlier) times.push(entry.atMs);
  return times.reverse();
}
