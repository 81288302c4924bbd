import t, { type Test } from 'tap';
import type { Pid } from '../runtime/index.ts';
import { LIMITS } from './limits.ts';
import { setLimit } from './live-limits.ts';
import type { Submit } from './messages.ts';
import type { ForwardAnswer } from './outbox/messages.ts';
import { AWAY, isEmpty, startOutbox, told, type OutboxFixture } from './outbox/test-kit.ts';
import { doubted } from './store/doubt.ts';
import { ALICE, BOB, spawnProbe, submission } from './test-kit.ts';

const NOBODY = '100000000000009';

t.test(
  'what is taken is acknowledged when it is flushed, and forwarded in order when the shard is there',
  async (t) => {
    const fixture = await startOutbox();
    fixture.store.holdCommits();
    await fixture.put(1);
    await fixture.put(2, { after: 1 });
    t.strictSame(told(fixture.alice.take()), [], 'not before the flush');
    fixture.store.releaseCommits();
    await fixture.inbox.test.settle();
    t.strictSame(told(fixture.alice.take()), ['sent 1', 'sent 2']);
    for (let id = 3; id <= 150; id++) await fixture.put(id);
    t.equal(fixture.load.count, 150);
    await fixture.wait(2_000);
    t.strictSame(fixture.inboxOf(), []);
    fixture.isThere = true;
    await fixture.wait(1_000);
    t.strictSame(
      fixture.inboxOf(),
      Array.from({ length: 150 }, (_, index) => `ratchet ${index + 1}`),
    );
    isEmpty(t, fixture);
    t.equal(told(fixture.alice.take()).at(-1), 'detour-ended');
  },
);

t.test('a resend is acknowledged again; what follows a refused message is refused until that comes', async (t) => {
  const fixture = await startOutbox();
  await fixture.put(1);
  await fixture.put(1);
  t.strictSame(told(fixture.alice.take()), ['sent 1', 'sent 1']);
  await fixture.put(2, { bytes: LIMITS.ciphertextBytesMax + 1 });
  await fixture.put(3, { after: 2 });
  t.strictSame(
    told(fixture.alice.take()),
    ['APP_MESSAGE_TOO_LARGE 2', 'APP_UNAVAILABLE 3'],
    'its acknowledgement would cover 2',
  );
  await fixture.put(2);
  await fixture.put(3, { after: 2 });
  t.strictSame(told(fixture.alice.take()), ['sent 2', 'sent 3']);
  fixture.isThere = true;
  await fixture.wait(1_000);
  t.strictSame(fixture.inboxOf(), ['ratchet 1', 'ratchet 2', 'ratchet 3']);
  isEmpty(t, fixture);
});

t.test('a disk without room takes nothing, and what was taken before goes on', async (t) => {
  const fixture = await startOutbox();
  await fixture.put(1);
  fixture.store.failNextCommits(1);
  await fixture.put(2);
  await fixture.put(3, { after: 2 });
  t.strictSame(told(fixture.alice.take()), ['sent 1', 'APP_STORE_FULL 2', 'APP_STORE_FULL 3']);
  t.equal(fixture.load.count, 1);
  fixture.isThere = true;
  await fixture.wait(LIMITS.storeFullPauseMs + 1_000);
  t.strictSame(fixture.inboxOf(), ['ratchet 1']);
  isEmpty(t, fixture);
});

