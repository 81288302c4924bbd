/** What an inbox gives up: expired, pruned, undeliverable. Both ends are told, and nobody else notices. */

import t from 'tap';
import { LIMITS } from '../limits.ts';
import type { Acknowledge, ConnectionMessage, GapTold } from '../messages.ts';
import { decodeNotice } from '../store/loss.ts';
import { ALICE, BOB, DEVICE, spawnProbe, startInbox, submission, type InboxFixture, type Probe } from '../test-kit.ts';

const CAROL = '100000000000003';
const ROOM = { queuedBytesMax: 1e9 };

/** Pushed messages as `seq:id`, notices as `seq:since-until code`. */
function pushed(messages: readonly ConnectionMessage[]): string[] {
  return messages.flatMap((message) => {
    if (message.kind !== 'deliver') return [];
    return message.entries.map(({ seq, id, type, ciphertext }) => {
      if (type !== 'pruned') return `${seq}:${id}`;
      const { since, until, code } = decodeNotice(id, ciphertext);
      return `${seq}:${since}-${until} ${code}`;
    });
  });
}

function gaps(messages: readonly ConnectionMessage[]): Pick<GapTold, 'to' | 'since' | 'until' | 'code'>[] {
  return messages.flatMap((message) => {
    if (message.kind !== 'gap') return [];
    const { to, since, until, code } = message;
    return [{ to, since, until, code }];
  });
}

async function attach(fixture: InboxFixture, staged = true, device = 1): Promise<Probe> {
  const probe = spawnProbe(fixture.test);
  await fixture.tell({ kind: 'attach', user: BOB, device, creation: 1, connection: probe.pid, staged });
  return probe;
}

function acknowledgement(connection: Probe, seq: number, device = 1): Acknowledge {
  return { kind: 'acknowledge', connection: connection.pid, user: BOB, device, seq };
}

function stored(fixture: InboxFixture, device = 1): number {
  return fixture.store.countEntries(BOB, device, 1_000_000) + fixture.store.freshCount;
}

async function passAge(fixture: InboxFixture): Promise<void> {
  await fixture.test.advance(LIMITS.messageAgeMsMax + 1, LIMITS.messageAgeMsMax + 1);
  await fixture.test.advance(LIMITS.expiryRoundMs + 2 * LIMITS.expirySliceMs, LIMITS.expiryRoundMs / 4);
}

t.test('after thirty days what waits is deleted, its sender is told, and the recipient finds a notice', async (t) => {
  const fixture = await startInbox([ALICE, BOB, CAROL]);
  const alice = spawnProbe(fixture.test);
  for (let id = 1; id <= 3; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  await fixture.tell(submission(alice.pid, CAROL, BOB, 7));
  alice.take();
  await passAge(fixture);
  t.strictSame(gaps(alice.take()), [
    { to: BOB, since: 1, until: 3, code: 'APP_EXPIRED' },
    { to: BOB, since: 7, until: 7, code: 'APP_EXPIRED' },
  ]);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 4));
  const bob = await attach(fixture);
  t.strictSame(pushed(bob.take()), ['5:1-3 APP_EXPIRED', '6:7-7 APP_EXPIRED', '7:4']);
  alice.take();
  await fixture.tell(acknowledgement(bob, 7));
  const told = alice.take();
  t.strictSame(
    gaps(told),
    [{ to: BOB, since: 1, until: 3, code: 'APP_EXPIRED' }],
    'once more, before the receipt that passes it',
  );
  t.match(told.at(-1), { kind: 'receipt', type: 'delivered', id: 4 });
  t.equal(stored(fixture), 0);
  t.equal(fixture.store.queuedBytes(), 0);
});

t.test('a message that is a day younger stays, and so does what an online device has not acknowledged', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  await fixture.test.advance(86_400_000, 86_400_000);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
  alice.take();
  const days = LIMITS.messageAgeMsMax - 86_400_000;
  await fixture.test.advance(days + 1, days + 1);
  await fixture.test.advance(2 * LIMITS.expiryRoundMs, LIMITS.expiryRoundMs);
  t.strictSame(gaps(alice.take()), [{ to: BOB, since: 1, until: 1, code: 'APP_EXPIRED' }]);
  const bob = await attach(fixture);
  t.strictSame(pushed(bob.take()), ['2:2', '3:1-1 APP_EXPIRED']);
  await passAge(fixture);
  t.strictSame(gaps(alice.take()), [], 'it is on its way');
  t.equal(stored(fixture), 2);
});

