import t from 'tap';
import { LIMITS } from './limits.ts';
import { sys } from '../runtime/index.ts';
import { createSeededRandom } from '../runtime/testing/seeded-random.ts';
import type { Acknowledge, ConnectionMessage } from './messages.ts';
import { ALICE, BOB, DEVICE, spawnProbe, startInbox, submission, type InboxFixture, type Probe } from './test-kit.ts';

function kinds(messages: readonly ConnectionMessage[]): string[] {
  return messages.map((message) => message.kind);
}

/** `seq:id` of everything pushed. */
function pushed(messages: readonly ConnectionMessage[]): string[] {
  return messages.flatMap((message) =>
    message.kind === 'deliver' ? message.entries.map((entry) => `${entry.seq}:${entry.id}`) : [],
  );
}

function refusals(messages: readonly ConnectionMessage[]): unknown[] {
  return messages.flatMap((message) => (message.kind === 'refused' ? [{ id: message.id, ...message.refusal }] : []));
}

async function attach(fixture: InboxFixture, user = BOB, staged = false): Promise<Probe> {
  const probe = spawnProbe(fixture.test);
  await fixture.tell({ kind: 'attach', user, device: 1, creation: 1, connection: probe.pid, staged });
  return probe;
}

/** Bob has stored everything that `connection` was pushed up to `seq`. */
function acknowledgement(connection: Probe, seq: number): Acknowledge {
  return { kind: 'acknowledge', connection: connection.pid, user: BOB, device: 1, seq };
}

/** Undelivered messages, of BOB only in these tests, in both tiers. */
function stored(fixture: InboxFixture): number {
  return fixture.store.countEntries(BOB, 1, 1_000_000) + fixture.store.freshCount;
}

t.test('a message to somebody online: acknowledged, pushed, deleted when acknowledged, receipted', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  t.strictSame(kinds(bob.take()), ['attached', 'drained']);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1, 'hello'));
  t.match(alice.take(), [{ kind: 'sent', to: BOB, id: 1 }]);
  t.strictSame(pushed(bob.take()), ['1:1']);
  t.equal(stored(fixture), 1, 'kept until acknowledged');
  await fixture.tell(acknowledgement(bob, 1));
  t.match(alice.take(), [{ kind: 'receipt', type: 'delivered', from: BOB, id: 1 }]);
  t.equal(stored(fixture), 0);
  t.equal(fixture.store.queuedBytes(), 0);
});

t.test('nothing is told before the commit is flushed', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  bob.take();
  fixture.store.holdCommits();
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  t.strictSame([...alice.take(), ...bob.take()], []);
  fixture.store.releaseCommits();
  await fixture.test.settle();
  t.strictSame(kinds(alice.take()), ['sent']);
  t.strictSame(pushed(bob.take()), ['1:1']);
});

t.test('messages to somebody offline wait and come in order, then the end-of-queue mark', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  for (let id = 1; id <= 5; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  const bob = await attach(fixture);
  const told = bob.take();
  t.strictSame(pushed(told), ['1:1', '2:2', '3:3', '4:4', '5:5']);
  t.equal(told.at(-1)?.kind, 'drained');
});

t.test('messages of one turn share one commit, one acknowledgement and one push', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  bob.take();
  const before = fixture.store.commitCount;
  for (let id = 1; id <= 20; id++) fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, id));
  await fixture.test.settle();
  t.equal(fixture.store.commitCount - before, 1);
  t.match(alice.take(), [{ kind: 'sent', id: 20 }]);
  const deliveries = bob.take();
  t.equal(deliveries.length, 1);
  t.equal(pushed(deliveries).length, 20);
});

t.test('a resend is acknowledged again and not delivered again', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
  alice.take();
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  t.match(alice.take(), [{ kind: 'sent', id: 2 }], 'cumulative: it covers the resent one');
  t.strictSame(pushed(bob.take()), ['1:1', '2:2']);
});

t.test('a resend in the commit under way is answered with it', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, 1));
  fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, 1));
  await fixture.test.settle();
  t.match(alice.take(), [{ kind: 'sent', id: 1 }]);
  t.equal(stored(fixture), 1);
});

t.test('a gap is refused with the id that is expected, and what follows it too', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  alice.take();
  await fixture.tell(submission(alice.pid, ALICE, BOB, 3));
  await fixture.tell(submission(alice.pid, ALICE, BOB, 4));
  t.strictSame(refusals(alice.take()), [
    { id: 3, code: 'APP_OUT_OF_ORDER', expected: 2 },
    { id: 4, code: 'APP_OUT_OF_ORDER', expected: 2 },
  ]);
  t.equal(stored(fixture), 1);
});

