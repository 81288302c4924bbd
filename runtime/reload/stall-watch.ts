/**
 * How long the event loop of this thread was away at a time, while it is watched: a timer of a millisecond, and how late it is.
 *
 * Includes whatever stops a loop: a slice of actors, a collection, a neighbour who has the core.
 */

import type { Clock } from '../contracts.ts';

/** The longest time that a loop was away, in milliseconds, and in which step that was; `''` if it never was. */
export interface Stall {
  readonly ms: number;
  readonly during: string;
}

const NONE: Stall = Object.freeze({ ms: 0, during: '' });

export class StallWatch {
  readonly #clock: Clock;
  #handle: unknown = undefined;
  #armedMs: number = 0;
  #longest: Stall = NONE;
  /** What goes on, for whoever reads of a stall. */
  during: string = '';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Since the last `start`. */
  get longest(): Stall {
    return this.#longest;
  }

  start(): void {
    this.stop();
    this.#longest = NONE;
    this.#arm();
  }

  /** Returns the longest stall. */
  stop(): Stall {
    if (this.#handle !== undefined) this.#clock.clearTimer(this.#handle);
    this.#handle = undefined;
    return this.#longest;
  }

  #arm(): void {
    this.#armedMs = this.#clock.monotonicMs();
    this.#handle = this.#clock.setTimer(1, () => {
      // What a timer of a millisecond takes at least is no stall.
      const ms = this.#clock.monotonicMs() - this.#armedMs - 1;
      if (ms > this.#longest.ms) this.#longest = { ms, during: this.during };
      this.#arm();
    });
  }
}
