/**
 * What the runtime asks of the world, and what it gives to an actor: interfaces only.
 *
 * Clock, randomness and logging are parameters here and nowhere taken from the platform, so that the same actors run
 * under a seed and virtual time. Read next: `behavior.ts` (what an author writes), `process.ts` (what runs it).
 */

/** Time. `monotonicMs` never goes back and is for measuring and deadlines; `nowMs` is wall time and may jump. */
export interface Clock {
  /** Wall time, milliseconds since 1970-01-01T00:00Z. For people and records, not for deadlines. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start, with fractions. */
  monotonicMs(): number;
  /** Runs `callback` once after `delayMs`. Returns a handle for `clearTimer`. */
  setTimer(delayMs: number, callback: () => void): unknown;
  clearTimer(handle: unknown): void;
}

/** Randomness. The adapter for production is cryptographically strong; the one for tests is seeded. */
export interface Random {
  /** Fresh bytes, owned by the caller. */
  bytes(length: number): Uint8Array;
  /** An integer from 0 to `bound - 1`; `bound` from 1 to 2^32. */
  integer(bound: number): number;
}

/** A structured log. `event` is a stable snake_case name; `fields` are plain data and hold nothing secret. */
export interface Logger {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void;
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** The event loop, as far as the scheduler needs it. */
export interface Loop {
  /** Runs `callback` soon, after the loop had a chance to read its sockets. Each call runs it once. */
  defer(callback: () => void): void;
  /**
   * Runs `callback` as a microtask: after those that are queued by now, before sockets are read. Without it the
   * scheduler uses `defer`, and a call that was answered goes on one round of the loop later.
   */
  soon?(callback: () => void): void;
}
