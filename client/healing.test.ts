/**
 * Messages that cannot be read, and how they come back: asked for once more, sent once more, one placeholder that is
 * filled; and what must not come of it.
 */

import t from 'tap';
import { Positions } from './positions.ts';
import type { IncomingMessage } from '../protocol/wire/index.ts';
import { encodeContent } from './content.ts';
import { Healer } from './healer.ts';
import type { HealerServices } from './healer.ts';
import { History } from './history.ts';
import { Inbox } from './inbox.ts';
import type { InboxServices } from './inbox.ts';
import type { IntakeReport } from './intake-report.ts';
import { Journal } from './journal.ts';
import { KEYS, RETRY } from './layout.ts';
import { LIMITS } from './limits.ts';
import { Locks } from './locks.ts';
import { memoryStore } from './memory-store.ts';
import { settle, VirtualClock } from './testing/virtual-clock.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** Somebody's store loses all its sessions, as a damaged or half-restored one may. */
async function loseSessions(person: Person): Promise<void> {
  await person.client.close();
  const store = await person.disk.open();
  for (const { key } of await store.list({ prefix: 'signal/session/', limit: 64 })) {
    await store.write([{ type: 'delete', key }], 'flushed');
  }
  await store.close();
  await person.start();
  await person.client.connect();
}

/** Alice and Bob in the middle of a conversation. */
async function conversing(world: World): Promise<[Person, Person]> {
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'hello');
  await world.pass(10);
  await bob.client.send(ALICE, 'hello yourself');
  await world.pass(10);
  await alice.client.send(BOB, 'so the ratchet turns');
  await world.pass(10);
  return [alice, bob];
}

/** Some ciphertext of a session that has begun. */
function aRatchetMessage(world: World): Uint8Array {
  const all = world.server.log.flatMap(({ message }) => (message.kind === 'message' ? message.envelopes : []));
  return all.find(({ type }) => type === 'ratchet')!.ciphertext;
}

/** The first message that anybody sent, with a bit flipped where the handshake notices. */
function spoiledBy(world: World): Uint8Array {
  const [genuine] = world.server.log.flatMap(({ message }) => (message.kind === 'message' ? message.envelopes : []));
  return genuine!.ciphertext.with(-1, genuine!.ciphertext.at(-1)! ^ 1);
}

/** Bodies of a history, oldest first: what each side sees. */
async function seenBy(person: Person, peer: string): Promise<string[]> {
  const items = await person.client.history(peer, { limit: 256 });
  return items.map((item) => (item.kind === 'undecryptable' ? item.code : item.text));
}

t.test(
  'a receiver that lost its sessions: one placeholder, which is filled without anybody doing anything',
  async (t) => {
    const world = new World();
    const [alice, bob] = await conversing(world);
    await loseSessions(bob);
    const sent = await alice.client.send(BOB, 'unreadable at first');
    await world.pass(1_000);
    t.same(await seenBy(bob, ALICE), ['hello', 'hello yourself', 'so the ratchet turns', 'unreadable at first']);
    const shown = bob.eventsOf('message').map(({ message }) => [message.id, message.kind]);
    const [placeholder, filled] = shown.slice(-2);
    t.same([placeholder![1], filled![1]], ['undecryptable', 'text']);
    t.equal(placeholder![0], filled![0], 'the same message');
    t.match(bob.eventsOf('changed').at(-1), { id: placeholder![0], item: { kind: 'text', number: sent.number } });
    await alice.client.send(BOB, 'and on');
    await bob.client.send(ALICE, 'and back');
    await world.pass(10);
    t.same((await seenBy(bob, ALICE)).slice(-2), ['and on', 'and back']);
    t.same(await seenBy(alice, BOB), await seenBy(bob, ALICE), 'both see the same, and nothing of the healing');
  },
);

t.test('several at once are asked for in one request', async (t) => {
  const world = new World();
  const [alice, bob] = await conversing(world);
  await bob.client.close();
  for (let index = 0; index < 10; index += 1) await alice.client.send(BOB, `m${index}`);
  await loseSessions(bob);
  await world.pass(1_000);
  t.same(
    (await seenBy(bob, ALICE)).slice(-10),
    Array.from({ length: 10 }, (_, index) => `m${index}`),
  );
  const fromBob = world.server.log.filter(({ user, message }) => user === bob.user && message.kind === 'message');
  t.equal(fromBob.length, 2, 'his answer, and one request');
});

