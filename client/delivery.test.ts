/**
 * What the network, the server and the disk may do to a message between two clients, and what must come of it.
 */

import t from 'tap';
import type { Test } from 'tap';
import type { InboxEntry } from './inbox.ts';
import { LIMITS } from './limits.ts';
import { CODE } from './testing/fake-server.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** Texts of an exchange, for comparing. */
function texts(count: number, prefix: string = 'm'): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}`);
}

async function enqueueAll(person: Person, to: string, all: readonly string[]): Promise<void> {
  for (const text of all) await person.client.enqueue(to, text);
}

t.test('a message whose acknowledgement is lost is resent under its id and delivered once', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  let cuts = 3;
  world.server.onReceive = (message) => (message.kind === 'message' && cuts-- > 0 ? 'drop-after' : 'ok');
  const message = await alice.client.enqueue(BOB, 'once');
  await world.pass(60_000);
  await message.sent;
  const sendings = world.server.log.flatMap((entry) => (entry.message.kind === 'message' ? [entry.message] : []));
  t.equal(sendings.length, 4);
  for (const sending of sendings) t.same(sending, sendings[0], 'the same bytes under the same id');
  t.same(await bob.texts(ALICE), ['once']);
});

t.test('an inbox entry that is sent again is dropped and acknowledged again', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  let held: readonly InboxEntry[] = [];
  world.server.onReceive = (message) => {
    if (message.kind !== 'inbox-ack' || held.length > 0) return 'ok';
    held = world.server.inboxOf(bob.user);
    return 'drop-before';
  };
  await alice.client.send(BOB, 'once');
  await world.pass(5_000);
  t.equal(held.length, 1);
  world.server.redeliver(bob.user, held);
  await world.settle();
  t.same(await bob.texts(ALICE), ['once']);
  t.equal(world.server.inboxCount(bob.user), 0);
  const acks = world.server.log.filter((entry) => entry.user === bob.user && entry.message.kind === 'inbox-ack');
  t.equal(acks.length, 2, 'once after the login, once for the repetition');
});

t.test(
  'messages that the server gave up: both sides are told, and none of them ever counts as delivered',
  async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    world.server.closeWith(bob.user, 4409, 'APP_REPLACED');
    await world.settle();
    await enqueueAll(alice, BOB, texts(3));
    await world.settle();
    const [first, second] = [await alice.client.enqueue(BOB, 'lost too'), await alice.client.enqueue(BOB, 'kept')];
    await world.settle();
    let isDelivered = false;
    void first.delivered.then(() => (isDelivered = true));
    world.server.giveUp(alice.user, bob.user, 1, first.number, 'APP_EXPIRED');
    await bob.client.connect();
    await world.pass(1_000);
    t.same(await bob.texts(ALICE), ['kept']);
    t.match(alice.eventsOf('lost'), [{ user: bob.user, firstId: 1, lastId: first.number, code: 'APP_EXPIRED' }]);
    t.match(bob.eventsOf('pruned'), [{ user: alice.user, device: 1, firstId: 1, lastId: first.number }]);
    await second.delivered;
    t.equal(first.state, 'refused');
    t.notOk(isDelivered);
    const items = await alice.client.history(BOB);
    t.strictSame(
      items.map(({ state, failure }) => [state, failure]),
      [...Array(4).fill(['refused', 'APP_EXPIRED']), ['delivered', undefined]],
    );
    t.equal(world.server.inboxCount(bob.user), 0, 'the notice was acknowledged');
  },
);

t.test('a burst is stored by few writes and acknowledged by few stanzas', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  await bob.client.close();
  await enqueueAll(alice, BOB, texts(100));
  await world.settle();
  await bob.start();
  const writes = bob.disk.writeCount;
  world.server.log.length = 0;
  await bob.client.connect();
  await world.settle();
  t.equal((await bob.texts(ALICE)).length, 101);
  t.ok(bob.disk.writeCount - writes <= 6, `${bob.disk.writeCount - writes} writes`);
  t.ok(world.server.log.filter((entry) => entry.message.kind === 'inbox-ack').length <= 3);
});

for (const code of ['APP_RATE_LIMITED', 'APP_INBOX_FULL'] as const) {
  t.test(`a flight that is refused with ${code} waits as told and then goes in order`, async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    await alice.client.send(BOB, 'first');
    world.server.refuseNext(bob.user, { code, retryAfter: 7 }, 3);
    await enqueueAll(alice, BOB, texts(10));
    await world.pass(6_900);
    t.same(await bob.texts(ALICE), ['first', 'm0'], 'nothing overtakes the refused message');
    await world.pass(1_200);
    t.same(await bob.texts(ALICE), ['first', ...texts(10)]);
    t.equal(alice.client.outboxSize, 0);
  });
}

t.test('the first message to somebody is refused, and none of those behind it opens the conversation', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  world.server.refuseNext(bob.user, { code: 'APP_RATE_LIMITED', retryAfter: 2 }, 1);
  await enqueueAll(alice, BOB, texts(10));
  await world.pass(10_000);
  t.same(await bob.texts(ALICE), texts(10));
  t.equal(alice.client.outboxSize, 0);
});

t.test('a message out of order is resent from the expected id, without a storm', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  world.server.log.length = 0;
  world.server.refuseNext(bob.user, { code: 'APP_OUT_OF_ORDER', expected: 2 }, 2);
  await enqueueAll(alice, BOB, texts(10));
  await world.pass(10_000);
  t.same(await bob.texts(ALICE), ['first', ...texts(10)]);
  const sendings = world.server.log.filter((entry) => entry.message.kind === 'message').length;
  t.ok(sendings <= 20, `${sendings} transmissions of 10 messages`);
});

t.test('a peer who registered anew gets what was not acknowledged, under the same ids', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  await bob.client.send(ALICE, 'so that alice ratchets');
  await world.settle();
  await alice.client.close();
  await bob.client.confirmCode(BOB, CODE);
  await alice.start();
  await enqueueAll(alice, BOB, texts(5));
  world.server.log.length = 0;
  await alice.client.connect();
  await bob.client.connect();
  await world.pass(5_000);
  t.same(await bob.texts(ALICE), ['first', ...texts(5)]);
  t.equal(alice.client.outboxSize, 0);
  const ids = world.server.log.flatMap((entry) => (entry.message.kind === 'message' ? [entry.message.id] : []));
  t.same([...new Set(ids)], [2, 3, 4, 5, 6]);
  t.match(alice.eventsOf('identity-changed'), [{ user: bob.user, accepted: true }]);
});

t.test('a policy that refuses a new identity stops the message and keeps the old trust', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  await alice.client.close();
  await alice.start((change) => change.known.length === 0);
  await alice.client.connect();
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  await t.rejects(alice.client.send(BOB, 'secret'), { code: 'CLI_IDENTITY_REFUSED' });
  await bob.client.send(ALICE, 'believe me');
  await world.settle();
  t.same(await alice.texts(BOB), ['CLI_IDENTITY_REFUSED']);
  t.same(await bob.texts(ALICE), ['first']);
  t.match(alice.eventsOf('identity-changed'), [{ accepted: false }, { accepted: false }]);
});

t.test('a message that was stored before its acknowledgement came is not refused with the one behind it', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  await alice.client.close();
  await alice.start((change) => change.known.length === 0);
  await alice.client.connect();
  // Before an acknowledgement on this connection, one message goes alone.
  await alice.client.send(BOB, 'ahead');
  await world.quiet();
  // What is delivered is stored: a receipt would say what the acknowledgement says.
  await bob.client.close();
  world.server.holdsAcks = true;
  const stored = [await alice.client.enqueue(BOB, 'second'), await alice.client.enqueue(BOB, 'third')];
  await world.settle();
  await bob.start();
  await bob.client.confirmCode(BOB, CODE);
  const refused = await alice.client.enqueue(BOB, 'not for a stranger');
  await t.rejects(refused.sent, { code: 'CLI_IDENTITY_REFUSED' });
  world.server.flush();
  await Promise.all(stored.map((message) => message.sent));
  t.match(alice.eventsOf('refused'), [{ firstId: refused.number }]);
  const next = await alice.client.enqueue(BOB, 'nor this');
  t.equal(next.number, refused.number, 'only the id of the refused one is free');
  await t.rejects(next.sent, { code: 'CLI_IDENTITY_REFUSED' });
  await alice.start();
  t.equal(alice.client.outboxSize, 0);
});

t.test('a refusal for good rejects the message and those behind it; later ones go through', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  world.server.refuseNext(bob.user, { code: 'APP_FORBIDDEN' }, 3);
  const good = await alice.client.enqueue(BOB, 'good');
  const refused = await Promise.all([alice.client.enqueue(BOB, 'refused'), alice.client.enqueue(BOB, 'behind')]);
  await good.sent;
  for (const message of refused) {
    await t.rejects(message.sent, { code: 'APP_FORBIDDEN' });
    t.equal(message.state, 'refused');
  }
  const later = await alice.client.send(BOB, 'later');
  t.equal(later.number, 3, 'the ids were free again');
  await world.settle();
  t.same(await bob.texts(ALICE), ['first', 'good', 'later']);
  const states = (await alice.client.history(BOB)).map((item) => [item.text, item.state, item.failure]);
  t.same(states.slice(2), [
    ['refused', 'refused', 'APP_FORBIDDEN'],
    ['behind', 'refused', 'APP_FORBIDDEN'],
    ['later', 'delivered', undefined],
  ]);
});

t.test('what cannot be decrypted is shown as a placeholder, acknowledged, and harms nothing else', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'before');
  await world.settle();
  const device = alice.client.account!.device;
  world.server.inject(bob.user, alice.user, { id: 1, type: 'ratchet', ciphertext: Uint8Array.of(1, 2, 3), device });
  await world.settle();
  await alice.client.send(BOB, 'after');
  await world.settle();
  t.same(await bob.texts(ALICE), ['before', 'SIG_MALFORMED', 'after']);
  t.equal(world.server.inboxCount(bob.user), 0);
  const [, placeholder] = await bob.take(2);
  t.match(placeholder, { kind: 'undecryptable', code: 'SIG_MALFORMED', text: '' });
});

t.test('a flood beyond the queue breaks the connection, and still everything is taken in the end', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const device = alice.client.account!.device;
  const count = LIMITS.intakeQueueCountMax + 500;
  for (let n = 0; n < count; n += 1) {
    world.server.inject(bob.user, alice.user, { id: 1, type: 'ratchet', ciphertext: Uint8Array.of(1), device });
  }
  await world.pass(60_000);
  t.match(bob.eventsOf('retrying')[0], { code: 'CLI_INTAKE_FULL' });
  t.equal(world.server.inboxCount(bob.user), 0);
  t.equal(bob.eventsOf('message').length, count, 'each once');
});

t.test('a server that renumbers a message is found out', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await bob.client.close();
  await alice.client.send(BOB, 'hello');
  const entry = world.server.inboxOf(bob.user)[0]!;
  await bob.start();
  (entry as { id: number }).id = 9;
  await bob.client.connect();
  await world.settle();
  t.same(await bob.texts(alice.user), ['CLI_CONTENT_MISMATCH']);
});

t.test('acknowledgements that this store never earned stop the conversation', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  world.server.rewriteConversation(alice.user, bob.user, 40);
  world.server.refuseNext(bob.user, { code: 'APP_OUT_OF_ORDER', expected: 41 }, 2);
  await t.rejects(alice.client.send(BOB, 'second'), { code: 'CLI_STORE_ROLLED_BACK' });
  await t.rejects(alice.client.send(BOB, 'third'), { code: 'CLI_STORE_ROLLED_BACK' });
});

t.test('one-time pre-keys are topped up below the low-water mark, and a consumed one is gone', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const oneTimeKeys = async (): Promise<number> => {
    const store = await bob.disk.open();
    return (await store.list({ prefix: 'signal/onetime/', limit: 1_000 })).length;
  };
  await alice.client.send(BOB, 'uses one up');
  await world.settle();
  await bob.client.close();
  t.equal(await oneTimeKeys(), 99);
  world.server.consumePreKeys(bob.user, 85);
  t.equal(world.server.preKeyCount(bob.user), 14);
  await bob.start();
  await bob.client.connect();
  // A login by ticket is not told what the server holds; the client asks a little later.
  await world.pass(LIMITS.heldKeysAskMsMax);
  t.equal(world.server.preKeyCount(bob.user), 100);
  t.same(bob.eventsOf('prekeys-uploaded'), [{ type: 'prekeys-uploaded', count: 86 }]);
  const stranger = await world.person('+4915100000003').join();
  await stranger.client.send(BOB, 'with a new key');
  await world.settle();
  t.same(await bob.texts(stranger.user), ['with a new key']);
});

t.test('messages not consumed come again after a restart, consumed ones do not', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await enqueueAll(alice, BOB, texts(4));
  await world.settle();
  const loop = bob.client.messages();
  t.equal((await loop.next()).value.text, 'm0');
  t.equal((await loop.next()).value.text, 'm1');
  await world.settle();
  // The process dies with m1 in hand.
  await bob.start();
  t.same(
    (await bob.take(3)).map((message) => message.text),
    ['m1', 'm2', 'm3'],
  );
  await bob.start();
  await bob.client.connect();
  await alice.client.send(BOB, 'm4');
  t.same(
    (await bob.take(1)).map((message) => message.text),
    ['m4'],
  );
});

t.test('two loops over messages() at a time are refused', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const loop = alice.client.messages();
  t.throws(() => alice.client.messages(), TypeError);
  await loop.return!();
  t.doesNotThrow(() => alice.client.messages());
});

// Every write of the sender, then of the recipient, is once the last one before the crash.
for (const victim of ['sender', 'recipient'] as const) {
  for (const powerCut of [false, true]) {
    t.test(
      `a crash of the ${victim} at any write loses and repeats nothing${powerCut ? ', power cut' : ''}`,
      async (t) => {
        let crashes = 0;
        for (let writes = 0; writes < 20; writes += 1) crashes += await crashAfter(t, victim, writes, powerCut);
        t.ok(crashes >= 6, `${crashes} of the 20 cut points were reached`);
      },
    );
  }
}

/** Runs an exchange in which one machine crashes after `writes` more writes; returns 1 if it got that far. */
async function crashAfter(t: Tap, victim: 'sender' | 'recipient', writes: number, powerCut: boolean): Promise<number> {
  const world = new World(writes + 1);
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  await bob.client.send(ALICE, 'reply');
  await world.settle();
  const person = victim === 'sender' ? alice : bob;
  const promised = ['first'];
  let crashed = 0;
  person.disk.crashAfter(writes, () => {
    crashed = 1;
    person.kill();
  });
  for (const text of texts(6)) {
    const message = await alice.client.enqueue(BOB, text).catch(() => undefined);
    if (message !== undefined) promised.push(text);
    await world.settle();
  }
  if (powerCut) person.disk.powerCut();
  await person.start();
  await person.client.connect();
  await world.pass(60_000);
  await alice.client.send(BOB, 'last');
  await world.settle();
  const received = await bob.texts(ALICE);
  t.same(received, [...new Set(received)], `nothing twice, crash after ${writes}`);
  t.same(
    received.filter((text) => promised.includes(text) || text === 'last'),
    [...promised, 'last'],
    `everything promised arrives in order, crash after ${writes}`,
  );
  t.equal(alice.client.outboxSize, 0);
  return crashed;
}

type Tap = Test;

for (let seed = 1; seed <= 8; seed += 1) {
  t.test(`random cuts, second greetings, restarts and double connections, seed ${seed}`, async (t) => {
    const world = new World(seed);
    const [alice, bob] = await world.pair();
    const chaos = new SeededRandom(seed * 7_919);
    world.server.onReceive = (_message, user) => {
      if (chaos.chance(0.04)) {
        world.server.greetAgain(user);
        return chaos.chance(0.5) ? 'ignore' : 'ok';
      }
      if (!chaos.chance(0.08)) return 'ok';
      return chaos.chance(0.5) ? 'drop-before' : 'drop-after';
    };
    const sent = { a: [] as string[], b: [] as string[] };
    for (let step = 0; step < 40; step += 1) {
      const [from, to, list] = chaos.chance(0.5) ? [alice, BOB, sent.a] : [bob, ALICE, sent.b];
      const text = `${step}`;
      const pending = from.client.enqueue(to, text).then(() => list.push(text));
      await world.pass(chaos.integer(2_000));
      if (chaos.chance(0.1)) world.server.dropAll();
      await world.pass(20_000);
      await pending;
      if (chaos.chance(0.08)) void (await from.start()).connect();
    }
    world.server.onReceive = () => 'ok';
    await world.pass(200_000);
    t.same(await bob.texts(alice.user), sent.a);
    t.same(await alice.texts(bob.user), sent.b);
    t.equal(alice.client.outboxSize + bob.client.outboxSize, 0);
    t.equal(world.server.inboxCount(alice.user) + world.server.inboxCount(bob.user), 0);
  });
}
