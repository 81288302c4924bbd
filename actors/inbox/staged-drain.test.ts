/** The staged inbox: newest conversations first, every conversation in its order, nothing lost, nothing twice. */

import t from 'tap';
import { createSeededRandom } from '../../runtime/testing/seeded-random.ts';
import { LIMITS } from '../limits.ts';
import type { Acknowledge, ConnectionMessage } from '../messages.ts';
import { ALICE, BOB, spawnProbe, startInbox, submission, type InboxFixture, type Probe } from '../test-kit.ts';

const CAROL = '100000000000003';
const DAVE = '100000000000004';
const EVERYBODY = [ALICE, BOB, CAROL, DAVE];

interface Pushed {
  readonly seq: number;
  readonly from: string;
  readonly id: number;
  /** Undefined for a message in its turn. */
  readonly after: number | undefined;
}

function pushed(messages: readonly ConnectionMessage[]): Pushed[] {
  return messages.flatMap((message) =>
    message.kind !== 'deliver'
      ? []
      : message.entries.map(({ seq, sender, id }) => ({ seq, from: sender, id, after: message.after })),
  );
}

async function attach(fixture: InboxFixture, staged = true): Promise<Probe> {
  const probe = spawnProbe(fixture.test);
  await fixture.tell({ kind: 'attach', user: BOB, device: 1, creation: 1, connection: probe.pid, staged });
  return probe;
}

function acknowledgement(connection: Probe, seq: number): Acknowledge {
  return { kind: 'acknowledge', connection: connection.pid, user: BOB, device: 1, seq };
}

function stored(fixture: InboxFixture): number {
  return fixture.store.countEntries(BOB, 1, 1_000_000) + fixture.store.freshCount;
}

/** 30 messages of each sender, in the order given, so that the first sender's are the oldest. */
async function fill(fixture: InboxFixture, senders: readonly string[], count = 30): Promise<void> {
  const probe = spawnProbe(fixture.test);
  for (const sender of senders) {
    for (let id = 1; id <= count; id++) fixture.test.node.cast(fixture.pid, submission(probe.pid, sender, BOB, id));
    await fixture.test.settle();
  }
}

t.test('the newest conversation comes first, a page of each, then the rest in its order', async (t) => {
  const fixture = await startInbox(EVERYBODY);
  await fill(fixture, [ALICE, CAROL, DAVE]);
  const bob = await attach(fixture);
  const told = bob.take();
  const order = pushed(told);
  const page = LIMITS.aheadPageCountMax;
  t.strictSame(
    order.slice(0, 3 * page).map(({ from, id, after }) => [from, id, after]),
    [DAVE, CAROL, ALICE].flatMap((from) => Array.from({ length: page }, (_, index) => [from, index + 1, 0])),
  );
  const rest = order.slice(3 * page);
  t.equal(rest.length, 90 - 3 * page);
  t.ok(rest.every(({ after }) => after === undefined));
  t.strictSame(
    rest.map(({ seq }) => seq),
    rest.map(({ seq }) => seq).sort((left, right) => left - right),
  );
  t.equal(told.at(-1)?.kind, 'drained');
  await fixture.tell(acknowledgement(bob, rest.at(-1)!.seq));
  t.equal(stored(fixture), 0, 'the last acknowledgement covers all that was pushed before');
  t.equal(fixture.store.queuedBytes(), 0);
  t.equal(fixture.store.acknowledged(BOB, 1), 90);
});

t.test('a client that knows no stages gets the order of positions', async (t) => {
  const fixture = await startInbox(EVERYBODY);
  await fill(fixture, [ALICE, CAROL, DAVE]);
  const order = pushed((await attach(fixture, false)).take());
  t.strictSame(
    order.map(({ seq, after }) => [seq, after]),
    Array.from({ length: 90 }, (_, index) => [index + 1, undefined]),
  );
});

t.test('what was acknowledged ahead does not come again, and its positions are not given out again', async (t) => {
  const fixture = await startInbox(EVERYBODY);
  await fill(fixture, [ALICE, CAROL]);
  const first = await attach(fixture);
  const page = LIMITS.aheadPageCountMax;
  await fixture.tell(acknowledgement(first, pushed(first.take())[page - 1]!.seq));
  t.equal(stored(fixture), 60 - page);
  t.equal(fixture.store.acknowledged(BOB, 1), 0, 'what is in its turn waits');
  fixture.test.node.exit(first.pid, 'kill');
  await fixture.test.settle();
  const second = await attach(fixture);
  const again = pushed(second.take());
  t.equal(again.length, 60 - page);
  t.strictSame([again[0]!.from, again[0]!.id], [CAROL, page + 1], 'the conversation goes on');
  await fixture.tell(acknowledgement(second, again.at(-1)!.seq));
  t.equal(stored(fixture), 0);
  await fixture.tell(submission(first.pid, CAROL, BOB, 31));
  t.equal(pushed(second.take())[0]!.seq, 61);
});

t.test('more than a window: pages wait for acknowledgements, and the window holds', async (t) => {
  const senders = Array.from({ length: 60 }, (_, index) => String(200_000_000_000_000 + index));
  const fixture = await startInbox([...EVERYBODY, ...senders]);
  await fill(fixture, senders, 20);
  const bob = await attach(fixture);
  const begun = pushed(bob.take());
  t.equal(begun.length, LIMITS.windowCountMax);
  t.equal(begun.filter(({ after }) => after !== undefined).length, 512, '32 conversations, 16 messages each');
  t.equal(begun[0]!.from, senders.at(-1));
  await fixture.tell(acknowledgement(bob, begun[99]!.seq));
  const next = pushed(bob.take());
  t.equal(next.length, 100, 'as many as were acknowledged');
  t.ok(next.every(({ after }) => after === undefined));
});