t.test('a stripped bundle: the first message is asked for again in a hybrid session', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await world.pass(10);
  world.server.stripsKem = true;
  await alice.client.send(BOB, 'first');
  world.server.stripsKem = false;
  await world.pass(1_000);
  t.same(await bob.texts(ALICE), ['first']);
  t.match(bob.eventsOf('downgrade'), [{ user: alice.user }]);
});

t.test('what nobody sent is asked for twice at most, and its placeholder stays', async (t) => {
  const world = new World();
  const [alice, bob] = await conversing(world);
  for (let id = 50; id < 80; id += 1) {
    world.server.inject(bob.user, alice.user, { id, device: 99, type: 'ratchet', ciphertext: aRatchetMessage(world) });
  }
  await world.pass(LIMITS.retryPauseMs * 8);
  t.same((await seenBy(bob, ALICE)).slice(-30), Array<string>(30).fill('SIG_NO_SESSION'));
  const requests = world.server.log.filter(({ user, message }) => user === bob.user && message.kind === 'message');
  t.equal(requests.length, 1 + LIMITS.retryTryCountMax, 'thirty messages, two requests');
  await alice.client.send(BOB, 'all is well');
  await world.pass(10);
  t.equal((await seenBy(bob, ALICE)).at(-1), 'all is well');
});

t.test(
  'what is kept is kept for the devices that it was sent to: a new registration does not collect the past',
  async (t) => {
    const world = new World();
    const [alice] = await conversing(world);
    const bob = await world.person(BOB).join();
    const { device } = alice.client.account!;
    const ciphertext = spoiledBy(world);
    for (const id of [1, 2]) world.server.inject(bob.user, alice.user, { id, device, type: 'prekey', ciphertext });
    await world.pass(LIMITS.retryPauseMs * 4);
    const requests = world.server.log.filter(({ user, message }) => user === bob.user && message.kind === 'message');
    t.ok(requests.length > 1, 'the new one did ask');
    const fromAlice = world.server.log.filter(({ user, message }) => user === alice.user && message.kind === 'message');
    t.equal(fromAlice.length, 2, 'nothing was sent again');
  },
);

t.test('kept: not what may be viewed once, nor what was deleted, nor what is too old', async (t) => {
  const world = new World();
  const [alice, bob] = await conversing(world);
  const kept = async () => {
    const store = await alice.disk.copy().open();
    return (await store.list({ prefix: `kept/${bob.user}/`, limit: 256 })).map(({ key }) => Number(key.slice(-16)));
  };
  t.same(await kept(), [1, 2]);
  const [first] = await alice.client.history(BOB);
  await alice.client.deleteForEveryone(BOB, first!.id);
  t.same(await kept(), [2, 3], 'the deletion, and not what it deleted');
  await alice.client.send(BOB, { kind: 'text', text: 'look once', viewOnce: true });
  t.same(await kept(), [2, 3]);
  await alice.client.close();
  await world.pass(LIMITS.keptAgeMsMax);
  await alice.start();
  t.same(await kept(), []);
});

t.test('a server cannot have a message shown twice by spoiling another one under its number', async (t) => {
  const world = new World();
  const [alice, bob] = await conversing(world);
  const spoil = (id: number): void => {
    const { device } = alice.client.account!;
    world.server.inject(bob.user, alice.user, { id, device, type: 'prekey', ciphertext: spoiledBy(world) });
  };
  const heard = await seenBy(bob, ALICE);
  spoil(2); // was heard
  spoil(3); // is yet to come, and comes before the request is answered
  await alice.client.send(BOB, 'the third');
  const [second] = (await alice.client.history(BOB)).filter(({ text }) => text === 'so the ratchet turns');
  await alice.client.edit(BOB, second!.id, 'so it turns');
  await world.pass(LIMITS.retryPauseMs * 4);
  t.same(
    (await seenBy(bob, ALICE)).filter((text) => !text.startsWith('SIG_')),
    [...heard.slice(0, -1), 'so it turns', 'the third'],
    'each once, and what is spoiled takes nobody its name',
  );
});

