/**
 * The loop by which an application reads something of which only the present value counts: presence, who types.
 *
 * A feed keeps the newest value; a slow reader has no use for what held before. Who fills it: `presence.ts`, `group-typing.ts`.
 */

import type { ClientError } from './errors.ts';

interface Reader<Value> {
  readonly resolve: (result: IteratorResult<Value>) => void;
  readonly reject: (error: ClientError) => void;
}

/** One reader's view. Ends when it is left, and when the client closes. */
export class LatestFeed<Value> implements AsyncIterableIterator<Value> {
  readonly #onLeave: () => void;
  #unread: { readonly value: Value } | undefined;
  #readers: Reader<Value>[] = [];
  #error: ClientError | undefined;
  #isOver = false;

  /** @param onLeave - Called once, when the reader goes. */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  push(value: Value): void {
    if (this.#isOver) return;
    const reader = this.#readers.shift();
    if (reader === undefined) this.#unread = { value };
    else reader.resolve({ done: false, value });
  }

  /** Ends the loop; with an error the next reader, or the one that waits, gets it. */
  end(error?: ClientError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unread = undefined;
    const [first, ...rest] = this.#readers.splice(0);
    if (error !== undefined && first !== undefined) first.reject(error);
    else {
      this.#error = error;
      first?.resolve({ done: true, value: undefined });
    }
    for (const reader of rest) reader.resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<Value>> {
    const [unread, error] = [this.#unread, this.#error];
    this.#unread = this.#error = undefined;
    if (error !== undefined) return Promise.reject(error);
    if (unread !== undefined) return Promise.resolve({ done: false, value: unread.value });
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<Value>> {
    if (!this.#isOver) {
      this.end();
      this.#onLeave();
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Value> {
    return this;
  }
}