t.test(
  'a conversation without a record starts with any id; a new registration of the device starts another',
  async (t) => {
    const fixture = await startInbox([ALICE, BOB]);
    const alice = spawnProbe(fixture.test);
    await fixture.tell(submission(alice.pid, ALICE, BOB, 57));
    await fixture.tell(submission(alice.pid, ALICE, BOB, 58));
    await fixture.tell(submission(alice.pid, ALICE, BOB, 1, 'again', 2));
    t.strictSame(refusals(alice.received), []);
    t.equal(stored(fixture), 3);
  },
);

t.test('users who are not registered and devices that have changed are told so', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  await fixture.tell(submission(alice.pid, ALICE, '555555555555555', 1));
  const message = submission(alice.pid, ALICE, BOB, 1);
  const envelope = message.envelopes[0]!;
  await fixture.tell({ ...message, envelopes: [{ ...envelope, device: 2 }] });
  await fixture.tell({ ...message, envelopes: [envelope, { ...envelope, device: 2 }] });
  t.strictSame(refusals(alice.take()), [
    { id: 1, code: 'APP_UNKNOWN_USER' },
    { id: 1, code: 'APP_DEVICES_CHANGED', devices: [1] },
    { id: 1, code: 'APP_DEVICES_CHANGED', devices: [1] },
  ]);
  await fixture.tell(message);
  t.match(alice.take(), [{ kind: 'sent', id: 1 }], 'the id is still the expected one');
});

t.test('a full store refuses new messages, keeps serving, and takes messages again when it was emptied', async (t) => {
  const fixture = await startInbox([ALICE, BOB], { queuedBytesMax: 400 });
  const alice = spawnProbe(fixture.test);
  for (let id = 1; id <= 3; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id, 'y'.repeat(100)));
  t.match(refusals(alice.take()), [{ id: 3, code: 'APP_STORE_FULL', retryAfter: LIMITS.storeFullRetrySeconds }]);
  const bob = await attach(fixture);
  t.strictSame(pushed(bob.take()), ['1:1', '2:2']);
  await fixture.tell(acknowledgement(bob, 2));
  await fixture.tell(submission(alice.pid, ALICE, BOB, 3, 'y'.repeat(100)));
  t.match(alice.take(), [
    { kind: 'receipt', id: 2 },
    { kind: 'sent', id: 3 },
  ]);
});

t.test('a commit that the disk refuses leaves nothing behind: refused, then accepted under the same id', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  bob.take();
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  alice.take();
  fixture.store.failNextCommits(1);
  fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, 2));
  fixture.test.node.cast(fixture.pid, acknowledgement(bob, 1));
  await fixture.test.settle();
  t.match(alice.take(), [{ kind: 'refused', id: 2, refusal: { code: 'APP_STORE_FULL' } }]);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
  t.match(refusals(alice.take()), [{ code: 'APP_STORE_FULL' }], 'for a moment the disk is left alone');
  await fixture.test.advance(LIMITS.storeFullPauseMs + 1);
  t.match(alice.take(), [{ kind: 'receipt', id: 1 }], 'the deletion is tried again by itself');
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
  t.match(alice.take(), [{ kind: 'sent', id: 2 }]);
  t.strictSame(pushed(bob.take()), ['1:1', '2:2']);
});

t.test('a first contact that the disk refuses is not opened by what comes after it', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  fixture.store.failNextCommits(1);
  for (const id of [1, 2]) fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, id));
  await fixture.test.settle();
  await fixture.tell(submission(alice.pid, ALICE, BOB, 3));
  t.match(
    refusals(alice.take()),
    [1, 2, 3].map((id) => ({ id, code: 'APP_STORE_FULL' })),
  );
  await fixture.test.advance(LIMITS.storeFullPauseMs + 1);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 4));
  t.strictSame(refusals(alice.take()), [{ id: 4, code: 'APP_OUT_OF_ORDER', expected: 1 }]);
  for (const id of [1, 2]) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  t.match(alice.take(), [
    { kind: 'sent', id: 1 },
    { kind: 'sent', id: 2 },
  ]);
});

t.test('a first contact that is turned away unread is not opened by what comes after it', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 7, 'x'.repeat(LIMITS.ciphertextBytesMax + 1)));
  await fixture.tell(submission(alice.pid, ALICE, BOB, 8));
  t.strictSame(refusals(alice.take()), [
    { id: 7, code: 'APP_MESSAGE_TOO_LARGE' },
    { id: 8, code: 'APP_OUT_OF_ORDER', expected: 7 },
  ]);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 7));
  t.match(alice.take(), [{ kind: 'sent', id: 7 }]);
});

t.test('the push window is bounded, and acknowledging opens it', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const total = LIMITS.windowCountMax + 40;
  for (let id = 1; id <= total; id++) fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, id));
  await fixture.test.settle();
  const bob = await attach(fixture);
  t.equal(pushed(bob.take()).length, LIMITS.windowCountMax);
  await fixture.tell(acknowledgement(bob, 30));
  t.equal(pushed(bob.take()).length, 30);
  await fixture.tell(acknowledgement(bob, total));
  const rest = bob.take();
  t.equal(pushed(rest).length, 10);
  t.equal(rest.at(-1)?.kind, 'drained');
});

