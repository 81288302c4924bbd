import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { beyondAll, isInDoubt } from './doubt.ts';
import type { InboxEntry, StoreBatch } from './inbox-store.ts';
import { openLmdbStore, type CommitLog, type ReplicaStore } from './lmdb.ts';
import { tableNumber, type PageCursor } from './raw-tables.ts';
import { applyWrites, WriteSet } from './write-set.ts';

const BOB = '999999999999999';
const ALICE = '100000000000001';
const GROUP = '700000000000001';
const NOW_MS = Date.UTC(2026, 10, 22);

function openStore(
  t: Test,
  onFatal: (error: unknown) => void = (error) => void t.fail('the disk failed', { error }),
): ReplicaStore {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-raw-'));
  const store = openLmdbStore({ directory, onFatal });
  t.teardown(async () => {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return store;
}

function entry(seq: number): InboxEntry {
  const sender = { sender: ALICE, senderDevice: 1, senderCreation: 1 };
  return { seq, ...sender, id: seq, ts: 1_700_000_000_000, type: 'ratchet', ciphertext: Buffer.from(`message ${seq}`) };
}

/** Everything that a store holds, as text. */
function contentOf({ raw }: ReplicaStore): string[] {
  const content: string[] = [];
  const { writes } = raw.page(undefined, Infinity);
  applyWrites(writes, {
    put: (table, key, value) => content.push(`${table} ${key.toString('hex')} ${value.toString('hex')}`),
    remove: () => content.push('a removal in a page'),
  });
  return content;
}

/** Writes of every kind of record, some of them removed again. */
function writeSamples(batch: StoreBatch): void {
  batch.putAccount({ user: BOB, phone: '+4915100000001', devices: [1], creations: 1 });
  batch.putPreKey(BOB, 1, { id: 7, key: new Uint8Array(33) });
  for (let seq = 1; seq <= 200; seq++) batch.putEntry(BOB, 1, entry(seq));
  batch.putFresh(1, BOB, 1, entry(201));
  batch.putFresh(2, BOB, 1, entry(202));
  batch.removeFresh(1);
  batch.removeEntry(BOB, 1, 3);
  batch.putConversation(BOB, { user: ALICE, device: 1, creation: 1 }, { accepted: 202, delivered: 3 });
  batch.putAcknowledged(BOB, 1, 3, 202);
  batch.putSeenMinute(BOB, 12);
  batch.putQueuedBytes(1_000);
  batch.protection.putGuard(BOB, { policy: 'ask', relations: 0 });
  batch.groups.putOrder(ALICE, 9);
  batch.outbox.put({ sender: { user: BOB, device: 1, creation: 1 }, to: ALICE, id: 4, ts: 5, envelopes: [] });
}

t.test('a write set hands over what was put into it, and nothing of what was truncated', async (t) => {
  const operation = fc.record({
    table: fc.nat(127),
    key: fc.uint8Array({ maxLength: 40 }),
    value: fc.option(fc.uint8Array({ maxLength: 40_000 })),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 12 }), fc.array(operation, { maxLength: 3 }), (kept, dropped) => {
      const writes = new WriteSet();
      const add = ({ table, key, value }: (typeof kept)[number]): void =>
        value === null ? writes.remove(table, key) : writes.put(table, key, value);
      kept.forEach(add);
      const { length } = writes;
      dropped.forEach(add);
      writes.truncate(length);
      const seen: typeof kept = [];
      applyWrites(writes.bytes(), {
        put: (table, key, value) => void seen.push({ table, key: new Uint8Array(key), value: new Uint8Array(value) }),
        remove: (table, key) => void seen.push({ table, key: new Uint8Array(key), value: null }),
      });
      return JSON.stringify(seen) === JSON.stringify(kept);
    }),
    { numRuns: 200 },
  );
  t.throws(() => applyWrites(Buffer.from([0, 0, 200, 1]), new WriteSet()), RangeError, 'cut off');
});

t.test('a commit that goes through a log is on the disk what it is without one', async (t) => {
  const [direct, logged] = [openStore(t), openStore(t)];
  const log: CommitLog = {
    async commit(collect) {
      const writes = new WriteSet();
      collect(writes);
      return logged.raw.apply([writes.bytes()], { epoch: 3, sequence: 17 });
    },
  };
  logged.logCommits(log);
  for (const store of [direct, logged]) t.equal(await store.commit(writeSamples), 'ok');
  for (const store of [direct, logged]) await store.commit((batch) => void batch.forgetInbox(BOB, 1));
  t.strictSame(contentOf(logged), contentOf(direct));
  t.ok(contentOf(direct).length > 8);
  t.strictSame(logged.raw.mark(), { epoch: 3, sequence: 17 });
  t.equal(direct.raw.mark(), undefined, 'without a log there is no mark');
});

