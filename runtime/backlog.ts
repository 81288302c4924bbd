/**
 * The messages behind the oldest one of a mailbox: entries and payloads side by side in one array.
 *
 *   capacity 4, head 3, count 2:   [ e1 p1 . . . . e0 p0 ]
 *
 * A `Ring` whose elements are pairs: both halves are written with one look at head and count, and lie in one cache line.
 * It knows nothing of bounds and kinds; `mailbox.ts` does.
 */

import { LIMITS } from './limits.ts';

const FIRST_VALUES = LIMITS.backlogFirstValues;

export class Backlog {
  #values: unknown[] = new Array<unknown>(FIRST_VALUES).fill(undefined);
  // In values: twice the index of a pair.
  #mask: number = FIRST_VALUES - 1;
  #head: number = 0;
  #length: number = 0;

  /** Messages in it. */
  get count(): number {
    return this.#length >> 1;
  }

  /** Values it has room for before it grows; a message takes two. */
  get capacity(): number {
    return this.#mask + 1;
  }

  push(entry: number, payload: unknown): void {
    if (this.#length > this.#mask) this.#grow();
    const at = (this.#head + this.#length) & this.#mask;
    const values = this.#values;
    values[at] = entry;
    values[at + 1] = payload;
    this.#length += 2;
  }

  /** Takes the oldest message and returns its payload; ask `entryAt(0)` before. Only when `count` is not 0. */
  shift(): unknown {
    const values = this.#values;
    const head = this.#head;
    const payload = values[head + 1];
    values[head + 1] = undefined;
    this.#length -= 2;
    // Empty, it starts anew at the front, which is still in the processor's cache.
    this.#head = this.#length === 0 ? 0 : (head + 2) & this.#mask;
    return payload;
  }

  /** The entry of the message at `index`, oldest first; `index` is less than `count`. */
  entryAt(index: number): number {
    return this.#values[(this.#head + index * 2) & this.#mask] as number;
  }

  payloadAt(index: number): unknown {
    return this.#values[((this.#head + index * 2) & this.#mask) + 1];
  }

  /** Puts another message in the place of the one at `index`. */
  replace(index: number, entry: number, payload: unknown): void {
    const at = (this.#head + index * 2) & this.#mask;
    this.#values[at] = entry;
    this.#values[at + 1] = payload;
  }

  #grow(): void {
    const length = this.#values.length;
    const larger = new Array<unknown>(length * 2).fill(undefined);
    for (let index = 0; index < length; index += 1) larger[index] = this.#values[(this.#head + index) & this.#mask];
    this.#values = larger;
    this.#mask = length * 2 - 1;
    this.#head = 0;
  }
}