t.test('an acknowledgement of a connection that was replaced says nothing', async (t) => {
  const fixture = await startInbox(EVERYBODY);
  await fill(fixture, [ALICE, CAROL]);
  const first = await attach(fixture);
  const last = pushed(first.take()).at(-1)!.seq;
  const second = await attach(fixture);
  await fixture.tell(acknowledgement(first, last));
  t.equal(stored(fixture), 60);
  t.equal(pushed(second.take()).length, 60);
});

t.test('what a former connection acknowledged is not read while it is being removed', async (t) => {
  const fixture = await startInbox(EVERYBODY);
  await fill(fixture, [ALICE, CAROL]);
  const first = await attach(fixture);
  const order = pushed(first.take());
  fixture.store.holdCommits();
  await fixture.tell(acknowledgement(first, order[19]!.seq));
  const second = await attach(fixture);
  t.strictSame(pushed(second.take()), []);
  fixture.store.releaseCommits();
  await fixture.test.settle();
  const rest = pushed(second.take());
  t.equal(rest.length, 40);
  await fixture.tell(acknowledgement(second, rest.at(-1)!.seq));
  t.equal(stored(fixture), 0);
  t.equal(fixture.store.queuedBytes(), 0);
});

t.test(
  'at random: each message once for each client state, in the order of its conversation, nothing left',
  async (t) => {
    for (let seed = 1; seed <= 200; seed++) await t.resolves(wander(seed), `seed ${seed}`);
  },
);

/** A client of a staged inbox, as docs/protocol.md asks for it. Throws where the server breaks a promise. */
class Reader {
  /** Everything up to here was pushed or is gone. */
  position = 0;
  readonly ahead = new Set<number>();
  readonly heard = new Map<string, number>();
  /** Positions pushed on this connection, in the order of pushing. */
  order: number[] = [];
  readonly ids = new Set<string>();

  connect(): void {
    this.order = [];
  }

  take({ seq, from, id, after }: Pushed): void {
    if (this.order.includes(seq)) throw new Error(`position ${seq} twice on a connection`);
    this.order.push(seq);
    const isKnown = seq <= this.position || this.ahead.has(seq);
    if (after === undefined) {
      for (const early of this.ahead) if (early <= seq) this.ahead.delete(early);
      this.position = Math.max(this.position, seq);
    } else {
      if (after < this.position) this.position = Math.max(this.position, after);
      if (!isKnown) this.ahead.add(seq);
    }
    if (isKnown) return;
    const last = this.heard.get(from) ?? 0;
    if (id !== last + 1) throw new Error(`id ${id} of ${from} after ${last}`);
    this.heard.set(from, id);
    this.ids.add(`${from} ${id}`);
  }
}

async function wander(seed: number): Promise<void> {
  const random = createSeededRandom(seed);
  const fixture = await startInbox(EVERYBODY);
  const probe = spawnProbe(fixture.test);
  const senders = [ALICE, CAROL, DAVE];
  const sent = new Map(senders.map((sender) => [sender, 0]));
  const reader = new Reader();
  let bob: Probe | undefined;
  const look = (): void => {
    for (const message of pushed(bob?.take() ?? [])) reader.take(message);
  };
  const leave = (): void => {
    if (bob !== undefined) fixture.test.node.exit(bob.pid, 'kill');
    // What was pushed last reaches the client or is lost with the connection.
    if (random.integer(2) === 0) look();
    bob = undefined;
    reader.connect();
  };
  for (let step = 0; step < 60; step++) {
    const dice = random.integer(100);
    if (dice < 45) {
      const sender = senders[random.integer(3)]!;
      for (let count = 1 + random.integer(25); count > 0; count--) {
        const id = sent.get(sender)! + 1;
        sent.set(sender, id);
        fixture.test.node.cast(fixture.pid, submission(probe.pid, sender, BOB, id));
      }
    } else if (dice < 70) {
      look();
      const { order } = reader;
      if (bob !== undefined && order.length > 0) {
        fixture.test.node.cast(fixture.pid, acknowledgement(bob, order[random.integer(order.length)]!));
      }
    } else if (dice < 84) {
      leave();
      bob = spawnProbe(fixture.test);
      const staged = random.integer(4) > 0;
      fixture.test.node.cast(fixture.pid, {
        kind: 'attach',
        user: BOB,
        device: 1,
        creation: 1,
        connection: bob.pid,
        staged,
      });
    } else if (dice < 90) leave();
    else await fixture.test.settle();
  }
  await fixture.test.settle();
  leave();
  await fixture.test.settle();
  bob = await attach(fixture);
  for (let round = 0; round < 400 && stored(fixture) > 0; round++) {
    look();
    await fixture.tell(acknowledgement(bob, reader.order.at(-1)!));
  }
  for (const [sender, id] of sent) {
    if ((reader.heard.get(sender) ?? 0) !== id)
      throw new Error(`${sender}: sent ${id}, heard ${reader.heard.get(sender)}`);
  }
  if (stored(fixture) !== 0 || fixture.store.queuedBytes() !== 0)
    throw new Error(`${stored(fixture)} entries are left`);
  if (fixture.store.waitingConversations(BOB).length > 0) throw new Error('runs are left');
}
