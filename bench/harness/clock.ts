/**
 * Adapter: the one file of the benchmark that reads clocks and sets timers.
 *
 * Everything else is given a `Clock`, so that tests decide what time it is. The monotonic time counts from the start of
 * the process: it compares within a process only, which is why both ends of a conversation live in one generator.
 */

import { BenchError } from '../errors.ts';

/** Stops a repeated or pending call. */
export type Cancel = () => void;

export interface Clock {
  /** Monotonic milliseconds with a fraction, from the start of this process. */
  nowMs(): number;
  /** Calls `task` about every `intervalMs` until cancelled. */
  every(intervalMs: number, task: () => void): Cancel;
  /** Calls `task` once after `delayMs`, unless cancelled. */
  after(delayMs: number, task: () => void): Cancel;
  /** Calls `task` after the sockets that are readable now have been read: the end of the event loop's turn. */
  atTurnEnd(task: () => void): void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  every: (intervalMs, task) => {
    const timer = setInterval(task, intervalMs);
    return () => clearInterval(timer);
  },
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
  atTurnEnd: (task) => void setImmediate(task),
};

/** Resolves after `ms`. */
export function pause(ms: number, clock: Clock = systemClock): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** The date and time of day, for reports only. */
export function wallClockNow(): Date {
  return new Date();
}

/**
 * Waits for `promise`, but no longer than `timeoutMs` and not beyond an abort.
 *
 * @param late - Makes the error for a timeout.
 * @throws {BenchError} BENCH_INTERRUPTED when `signal` aborts first; what `late` makes; what `promise` rejects with.
 */
export function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  late: () => Error,
  signal?: AbortSignal,
  clock: Clock = systemClock,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const interrupt = (): void => settle(() => reject(interrupted()));
    const cancel = clock.after(timeoutMs, () => settle(() => reject(late())));
    const settle = (outcome: () => void): void => {
      cancel();
      signal?.removeEventListener('abort', interrupt);
      outcome();
    };
    promise.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
    if (signal?.aborted) interrupt();
    else signal?.addEventListener('abort', interrupt, { once: true });
  });
}

/** Rejects with BENCH_INTERRUPTED when `signal` was aborted `graceMs` ago, unless cancelled: what waits for it had the time to end in order. */
export function overdue(
  signal: AbortSignal,
  graceMs: number,
  clock: Clock = systemClock,
): { readonly late: Promise<never>; readonly cancel: Cancel } {
  let stop: Cancel = () => undefined;
  let begin = (): void => undefined;
  const late = new Promise<never>((_, reject) => {
    begin = () => void (stop = clock.after(graceMs, () => reject(interrupted())));
  });
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  const cancel = (): void => {
    signal.removeEventListener('abort', begin);
    stop();
  };
  return { late, cancel };
}

/** The error of a run that was stopped from outside. */
export function interrupted(): BenchError {
  return new BenchError('BENCH_INTERRUPTED', 'stopped before its end');
}