t.test(
  'thousands that expire go in slices, each a commit of its own, and the notices expire without another',
  async (t) => {
    const fixture = await startInbox([ALICE, BOB], ROOM);
    const alice = spawnProbe(fixture.test);
    const count = 3 * LIMITS.lossCountMax;
    for (let id = 1; id <= count; id++) fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, id));
    await fixture.test.settle();
    alice.take();
    const before = fixture.store.commitCount;
    await passAge(fixture);
    t.equal(fixture.store.commitCount - before, 3);
    t.equal(gaps(alice.take()).at(-1)?.until, count);
    t.equal(stored(fixture), 3, 'a notice for each slice');
    await passAge(fixture);
    t.equal(stored(fixture), 0);
    t.strictSame(gaps(alice.take()), []);
    t.equal(fixture.store.queuedBytes(), 0);
    const bob = await attach(fixture);
    await fixture.tell(submission(alice.pid, ALICE, BOB, count + 1));
    t.strictSame(pushed(bob.take()), [`${count + 4}:${count + 1}`], 'no position is given out twice');
  },
);

t.test('a sender who was away asks, and is told what is lost; a client that knows no gaps is not', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const before = spawnProbe(fixture.test);
  await fixture.tell(submission(before.pid, ALICE, BOB, 1));
  fixture.test.node.exit(before.pid, 'kill');
  await passAge(fixture);
  const alice = spawnProbe(fixture.test);
  const ask = (withGaps: boolean) =>
    fixture.tell({
      ...{ kind: 'query-conversation', connection: alice.pid, iq: 9, to: BOB, withGaps },
      ...{ sender: { user: ALICE, device: 1, creation: 1 }, senderKey: `${ALICE}.1.1` },
    });
  await ask(false);
  await ask(true);
  const marks = { kind: 'receipts', to: BOB, sent: 1, delivered: 0 };
  const [without, withGaps] = alice.take();
  t.same(without, { kind: 'answer', iq: 9, answer: marks });
  t.match(withGaps, { answer: { ...marks, gaps: [{ since: 1, until: 1, code: 'APP_EXPIRED' }] } });
});

t.test('what another device has or had is not lost', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  await fixture.store.commit((batch) => {
    batch.putAccount({ user: BOB, phone: `+${BOB}`, devices: [1, 2], creations: 2 });
    batch.putDevice(BOB, 2, DEVICE);
  });
  const alice = spawnProbe(fixture.test);
  const toBoth = (id: number) => {
    const message = submission(alice.pid, ALICE, BOB, id);
    return { ...message, envelopes: [message.envelopes[0]!, { ...message.envelopes[0]!, device: 2 }] };
  };
  const second = await attach(fixture, true, 2);
  await fixture.tell(toBoth(1));
  await fixture.tell(acknowledgement(second, 1, 2));
  fixture.test.node.exit(second.pid, 'kill');
  await fixture.test.settle();
  await fixture.tell(toBoth(2));
  alice.take();
  await passAge(fixture);
  t.strictSame(
    gaps(alice.take()),
    [{ to: BOB, since: 2, until: 2, code: 'APP_EXPIRED' }],
    'the first one was delivered',
  );
  const first = await attach(fixture);
  t.strictSame(pushed(first.take()), ['3:1-2 APP_EXPIRED'], 'this device has neither');
});

/** Alice writes to Bob the largest messages, forty more than his inbox takes. @returns How many. */
async function overfill(fixture: InboxFixture, alice: Probe): Promise<number> {
  const text = 'x'.repeat(LIMITS.ciphertextBytesMax);
  const count = Math.ceil(LIMITS.inboxBytesMax / (LIMITS.ciphertextBytesMax + 64)) + 40;
  for (let id = 1; id <= count; id++) {
    fixture.test.node.cast(fixture.pid, submission(alice.pid, ALICE, BOB, id, text));
    if (id % 100 === 0) await fixture.test.settle();
  }
  await fixture.test.settle();
  return count;
}

