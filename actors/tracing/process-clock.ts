/** The adapter to a clock that all threads of a process share: the clock of `performance` begins anew in each of them. */

/** Microseconds since an arbitrary start, the same for all threads. */
export function processMicros(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}