t.test('a push fits a packet between threads, whatever the window holds', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const text = 'x'.repeat(LIMITS.windowBytesMax / 100);
  const send = async (from: number, through: number): Promise<void> => {
    for (let id = from; id <= through; id++)
      fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, id, text));
    await fixture.test.settle();
  };
  const bytesOf = (message: ConnectionMessage): number =>
    message.kind === 'deliver' ? message.entries.reduce((sum, { ciphertext }) => sum + ciphertext.length, 0) : 0;
  await send(1, 90);
  const bob = await attach(fixture);
  const waiting = bob.take();
  t.equal(pushed(waiting).length, 90);
  t.ok(
    waiting.every((message) => bytesOf(message) <= LIMITS.pushBytesMax),
    'of those that waited',
  );
  await fixture.tell(acknowledgement(bob, 90));
  await send(91, 180);
  const fresh = bob.take();
  t.strictSame(
    pushed(fresh),
    Array.from({ length: 90 }, (_, index) => `${index + 91}:${index + 91}`),
  );
  t.ok(
    fresh.every((message) => bytesOf(message) <= LIMITS.pushBytesMax),
    'and of those that come fresh',
  );
});

t.test('a second login of a device replaces the first, and what was unacknowledged comes again', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const first = await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  first.take();
  const second = await attach(fixture);
  t.strictSame(kinds(first.take()), ['replaced']);
  t.strictSame(pushed(second.take()), ['1:1']);
  fixture.test.node.exit(first.pid, 'kill');
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
  t.strictSame(pushed(second.take()), ['2:2'], 'the end of the first does not detach the second');
  await fixture.tell(acknowledgement(second, 1));
  const third = await attach(fixture);
  t.strictSame(pushed(third.take()), ['2:2'], 'and what was acknowledged does not come any more');
});

t.test('a connection that logs in again keeps the device, and everything unacknowledged comes once more', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  for (const id of [1, 2, 3]) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  await fixture.tell(acknowledgement(bob, 1));
  bob.take();
  const again = { kind: 'attach', user: BOB, device: 1, creation: 1, connection: bob.pid, staged: false } as const;
  await fixture.tell(again);
  const told = bob.take();
  t.strictSame(kinds(told), ['attached', 'deliver', 'deliver', 'drained'], 'nobody is replaced');
  t.strictSame(pushed(told), ['2:2', '3:3']);
  t.match(told[1], { push: 1 });
  await fixture.tell(acknowledgement(bob, 3));
  t.equal(stored(fixture), 0);
  fixture.test.node.exit(bob.pid, 'kill');
  await fixture.tell(submission(alice.pid, ALICE, BOB, 4));
  t.strictSame(pushed((await attach(fixture)).take()), ['4:4'], 'its end detaches it');
});

t.test('a login that comes late replaces nobody but its own connection', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const bob = await attach(fixture);
  bob.take();
  const late = { kind: 'attach', user: BOB, device: 1, creation: 1, staged: false, isLate: true } as const;
  await fixture.tell({ ...late, connection: bob.pid });
  t.strictSame(kinds(bob.take()), ['attached', 'drained']);
  const other = spawnProbe(fixture.test);
  await fixture.tell({ ...late, connection: other.pid });
  t.strictSame([kinds(other.take()), bob.take()], [['overtaken'], []]);
});

t.test('while commits do not settle, an acknowledgement from before a second login counts for nothing', async (t) => {
  let isCutOff = false;
  const fixture = await startInbox([ALICE, BOB], {}, () => isCutOff);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  for (const id of [1, 2]) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  isCutOff = true;
  await fixture.tell(acknowledgement(bob, 2));
  bob.take();
  await fixture.tell({ kind: 'attach', user: BOB, device: 1, creation: 1, connection: bob.pid, staged: false });
  t.strictSame(pushed(bob.take()), ['1:1', '2:2']);
  isCutOff = false;
  await fixture.test.advance(2 * LIMITS.cutOffPauseMs);
  t.equal(stored(fixture), 2, 'what its client has not got again is still there');
  await fixture.tell(acknowledgement(bob, 2));
  t.equal(stored(fixture), 0);
});

t.test('an acknowledgement of what the former owner pushed counts for nothing at the next', async (t) => {
  const fixture = await startInbox([BOB]);
  const writer = spawnProbe(fixture.test);
  const [older, newer] = ['200000000000001', '200000000000002'];
  for (let id = 1; id <= 20; id++) await fixture.tell(submission(writer.pid, older, BOB, id));
  for (let id = 1; id <= 20; id++) await fixture.tell(submission(writer.pid, newer, BOB, id));
  const bob = await attach(fixture, BOB, true);
  const firstPage = pushed(bob.take().slice(0, 2));
  const last = Number(firstPage.at(-1)!.split(':')[0]);
  t.equal(firstPage.length, last - 20, 'of the newer conversation, ahead of what is before it in the inbox');
  await fixture.tell(submission(writer.pid, older, BOB, 21));
  await fixture.restart();
  fixture.store.holdCommits();
  await fixture.tell(submission(writer.pid, older, BOB, 22));
  await fixture.tell(acknowledgement(bob, last));
  bob.take();
  await fixture.tell({ kind: 'attach', user: BOB, device: 1, creation: 1, connection: bob.pid, staged: true });
  t.equal(pushed(bob.take())[0], '1:1', 'now the other is ahead');
  fixture.store.releaseCommits();
  await fixture.test.settle();
  t.equal(stored(fixture), 42, 'nothing is removed that its client may not have');
});