t.test('each bound refuses what is over it, and takes it when there is room again', async (t) => {
  const fixture = await startOutbox();
  const bytes = LIMITS.ciphertextBytesMax;
  const fits = Math.floor(LIMITS.outboxDeviceBytesMax / (bytes + 64));
  for (let id = 1; id <= fits; id++) await fixture.put(id, { bytes });
  fixture.alice.take();
  await fixture.put(fits + 1, { bytes });
  t.strictSame(told(fixture.alice.take()), [`APP_OVERLOADED ${fits + 1}`], 'bytes of a device');
  fixture.isThere = true;
  await fixture.wait(3_000);
  fixture.isThere = false;
  fixture.alice.take();
  await fixture.put(fits + 1, { bytes });
  t.strictSame(told(fixture.alice.take()), [`sent ${fits + 1}`]);

  const many = await startOutbox();
  for (let id = 1; id <= LIMITS.outboxDeviceCountMax; id++) await many.put(id);
  many.alice.take();
  await many.put(LIMITS.outboxDeviceCountMax + 1);
  t.strictSame(told(many.alice.take()), [`APP_OVERLOADED ${LIMITS.outboxDeviceCountMax + 1}`], 'messages of a device');

  const wide = await startOutbox();
  for (let row = 1; row <= LIMITS.outboxDeviceRowsMax; row++)
    await wide.put(1, { to: String(200_000_000_000_000 + row) });
  wide.alice.take();
  await wide.put(1, { to: '300000000000000' });
  t.strictSame(told(wide.alice.take()).at(0), 'APP_OVERLOADED 1', 'recipients of a device');
});

t.test(
  'a flight that its shard did not take begins anew with one alone: the next owner may know nothing',
  async (t) => {
    const fixture = await startOutbox();
    const { test } = fixture.inbox;
    const seen: Submit[] = [];
    const owner = { name: 'test/owner', init: () => null, handleCast: (message: Submit) => void seen.push(message) };
    const spawnOwner = (): Pid => test.node.spawn(owner, undefined, { name: AWAY.name });
    const flights = (): string[] => seen.splice(0).map(({ id, forward }) => `${id}${forward!.opens ? ' opens' : ''}`);
    const first = spawnOwner();
    for (let id = 1; id <= 3; id++) await fixture.put(id);
    t.strictSame(flights(), ['1 opens']);
    test.node.exit(first, 'kill');
    await test.settle();
    const arrived: ForwardAnswer = { kind: 'forwarded', senderKey: `${ALICE}.1.1`, to: BOB, id: 1 };
    test.node.cast(test.node.whereis('outbox.0')!, arrived);
    await test.settle();
    spawnOwner();
    await fixture.wait(LIMITS.outboxLookMs);
    t.strictSame(flights(), ['2 opens']);
  },
);

t.test('of a shard that is away, whoever serves the sender next reads one row', async (t) => {
  const fixture = await startOutbox();
  for (let row = 1; row <= 20; row++) await fixture.put(1, { to: String(200_000_000_000_000 + row) });
  const { outbox: stored } = fixture.store;
  const entries = stored.entries.bind(stored);
  let reads = 0;
  stored.entries = (...range) => {
    reads++;
    return entries(...range);
  };
  await fixture.restart();
  t.equal(reads, 1);
});

t.test('an outbox that is full of messages takes no more', async (t) => {
  const { outboxCountMax: before } = LIMITS;
  setLimit('outboxCountMax', 1_000);
  t.teardown(() => setLimit('outboxCountMax', before));
  const fixture = await startOutbox();
  fixture.load.count = 999;
  await fixture.put(1);
  await fixture.put(2, { after: 1 });
  t.strictSame(told(fixture.alice.take()), ['sent 1', 'APP_OVERLOADED 2']);
});

t.test('what comes while the next life waits for a commit of the former stays counted', async (t) => {
  const fixture = await startOutbox();
  const counted = (): unknown => [...(fixture.load.waiting.get(`${ALICE}.1.1`) ?? [])];
  await fixture.put(1);
  fixture.store.holdCommits();
  await fixture.put(2);
  await fixture.restart();
  t.strictSame(counted(), [[BOB, 2]], 'a login is told of what is stored, and of what is about to be');
  await fixture.put(3, { after: 0 });
  t.strictSame(counted(), [[BOB, 3]]);
  fixture.store.releaseCommits();
  await fixture.inbox.test.settle();
  t.equal(fixture.store.outbox.heads(undefined, 10).length, 3);
  t.strictSame(counted(), [[BOB, 3]]);
  fixture.isThere = true;
  await fixture.wait(1_000);
  isEmpty(t, fixture);
});