t.test('what was refused for good is not sent to whoever asks for its number', async (t) => {
  const world = new World();
  const [alice, bob] = await conversing(world);
  world.server.refuseNext(bob.user, { code: 'APP_FORBIDDEN' });
  const refused = await alice.client.enqueue(BOB, 'never mind');
  await world.pass(10);
  t.equal(refused.state, 'refused');
  const store = await alice.disk.copy().open();
  t.equal(await store.get(KEYS.kept(bob.user, refused.number)), undefined);
});

t.test('a conversation that nothing can be sent in does not keep others from healing', async (t) => {
  const clock = new VirtualClock();
  const journal = new Journal(memoryStore(), () => {});
  const begun = journal.begin();
  const unread = RETRY.encode({ ordinal: 1, code: 'SIG_BAD_MAC', tries: 0, askedAt: 0 });
  for (const user of ['u1', 'u2']) begun.put(KEYS.retry(user, 1, 1), unread);
  await journal.commit(begun);
  const [asked, failures]: [string[], unknown[]] = [[], []];
  const conversation = (user: string): unknown => ({
    enqueue: async () => (user === 'u1' ? Promise.reject(new Error('broken')) : asked.push(user)),
  });
  const sessions = { close: async () => {} };
  const services = {
    journal,
    locks: new Locks(),
    clock,
    sessions,
    conversation,
    strangers: () => ({ isAdmitted: () => true }),
    fail: (e: unknown) => failures.push(e),
  };
  const healer = new Healer(services as unknown as HealerServices);
  healer.tend();
  await settle();
  t.same(asked, ['u2']);
  t.match(failures, [{ message: 'broken' }]);
  await clock.advance(LIMITS.retryPauseMs);
  t.same(asked, ['u2', 'u2'], 'and is asked again in time');
  healer.close();
});

t.test('what is sent once more and is of a later version is shown as such, and not dropped', async (t) => {
  const journal = new Journal(memoryStore(), () => {});
  const history = new History(journal);
  const [user, device] = ['u1', 1];
  // Kind 99 and no flags; a text with a flag that this release does not know.
  for (const content of [Uint8Array.of(99, 0, 0, 0), Uint8Array.of(1, 4, 0, 1, 33)]) {
    const resent = { kind: 'resent', number: 1, sentAt: 5, content } as const;
    const plaintext = encodeContent({ id: 2, phone: '', sentAt: 9, timerSeconds: 0, isViewOnce: false, body: resent })!;
    const outcomes = [{ code: 'SIG_BAD_MAC' }, { plaintext, identityKey: new Uint8Array(33) }];
    const reports: IntakeReport[] = [];
    const inbox = new Inbox(
      {
        ...{ self: 'u0', ownDevice: 1, journal, history, locks: new Locks(), clock: new VirtualClock() },
        sessions: { open: async () => outcomes.shift() },
        directory: { claim: async () => false },
        acknowledge: () => {},
        report: (report: IntakeReport) => reports.push(report),
        overflow: () => t.fail('overflow'),
        fail: (code: string) => t.fail(code),
      } as unknown as InboxServices,
      new Positions(0),
    );
    for (const id of [1, 2]) {
      const message = {
        kind: 'message',
        seq: id,
        from: user,
        device,
        id,
        type: 'ratchet',
        ts: 7,
        ciphertext: new Uint8Array(9),
      };
      inbox.push(message as unknown as IncomingMessage);
      await settle();
    }
    const [placeholder] = reports[0]!.stored;
    const marks = { sentId: 0, deliveredId: 0, readId: 0 };
    t.match((await history.list(user, {}, marks)).at(-1), { kind: 'unsupported', number: 1, sentAt: 5 });
    t.match(reports[1]!.changed, [{ ordinal: placeholder!.ordinal }], 'in the place of the placeholder');
    const reset = journal.begin();
    reset.delete(KEYS.heard(user, device));
    await journal.commit(reset);
  }
});
