/**
 * The only writer of the store: transactions that read their own writes, one batch at a time, and a stop at the first
 * failure.
 *
 * Why one at a time: a store may apply two concurrent batches in either order, and a ratchet state must never go back.
 * Commits that arrive while a batch is being flushed are joined into the next one, which is the group commit: under load
 * one flush serves many messages.
 *
 * Why stop: after a failed write nobody knows whether it is on disk. Memory and disk may disagree from then on, and a
 * ratchet step could be taken twice. So every later commit fails as well, and `onFailure` closes the client. A failed
 * read counts as much: whoever cannot see the last ratchet state must not write the next.
 */

import { ClientError } from './errors.ts';
import type { Durability, Store, StoreChange, StoreEntry, StoreRange } from './store.ts';

/** Reads that a transaction and the journal have in common. */
export interface RecordSource {
  /** The newest value: committed writes are seen at once, flushed or not. Borrowed: copy before changing it. */
  get(key: string): Promise<Uint8Array | undefined>;
}

/**
 * Changes in the making. Reads see them; the store does not until `Journal.commit`. An abandoned transaction leaves no
 * trace. Two transactions that touch the same keys must not overlap: callers hold the peer's lock.
 */
export class Transaction implements RecordSource {
  readonly #base: RecordSource;
  readonly #changes = new Map<string, StoreChange>();
  #sequels: (() => void)[] = [];

  /** @param base - Where reads go that find no change of this transaction. */
  constructor(base: RecordSource) {
    this.#base = base;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    const change = this.#changes.get(key);
    return change === undefined ? this.#base.get(key) : Promise.resolve(valueOf(change));
  }

  /** @param value - Owned by the transaction from now on. */
  put(key: string, value: Uint8Array): void {
    this.#changes.set(key, { type: 'put', key, value });
  }

  delete(key: string): void {
    this.#changes.set(key, { type: 'delete', key });
  }

  /** The net changes so far. */
  changes(): StoreChange[] {
    return [...this.#changes.values()];
  }

  /**
   * Has `sequel` run as soon as the changes are in the store, so that `Journal.list` sees them; never, where they do not come there.
   *
   * @param sequel - Must not throw.
   */
  whenWritten(sequel: () => void): void {
    this.#sequels.push(sequel);
  }

  /** For the journal: the changes are in the store. */
  written(): void {
    for (const sequel of this.#sequels.splice(0)) sequel();
  }
}

interface Waiting {
  readonly transaction: Transaction;
  readonly changes: readonly StoreChange[];
  readonly durability: Durability;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Serialises writes to one store. */
export class Journal implements RecordSource {
  readonly #store: Store;
  readonly #onFailure: (error: ClientError) => void;
  /** The last change of each key that is committed and not yet in the store. */
  readonly #unwritten = new Map<string, StoreChange>();
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #failure: ClientError | undefined;

  /** @param onFailure - Called once, at the first failure of the store. */
  constructor(store: Store, onFailure: (error: ClientError) => void) {
    this.#store = store;
    this.#onFailure = onFailure;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    const change = this.#unwritten.get(key);
    return change === undefined ? this.#reading(this.#store.get(key)) : Promise.resolve(valueOf(change));
  }

  /** Lists what is in the store; unlike `get` it does not see writes under way. */
  list(range: StoreRange): Promise<StoreEntry[]> {
    return this.#reading(this.#store.list(range));
  }

  begin(): Transaction {
    return new Transaction(this);
  }

  /**
   * Writes a transaction, atomically and after every earlier commit.
   *
   * @throws {ClientError} CLI_STORE_FAILED, from the first failed write on.
   */
  commit(transaction: Transaction, durability: Durability = 'flushed'): Promise<void> {
    const changes = transaction.changes();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (changes.length === 0) return Promise.resolve(transaction.written());
    for (const change of changes) this.#unwritten.set(change.key, change);
    return new Promise((resolve, reject) => {
      this.#queue.push({ transaction, changes, durability, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  /** Waits for the writes under way, then closes the store. */
  async close(): Promise<void> {
    await this.#writing;
    this.#failure ??= new ClientError('CLI_CLOSED');
    await this.#store.close();
  }

  async #reading<Value>(result: Promise<Value>): Promise<Value> {
    try {
      return await result;
    } catch (cause) {
      if (ClientError.is(cause)) throw cause;
      // A disk that cannot be read is not to be written either.
      this.#fail(cause);
      throw this.#failure;
    }
  }

  async #drain(): Promise<void> {
    // One turn later: commits of the same turn then share the first flush.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#writeGroup(this.#queue.splice(0));
    this.#writing = undefined;
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const changes = group.flatMap((waiting) => waiting.changes);
      await this.#store.write(changes, group.some(isUrgent) ? 'flushed' : 'eventual');
      for (const change of changes) if (this.#unwritten.get(change.key) === change) this.#unwritten.delete(change.key);
      for (const { transaction, resolve } of group) {
        transaction.written();
        resolve();
      }
    } catch (cause) {
      this.#fail(cause);
      for (const waiting of group) waiting.reject(this.#failure);
    }
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = new ClientError('CLI_STORE_FAILED', { cause });
    this.#onFailure(this.#failure);
  }
}

function valueOf(change: StoreChange): Uint8Array | undefined {
  return change.type === 'put' ? change.value : undefined;
}

function isUrgent(waiting: Waiting): boolean {
  return waiting.durability === 'flushed';
}
