/**
 * A disk that can lose its machine: a store whose writes are logged, cut at any one of them, and opened again.
 *
 * A `CrashDisk` outlives the clients that use it. Each `open()` gives a store on what the disk holds; `crashAfter` makes
 * the n-th write from now the last one that counts, after which every call rejects as if the process were gone. Then
 * `powerCut()` forgets what was written since the last flush, as a real power cut may.
 */

import { memoryStore } from '../memory-store.ts';
import type { Durability, Store, StoreChange, StoreEntry, StoreRange } from '../store.ts';

interface LoggedWrite {
  readonly changes: readonly StoreChange[];
  readonly durability: Durability;
}

/** A disk under test. */
export class CrashDisk {
  #log: LoggedWrite[] = [];
  #writesLeft = Infinity;
  #onCrash: () => void = () => {};
  #generation = 0;
  /** Waited for by each flushed write before it reaches the disk, which is at once if not given. */
  flushing: (() => Promise<void>) | undefined;

  /** Writes that reached the disk since it was made. */
  get writeCount(): number {
    return this.#log.length;
  }

  /** Another disk with the same contents. */
  copy(): CrashDisk {
    const copy = new CrashDisk();
    copy.#log = [...this.#log];
    return copy;
  }

  /** Lets `count` more writes succeed; the next one crashes the machine instead. */
  crashAfter(count: number, onCrash: () => void = () => {}): void {
    this.#writesLeft = count;
    this.#onCrash = onCrash;
  }

  /** Forgets the writes after the last flushed one. */
  powerCut(): void {
    const flushed = this.#log.findLastIndex((write) => write.durability === 'flushed');
    this.#log = this.#log.slice(0, flushed + 1);
  }

  /** Opens a store on what is there. Stores opened before stop working, as after a restart. */
  async open(): Promise<Store> {
    this.#generation += 1;
    this.#writesLeft = Infinity;
    const contents = memoryStore();
    for (const write of this.#log) await contents.write(write.changes, write.durability);
    return new CrashStore(this, contents, this.#generation);
  }

  /** For the stores of this disk. */
  admit(generation: number, write: LoggedWrite | undefined): void {
    if (generation !== this.#generation) throw new Error('the process of this store is gone');
    if (this.#writesLeft <= 0) throw new Error('the machine has crashed');
    if (write === undefined) return;
    this.#log.push(write);
    this.#writesLeft -= 1;
    if (this.#writesLeft === 0) this.#onCrash();
  }
}

class CrashStore implements Store {
  readonly #disk: CrashDisk;
  readonly #contents: Store;
  readonly #generation: number;

  constructor(disk: CrashDisk, contents: Store, generation: number) {
    this.#disk = disk;
    this.#contents = contents;
    this.#generation = generation;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#disk.admit(this.#generation, undefined);
    return this.#contents.get(key);
  }

  async list(range: StoreRange): Promise<StoreEntry[]> {
    this.#disk.admit(this.#generation, undefined);
    return this.#contents.list(range);
  }

  async write(changes: readonly StoreChange[], durability: Durability): Promise<void> {
    const copies = changes.map((change) =>
      change.type === 'put' ? { ...change, value: change.value.slice() } : change,
    );
    if (durability === 'flushed') await this.#disk.flushing?.();
    this.#disk.admit(this.#generation, { changes: copies, durability });
    await this.#contents.write(copies, durability);
  }

  async close(): Promise<void> {}
}
