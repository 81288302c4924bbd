/**
 * Time and event loop for tests, both moved by hand.
 *
 * `VirtualClock` is a clock that stands still until `advance`; `ManualLoop` holds what was deferred until `run`. With
 * both, a node runs the same way each time. This file is an adapter: it uses the platform's `setImmediate` to let the
 * promises of async handlers settle.
 */

import type { Clock, Loop } from '../contracts.ts';

interface PendingTimer {
  readonly dueMs: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #monotonicMs: number = 0;
  #wallOffsetMs: number;
  readonly #timers: Set<PendingTimer> = new Set();

  /** @param wallMs - What `nowMs` says at the start. */
  constructor(wallMs: number = Date.UTC(2026, 0, 1)) {
    this.#wallOffsetMs = wallMs;
  }

  nowMs(): number {
    return this.#wallOffsetMs + this.#monotonicMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  setTimer(delayMs: number, callback: () => void): unknown {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return timer;
  }

  clearTimer(handle: unknown): void {
    this.#timers.delete(handle as PendingTimer);
  }

  /** Timers that have not fired. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** When the next timer is due, in monotonic time; `undefined` if none is set. */
  get nextDueMs(): number | undefined {
    return this.#nextDue(Infinity)?.dueMs;
  }

  /** Moves time on, firing what comes due on the way, in order of due time, each at its own time. */
  advance(ms: number): void {
    const endMs = this.#monotonicMs + ms;
    for (let next = this.#nextDue(endMs); next !== undefined; next = this.#nextDue(endMs)) {
      this.#timers.delete(next);
      this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs);
      next.callback();
    }
    this.#monotonicMs = endMs;
  }

  /** Lets the wall clock jump, as an administrator or a time server may. Monotonic time does not see it. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  #nextDue(endMs: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }
}

/** Resolves when every promise that can settle without time or the loop has settled. */
export function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class ManualLoop implements Loop {
  #deferred: (() => void)[] = [];

  defer(callback: () => void): void {
    this.#deferred.push(callback);
  }

  get deferredCount(): number {
    return this.#deferred.length;
  }

  /** Runs what is deferred now; what that defers waits for the next `run`. Returns whether anything ran. */
  run(): boolean {
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const callback of deferred) callback();
    return deferred.length > 0;
  }

  /** Runs until nothing is deferred, not even after settled promises had their say. */
  async settle(): Promise<void> {
    do {
      while (this.run());
      await promisesSettled();
    } while (this.#deferred.length > 0);
  }
}
