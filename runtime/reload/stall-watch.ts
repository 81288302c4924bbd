/**
 * How long the event loop of this thread was away at a time, while it is watched: a timer of a millisecond, and how late it is.
 *
 * Includes whatever stops a loop: a slice of actors, a collection, a neighbour who has the core.
 */

import type { Clock } from '../contracts.ts';

export class StallWatch {
  readonly #clock: Clock;
  #handle: unknown = undefined;
  #armedMs: number = 0;
  #longestMs: number = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds, since the last `start`. */
  get longestMs(): number {
    return this.#longestMs;
  }

  start(): void {
    this.stop();
    this.#longestMs = 0;
    this.#arm();
  }

  /** Returns the longest stall. */
  stop(): number {
    if (this.#handle !== undefined) this.#clock.clearTimer(this.#handle);
    this.#handle = undefined;
    return this.#longestMs;
  }

  #arm(): void {
    this.#armedMs = this.#clock.monotonicMs();
    this.#handle = this.#clock.setTimer(1, () => {
      // What a timer of a millisecond takes at least is no stall.
      this.#longestMs = Math.max(this.#longestMs, this.#clock.monotonicMs() - this.#armedMs - 1);
      this.#arm();
    });
  }
}
