/**
 * Pre-keys as the server sees them: what is uploaded when, what a bundle holds, what is kept here; and sessions that are
 * hybrid by default, or refused.
 */

import t from 'tap';
import { decodeSessionRecord, encodeSessionRecord, isSignalError } from '../protocol/signal/index.ts';
import type { SessionRecord } from '../protocol/signal/index.ts';
import { LIMITS } from './limits.ts';
import { KEM_PREKEY, SIGNAL_KEYS, SIGNED_PREKEY } from './sessions.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

const WEEK_MS = LIMITS.signedPreKeyAgeMsMax + 1;

/** The kind of message that travels: the first byte of each ciphertext sent so far. */
function versionBytes(world: World): number[] {
  return world.server.log.flatMap(({ message }) =>
    message.kind === 'message' ? message.envelopes.map(({ ciphertext }) => ciphertext[0]!) : [],
  );
}

/** What somebody has received of a peer, once all that is under way has arrived. */
async function textsOf(world: World, person: Person, peer: string): Promise<string[]> {
  await world.pass(10);
  return person.texts(peer);
}

/** Ids stored under a prefix. */
async function storedIds(person: Person, key: (id: number) => string): Promise<number[]> {
  const store = await person.disk.copy().open();
  const prefix = key(0).slice(0, -1);
  const entries = await store.list({ prefix, limit: 256 });
  return entries.map((entry) => Number(entry.key.slice(prefix.length))).sort((left, right) => left - right);
}

t.test('a new device publishes KEM pre-keys of both kinds, in requests of eight', async (t) => {
  const world = new World();
  const bob = await world.person(BOB).join();
  await world.settle();
  t.equal(world.server.kemPreKeyCount(bob.user), LIMITS.kemPreKeyCountMax);
  t.same(
    bob.eventsOf('kem-prekeys-uploaded').map(({ count }) => count),
    [8, 8],
  );
  t.same(
    await storedIds(bob, SIGNAL_KEYS.kem),
    Array.from({ length: 17 }, (_, index) => index + 1),
  );
});

t.test('sessions are hybrid by default, and a one-time KEM pre-key is used up on both sides', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await world.settle();
  await alice.client.send(BOB, 'hello');
  await bob.client.send(ALICE, 'hello yourself');
  await alice.client.send(BOB, 'good');
  t.same(versionBytes(world), [0x44, 0x44, 0x44]);
  t.equal(world.server.kemPreKeyCount(bob.user), LIMITS.kemPreKeyCountMax - 1);
  t.notOk((await storedIds(bob, SIGNAL_KEYS.kem)).includes(2), 'the first one-time key is gone');
  t.same(await textsOf(world, alice, BOB), ['hello yourself']);
  t.same(await textsOf(world, bob, ALICE), ['hello', 'good']);
});

t.test('without one-time KEM pre-keys the last-resort one serves, and stays', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await world.settle();
  world.server.consumePreKeys(bob.user, 1_000);
  await alice.client.send(BOB, 'hello');
  t.same(versionBytes(world), [0x44]);
  t.same(await textsOf(world, bob, ALICE), ['hello']);
  t.ok((await storedIds(bob, SIGNAL_KEYS.kem)).includes(1));
});

t.test('the stock is refilled when strangers drained it', async (t) => {
  const world = new World();
  const bob = await world.person(BOB).join();
  await world.settle();
  world.server.consumePreKeys(bob.user, 1_000);
  await world.pass(LIMITS.heldKeysAgeMsMax);
  world.server.dropAll(bob.user);
  await world.pass(5_000 + LIMITS.heldKeysAskMsMax);
  t.equal(world.server.kemPreKeyCount(bob.user), LIMITS.kemPreKeyCountMax);
  t.equal(world.server.preKeyCount(bob.user), LIMITS.preKeyCountMax);
});

