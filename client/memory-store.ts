/**
 * A store in memory: the reference implementation, and enough for a bot that may forget everything.
 *
 * Keys are kept in a sorted array, so that listing needs no sort; a client's store has few enough keys. Read next:
 * `testing/crashing-store.ts`, which tears this one in tests.
 */

import { ClientError } from './errors.ts';
import type { Durability, Store, StoreChange, StoreEntry, StoreRange } from './store.ts';

/** Makes an empty store that lives as long as the process. */
export function memoryStore(): Store {
  return new MemoryStore();
}

class MemoryStore implements Store {
  readonly #values = new Map<string, Uint8Array>();
  readonly #keys: string[] = [];
  #closed = false;

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    return this.#values.get(key)?.slice();
  }

  async list(range: StoreRange): Promise<StoreEntry[]> {
    this.#assertOpen();
    const keys = range.newestFirst === true ? this.#descending(range) : this.#ascending(range);
    return keys.map((key) => ({ key, value: this.#values.get(key)!.slice() }));
  }

  async write(changes: readonly StoreChange[], _durability: Durability): Promise<void> {
    this.#assertOpen();
    for (const change of changes) {
      if (change.type === 'put') this.#put(change.key, change.value);
      else this.#delete(change.key);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #ascending({ prefix, after, limit }: StoreRange): string[] {
    const start = after === undefined || after < prefix ? this.#position(prefix) : this.#position(after + '\0');
    const found: string[] = [];
    for (let at = start; at < this.#keys.length && found.length < limit; at += 1) {
      if (!this.#keys[at]!.startsWith(prefix)) break;
      found.push(this.#keys[at]!);
    }
    return found;
  }

  #descending({ prefix, after, limit }: StoreRange): string[] {
    const end = this.#position(after === undefined ? prefix + '\u{10ffff}' : after);
    const found: string[] = [];
    for (let at = end - 1; at >= 0 && found.length < limit; at -= 1) {
      const key = this.#keys[at]!;
      if (key.startsWith(prefix)) found.push(key);
      else if (key < prefix) break;
    }
    return found;
  }

  #put(key: string, value: Uint8Array): void {
    if (!this.#values.has(key)) this.#keys.splice(this.#position(key), 0, key);
    this.#values.set(key, value.slice());
  }

  #delete(key: string): void {
    if (this.#values.delete(key)) this.#keys.splice(this.#position(key), 1);
  }

  /** Index of the first key that is not smaller than `key`. */
  #position(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClientError('CLI_CLOSED');
  }
}