t.test('a connection that ends is detached; its messages wait', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  fixture.test.node.exit(bob.pid, 'kill');
  await fixture.test.settle();
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  t.match(alice.take(), [{ kind: 'sent' }]);
  t.strictSame(pushed((await attach(fixture)).take()), ['1:1']);
});

t.test('a delivered receipt waits for a sender who was away', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const before = spawnProbe(fixture.test);
  await fixture.tell(submission(before.pid, ALICE, BOB, 1));
  fixture.test.node.exit(before.pid, 'kill');
  const bob = await attach(fixture);
  await fixture.tell(acknowledgement(bob, 1));
  const alice = spawnProbe(fixture.test);
  const sender = { user: ALICE, device: 1, creation: 1 };
  await fixture.tell({
    kind: 'query-conversation',
    connection: alice.pid,
    iq: 9,
    sender,
    senderKey: `${ALICE}.1.1`,
    to: BOB,
    withGaps: false,
  });
  t.match(alice.take(), [{ kind: 'answer', iq: 9, answer: { kind: 'receipts', to: BOB, sent: 1, delivered: 1 } }]);
});

t.test('what a device that goes away has not acknowledged waits for it in the waiting tier', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  for (let id = 1; id <= 6; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  await fixture.tell(acknowledgement(bob, 2));
  t.equal(fixture.store.freshCount, 4);
  t.equal(fixture.store.countEntries(BOB, 1, 9), 0);
  fixture.test.node.exit(bob.pid, 'kill');
  await fixture.test.settle();
  t.equal(fixture.store.freshCount, 0);
  t.equal(fixture.store.countEntries(BOB, 1, 9), 4);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 7));
  t.strictSame(pushed((await attach(fixture)).take()), ['3:3', '4:4', '5:5', '6:6', '7:7']);
});

t.test('a device that comes back while its messages are moved gets each once, in order', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  for (let id = 1; id <= 3; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  fixture.store.holdCommits();
  fixture.test.node.exit(bob.pid, 'kill');
  await fixture.test.settle();
  const again = await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 4));
  t.strictSame(pushed(again.take()), [], 'nothing is read while the move is under way');
  fixture.store.releaseCommits();
  await fixture.test.settle();
  t.strictSame(pushed(again.take()), ['1:1', '2:2', '3:3', '4:4']);
  await fixture.tell(acknowledgement(bob, 4));
  t.equal(stored(fixture), 4, 'the former connection has nothing to say');
  await fixture.tell(acknowledgement(again, 4));
  t.equal(stored(fixture), 0);
});