t.test(
  'a login by ticket does not say what is left: it is asked for within a minute, unless told within the hour',
  async (t) => {
    const world = new World();
    const bob = await world.person(BOB).join();
    await world.settle();
    const questions = (): number =>
      world.server.log.filter(({ message }) => message.kind === 'iq-get' && message.request.kind === 'prekey-count')
        .length;
    world.server.dropAll();
    await world.pass(5_000 + LIMITS.heldKeysAskMsMax);
    t.equal(questions(), 0, 'the first login told');
    await bob.start();
    await bob.client.connect();
    t.equal(questions(), 0, 'not at once');
    await world.pass(LIMITS.heldKeysAskMsMax);
    t.equal(questions(), 1);
  },
);

t.test(
  'signed and last-resort pre-keys are replaced together after a week, and the former are kept for a while',
  async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    await world.settle();
    world.server.consumePreKeys(bob.user, 1_000);
    const message = await alice.client.enqueue(BOB, 'under the first keys');
    await message.sent;
    t.equal(world.server.signedPreKeyId(bob.user), 1);
    for (let week = 2; week <= LIMITS.signedPreKeyCountMax + 1; week += 1) {
      bob.kill();
      await world.pass(WEEK_MS);
      await bob.start();
      await bob.client.connect();
      await world.settle();
      t.equal(world.server.signedPreKeyId(bob.user), week);
    }
    t.same(await storedIds(bob, SIGNAL_KEYS.signed), [2, 3, 4, 5, 6], 'the first is forgotten');
    t.notOk((await storedIds(bob, SIGNAL_KEYS.kem)).includes(1), 'and its last-resort key with it');
    const store = await bob.disk.copy().open();
    const newest = SIGNED_PREKEY.decode((await store.get(SIGNAL_KEYS.signed(6)))!);
    t.ok(KEM_PREKEY.decode((await store.get(SIGNAL_KEYS.kem(newest.lastResortId!)))!).lastResort);
  },
);

t.test('a server that knows no KEM pre-keys is offered none, and X3DH serves', async (t) => {
  const world = new World();
  world.server.knowsKem = false;
  const alice = await world.person(ALICE).join();
  await world.settle();
  t.equal(alice.eventsOf('kem-prekeys-uploaded').length, 0);
  t.equal(world.server.kemPreKeyCount(alice.user), 0);
});

t.test(
  'a server that strips a bundle: the first message is refused, and comes again in a hybrid session',
  async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    await world.settle();
    world.server.stripsKem = true;
    await alice.client.send(BOB, 'in the clear for a quantum computer');
    world.server.stripsKem = false;
    t.same(await textsOf(world, bob, alice.user), ['in the clear for a quantum computer']);
    t.match(bob.eventsOf('downgrade'), [{ user: alice.user }]);
    const [first, ...others] = versionBytes(world);
    t.equal(first, 0x34);
    t.same([...new Set(others)], [0x44], 'the request and what it asked for');
    await alice.client.send(BOB, 'again');
    t.same(await textsOf(world, bob, ALICE), ['in the clear for a quantum computer', 'again']);
  },
);

t.test('a peer who is known to have KEM pre-keys: a stripped bundle is refused before anything leaves', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await world.settle();
  await alice.client.send(BOB, 'first');
  await closeSessions(alice, bob.user);
  await alice.client.connect();
  world.server.stripsKem = true;
  await t.rejects(alice.client.send(BOB, 'second'), { code: 'SIG_DOWNGRADE' });
  t.match(alice.eventsOf('downgrade'), [{ user: bob.user }]);
  t.same(versionBytes(world), [0x44], 'nothing was sent');
  world.server.stripsKem = false;
  await alice.client.send(BOB, 'third');
  t.same(await textsOf(world, bob, ALICE), ['first', 'third']);
});

/** Restarts with no session to send with, as after restoring a backup. */
async function closeSessions(person: Person, peer: string): Promise<void> {
  const { closeSession } = await import('../protocol/signal/index.ts');
  await person.client.close();
  const store = await person.disk.open();
  for (const { key, value } of await store.list({ prefix: `signal/session/${peer}/`, limit: 8 })) {
    const record = decodeSessionRecord(value);
    if (isSignalError(record)) throw new Error(record.code);
    const closed: SessionRecord = closeSession(record);
    await store.write([{ type: 'put', key, value: encodeSessionRecord(closed) }], 'flushed');
  }
  await store.close();
  await person.start();
}
