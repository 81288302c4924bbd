/**
 * The store of a browser, over IndexedDB: the only file that imports `idb`.
 *
 * Why it keeps the promises of `../store.ts`: a batch is one transaction, so it is there whole or not at all; transactions on one
 * object store run one after the other, so a write that is flushed takes every earlier one along; `durability: 'strict'` asks for
 * a flush before `complete`, where `'relaxed'` is content with the operating system (Indexed Database API 3.0, section 2.7.1).
 * A page must be served from a secure context (https, or the loopback) to have the lock that keeps a second tab out.
 *
 * The browser may throw the whole database away when the disk is full, unless the origin is persistent: `indexedStore` asks
 * for that. What lies in it is not encrypted: whoever can read the profile's files can read keys and messages.
 */

import { deleteDB, openDB, type IDBPDatabase } from 'idb';
import { ClientError } from '../errors.ts';
import type { Durability, Store, StoreChange, StoreEntry, StoreRange } from '../store.ts';

const RECORDS = 'records';

/** Everything the store holds is ASCII, so this is beyond every key. */
const BEYOND = '\u{ffff}';

/**
 * Names a database of this origin as the store of a client; it is opened, and made if need be, by `createClient`.
 *
 * @returns A source that rejects with CLI_STORE_LOCKED while another tab uses it, with CLI_STORE_UNUSABLE where the browser gives no
 *   database (a full disk, a private window), and with CLI_STORE_CORRUPT for one of a newer version.
 */
export function indexedStore(name: string): () => Promise<Store> {
  return async () => {
    const release = await takeLock(name);
    try {
      void navigator.storage?.persist?.();
      return new IndexedStore(await open(name), release);
    } catch (cause) {
      release();
      throw new ClientError(isNewer(cause) ? 'CLI_STORE_CORRUPT' : 'CLI_STORE_UNUSABLE', { cause });
    }
  };
}

/** Deletes the database, and with it the identity of the device. @throws {ClientError} CLI_STORE_LOCKED while it is open. */
export async function deleteIndexedStore(name: string): Promise<void> {
  const release = await takeLock(name);
  try {
    await deleteDB(name);
  } finally {
    release();
  }
}

function isNewer(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === 'VersionError';
}

function open(name: string): Promise<IDBPDatabase> {
  return openDB(name, 1, { upgrade: (database) => void database.createObjectStore(RECORDS) });
}

/** Takes the lock of a database for as long as this page lives, or until the returned function is called. */
function takeLock(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(`blindbeam:${name}`, { ifAvailable: true }, (lock) => {
      if (lock === null) throw new ClientError('CLI_STORE_LOCKED');
      return new Promise<void>((release) => resolve(release));
    });
    held.catch(reject);
  });
}

class IndexedStore implements Store {
  readonly #database: IDBPDatabase;
  readonly #release: () => void;
  #isClosed = false;

  constructor(database: IDBPDatabase, release: () => void) {
    this.#database = database;
    this.#release = release;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    return this.#database.get(RECORDS, key);
  }

  async list(range: StoreRange): Promise<StoreEntry[]> {
    this.#assertOpen();
    return range.newestFirst === true ? this.#descending(range) : this.#ascending(range);
  }

  /** Two requests of one transaction, which see one moment: far fewer turns of the event loop than a cursor takes. */
  async #ascending({ prefix, after, limit }: StoreRange): Promise<StoreEntry[]> {
    const isInside = after !== undefined && after >= prefix;
    if (isInside && after >= prefix + BEYOND) return [];
    const range = IDBKeyRange.bound(isInside ? after : prefix, prefix + BEYOND, isInside);
    const records = this.#database.transaction(RECORDS).store;
    const [keys, values] = await Promise.all([records.getAllKeys(range, limit), records.getAll(range, limit)]);
    return keys.map((key, index) => ({ key: key as string, value: values[index] as Uint8Array }));
  }

  async #descending({ prefix, after = prefix + BEYOND, limit }: StoreRange): Promise<StoreEntry[]> {
    if (after <= prefix) return [];
    const range = IDBKeyRange.bound(prefix, after < prefix + BEYOND ? after : prefix + BEYOND, false, true);
    const found: StoreEntry[] = [];
    let cursor = await this.#database.transaction(RECORDS).store.openCursor(range, 'prev');
    while (cursor !== null && found.length < limit) {
      found.push({ key: cursor.key as string, value: cursor.value as Uint8Array });
      cursor = await cursor.continue();
    }
    return found;
  }

  async write(changes: readonly StoreChange[], durability: Durability): Promise<void> {
    this.#assertOpen();
    const options = { durability: durability === 'flushed' ? 'strict' : 'relaxed' } as const;
    const transaction = this.#database.transaction(RECORDS, 'readwrite', options);
    // The value is copied by the call, in the structured clone; a view is copied first, as its whole buffer would be.
    const requests = changes.map((change) =>
      change.type === 'put'
        ? transaction.store.put(change.value.slice(), change.key)
        : transaction.store.delete(change.key),
    );
    await Promise.all([...requests, transaction.done]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // Waits for the transactions that are under way.
    this.#database.close();
    this.#release();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ClientError('CLI_CLOSED');
  }
}