t.test('a store that is put in doubt through its log is what one is that was copied back', async (t) => {
  const [direct, logged] = [openStore(t), openStore(t)];
  for (const store of [direct, logged]) await store.commit(writeSamples);
  const before = contentOf(direct);
  const writes = new WriteSet();
  logged.renewInto(writes, NOW_MS);
  t.strictSame(contentOf(logged), before, 'what is collected is not applied');
  t.equal(await logged.raw.apply([writes.bytes()], { epoch: 1, sequence: 2 }), 'ok');
  t.match(direct.renew(NOW_MS), { devices: 0, conversations: 1, groups: 1, preKeys: 1 });
  t.strictSame(contentOf(logged), contentOf(direct));
  t.not(contentOf(direct).join(), before.join());
  const { gaps } = logged.conversation(BOB, { user: ALICE, device: 1, creation: 1 })!;
  t.match(gaps, [{ since: 203, code: 'APP_RESTORED' }]);
  t.equal(logged.outbox.doubtedMs(), NOW_MS, 'and who writes from here learns that its outbox may lack something');
});

t.test('a group goes on at far places, its senders at any id, and its members know of the doubt', async (t) => {
  const store = openStore(t);
  const [sender, row] = [
    { user: ALICE, device: 1, creation: 1 },
    { user: GROUP, device: 0, creation: 0 },
  ];
  await store.commit((batch) => {
    batch.groups.putOrder(GROUP, 9);
    batch.groups.putSender(GROUP, sender, { accepted: 4, order: 8 });
    batch.putConversation(BOB, row, { accepted: 9, delivered: 7 });
  });
  t.equal(store.groups.order(ALICE), 0, 'a group that nobody has made');
  store.renew(NOW_MS);
  t.equal(store.groups.order(ALICE), beyondAll(0, NOW_MS), 'one that was made and lost, perhaps');
  const place = store.groups.order(GROUP);
  t.equal(place, beyondAll(9, NOW_MS));
  t.strictSame(store.groups.sender(GROUP, sender), { accepted: 4, order: 8, isDoubted: true });
  t.ok(isInDoubt({ gaps: store.conversation(BOB, row)!.gaps! }));
  await store.commit((batch) => batch.groups.putSender(GROUP, sender, { accepted: 12, order: place + 1 }));
  t.strictSame(store.groups.sender(GROUP, sender), { accepted: 12, order: place + 1 }, 'until it has written');
  store.renew(NOW_MS);
  t.ok(store.groups.order(GROUP) > place, 'as often as it comes back');
});

t.test(
  'a commit whose collecting throws ends the process, and leaves nothing in the write set that others share',
  async (t) => {
    const fatal: unknown[] = [];
    const store = openStore(t, (error) => void fatal.push(error));
    const writes = new WriteSet();
    store.logCommits({
      commit: async (collect) => {
        collect(writes);
        return 'ok';
      },
    });
    await t.rejects(
      store.commit((batch) => {
        batch.putSeenMinute(BOB, 1);
        throw new Error('planned wrongly');
      }),
      /planned wrongly/,
    );
    t.equal(writes.length, 0);
    t.match(fatal, [{ message: 'planned wrongly' }], 'its actor would wait for good otherwise');
  },
);

t.test('pages of any size put together are the whole store, without what is of one copy alone', async (t) => {
  const [source, copy] = [openStore(t), openStore(t)];
  await source.commit(writeSamples);
  await source.raw.apply([], { epoch: 1, sequence: 5 });
  let pages = 0;
  let cursor: PageCursor | undefined;
  do {
    const { writes, next } = source.raw.page(cursor, 500);
    await copy.raw.apply([writes], undefined);
    cursor = next;
    pages++;
  } while (cursor !== undefined);
  t.ok(pages > 10, `${pages} pages`);
  t.strictSame(contentOf(copy), contentOf(source));
  t.equal(copy.raw.mark(), undefined, 'not a copy before it says so');
  await copy.raw.clear();
  t.strictSame(contentOf(copy), []);
});

t.test('a table without a number is refused when the store is opened', async (t) => {
  t.throws(() => tableNumber('novelty'), TypeError);
  t.equal(tableNumber('push'), 18, 'numbers stand in logs and never change');
});