t.test('an inbox over its bound loses the oldest of the largest conversation, and the others nothing', async (t) => {
  const fixture = await startInbox([ALICE, BOB, CAROL], ROOM);
  const alice = spawnProbe(fixture.test);
  const carol = spawnProbe(fixture.test);
  for (let id = 1; id <= 10; id++) await fixture.tell(submission(carol.pid, CAROL, BOB, id));
  const count = await overfill(fixture, alice);
  const told = gaps(alice.take());
  t.equal(told.length, 1, 'once, not for each message');
  const [gap] = told;
  t.match(gap, { to: BOB, since: 1, code: 'APP_PRUNED' });
  t.ok(gap!.until > 500 && gap!.until < 700, `an eighth: up to ${gap!.until}`);
  t.strictSame(gaps(carol.take()), []);
  t.ok(fixture.store.queuedBytes() <= LIMITS.inboxBytesMax, `${fixture.store.queuedBytes()} bytes`);
  const seen: string[] = [];
  const bob = await attach(fixture, false);
  const silent = (entry: string): boolean => !entry.includes('APP_');
  for (let round = 0; round < 10_000 && stored(fixture) > 0; round++) {
    const page = pushed(bob.take());
    seen.push(...page.filter(silent));
    if (page.length > 0) await fixture.tell(acknowledgement(bob, Number(page.at(-1)!.split(':')[0])));
  }
  const ids = seen.map((entry) => Number(entry.split(':')[1]));
  t.strictSame(ids.slice(0, 10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 'of Carol everything');
  t.strictSame(
    ids.slice(10),
    Array.from({ length: count - gap!.until }, (_, index) => gap!.until + 1 + index),
  );
  t.equal(fixture.store.queuedBytes(), 0);
});

t.test('of an online device that acknowledges nothing, what is on its way is not pruned', async (t) => {
  const fixture = await startInbox([ALICE, BOB], ROOM);
  const alice = spawnProbe(fixture.test);
  const bob = await attach(fixture);
  await overfill(fixture, alice);
  const window = pushed(bob.take());
  t.equal(window.length, 17, 'the window, by bytes');
  t.match(gaps(alice.take()), [{ since: 18, code: 'APP_PRUNED' }]);
  await fixture.tell(acknowledgement(bob, 17));
  t.ok(Number(pushed(bob.take())[0]!.split(':')[1]) > 500, 'it goes on behind the gap');
});

t.test('a message on which a device breaks off again and again comes alone, then is set aside', async (t) => {
  const fixture = await startInbox([ALICE, BOB, CAROL]);
  const alice = spawnProbe(fixture.test);
  for (let id = 1; id <= 5; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  alice.take();
  const breakOff = async (): Promise<string[]> => {
    const probe = await attach(fixture);
    const got = pushed(probe.take());
    fixture.test.node.exit(probe.pid, 'kill');
    await fixture.test.settle();
    return got;
  };
  for (let round = 0; round < LIMITS.fruitlessCountMax; round++) t.equal((await breakOff()).length, 5);
  const alone = LIMITS.undeliverableCountMax - LIMITS.fruitlessCountMax;
  for (let round = 0; round < alone; round++) t.strictSame(await breakOff(), ['1:1']);
  t.strictSame(gaps(alice.take()), []);
  const bob = await attach(fixture);
  t.strictSame(gaps(alice.take()), [{ to: BOB, since: 1, until: 1, code: 'APP_UNDELIVERABLE' }]);
  t.strictSame(pushed(bob.take()), ['2:2'], 'still one at a time, until the first acknowledgement');
  await fixture.tell(acknowledgement(bob, 2));
  t.strictSame(pushed(bob.take()), ['3:3', '4:4', '5:5', '6:1-1 APP_UNDELIVERABLE']);
  await fixture.tell(acknowledgement(bob, 6));
  t.equal(stored(fixture), 0);
  const statistics = fixture.test.node.call(fixture.pid, 'statistics', 1_000);
  await fixture.test.settle();
  t.match(await statistics, { undeliverableMessages: 1 });
});

t.test('one acknowledgement is enough: the window opens, and the count begins anew', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  for (let id = 1; id <= 5; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  for (let round = 0; round < LIMITS.undeliverableCountMax - 1; round++) {
    const probe = await attach(fixture);
    fixture.test.node.exit(probe.pid, 'kill');
    await fixture.test.settle();
  }
  const bob = await attach(fixture);
  t.strictSame(pushed(bob.take()), ['1:1']);
  await fixture.tell(acknowledgement(bob, 1));
  t.strictSame(pushed(bob.take()), ['2:2', '3:3', '4:4', '5:5']);
  fixture.test.node.exit(bob.pid, 'kill');
  await fixture.test.settle();
  t.equal(pushed((await attach(fixture)).take()).length, 4);
});

t.test('to a client that knows no notices they are acknowledged for it', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 1));
  await passAge(fixture);
  const bob = await attach(fixture, false);
  t.equal(stored(fixture), 0);
  await fixture.tell(submission(alice.pid, ALICE, BOB, 2));
  await fixture.tell(acknowledgement(bob, 3));
  t.equal(stored(fixture), 0);
  t.equal(fixture.store.acknowledged(BOB, 1), 3);
});

t.test('a refused commit of losses is planned again', async (t) => {
  const fixture = await startInbox([ALICE, BOB]);
  const alice = spawnProbe(fixture.test);
  for (let id = 1; id <= 3; id++) await fixture.tell(submission(alice.pid, ALICE, BOB, id));
  alice.take();
  fixture.store.failNextCommits(1);
  await fixture.test.advance(LIMITS.messageAgeMsMax + 1, LIMITS.messageAgeMsMax + 1);
  await fixture.test.advance(LIMITS.expiryRoundMs + LIMITS.storeFullPauseMs * 2, LIMITS.storeFullPauseMs);
  t.strictSame(gaps(alice.take()), [{ to: BOB, since: 1, until: 3, code: 'APP_EXPIRED' }]);
  t.equal(stored(fixture), 1);
  t.strictSame(fixture.store.waitingConversations(BOB), []);
  t.strictSame(pushed((await attach(fixture)).take()), ['4:1-3 APP_EXPIRED']);
});
