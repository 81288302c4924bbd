/**
 * Open-loop pacing: when each message of a fixed rate is meant to be sent.
 *
 * A generator that waits for the server before it sends again measures a slow server less often than a fast one, and so
 * hides the stalls that it is there to find (coordinated omission). Here message `n` has its intended time fixed in
 * advance. A message that goes out late, because the server or the generator stood still, keeps its intended time, and
 * its latency is counted from there.
 *
 * Pure arithmetic: the caller reads the clock and sends. Several generators share a rate by taking every `count`-th
 * message each, so their schedules interleave instead of coinciding.
 */

export interface PaceOptions {
  /** Messages per second of all generators together; above 0. */
  readonly ratePerSecond: number;
  /** Time of the first message, on the caller's clock. */
  readonly startMs: number;
  /** This generator's number, from 0. */
  readonly index?: number;
  /** Generators that share the rate. */
  readonly count?: number;
}

export class Pace {
  readonly #startMs: number;
  readonly #intervalMs: number;
  #taken = 0;

  /** @throws {RangeError} A rate that is not above 0, or an index that is not below the count. */
  constructor({ ratePerSecond, startMs, index = 0, count = 1 }: PaceOptions) {
    if (!(ratePerSecond > 0)) throw new RangeError(`"ratePerSecond" expected a number above 0, got ${ratePerSecond}`);
    if (!(index >= 0 && index < count)) throw new RangeError(`"index" expected 0 to ${count - 1}, got ${index}`);
    this.#intervalMs = (count * 1000) / ratePerSecond;
    this.#startMs = startMs + (index * 1000) / ratePerSecond;
  }

  /** Messages taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** When the next message is meant to be sent. Multiplied out each time, so that no rounding error adds up. */
  get nextMs(): number {
    return this.#startMs + this.#taken * this.#intervalMs;
  }

  /**
   * Takes the next message if its time has come.
   *
   * @returns Its intended time, or `undefined` when it is not due yet. Call until then: after a stall several are due.
   */
  take(nowMs: number): number | undefined {
    const intendedMs = this.nextMs;
    if (intendedMs > nowMs) return undefined;
    this.#taken += 1;
    return intendedMs;
  }
}