t.test('a conversation in doubt takes of what is forwarded only one that opens its row', async (t) => {
  const { inbox, alice } = await startOutbox();
  const { sender } = submission(alice.pid, ALICE, BOB, 1);
  await inbox.store.commit((batch) =>
    batch.putConversation(BOB, sender, doubted({ accepted: 1, delivered: 1 }, LIMITS.gapCountMax)),
  );
  const says = (id: number, opens: boolean): Promise<void> =>
    inbox.tell({ ...submission(alice.pid, ALICE, BOB, id), forward: { opens } });
  await says(5, false);
  t.match(alice.take(), [{ kind: 'forward-refused', id: 5, refusal: { code: 'APP_OUT_OF_ORDER' } }]);
  await says(4, true);
  await says(5, false);
  t.match(alice.take().at(-1), { kind: 'forwarded', id: 5 });
  const { gaps } = inbox.store.conversation(BOB, sender)!;
  t.strictSame(gaps, [{ since: 2, until: 3, code: 'APP_RESTORED' }], 'and no more is lost than is gone');
});

t.test('who serves the shard next reads what waits and goes on, and knows for whom something does', async (t) => {
  const fixture = await startOutbox();
  for (let id = 5; id <= 7; id++) await fixture.put(id);
  await fixture.restart();
  t.strictSame([...fixture.load.waiting.get(`${ALICE}.1.1`)!], [[BOB, 3]]);
  t.equal(fixture.load.count, 3);
  fixture.isThere = true;
  await fixture.wait(1_000);
  t.strictSame(
    fixture.inboxOf(),
    ['ratchet 5', 'ratchet 6', 'ratchet 7'],
    'a conversation without a record begins at any id',
  );
  isEmpty(t, fixture);
});

/** That the first `count` are with bob, once and in order, and nothing waits any more. */
function hasArrived(t: Test, fixture: OutboxFixture, count: number): void {
  const all = Array.from({ length: count }, (_, index) => `ratchet ${index + 1}`);
  t.strictSame(fixture.inboxOf(), all);
  isEmpty(t, fixture);
}

t.test('an answer that is lost, and an owner that is another, lead to a resend, which is known', async (t) => {
  const fixture = await startOutbox();
  for (let id = 1; id <= 5; id++) await fixture.put(id);
  fixture.inbox.store.holdCommits();
  fixture.isThere = true;
  await fixture.wait(1_000);
  await fixture.inbox.restart();
  fixture.inbox.store.releaseCommits();
  await fixture.wait(LIMITS.outboxAnswerMs + 1_000);
  hasArrived(t, fixture, 5);
});

t.test('a shard that refuses for now is asked again, in order', async (t) => {
  const fixture = await startOutbox();
  for (let id = 1; id <= 5; id++) await fixture.put(id);
  fixture.inbox.store.failNextCommits(2);
  fixture.isThere = true;
  await fixture.wait(60_000);
  hasArrived(t, fixture, 5);
});

t.test('a stranger who has to wait is told so when it writes more, and what waits goes when it may', async (t) => {
  const fixture = await startOutbox();
  await fixture.inbox.store.commit((batch) => batch.protection.putGuard(BOB, { policy: 'ask', relations: 0 }));
  const { strangerMessagesMax } = LIMITS;
  for (let id = 1; id <= strangerMessagesMax + 1; id++) await fixture.put(id);
  fixture.isThere = true;
  await fixture.wait(2_000);
  t.equal(fixture.inboxOf().length, strangerMessagesMax);
  fixture.alice.take();
  await fixture.put(strangerMessagesMax + 2);
  t.strictSame(told(fixture.alice.take()), [`APP_REQUEST_PENDING ${strangerMessagesMax + 2}`]);
  t.equal(fixture.store.outbox.heads(undefined, 10).length, 1);
});

