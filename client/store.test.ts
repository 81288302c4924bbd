/**
 * The portable stores against the contract, and the journal on top of one.
 */

import t from 'tap';
import { ClientError } from './errors.ts';
import { Journal } from './journal.ts';
import { memoryStore } from './memory-store.ts';
import type { Durability, Store, StoreChange } from './store.ts';
import { CrashDisk } from './testing/crashing-store.ts';
import { storeContract } from './testing/store-contract.ts';

t.test('memory store', async (t) => storeContract(t, { reopens: false, open: async () => memoryStore() }));

t.test('a power cut takes what was not flushed, and only from the end', async (t) => {
  const disk = new CrashDisk();
  const store = await disk.open();
  const put = (key: string): StoreChange[] => [{ type: 'put', key, value: Uint8Array.of(1) }];
  await store.write(put('a'), 'eventual');
  await store.write(put('b'), 'flushed');
  await store.write(put('c'), 'eventual');
  disk.powerCut();
  const keys = (await (await disk.open()).list({ prefix: '', limit: 9 })).map((entry) => entry.key);
  t.same(keys, ['a', 'b']);
  await t.rejects(store.get('a'), 'a store from before the cut is dead');
});

/** A store that records its batches and answers when told. */
class SlowStore {
  readonly batches: { readonly keys: string[]; readonly durability: Durability }[] = [];
  readonly #base = memoryStore();
  #release: (() => void)[] = [];
  failNext = false;

  get store(): Store {
    return {
      get: (key) => this.#base.get(key),
      list: (range) => this.#base.list(range),
      close: () => this.#base.close(),
      write: async (changes, durability) => {
        this.batches.push({ keys: changes.map((change) => change.key), durability });
        await new Promise<void>((resolve) => this.#release.push(resolve));
        if (this.failNext) throw new Error('disk full');
        await this.#base.write(changes, durability);
      },
    };
  }

  async release(): Promise<void> {
    await turns();
    this.#release.shift()?.();
    await turns();
  }
}

function turns(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function commit(journal: Journal, key: string, durability?: Durability): Promise<void> {
  const transaction = journal.begin();
  transaction.put(key, Uint8Array.of(key.length));
  return journal.commit(transaction, durability);
}

t.test('commits under way are joined, in order, and flushed if one of them asks for it', async (t) => {
  const slow = new SlowStore();
  const journal = new Journal(slow.store, () => t.fail());
  const first = commit(journal, 'a', 'eventual');
  await turns();
  const rest = [commit(journal, 'b', 'eventual'), commit(journal, 'c'), commit(journal, 'd', 'eventual')];
  t.equal((await journal.get('c'))?.[0], 1, 'a committed value is read back before it is written');
  await slow.release();
  await first;
  await slow.release();
  await Promise.all(rest);
  t.same(slow.batches, [
    { keys: ['a'], durability: 'eventual' },
    { keys: ['b', 'c', 'd'], durability: 'flushed' },
  ]);
});

t.test(
  'what follows a transaction follows when its changes are listed, and never where they were not written',
  async (t) => {
    const slow = new SlowStore();
    const journal = new Journal(slow.store, () => undefined);
    const seen: number[] = [];
    const follow = (): Promise<void> => {
      const transaction = journal.begin();
      transaction.put('note', Uint8Array.of(1));
      transaction.whenWritten(
        () => void journal.list({ prefix: 'note', limit: 9 }).then(({ length }) => seen.push(length)),
      );
      return journal.commit(transaction);
    };
    const first = follow();
    await turns();
    t.same(seen, []);
    await slow.release();
    await first;
    await turns();
    t.same(seen, [1]);
    slow.failNext = true;
    const second = t.rejects(follow(), { code: 'CLI_STORE_FAILED' });
    await slow.release();
    await second;
    journal.begin().whenWritten(() => t.fail('an abandoned transaction'));
    t.same(seen, [1]);
  },
);

t.test('after a failed write nothing is written any more', async (t) => {
  const slow = new SlowStore();
  const failures: ClientError[] = [];
  const journal = new Journal(slow.store, (error) => failures.push(error));
  slow.failNext = true;
  const first = t.rejects(commit(journal, 'a'), { code: 'CLI_STORE_FAILED' });
  await turns();
  const second = t.rejects(commit(journal, 'b'), { code: 'CLI_STORE_FAILED' });
  await slow.release();
  await Promise.all([first, second]);
  slow.failNext = false;
  await t.rejects(commit(journal, 'c'), { code: 'CLI_STORE_FAILED' });
  t.equal(slow.batches.length, 1, 'the second commit never reached the store');
  t.equal(failures.length, 1);
});

t.test('a transaction reads its own writes, and an abandoned one leaves nothing', async (t) => {
  const journal = new Journal(memoryStore(), () => t.fail());
  await commit(journal, 'kept');
  const transaction = journal.begin();
  transaction.put('new', Uint8Array.of(7));
  transaction.delete('kept');
  t.equal((await transaction.get('new'))?.[0], 7);
  t.equal(await transaction.get('kept'), undefined);
  t.equal(await journal.get('new'), undefined);
  t.ok(await journal.get('kept'));
});
