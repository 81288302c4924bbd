/**
 * What a copy has heard of its shard's log and not applied yet: in order, and taken by as much as one transaction should hold.
 *
 * It knows neither the log nor the disk: `shard-host.ts`.
 */

import type { LogEntry } from './contracts.ts';
import { LIMITS } from './limits.ts';

export class Arrivals {
  readonly #entries: LogEntry[] = [];
  #notify: () => void = () => undefined;

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Whether one transaction holds all that is there: then more may join it. */
  get mayGrow(): boolean {
    return this.#countThatFits() === this.#entries.length;
  }

  push(entry: LogEntry): void {
    this.#entries.push(entry);
    this.#notify();
  }

  /** Resolves when the next one comes. Of several that wait, only the last is told. */
  next(): Promise<void> {
    return new Promise((resolve) => (this.#notify = resolve));
  }

  /** The first ones, as many as a transaction should hold; one at least, if there is one. */
  take(): readonly LogEntry[] {
    return this.#entries.splice(0, this.#countThatFits());
  }

  #countThatFits(): number {
    let bytes = 0;
    for (let count = 0; count < this.#entries.length; count++) {
      bytes += this.#entries[count]!.data.length;
      if (count > 0 && (count === LIMITS.applyCountMax || bytes > LIMITS.applyBytesMax)) return count;
    }
    return this.#entries.length;
  }
}
