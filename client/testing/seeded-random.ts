/**
 * Randomness that repeats: the same seed, the same keys, drops and delays. For tests only; it hides nothing.
 *
 * Source: the sfc32 generator of Chris Doty-Humphrey's PractRand, which passes that suite.
 */

import type { Random } from '../environment.ts';

/** A repeatable stream. */
export class SeededRandom implements Random {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    this.#state = Uint32Array.of(seed, seed ^ 0x9e3779b9, seed ^ 0x243f6a88, 1);
    for (let round = 0; round < 15; round += 1) this.#draw();
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#draw() & 0xff);
  }

  integer(bound: number): number {
    return Math.floor((this.#draw() / 2 ** 32) * bound);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.#draw() / 2 ** 32 < probability;
  }

  #draw(): number {
    const [a, b, c, counter] = this.#state as unknown as [number, number, number, number];
    const result = (a + b + counter) >>> 0;
    this.#state[3] = counter + 1;
    this.#state[0] = b ^ (b >>> 9);
    this.#state[1] = c + (c << 3);
    this.#state[2] = ((c << 21) | (c >>> 11)) + result;
    return result;
  }
}
