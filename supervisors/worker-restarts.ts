/**
 * The rule by which dead worker threads are started again: a supervisor's, with intensity and period, over the window of
 * `restart-window.ts`. The pool of `runtime/` carries it out; all workers of a pool share one window, as children of one
 * supervisor do.
 */

import type { Clock, WorkerDeath } from '../runtime/index.ts';
import { addRestart, completeLimits, EMPTY_WINDOW, type RestartLimits, type RestartWindow } from './restart-window.ts';

/**
 * Makes the `restart` of `startWorkers`: a worker that died is permanent, and is started again unless that were more
 * than `intensity` restarts within `periodMs`. Then it stays dead, and the pool's `onFatal` is asked what that means.
 *
 * ```ts
 * startWorkers({ node, count, entry, restart: restartWorkers(systemClock, { intensity: 3, periodMs: 10_000 }) });
 * ```
 *
 * @param limits - Default: one restart within five seconds, as in OTP.
 * @throws {RangeError} naming the field.
 *
 * Source: supervisor(3), on permanent children and the maximum restart intensity.
 */
export function restartWorkers(clock: Clock, limits: Partial<RestartLimits> = {}): (death: WorkerDeath) => boolean {
  const complete = completeLimits(limits);
  let window: RestartWindow = EMPTY_WINDOW;
  return () => {
    const next = addRestart(window, clock.monotonicMs(), complete);
    window = next.window;
    return next.allowed;
  };
}
