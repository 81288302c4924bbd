/**
 * What the client asks of a disk: ordered keys, atomic batches, an honest flush. The interface only.
 *
 * Implementations: `memory-store.ts` here, `node/disk-store.ts` on LevelDB; a browser brings IndexedDB. All of them pass
 * one suite, `testing/store-contract.ts`. A store knows no record's meaning: that is `layout.ts`. Nobody but
 * `journal.ts` writes to it.
 */

/** One change of a batch. Later changes of one batch win over earlier ones of the same key. */
export type StoreChange =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: string };

/** One record found by `list`; the value is owned by the caller. */
export interface StoreEntry {
  readonly key: string;
  readonly value: Uint8Array;
}

/** Which part of the keys `list` shows. */
export interface StoreRange {
  /** Only keys that start with it. */
  readonly prefix: string;
  /** Only keys beyond this one, in the direction of the listing. */
  readonly after?: string;
  /** At most this many entries; required, because a store may be larger than memory. */
  readonly limit: number;
  /** Descending instead of ascending. */
  readonly newestFirst?: boolean;
}

/**
 * What a resolved write promises. `flushed`: it survives a power cut. `eventual`: it survives the process, and every
 * later write that is flushed takes it along; a power cut may lose a suffix of such writes, never a hole in the middle.
 */
export type Durability = 'flushed' | 'eventual';

/** An ordered map from ASCII keys to bytes, in the order of the keys' bytes. */
export interface Store {
  /** The value, owned by the caller, or `undefined`. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Entries in key order, as of one moment. */
  list(range: StoreRange): Promise<StoreEntry[]>;
  /**
   * Applies all changes or none. Values are borrowed until the promise settles. A rejection leaves the outcome unknown:
   * the batch may be there after a restart. So the caller must stop, reopen and look.
   */
  write(changes: readonly StoreChange[], durability: Durability): Promise<void>;
  /** Flushes and releases the store. Calls after it reject. */
  close(): Promise<void>;
}

/** A store, or how to open one. Opening may reject with `CLI_STORE_LOCKED`, `CLI_STORE_UNUSABLE` or `CLI_STORE_CORRUPT`. */
export type StoreSource = Store | (() => Promise<Store>);
