/**
 * How often is too often: at most `intensity` restarts within `periodMs`. Pure; time is an argument.
 */

import { LIMITS } from './limits.ts';

export interface RestartLimits {
  /** Restarts allowed within a period; one more and the supervisor gives up. 0 allows none. */
  readonly intensity: number;
  readonly periodMs: number;
}

/** The times of recent restarts, oldest first, monotonic milliseconds. */
export type RestartWindow = readonly number[];

export const EMPTY_WINDOW: RestartWindow = Object.freeze([]);

/** Adds a restart at `nowMs`. `allowed` says whether the window still holds no more than `intensity` of them. */
export function addRestart(
  window: RestartWindow,
  nowMs: number,
  { intensity, periodMs }: RestartLimits,
): { window: RestartWindow; allowed: boolean } {
  const recent = window.filter((atMs) => nowMs - atMs <= periodMs);
  recent.push(nowMs);
  return { window: recent, allowed: recent.length <= intensity };
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
