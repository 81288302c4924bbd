/**
 * Messages that cannot be read, and how they come back: asked for once more, sent once more, one placeholder that is
 * filled; and what must not come of it.
 */

import t from 'tap';
import { LIMITS } from './limits.ts';
import { CODE } from './testing/fake-server.ts';
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
    const [alice, bob] = await conversing(world);
    await bob.client.confirmCode(BOB, CODE);
    await bob.client.connect();
    const { device } = alice.client.account!;
    const ciphertext = spoiledBy(world);
    for (const id of [1, 2]) world.server.inject(bob.user, alice.user, { id, device, type: 'prekey', ciphertext });
    await world.pass(LIMITS.retryPauseMs * 4);
    const requests = world.server.log.filter(({ user, message }) => user === bob.user && message.kind === 'message');
    t.ok(requests.length > 1, 'he did ask');
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
