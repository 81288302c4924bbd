/**
 * A clock that stands still until it is told to move; timers run in the order of their deadlines. The tests' adapter to
 * the real event loop, through `settle`.
 */

import type { Clock } from '../environment.ts';

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Virtual time from an arbitrary, fixed start. */
export class VirtualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #elapsedMs = 0;

  nowMs(): number {
    return 1_700_000_000_000 + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  setTimer(delayMs: number, callback: () => void): unknown {
    const timer = { dueMs: this.#elapsedMs + delayMs, callback };
    this.#timers.add(timer);
    return timer;
  }

  clearTimer(handle: unknown): void {
    this.#timers.delete(handle as Timer);
  }

  /** Timers that have not run. A closed client leaves none. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets `ms` pass, running timers when they are due and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    await settle();
    for (let timer = this.#earliest(endMs); timer !== undefined; timer = this.#earliest(endMs)) {
      this.#timers.delete(timer);
      this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs);
      timer.callback();
      await settle();
    }
    this.#elapsedMs = endMs;
    await settle();
  }

  #earliest(endMs: number): Timer | undefined {
    let earliest: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (earliest === undefined || timer.dueMs < earliest.dueMs)) earliest = timer;
    }
    return earliest;
  }
}

/**
 * Lets everything that waits on promises alone run to its end: the event loop turns only when no microtask is left.
 */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
