/**
 * Randomness for tests: the same numbers for the same seed. Not for keys.
 *
 * The generator is sfc32 (Chris Doty-Humphrey's small fast counting generator), which passes PractRand and is a few
 * lines; its 32-bit state words are filled from the seed by twelve discarded rounds.
 */

import type { Random } from '../contracts.ts';

/** @param seed - Any integer; its lower 32 bits count. */
export function createSeededRandom(seed: number): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round += 1) next();
  return {
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    // The bias of a bounded integer made this way is below 2^-32 of its range times its bound; tests do not see it.
    integer: (bound) => Math.floor((next() / 2 ** 32) * bound),
  };
}
