/**
 * The adapter to a browser's clock, timers and random source: the only file of the web client that touches them.
 */

import type { Clock, Random } from '../environment.ts';

/** The browser's time. A page in the background may be run late: deadlines are met when it is looked at again. */
export const browserClock: Clock = Object.freeze({
  nowMs: (): number => Date.now(),
  monotonicMs: (): number => performance.now(),
  setTimer: (delayMs: number, callback: () => void): unknown => setTimeout(callback, delayMs),
  clearTimer: (handle: unknown): void => clearTimeout(handle as number | undefined),
});

/** The most that one call of `getRandomValues` gives (Web Cryptography API, section 10.1.1). */
const DRAW_BYTES_MAX = 65_536;

/** Numbers below this come in equally many of each remainder when they are folded; see `integer`. */
const UINT32_COUNT = 2 ** 32;

/** The browser's cryptographically strong randomness. */
export const browserRandom: Random = Object.freeze({
  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let offset = 0; offset < length; offset += DRAW_BYTES_MAX) {
      crypto.getRandomValues(bytes.subarray(offset, offset + DRAW_BYTES_MAX));
    }
    return bytes;
  },
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > UINT32_COUNT) {
      throw new RangeError(`"bound" expected an integer from 1 to 2^32, got ${bound}`);
    }
    // Draws beyond the last whole multiple of `bound` are thrown away: otherwise small results would be likelier.
    const ceiling = UINT32_COUNT - (UINT32_COUNT % bound);
    const draw = new Uint32Array(1);
    do crypto.getRandomValues(draw);
    while (draw[0]! >= ceiling);
    return draw[0]! % bound;
  },
});