t.test(
  'a new life of an inbox gives no position twice: commits under way settle first, what was fresh waits',
  async (t) => {
    const fixture = await startInbox([ALICE, BOB]);
    const alice = spawnProbe(fixture.test);
    const bob = await attach(fixture);
    for (let id = 1; id <= 3; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
    t.equal(fixture.store.freshCount, 3);
    fixture.store.holdCommits();
    await fixture.tell(submission(alice.pid, ALICE, BOB, 4));
    await fixture.restart();
    await fixture.tell(submission(alice.pid, ALICE, BOB, 5));
    const again = await attach(fixture);
    t.strictSame(again.take(), [], 'nobody is served before the former commit has settled');
    alice.take();
    fixture.store.releaseCommits();
    await fixture.test.settle();
    t.strictSame(pushed(again.take()), ['1:1', '2:2', '3:3', '4:4', '5:5']);
    t.match(alice.take(), [{ kind: 'sent', id: 5 }], 'it was accepted in its order');
    t.equal(fixture.store.countEntries(BOB, 1, 9), 4, 'what was fresh waits');
    for (let id = 6; id <= 9; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
    await fixture.tell(acknowledgement(again, 9));
    t.equal(stored(fixture), 0);
    t.equal(fixture.store.queuedBytes(), 0);
    t.strictSame(pushed(bob.take()), ['1:1', '2:2', '3:3']);
  },
);

t.test('an inbox that finds no room to move what is fresh does not start, and its next life does', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  fixture.store.failNextCommits(1);
  await fixture.restart();
  t.equal(fixture.test.node.whereis('inbox.0'), undefined);
  await fixture.restart();
  t.strictSame(pushed((await attach(fixture)).take()), ['1:1']);
});

t.test(
  'at random: devices come and go, the inbox is restarted, senders resend, commits fail; each message once, in order, nothing left',
  async (t) => {
    for (let seed = 1; seed <= 300; seed++) await t.resolves(wander(seed), `seed ${seed}`);
  },
);

/** One random walk; throws when a promise is broken. */
async function wander(seed: number): Promise<void> {
  const random = createSeededRandom(seed);
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  let bob: Probe | undefined;
  let sent = 0;
  let seen = 0;
  const look = (): void => {
    for (const message of bob?.take() ?? []) {
      if (message.kind !== 'deliver') continue;
      for (const { id, seq } of message.entries) {
        if (id !== seq) throw new Error(`id ${id} has position ${seq}`);
        if (id > seen + 1) throw new Error(`id ${id} after ${seen}`);
        seen = Math.max(seen, id);
      }
    }
  };
  /** Its connections end with it; who wrote hears no answer and writes again. A refused claim is one more restart. */
  const restart = async (): Promise<void> => {
    if (bob !== undefined) fixture.test.node.exit(bob.pid, 'kill');
    look();
    bob = undefined;
    await fixture.restart();
  };
  /** Sends again from the first id that was not acknowledged. */
  const accepted = (): number => Math.max(0, ...alice.received.flatMap((m) => (m.kind === 'sent' ? [m.id] : [])));
  for (let step = 0; step < 120; step++) {
    const dice = random.integer(100);
    if (dice < 50) {
      sent = Math.max(sent, accepted()) + 1;
      for (let id = accepted() + 1; id <= sent; id++)
        fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, id));
    } else if (dice < 65) {
      look();
      if (bob !== undefined && seen > 0)
        fixture.test.node.cast(fixture.pid, acknowledgement(bob, 1 + random.integer(seen)));
    } else if (dice < 75) {
      if (bob !== undefined) fixture.test.node.exit(bob.pid, 'kill');
      look();
      bob = spawnProbe(fixture.test);
      const connection = bob.pid;
      fixture.test.node.cast(fixture.pid, {
        ...{ kind: 'attach', user: BOB, device: 1, creation: 1, connection, staged: false },
      });
    } else if (dice < 82) {
      if (bob !== undefined) fixture.test.node.exit(bob.pid, 'kill');
      look();
      bob = undefined;
    } else if (dice < 85) {
      fixture.store.failNextCommits(1);
    } else if (dice < 87) {
      fixture.store.holdCommits();
    } else if (dice < 90) {
      await restart();
    } else {
      fixture.store.releaseCommits();
      await fixture.test.advance(random.integer(LIMITS.storeFullPauseMs * 2));
    }
  }
  fixture.store.failNextCommits(0);
  fixture.store.releaseCommits();
  await fixture.test.advance(10_000, 500);
  look();
  if (fixture.test.node.whereis('inbox.0') === undefined) await fixture.restart();
  bob = await attach(fixture);
  for (let id = accepted() + 1; id <= sent; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  look();
  // One at a time, after connections without an acknowledgement.
  for (let step = 0; step <= sent && stored(fixture) > 0; step++) {
    await fixture.tell(acknowledgement(bob, seen));
    look();
  }
  if (seen !== sent) throw new Error(`sent ${sent}, seen ${seen}`);
  if (stored(fixture) !== 0 || fixture.store.queuedBytes() !== 0)
    throw new Error(`${stored(fixture)} entries are left`);
}

t.test('read marks reach the sender, never beyond what was delivered, and strangers get none', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = await attach(fixture, ALICE);
  const bob = await attach(fixture);
  const read = (user: string, id: number) =>
    ({ kind: 'mark-read', user: BOB, sender: { user, device: 1 }, id }) as const;
  alice.take();
  await fixture.tell(read(ALICE, 5));
  t.strictSame(alice.take(), [], 'nothing was ever sent');
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
  await fixture.tell(acknowledgement(bob, 1));
  alice.take();
  await fixture.tell(read(ALICE, 99));
  t.match(alice.take(), [{ kind: 'receipt', type: 'read', from: BOB, id: 1 }]);
  fixture.test.node.cast(fixture.pid, acknowledgement(bob, 2));
  for (const id of [1, 2, 1]) fixture.test.node.cast(fixture.pid, read(ALICE, id));
  await fixture.test.settle();
  const last = alice.take();
  t.equal(last.length, 2, 'three read marks of one commit are one receipt');
  t.match(
    last,
    [
      { type: 'delivered', id: 2 },
      { type: 'read', id: 2 },
    ],
    'right after its acknowledgement',
  );
});

