import t from 'tap';
import type { GroupBody } from './group-store.ts';
import type { InboxEntry, SenderAddress } from './inbox-store.ts';
import { MemoryStore } from './memory.ts';
import { STORE_KINDS } from './stores.test-kit.ts';

const GROUP = '700000000000001';
const OTHER = '700000000000002';
const ALICE = '100000000000001';
const BOB = '100000000000002';
const PHONE: SenderAddress = { user: ALICE, device: 1, creation: 7 };

function body(order: number, group = GROUP, size = 20): GroupBody {
  const bytes = new Uint8Array(size).fill(order & 0xff);
  const kind = order === 1 ? 'change' : 'message';
  const sender = { sender: ALICE, senderDevice: 1, senderCreation: 7 };
  return { kind, group, order, ...sender, id: order - 1, ts: 1_790_000_000_000 + order, bytes };
}

for (const { name, open } of STORE_KINDS) {
  t.test(`${name}: a group with its place and its changes comes back as it was put`, async (t) => {
    const { store, reopen } = open(t);
    t.equal(store.groups.group(GROUP), undefined);
    t.equal(store.groups.order(GROUP), 0);
    const record = { group: GROUP, head: new Uint8Array(32).fill(3), roster: Uint8Array.of(1, 2, 3) };
    await store.commit(({ groups }) => {
      groups.putGroup(record);
      groups.putOrder(GROUP, 2 ** 40);
      for (const epoch of [300, 1, 2])
        groups.putChange(GROUP, { epoch, bytes: new Uint8Array(100).fill(epoch & 0xff) });
      groups.putChange(OTHER, { epoch: 3, bytes: Uint8Array.of(9) });
      groups.putOrder(OTHER, 1);
    });
    const { groups } = await reopen();
    t.same(groups.group(GROUP), record);
    t.equal(groups.order(GROUP), 2 ** 40);
    const epochs = (after: number, bytesMax: number): number[] =>
      groups.changes(GROUP, after, bytesMax).map((change) => change.epoch);
    t.strictSame(epochs(0, 10_000), [1, 2, 300]);
    t.strictSame(epochs(1, 10_000), [2, 300], 'after an epoch');
    t.strictSame(epochs(0, 250), [1, 2], 'within the bytes');
    t.strictSame(epochs(0, 1), [1], 'at least one');
    for (const after of [300, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER])
      t.strictSame(epochs(after, 10_000), [], `behind ${after}, as a client may say`);
    t.ok(groups.changes(GROUP, 2, 1_000)[0]!.bytes.every((byte) => byte === (300 & 0xff)));
  });

  t.test(`${name}: how far each device has come, forgotten with its user`, async (t) => {
    const { store, reopen } = open(t);
    const tablet = { ...PHONE, device: 2, creation: 8 };
    const bob = { user: BOB, device: 1, creation: 1 };
    await store.commit(({ groups }) => {
      for (const sender of [PHONE, tablet, bob]) groups.putSender(GROUP, sender, { accepted: 41, order: 978 });
      groups.putSender(OTHER, PHONE, { accepted: 5, order: 6 });
    });
    const reopened = await reopen();
    t.strictSame(reopened.groups.sender(GROUP, tablet), { accepted: 41, order: 978 });
    t.equal(reopened.groups.sender(GROUP, { ...PHONE, creation: 9 }), undefined, 'another registration of the device');
    await reopened.commit(({ groups }) => groups.removeSenders(GROUP, ALICE));
    t.equal(reopened.groups.sender(GROUP, PHONE), undefined);
    t.equal(reopened.groups.sender(GROUP, tablet), undefined);
    t.ok(reopened.groups.sender(GROUP, bob) && reopened.groups.sender(OTHER, PHONE), 'others are untouched');
  });

  t.test(`${name}: what is outgoing comes back by group and place, until it is removed`, async (t) => {
    const { store, reopen } = open(t);
    await store.commit(({ groups }) => {
      for (const order of [300, 2, 1]) groups.putOutgoing(body(order));
      groups.putOutgoing(body(5, OTHER));
      groups.putBody(body(9), 3);
    });
    const reopened = await reopen();
    t.same(reopened.groups.outgoing(), [body(1), body(2), body(300), body(5, OTHER)]);
    await reopened.commit(({ groups }) => groups.removeOutgoing(GROUP, 2));
    t.strictSame(
      reopened.groups.outgoing().map(({ order }) => order),
      [1, 300, 5],
    );
  });

  t.test(`${name}: a body, and the count of what refers to it`, async (t) => {
    const { store, reopen } = open(t);
    await store.commit(({ groups }) => {
      for (const order of [1, 2, 3]) groups.putBody(body(order), 1_000 + order);
      groups.putBody(body(1, OTHER, 15_360), 1);
    });
    const reopened = await reopen();
    t.same(reopened.groups.body(GROUP, 1), body(1));
    t.equal(reopened.groups.body(OTHER, 1)!.bytes.length, 15_360);
    t.equal(reopened.groups.bodyCount(GROUP, 3), 1_003);
    t.equal(reopened.groups.countBodies(GROUP, 10), 3);
    t.equal(reopened.groups.countBodies(GROUP, 2), 2);
    await reopened.commit(({ groups }) => {
      groups.putBodyCount(GROUP, 3, 7);
      groups.removeBody(GROUP, 1);
    });
    t.equal(reopened.groups.bodyCount(GROUP, 3), 7);
    t.equal(reopened.groups.bodyCount(GROUP, 1), 0);
    t.equal(reopened.groups.body(GROUP, 1), undefined);
    t.equal(reopened.groups.body(GROUP, 99), undefined);
    const heads = (after: string | undefined, countMax: number): string[] =>
      reopened.groups.bodyHeads(after, countMax).map(({ group, order }) => `${group}#${order}`);
    t.strictSame(heads(undefined, 9), [`${GROUP}#2`, `${OTHER}#1`], 'the oldest of each group');
    t.strictSame(heads(GROUP, 9), [`${OTHER}#1`]);
    t.strictSame(heads(undefined, 1), [`${GROUP}#2`]);
    t.strictSame(heads(OTHER, 9), []);
  });

  t.test(`${name}: an entry of a group stands in an inbox like any other`, async (t) => {
    const { store, reopen } = open(t);
    const entry: InboxEntry = {
      ...{ seq: 4, sender: GROUP, senderDevice: 0, senderCreation: 0, id: 978, ts: 1_790_000_000_000 },
      ...{ type: 'group', ciphertext: new Uint8Array(0) },
    };
    await store.commit((batch) => {
      batch.putEntry(BOB, 1, entry);
      batch.putFresh(1, BOB, 2, entry);
      batch.putConversation(BOB, { user: GROUP, device: 0, creation: 0 }, { accepted: 978, delivered: 900 });
    });
    t.same(store.fresh(1), entry);
    const reopened = await reopen();
    t.same(reopened.entries(BOB, 1, 0, 9, 9, 999), [entry]);
    t.match(reopened.conversation(BOB, { user: GROUP, device: 0, creation: 0 }), { accepted: 978, delivered: 900 });
  });
}

t.test('memory: of a refused commit nothing of a group remains', async (t) => {
  const store = new MemoryStore();
  store.failNextCommits(1);
  t.equal(await store.commit(({ groups }) => groups.putBody(body(1), 1)), 'full');
  t.equal(store.groups.countBodies(GROUP, 9), 0);
});
