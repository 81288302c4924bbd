/**
 * A clock that stands still until a test moves it. Tasks run in the order of their times.
 */

import type { Cancel, Clock } from '../harness/clock.ts';

interface Task {
  atMs: number;
  readonly intervalMs: number | undefined;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #tasks: Task[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  every(intervalMs: number, run: () => void): Cancel {
    return this.#add({ atMs: this.#nowMs + intervalMs, intervalMs, run });
  }

  after(delayMs: number, run: () => void): Cancel {
    return this.#add({ atMs: this.#nowMs + delayMs, intervalMs: undefined, run });
  }

  atTurnEnd(run: () => void): void {
    this.#add({ atMs: this.#nowMs, intervalMs: undefined, run });
  }

  #add(task: Task): Cancel {
    this.#tasks.push(task);
    return () => (this.#tasks = this.#tasks.filter((other) => other !== task));
  }

  /** Lets `durationMs` pass. Between two tasks whoever waits for a promise gets its turn. */
  async pass(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      await settlePromises();
      const [next] = this.#tasks.toSorted((left, right) => left.atMs - right.atMs);
      if (next === undefined || next.atMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      if (next.intervalMs === undefined) this.#tasks = this.#tasks.filter((task) => task !== next);
      else next.atMs += next.intervalMs;
      next.run();
    }
    this.#nowMs = endMs;
  }

  /** Jumps without running anything: the process stood still. */
  stall(durationMs: number): void {
    this.#nowMs += durationMs;
  }
}

/** A chain of promises as long as those under test. */
async function settlePromises(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