t.test('a device that was replaced is forgotten with its inbox', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const old = await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  old.take();
  await fixture.store.commit((batch) => batch.putAccount({ user: BOB, phone: `+${BOB}`, devices: [2], creations: 2 }));
  fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, 2));
  await fixture.tell({ kind: 'forget-device', user: BOB, device: 1 });
  t.ok(kinds(old.take()).includes('unregistered'));
  t.equal(stored(fixture), 0);
  t.equal(fixture.store.queuedBytes(), 0);
  t.strictSame(
    refusals(alice.take()),
    [{ id: 2, code: 'APP_DEVICES_CHANGED', devices: [2] }],
    'what is not planned yet is for the device that took its place',
  );
});

/** An account's device 2 is registered or gone, as a commit of the accounts actor leaves it. */
async function setDevices(fixture: InboxFixture, devices: readonly number[]): Promise<void> {
  await fixture.store.commit((batch) => {
    batch.putAccount({ user: BOB, phone: `+${BOB}`, devices, creations: 2 });
    for (const id of devices) batch.putDevice(BOB, id, { ...DEVICE, creation: id });
  });
}

t.test('a device that another login finds gone is let go with its fresh entries, before anybody says so', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  await setDevices(fixture, [1, 2]);
  const alice = spawnProbe(fixture.test);
  const second = spawnProbe(fixture.test);
  const login = { kind: 'attach', user: BOB, device: 2, creation: 2, staged: false } as const;
  await fixture.tell({ ...login, connection: second.pid });
  const message = submission(alice.pid, ALICE, BOB, 1);
  const envelopes = [1, 2].map((device) => ({ ...message.envelopes[0]!, device }));
  await fixture.tell({ ...message, envelopes });
  t.equal(fixture.store.freshCount, 1);
  second.take();
  await setDevices(fixture, [1]);
  const stranger = spawnProbe(fixture.test);
  await fixture.tell({ ...login, device: 3, connection: stranger.pid });
  t.strictSame(kinds(stranger.take()), ['unregistered']);
  t.strictSame(kinds(second.take()), ['unregistered'], 'its connection ends at once');
  await fixture.tell({ kind: 'forget-device', user: BOB, device: 2 });
  t.equal(fixture.store.freshCount, 0, 'nothing stays in the fresh tier');
  const bob = await attach(fixture);
  await fixture.tell(acknowledgement(bob, 1));
  t.equal(fixture.store.queuedBytes(), 0);
});

t.test('a removal that the disk refuses takes the fresh entries along when it is tried again', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  await setDevices(fixture, [2]);
  fixture.store.failNextCommits(1);
  await fixture.tell({ kind: 'forget-device', user: BOB, device: 1 });
  t.equal(fixture.store.freshCount, 1);
  await fixture.test.advance(LIMITS.storeFullPauseMs + 1);
  t.equal(stored(fixture), 0);
  t.equal(fixture.store.queuedBytes(), 0);
});

t.test('the sweep removes the inbox of a device that no account has: the process was killed in between', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  await setDevices(fixture, [2]);
  await fixture.restart();
  t.equal(fixture.store.countEntries(BOB, 1, 9), 1, 'nobody has said so');
  await fixture.test.advance(LIMITS.expirySliceMs + 1);
  t.equal(fixture.store.countEntries(BOB, 1, 9), 0);
  t.equal(fixture.store.queuedBytes(), 0);
  t.strictSame(fixture.store.waitingConversations(BOB), []);
});

t.test('an acknowledgement under way keeps its recipient in memory, though nobody is online any more', async (t) => {
  const crowd = Array.from({ length: LIMITS.recipientCacheMax + 8 }, (_, at) => String(200_000_000_000_000 + at));
  const fixture = await startInbox([ALICE, BOB, ...crowd]);
  const alice = spawnProbe(fixture.test);
  for (let id = 1; id <= 3; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  const first = await attach(fixture);
  first.take();
  fixture.store.holdCommits();
  await fixture.tell(acknowledgement(first, 2));
  fixture.test.node.exit(first.pid, 'kill');
  await fixture.test.settle();
  const query = { kind: 'query-conversation', iq: 1, senderKey: `${ALICE}.1.1`, withGaps: false } as const;
  const sender = { user: ALICE, device: 1, creation: 1 };
  for (const to of crowd) fixture.test.node.cast(fixture.pid, { ...query, connection: alice.pid, sender, to });
  await fixture.test.settle();
  fixture.store.releaseCommits();
  await fixture.test.settle();
  const second = await attach(fixture);
  t.strictSame(pushed(second.take()), ['3:3'], 'what is being removed is not read again');
  await fixture.tell(acknowledgement(second, 3));
  t.equal(stored(fixture), 0);
  t.equal(fixture.store.queuedBytes(), 0);
});

t.test('a message that is being set aside is not moved as well, when its device goes away', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  let bob = await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  for (let login = 1; login < LIMITS.undeliverableCountMax; login++) bob = await attach(fixture);
  t.equal(fixture.store.freshCount, 1, 'one connection after the other: it was never moved');
  fixture.store.holdCommits();
  bob = await attach(fixture);
  fixture.test.node.exit(bob.pid, 'kill');
  await fixture.test.settle();
  fixture.store.releaseCommits();
  await fixture.test.settle();
  t.equal(fixture.store.freshCount, 0);
  const last = await attach(fixture, BOB, true);
  const entries = last.take().flatMap((message) => (message.kind === 'deliver' ? message.entries : []));
  t.strictSame(
    entries.map(({ type }) => type),
    ['pruned'],
    'the notice, and not the message',
  );
});

