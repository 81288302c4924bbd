/**
 * Every implementation of the inbox store, for the suites that each of them has to pass. A reopened store has what was flushed.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { InboxStore } from './inbox-store.ts';
import { openLmdbStore } from './lmdb.ts';
import { MemoryStore } from './memory.ts';

/** One implementation. */
export interface StoreKind {
  readonly name: string;
  /** Opens an empty one, which ends with the test. */
  open(test: Test): { readonly store: InboxStore; reopen(): Promise<InboxStore> };
}

/** All of them. */
export const STORE_KINDS: readonly StoreKind[] = [
  {
    name: 'memory',
    open: () => {
      const store = new MemoryStore();
      return { store, reopen: async () => store };
    },
  },
  { name: 'lmdb', open: openOnDisk },
];

function openOnDisk(test: Test): ReturnType<StoreKind['open']> {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-store-'));
  const fail = (error: unknown): void => void test.fail('the disk failed', { error });
  let store = openLmdbStore({ directory, onFatal: fail });
  test.teardown(async () => {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const reopen = async (): Promise<InboxStore> => {
    await store.close();
    store = openLmdbStore({ directory, onFatal: fail });
    return store;
  };
  return { store, reopen };
}
