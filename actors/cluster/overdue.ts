/**
 * Tells of something that should have been done by now, and of what it waits for: after a while, after twice as long, and so on.
 */

import type { Clock } from '../../runtime/index.ts';

export class Overdue {
  readonly #clock: Clock;
  readonly #afterMs: number;
  readonly #tell: (forMs: number, reason: string) => void;
  #reason = '';
  #timer: unknown = undefined;

  constructor(clock: Clock, afterMs: number, tell: (forMs: number, reason: string) => void) {
    this.#clock = clock;
    this.#afterMs = afterMs;
    this.#tell = tell;
  }

  /** From now on it is waited for. @param reason - What it waits for first. */
  begin(reason: string): void {
    this.end();
    this.#reason = reason;
    this.#arm(this.#clock.monotonicMs(), this.#afterMs);
  }

  /** What it waits for now. */
  waitsFor(reason: string): void {
    this.#reason = reason;
  }

  /** It is done, or not wanted any more. */
  end(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  #arm(sinceMs: number, delayMs: number): void {
    this.#timer = this.#clock.setTimer(delayMs, () => {
      const forMs = this.#clock.monotonicMs() - sinceMs;
      this.#tell(forMs, this.#reason);
      this.#arm(sinceMs, forMs);
    });
  }
}