t.test('a connection that has no room for a receipt ends, and its client asks when it comes back', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const { node } = fixture.test;
  const alice = spawnProbe(fixture.test, 1);
  const bob = await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  await Promise.all([sys.suspend(node, alice.pid), fixture.test.settle()]);
  node.cast(alice.pid, { kind: 'typing', from: BOB, state: 'paused' });
  const ended = node.awaitExit(alice.pid, 'infinity');
  await fixture.tell(acknowledgement(bob, 1));
  t.strictSame(await ended, { shutdown: 'overload' });
});

t.test('bounds are told with their codes', async (t) => {
  const fixture = await startInbox([ALICE, BOB], { queuedBytesMax: 1e9 });
  const alice = spawnProbe(fixture.test);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1, 'z'.repeat(LIMITS.ciphertextBytesMax)));
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2, 'z'.repeat(LIMITS.ciphertextBytesMax + 1)));
  t.match(alice.take(), [
    { kind: 'sent', id: 1 },
    { kind: 'refused', refusal: { code: 'APP_MESSAGE_TOO_LARGE' } },
  ]);
});

t.test('a ticket of a former registration under the same device id is told that it is gone', async (t) => {
  const fixture = await startInbox([BOB]);
  const probe = spawnProbe(fixture.test);
  const attach = { kind: 'attach', user: BOB, device: 1, connection: probe.pid, staged: false } as const;
  await fixture.tell({ ...attach, creation: 2 });
  t.strictSame(probe.take(), [{ kind: 'unregistered' }]);
  await fixture.tell({ ...attach, creation: 1 });
  t.match(probe.take(), [{ kind: 'attached' }, { kind: 'drained' }]);
});

t.test('devices that come back to full inboxes are read out so many at a time, each in the end', async (t) => {
  const users = Array.from({ length: LIMITS.catchUpCountMax + 2 }, (_, index) => String(200_000_000_000_000 + index));
  // Somebody else writes to each: beginning with many is bounded.
  const friendOf = (user: string): string => `3${user.slice(1)}`;
  const fixture = await startInbox(users);
  const sender = spawnProbe(fixture.test);
  for (const user of users) await fixture.tell(submission(sender.pid, friendOf(user), user, 1));
  const probes: Probe[] = [];
  for (const user of users) probes.push(await attach(fixture, user));
  const served = (): number => probes.filter(({ received }) => received.some(({ kind }) => kind === 'deliver')).length;
  const drained = (): number => probes.filter(({ received }) => received.some(({ kind }) => kind === 'drained')).length;
  t.equal(served(), users.length);
  t.equal(drained(), users.length, 'one message is read in one go, so every place is free again');
  const slow = await startInbox(users, { queuedBytesMax: 1_000_000_000 });
  for (const user of users) {
    for (let id = 1; id <= LIMITS.windowCountMax + 1; id++)
      slow.test.node.cast(slow.pid, submission(sender.pid, friendOf(user), user, id));
    // Within the bound of the mailbox.
    await slow.test.settle();
  }
  probes.length = 0;
  for (const user of users) probes.push(await attach(slow, user));
  t.equal(served(), LIMITS.catchUpCountMax, 'more than a window waits for each: two wait for a place');
  const { pid: connection } = probes[0]!;
  await slow.tell({ kind: 'acknowledge', user: users[0]!, device: 1, seq: LIMITS.windowCountMax, connection });
  await slow.test.settle();
  t.equal(served(), LIMITS.catchUpCountMax + 1, 'one has caught up');
  await slow.test.advance(LIMITS.catchUpMsMax + 2 * LIMITS.catchUpLookMs, LIMITS.catchUpLookMs);
  t.equal(served(), users.length, 'who does not get on keeps nobody waiting for good');
});

t.test('on a crowded machine removals ride on the next message, and go alone when none comes', async (t) => {
  let isCrowded = true;
  const fixture = await startInbox([ALICE, BOB], { isCrowded: () => isCrowded });
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  const commits = async (): Promise<number> => {
    const answer = fixture.test.node.call<{ readonly commits: number }>('inbox.0', 'statistics', 1_000);
    await fixture.test.settle();
    return (await answer).commits;
  };
  const receipts = (): number => alice.take().filter(({ kind }) => kind === 'receipt').length;
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  await fixture.tell(acknowledgement(bob, 1));
  t.strictSame([stored(fixture), receipts(), await commits()], [1, 0, 1], 'it waits, and so does its receipt');
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
  t.strictSame([stored(fixture), receipts(), await commits()], [1, 1, 2], 'the second message took it along');
  await fixture.tell(acknowledgement(bob, 2));
  await fixture.test.advance(LIMITS.removalWaitMs - 1);
  t.strictSame([stored(fixture), receipts()], [1, 0]);
  await fixture.test.advance(1);
  t.strictSame([stored(fixture), receipts(), await commits()], [0, 1, 3], 'nobody came');
  isCrowded = false;
  await fixture.tell(submission(alice.pid, ALICE, BOB, 3));
  await fixture.tell(acknowledgement(bob, 3));
  t.strictSame([stored(fixture), receipts()], [0, 1], 'at once where processors are not scarce');
});

