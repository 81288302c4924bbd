/**
 * Time and randomness as the SDK asks for them: interfaces only.
 *
 * The client never reads a clock, draws a number or sets a timer by itself, so that the same code runs in Node, in a
 * browser page and under a virtual clock with a seed. Adapters: `node/system.ts`; for tests `testing/virtual-clock.ts`
 * and `testing/seeded-random.ts`. The shapes agree with the runtime's contracts, which this folder may not import.
 */

/** Time. `monotonicMs` never goes back and serves deadlines; `nowMs` is wall time, may jump, and serves people. */
export interface Clock {
  /** Wall time in milliseconds since 1970-01-01T00:00Z. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start. */
  monotonicMs(): number;
  /** Runs `callback` once, `delayMs` from now, and never before the caller's turn has ended. */
  setTimer(delayMs: number, callback: () => void): unknown;
  /** Forgets a timer. A handle whose timer has run is accepted and ignored. */
  clearTimer(handle: unknown): void;
}

/** Randomness. An adapter for production must be cryptographically strong: keys are drawn from it. */
export interface Random {
  /** Fresh bytes, owned by the caller. */
  bytes(length: number): Uint8Array;
  /** A uniform integer from 0 to `bound - 1`; `bound` from 1 to 2^32. */
  integer(bound: number): number;
}