t.test('devices that are others by then: those that it was for get it, the others are told', async (t) => {
  const fixture = await startOutbox([1, 2]);
  await fixture.put(1);
  await fixture.put(2, { envelopes: [{ device: 7, type: 'ratchet', ciphertext: new Uint8Array(1) }] });
  await fixture.put(3);
  fixture.isThere = true;
  await fixture.wait(1_000);
  t.strictSame(fixture.inboxOf(1), ['ratchet 1', 'pruned 2 5', 'ratchet 3']);
  t.strictSame(fixture.inboxOf(2), ['pruned 1 5', 'pruned 2 5', 'pruned 3 5']);
  const record = fixture.inbox.store.conversation(BOB, { user: ALICE, device: 1, creation: 1 })!;
  t.strictSame(record.gaps, [{ since: 2, until: 2, code: 'APP_DEVICES_CHANGED' }], 'which the sender asks for');
  isEmpty(t, fixture);
});

t.test(
  'what nobody took for thirty days is given up, its sender is told, and so is the recipient in the end',
  async (t) => {
    const fixture = await startOutbox();
    const online = spawnProbe(fixture.inbox.test);
    await fixture.inbox.tell({
      kind: 'attach',
      user: ALICE,
      device: 1,
      creation: 1,
      connection: online.pid,
      staged: true,
    });
    await fixture.put(1);
    await fixture.inbox.test.advance(LIMITS.messageAgeMsMax / 2, LIMITS.messageAgeMsMax / 2);
    await fixture.put(2);
    await fixture.inbox.test.advance(LIMITS.messageAgeMsMax / 2 + 1_000, LIMITS.messageAgeMsMax / 4);
    await fixture.wait(2_000);
    t.match(
      online.take().filter(({ kind }) => kind === 'gap'),
      [{ kind: 'gap', to: BOB, since: 1, until: 1, code: 'APP_EXPIRED' }],
    );
    fixture.isThere = true;
    await fixture.wait(1_000);
    t.strictSame(fixture.inboxOf(), ['pruned 1 1', 'ratchet 2']);
    isEmpty(t, fixture);
  },
);

t.test('for an account that is not there all that waits is given up, and its sender told', async (t) => {
  const fixture = await startOutbox();
  const online = spawnProbe(fixture.inbox.test);
  await fixture.inbox.tell({
    kind: 'attach',
    user: ALICE,
    device: 1,
    creation: 1,
    connection: online.pid,
    staged: true,
  });
  for (const id of [1, 2, 3]) await fixture.put(id, { to: NOBODY });
  fixture.isThere = true;
  await fixture.wait(1_000);
  t.match(
    online.take().filter(({ kind }) => kind === 'gap'),
    [{ kind: 'gap', to: NOBODY, since: 1, until: 3, code: 'APP_UNDELIVERABLE' }],
  );
  isEmpty(t, fixture);
});

t.test('a receipt of what was forwarded reaches the connection that the sender has by then', async (t) => {
  const fixture = await startOutbox();
  await fixture.put(1);
  const online = spawnProbe(fixture.inbox.test);
  const bob = spawnProbe(fixture.inbox.test);
  const attach = { kind: 'attach', device: 1, creation: 1, staged: true } as const;
  await fixture.inbox.tell({ ...attach, user: ALICE, connection: online.pid });
  await fixture.inbox.tell({ ...attach, user: BOB, connection: bob.pid });
  fixture.isThere = true;
  await fixture.wait(1_000);
  await fixture.inbox.tell({ kind: 'acknowledge', connection: bob.pid, user: BOB, device: 1, seq: 1 });
  t.match(
    online.take().filter(({ kind }) => kind === 'receipt'),
    [{ type: 'delivered', from: BOB, id: 1 }],
  );
  t.notOk(
    fixture.alice.take().some(({ kind }) => kind === 'receipt'),
    'and not the one that wrote it',
  );
});