t.test('a device that is catching up waits for no company', async (t) => {
  const fixture = await startInbox([ALICE, BOB], { isCrowded: () => true });
  const alice = spawnProbe(fixture.test);
  const count = LIMITS.windowCountMax + 10;
  for (let id = 1; id <= count; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  const bob = await attach(fixture);
  t.equal(pushed(bob.take()).length, LIMITS.windowCountMax);
  await fixture.tell(acknowledgement(bob, LIMITS.windowCountMax));
  t.equal(pushed(bob.take()).length, 10, 'the next page, without a wait');
});

/** How a connection may end behind what it has acknowledged: its actor is gone, or the device comes back before that is noticed. */
const ENDS: readonly (readonly [
  name: string,
  end: (fixture: InboxFixture, bob: Probe) => Promise<Probe | undefined>,
])[] = [
  [
    'ends',
    async ({ test }, bob) => {
      test.node.exit(bob.pid, 'kill');
      await test.settle();
      return undefined;
    },
  ],
  ['is replaced', (fixture) => attach(fixture)],
];

for (const [name, end] of ENDS) {
  t.test(`what waits for company goes when its connection ${name}`, async (t) => {
    const fixture = await startInbox([ALICE, BOB], { isCrowded: () => true });
    const alice = spawnProbe(fixture.test);
    const bob = await attach(fixture);
    await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
    await fixture.tell(acknowledgement(bob, 1));
    await fixture.test.advance(LIMITS.removalWaitMs - 10);
    t.strictSame([stored(fixture), kinds(alice.take())], [1, ['sent']]);
    const second = await end(fixture, bob);
    t.strictSame([stored(fixture), kinds(alice.take())], [0, ['receipt']]);
    t.strictSame(kinds((second ?? (await attach(fixture))).take()), ['attached', 'drained'], 'nothing comes twice');
  });

  t.test(`what comes while a commit is under way counts, though its connection ${name} meanwhile`, async (t) => {
    const fixture = await startInbox([ALICE, BOB]);
    const alice = spawnProbe(fixture.test);
    const bob = await attach(fixture);
    await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
    await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
    fixture.store.holdCommits();
    await fixture.tell(submission(alice.pid, BOB, ALICE, 1));
    await fixture.tell(acknowledgement(bob, 1));
    const second = await end(fixture, bob);
    t.strictSame(second?.take() ?? [], [], 'who comes back waits for that commit');
    alice.take();
    fixture.store.releaseCommits();
    await fixture.test.settle();
    t.equal(stored(fixture), 1);
    t.match(
      alice.take().filter(({ kind }) => kind === 'receipt'),
      [{ type: 'delivered', from: BOB, id: 1 }],
    );
    const last = second ?? (await attach(fixture));
    t.strictSame(pushed(last.take()), ['2:2'], 'what it acknowledged does not come again');
    await fixture.tell(acknowledgement(last, 2));
    t.strictSame([stored(fixture), fixture.store.countEntries(BOB, 1, 10)], [0, 0]);
  });
}

t.test('who comes back while a removal is written gets the rest, also if the disk refuses it', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  fixture.store.holdCommits();
  fixture.store.failNextCommits(1);
  await fixture.tell(acknowledgement(bob, 1));
  const second = await attach(fixture);
  t.strictSame(kinds(second.take()), ['attached']);
  fixture.store.releaseCommits();
  await fixture.test.settle();
  const told = second.take();
  t.strictSame([pushed(told), told.at(-1)?.kind], [['1:1'], 'drained']);
});

t.test('a login that waited for its shard replaces nobody', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const late = spawnProbe(fixture.test);
  const login = { kind: 'attach', user: BOB, device: 1, creation: 1, connection: late.pid, staged: false } as const;
  const bob = await attach(fixture);
  bob.take();
  await fixture.tell({ ...login, isLate: true });
  t.strictSame([kinds(late.take()), kinds(bob.take())], [['overtaken'], []]);
  fixture.test.node.exit(bob.pid, 'kill');
  await fixture.test.settle();
  await fixture.tell({ ...login, isLate: true });
  t.strictSame(kinds(late.take()), ['attached', 'drained'], 'where nobody is, it is taken');
  await fixture.tell({ ...login, connection: bob.pid });
  t.strictSame(kinds(late.take()), ['replaced'], 'by one that says nothing of it');
});
