/**
 * A queue in one array, whose size is a power of two and doubles when it is full.
 *
 *   capacity 8, head 6, count 4:   [ 2 3 . . . . 0 1 ]
 *
 * In the steady state nothing is allocated, and neighbours in the queue are neighbours in memory: the run queue may hold
 * a million actors, and what it costs then is cache misses. It knows nothing of actors and of bounds. Against a plain
 * array: `shift` of a long array moves every element. Against linked chunks, which it replaced: one load less for each
 * push and shift, at the price of a copy when it grows.
 */

/** First in, first out. If it may hold `undefined`, ask `count` before `shift`, which says empty the same way. */
export class Ring<T> {
  readonly #firstCapacity: number;
  #values: (T | undefined)[];
  #mask: number;
  #head: number = 0;
  #count: number = 0;

  /** @param firstCapacity - Values it holds before it first grows; a power of two, at least 2. */
  constructor(firstCapacity: number) {
    if (!Number.isInteger(firstCapacity) || firstCapacity < 2 || (firstCapacity & (firstCapacity - 1)) !== 0) {
      throw new RangeError(`"firstCapacity" expected a power of two from 2, got ${firstCapacity}`);
    }
    this.#firstCapacity = firstCapacity;
    this.#values = new Array<T | undefined>(firstCapacity).fill(undefined);
    this.#mask = firstCapacity - 1;
  }

  get count(): number {
    return this.#count;
  }

  push(value: T): void {
    if (this.#count > this.#mask) this.#grow();
    this.#values[(this.#head + this.#count) & this.#mask] = value;
    this.#count += 1;
  }

  /** Takes the oldest value, or `undefined` if there is none. */
  shift(): T | undefined {
    if (this.#count === 0) return undefined;
    const head = this.#head;
    const value = this.#values[head];
    this.#values[head] = undefined;
    this.#count -= 1;
    // Empty, it starts anew at the front, which is still in the processor's cache.
    this.#head = this.#count === 0 ? 0 : (head + 1) & this.#mask;
    return value;
  }

  /** Gives the memory of a burst back, if it is empty and has room for more than `keptMax` values. */
  trim(keptMax: number): void {
    if (this.#count === 0 && this.#mask >= keptMax) this.clear();
  }

  /** Forgets everything, including the memory of a burst. */
  clear(): void {
    this.#values = new Array<T | undefined>(this.#firstCapacity).fill(undefined);
    this.#mask = this.#firstCapacity - 1;
    this.#head = 0;
    this.#count = 0;
  }

  #grow(): void {
    const capacity = this.#values.length;
    const larger = new Array<T | undefined>(capacity * 2).fill(undefined);
    for (let index = 0; index < capacity; index += 1) larger[index] = this.#values[(this.#head + index) & this.#mask];
    this.#values = larger;
    this.#mask = capacity * 2 - 1;
    this.#head = 0;
  }
}
