import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openLmdbStore, type ReplicaStore } from './lmdb.ts';
import { tableNumber } from './raw-tables.ts';
import { WriteSet } from './write-set.ts';

const META = tableNumber('meta');

function open(directory: string): ReplicaStore {
  return openLmdbStore({
    directory,
    onFatal: (error) => {
      throw error;
    },
  });
}

function put(key: string, value: string): Buffer {
  const writes = new WriteSet();
  writes.put(META, Buffer.from(key), Buffer.from(value));
  return Buffer.from(writes.bytes());
}

/** Keys and values of `meta` but for what is of this copy alone. */
function contentOf({ raw }: ReplicaStore): string {
  return raw
    .page(undefined, Infinity)
    .writes.toString('latin1')
    .replaceAll(/[^a-z0-9]+/g, ' ');
}

t.test('a tail is applied, outlives the process, and is forgotten with the mark that covers it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-tail-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  let store = open(directory);
  await store.raw.apply([put('key', 'v1')], { epoch: 1, sequence: 4 });
  for (const value of ['v2', 'v3', 'v4']) t.equal(await store.raw.tail.add(put('key', value)), 'ok');
  t.match(contentOf(store), /key v4/);
  t.equal(store.raw.tail.count, 3);
  t.strictSame(store.raw.mark(), { epoch: 1, sequence: 4 }, 'the log does not have it');
  await store.close();

  store = open(directory);
  const { tail } = store.raw;
  t.strictSame([tail.count, tail.bytes], [3, 3 * put('key', 'v2').length]);
  t.strictSame(tail.first(1), { writes: put('key', 'v2'), through: 1 }, 'one at least');
  t.strictSame(tail.first(1_000)?.through, 3);
  t.strictSame(tail.first(1_000)?.writes, Buffer.concat([put('key', 'v2'), put('key', 'v3'), put('key', 'v4')]));
  // The log brings back the beginning of the tail, of which it was not known that it has it.
  await store.raw.apply([put('key', 'v2')], { epoch: 1, sequence: 5 });
  t.match(contentOf(store), /key v2/);
  t.equal(await tail.replay(), 'ok');
  t.match(contentOf(store), /key v4/);
  await tail.settle(2, { epoch: 2, sequence: 7 });
  t.strictSame([tail.count, tail.first(1)?.through, store.raw.mark()], [1, 3, { epoch: 2, sequence: 7 }]);
  await tail.add(put('key', 'v5'));
  t.equal(tail.first(1_000)?.through, 4, 'numbers go on');
  await tail.settle(4, { epoch: 2, sequence: 8 });
  t.strictSame([tail.count, tail.bytes, tail.first(1)], [0, 0, undefined]);
  await store.close();

  store = open(directory);
  t.strictSame([store.raw.tail.count, store.raw.mark()], [0, { epoch: 2, sequence: 8 }]);
  t.match(contentOf(store), /key v5/);
  await store.raw.tail.add(put('key', 'v6'));
  await store.raw.clear();
  t.strictSame([store.raw.tail.count, contentOf(store).trim()], [0, '']);
  await store.close();
});

t.test('a tail is in no page: no copy has what the log may never get', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-tail-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const store = open(directory);
  const before = store.raw.page(undefined, Infinity).writes.length;
  await store.raw.tail.add(put('k', 'v'));
  t.equal(
    store.raw.page(undefined, Infinity).writes.length - before,
    put('k', 'v').length,
    'its effect, not its entries',
  );
  await store.close();
});
