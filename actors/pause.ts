/** Waiting on an injected clock, which ends early when nobody waits any more. */

import type { Clock } from '../runtime/index.ts';

/** Resolves after `ms`, or at once when `signal` is aborted. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, done);
    signal?.addEventListener('abort', done, { once: true });
    function done(): void {
      clock.clearTimer(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
}
