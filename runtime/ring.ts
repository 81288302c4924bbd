/**
 * A queue without bound made of linked fixed-size ring buffers.
 *
 *   head chunk (taken from)            tail chunk (put into)
 *   [ . . 3 4 5 6 ]  ──next──▶  [ 7 8 9 . . . ]
 *
 * In the steady state one chunk is reused as a circle and nothing is allocated; a burst links more chunks, and one
 * emptied chunk is kept to avoid allocating at the border of a chunk again and again. It knows nothing of messages and
 * of bounds: those are the mailbox's. Against a plain array: `shift` of a long array moves every element.
 */

class Chunk<T> {
  readonly values: (T | undefined)[];
  readonly mask: number;
  head: number = 0;
  count: number = 0;
  next: Chunk<T> | null = null;

  constructor(capacity: number) {
    this.values = new Array<T | undefined>(capacity).fill(undefined);
    this.mask = capacity - 1;
  }
}

/** First in, first out. If it may hold `undefined`, ask `count` before `shift`, which says empty the same way. */
export class Ring<T> {
  readonly #capacity: number;
  #first: Chunk<T>;
  #last: Chunk<T>;
  #spare: Chunk<T> | null = null;
  #count: number = 0;

  /** @param chunkValues - Values in one chunk; a power of two, at least 2. */
  constructor(chunkValues: number) {
    if (!Number.isInteger(chunkValues) || chunkValues < 2 || (chunkValues & (chunkValues - 1)) !== 0) {
      throw new RangeError(`"chunkValues" expected a power of two from 2, got ${chunkValues}`);
    }
    this.#capacity = chunkValues;
    this.#first = new Chunk<T>(chunkValues);
    this.#last = this.#first;
  }

  get count(): number {
    return this.#count;
  }

  push(value: T): void {
    let chunk = this.#last;
    if (chunk.count === this.#capacity) chunk = this.#grow();
    chunk.values[(chunk.head + chunk.count) & chunk.mask] = value;
    chunk.count += 1;
    this.#count += 1;
  }

  /** Takes the oldest value, or `undefined` if there is none. */
  shift(): T | undefined {
    const chunk = this.#first;
    if (chunk.count === 0) return undefined;
    const value = chunk.values[chunk.head];
    chunk.values[chunk.head] = undefined;
    chunk.head = (chunk.head + 1) & chunk.mask;
    chunk.count -= 1;
    this.#count -= 1;
    if (chunk.count === 0 && chunk.next !== null) this.#advance(chunk, chunk.next);
    return value;
  }

  /** Forgets everything, including the memory of a burst. */
  clear(): void {
    this.#first = new Chunk<T>(this.#capacity);
    this.#last = this.#first;
    this.#spare = null;
    this.#count = 0;
  }

  #grow(): Chunk<T> {
    const chunk = this.#spare ?? new Chunk<T>(this.#capacity);
    this.#spare = null;
    this.#last.next = chunk;
    this.#last = chunk;
    return chunk;
  }

  #advance(emptied: Chunk<T>, next: Chunk<T>): void {
    this.#first = next;
    emptied.next = null;
    emptied.head = 0;
    this.#spare = emptied;
  }
}
