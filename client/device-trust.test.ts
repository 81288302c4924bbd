/**
 * Whose word counts: devices that a server adds, lists of others, own devices that are none; questions that outlive a run; and what
 * one device hears before the message that it is about.
 */

import t from 'tap';
import {
  createSenderKey,
  decodeSessionRecord,
  distributionMessage,
  encryptForGroup,
  hasSession,
  isSignalError,
  remoteIdentityKey,
  signDeviceList,
} from '../protocol/signal/index.ts';
import type { ClientMessage } from '../protocol/wire/index.ts';
import { loadAccount } from './account.ts';
import { encodeContent, encodeOutgoing } from './content.ts';
import { IDENTITY_KEYS } from './identities.ts';
import { Journal } from './journal.ts';
import { KEYS } from './layout.ts';
import { plainContent } from './record-codec.ts';
import { LIMITS } from './limits.ts';
import { SIGNAL_KEYS } from './sessions.ts';
import { sayAs, speakAs } from './testing/bent-client.ts';
import type { Fate } from './testing/fake-server.ts';
import { CAROL, DAVE, groupWorld, texts } from './testing/group-world.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

const text = (words: string): { readonly kind: 'text'; readonly text: string } => ({ kind: 'text', text: words });

interface Intrusion {
  readonly world: World;
  readonly alice: Person;
  readonly bob: Person;
  readonly mallory: Person;
  /** A device that the server has added to Bob's account, with Mallory's keys. */
  readonly spy: number;
}

async function intrusion(): Promise<Intrusion> {
  const world = new World();
  const [alice, bob] = await world.pair();
  const mallory = await world.person(CAROL).join();
  await alice.client.send(BOB, 'hello');
  await bob.client.send(ALICE, 'hello yourself');
  await world.quiet();
  const spy = addSpy(world, bob, mallory);
  return { world, alice, bob, mallory, spy };
}

/** The server adds a device to an account, with Mallory's keys. @returns Its id. */
function addSpy({ server }: World, victim: Person, mallory: Person): number {
  return server.addSilently(victim.user, server.keysOf(mallory.user, mallory.client.account!.device));
}

/** What the next device of somebody will be called: the one before it was there and gone again. */
function idToCome(world: World, victim: Person, mallory: Person): { readonly user: string; readonly device: number } {
  const probe = addSpy(world, victim, mallory);
  world.server.removeSilently(victim.user, probe);
  return { user: victim.user, device: probe + 1 };
}

function changes(person: Person): object[] {
  return person.eventsOf('identity-changed').map(({ user, device, accepted }) => ({ user, device, accepted }));
}

async function countOf(person: Person, prefix: string): Promise<number> {
  const store = await person.disk.copy().open();
  return (await store.list({ prefix, limit: 256 })).length;
}

t.test('a device that no list names is told as a change as soon as the list was asked for', async (t) => {
  const { world, alice, bob, mallory, spy } = await intrusion();
  const before = (await alice.client.safetyNumber(BOB))!.digits;
  await speakAs(world, mallory, { user: bob.user, device: spy }, alice, text('it is me'));
  await world.quiet();
  t.same(changes(alice), [{ user: bob.user, device: spy, accepted: true }]);
  t.not((await alice.client.safetyNumber(BOB))!.digits, before);
  t.equal(await countOf(alice, KEYS.vouches), 0);
});

t.test('a server that does not answer delays that by half a minute and no more', async (t) => {
  const { world, alice, bob, mallory, spy } = await intrusion();
  world.server.silentOn.add('devices');
  await speakAs(world, mallory, { user: bob.user, device: spy }, alice, text('it is me'));
  await world.pass(LIMITS.vouchMs - 1);
  t.same(changes(alice), []);
  t.equal(await countOf(alice, KEYS.vouches), 1);
  await world.pass(1);
  t.same(changes(alice), [{ user: bob.user, device: spy, accepted: true }]);
});

t.test('a question that a crash cut off is asked again, and its answer told', async (t) => {
  const { world, alice, bob, mallory, spy } = await intrusion();
  world.server.silentOn.add('devices');
  await speakAs(world, mallory, { user: bob.user, device: spy }, alice, text('it is me'));
  await world.pass(1_000);
  await alice.start();
  world.server.silentOn.clear();
  await alice.client.connect();
  await world.quiet();
  t.same(changes(alice), [{ user: bob.user, device: spy, accepted: true }]);
  t.equal(await countOf(alice, KEYS.vouches), 0);
});

t.test('the same question about a device that is listed is answered by the list, also in the next run', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'hello');
  await bob.client.send(ALICE, 'hello yourself');
  await world.quiet();
  const tablet = await world.link(bob);
  const before = (await alice.client.safetyNumber(BOB))!.digits;
  world.server.silentOn.add('devices');
  await tablet.client.send(ALICE, 'from the tablet');
  await world.pass(1_000);
  await alice.start();
  world.server.silentOn.clear();
  await alice.client.connect();
  await world.quiet();
  t.same(await alice.texts(BOB), ['hello yourself', 'from the tablet']);
  t.same(changes(alice), []);
  t.equal((await alice.client.safetyNumber(BOB))!.digits, before, 'trust stays in the primary');
  t.equal(await countOf(alice, KEYS.vouches), 0);
});

t.test('a list under another key than the trusted one vouches for nobody', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await world.quiet();
  const mallory = await world.person(CAROL).join();
  world.server.replaceList(bob.user, undefined);
  await alice.client.send(BOB, 'hello');
  await world.quiet();
  await alice.start(() => false);
  await alice.client.connect();
  const { local, device } = (await loadAccount(new Journal(await mallory.disk.copy().open(), () => {})))!;
  const spy = world.server.addSilently(bob.user, world.server.keysOf(mallory.user, device));
  const bobs = bob.client.account!.device;
  const linked = [{ id: bobs, identityKey: world.server.keysOf(bob.user, bobs).identity }];
  const primary = { id: spy, identityKeyPair: local.identityKeyPair };
  world.server.replaceList(
    bob.user,
    signDeviceList(primary, bob.user, linked, undefined, (length) => world.random.bytes(length)),
  );
  const message = await alice.client.enqueue(BOB, 'for Bob');
  await world.pass(300_000);
  t.equal(message.state, 'refused');
  t.same(changes(alice)[0], { user: bob.user, device: spy, accepted: false });
  const sent = world.server.log.flatMap(({ message: each }) => (each.kind === 'message' ? each.envelopes : []));
  t.notOk(sent.some(({ device: to }) => to === spy));
});

t.test('under one’s own name nobody is believed on first use: what such a device tells is not done', async (t) => {
  const { world, alice, bob, mallory, spy: bobsSpy } = await intrusion();
  const { device } = mallory.client.account!;
  const spy = world.server.addSilently(alice.user, world.server.keysOf(mallory.user, device));
  const content = encodeOutgoing(plainContent(text('I never wrote this')));
  const sent = { kind: 'sent', to: bob.user, phone: '', number: 9, sentAt: world.clock.nowMs(), content } as const;
  await speakAs(world, mallory, { user: alice.user, device: spy }, alice, sent);
  await world.pass(60_000);
  const items = await alice.client.history(BOB);
  t.notOk(items.some((item) => item.text === 'I never wrote this'));
  t.same(changes(alice), [{ user: alice.user, device: spy, accepted: true }]);
  t.equal(await countOf(alice, KEYS.synced), 0, 'and not kept either');
  world.server.removeSilently(alice.user, spy);
  world.server.removeSilently(bob.user, bobsSpy);
  const before = changes(alice).length;
  const laptop = await world.link(alice);
  await laptop.client.send(BOB, 'from my laptop');
  await world.pass(5_000);
  t.equal((await alice.client.history(BOB)).at(-1)!.text, 'from my laptop', 'genuine devices are heard as before');
  t.equal(changes(alice).length, before, 'and are no news');
});

t.test('what a new device of one’s own tells waits until a list names it, and is done then', async (t) => {
  const world = new World();
  const [alice] = await world.pair();
  const laptop = await world.link(alice);
  world.server.silentOn.add('devices').add('bundle');
  const tabletWorld = world.person(ALICE);
  const tablet = await tabletWorld.start();
  const { code, linked } = await tablet.beginLinking('tablet');
  await alice.client.approveLink(code);
  await linked;
  world.server.silentOn.delete('bundle');
  await tablet.connect();
  await tablet.send(BOB, 'from the tablet');
  await world.pass(5_000);
  const seen = async (): Promise<boolean> =>
    (await laptop.client.history(BOB)).some((item) => item.text === 'from the tablet');
  t.equal(await seen(), false);
  t.ok((await countOf(laptop, KEYS.synced)) > 0, 'kept');
  world.server.silentOn.clear();
  await laptop.start();
  await laptop.client.connect();
  await world.quiet();
  t.equal(await seen(), true);
  t.same(changes(laptop), []);
});

/** Whose key a person's present session with a device is under. */
async function isSpeakingTo(person: Person, { user, device }: DeviceName, thief: Person): Promise<boolean> {
  const bytes = await (await person.disk.copy().open()).get(SIGNAL_KEYS.session(user, device));
  const record = bytes && decodeSessionRecord(bytes);
  if (record === undefined || isSignalError(record) || !hasSession(record)) return false;
  const { publicKey } = (await loadAccount(new Journal(await thief.disk.copy().open(), () => {})))!.local
    .identityKeyPair;
  return Buffer.compare(remoteIdentityKey(record)!, publicKey) === 0;
}

interface DeviceName {
  readonly user: string;
  readonly device: number;
}

/** Alice, her laptop, which has already said something, and somebody whose keys the server helps to pass for other ones. */
async function withThief(): Promise<Omit<Intrusion, 'spy'> & { readonly laptop: Person; readonly name: DeviceName }> {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'hello');
  await bob.client.send(ALICE, 'hello yourself');
  const mallory = await world.person(CAROL).join();
  const laptop = await world.link(alice);
  await world.quiet();
  await alice.client.send(BOB, 'for the laptop as well');
  await world.quiet();
  return { world, alice, bob, mallory, laptop, name: { user: alice.user, device: laptop.client.account!.device } };
}

t.test('under the id of one’s own listed device no other key is believed, and nothing goes to it', async (t) => {
  const { world, alice, bob, mallory, laptop, name } = await withThief();
  const content = encodeOutgoing(plainContent(text('I never wrote this')));
  const sent = { kind: 'sent', to: bob.user, phone: '', number: 9, sentAt: world.clock.nowMs(), content } as const;
  await speakAs(world, mallory, name, alice, sent, 50);
  const { device: to } = alice.client.account!;
  const transfer = new Uint8Array(16).fill(7);
  await speakAs(world, mallory, name, alice, { kind: 'transfer-request', transfer, to, version: 1 }, 51);
  await world.pass(100_000);
  t.notOk((await alice.client.history(BOB)).some((item) => item.text === 'I never wrote this'));
  t.same(alice.eventsOf('history-transfer'), []);
  t.same(changes(alice)[0], { ...name, accepted: false });
  await t.rejects(alice.client.approveHistory(name.device), { code: 'CLI_TRANSFER_EXPIRED' });
  t.notOk(await isSpeakingTo(alice, name, mallory));
  await alice.client.send(BOB, 'told to the laptop');
  await world.pass(5_000);
  t.equal((await laptop.client.history(BOB)).at(-1)!.text, 'told to the laptop', 'whose session is what it was');
});

t.test(
  'an id that somebody has spoken under before it was given out is no way to the device that gets it',
  async (t) => {
    const world = new World();
    const [alice] = await world.pair();
    const mallory = await world.person(CAROL).join();
    await alice.client.send(BOB, 'hello');
    await world.quiet();
    const name = idToCome(world, alice, mallory);
    world.server.silentOn.add('devices');
    await speakAs(world, mallory, name, alice, { kind: 'seen', user: alice.user, device: 1, id: 7 }, 50);
    await world.pass(500);
    t.equal(await countOf(alice, KEYS.synced), 1, 'what it tells is kept for a list that names it');
    t.ok(await isSpeakingTo(alice, name, mallory));
    const laptop = await world.link(alice);
    t.equal(laptop.client.account!.device, name.device);
    await alice.client.send(BOB, 'secret');
    await world.pass(5_000);
    t.notOk(await isSpeakingTo(alice, name, mallory));
    t.equal((await laptop.client.history(BOB)).at(-1)!.text, 'secret');
    world.server.silentOn.clear();
    await world.pass(60_000);
    t.equal(await countOf(alice, KEYS.synced), 0, 'and is dropped with its key');
  },
);

t.test('before there is a list of one’s own, nobody is one’s own device', async (t) => {
  const world = new World();
  const alice = world.person(ALICE);
  const mallory = await world.person(CAROL).join();
  await world.person(BOB).join();
  world.server.silentOn.add('devices').add('publish-list');
  await alice.join();
  const spy = addSpy(world, alice, mallory);
  await speakAs(world, mallory, { user: alice.user, device: spy }, alice, text('x'), 5);
  await world.pass(2_000);
  world.server.removeSilently(alice.user, spy);
  t.same(changes(alice), [{ user: alice.user, device: spy, accepted: false }]);
  t.equal(await countOf(alice, IDENTITY_KEYS.trust(alice.user)), 0, 'nor trusted');
  world.server.silentOn.clear();
  await alice.start();
  await alice.client.connect();
  await world.quiet();
  const laptop = await world.link(alice);
  await laptop.client.send(BOB, 'from my laptop');
  await world.pass(5_000);
  t.equal((await alice.client.history(BOB)).at(-1)!.text, 'from my laptop');
  t.equal(changes(alice).length, 1, 'and the laptop is no news');
});

t.test('whose verified device’s id shows another key is broken with at once, before anybody was asked', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'hello');
  await bob.client.send(ALICE, 'hello yourself');
  await world.quiet();
  const mallory = await world.person(CAROL).join();
  await alice.client.confirmSafetyNumber(BOB, (await alice.client.safetyNumber(BOB))!.digits);
  world.server.silentOn.add('devices');
  const name = { user: bob.user, device: bob.client.account!.device };
  await speakAs(world, mallory, name, alice, text('it is me'), 50);
  await world.pass(1_000);
  t.equal((await alice.client.safetyNumber(BOB))!.level, 'broken');
  t.same(changes(alice), [{ ...name, accepted: true }]);
  const before = world.server.log.length;
  await alice.client.enqueue(BOB, 'secret for Bob');
  await world.pass(5_000);
  const said = world.server.log.slice(before).map(({ message }) => message);
  t.notOk(said.some((message) => message.kind === 'message' && message.to === bob.user));
});

t.test('a message to a group “once more” counts from members only', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name, group } = scene;
  const dave = await world.person(DAVE).join();
  for (const person of [carol, dave]) await person.client.send(BOB, 'hello');
  await alice.client.send(name, 'genuine');
  await world.quiet();
  const { ciphertext } = world.server.groups.messages[0]!;
  const content = encodeOutgoing(plainContent(text('slipped in')));
  for (const [index, person] of [dave, carol].entries()) {
    const from = { user: person.user, device: person.client.account!.device };
    const entry = {
      kind: 'group-message',
      group,
      from: from.user,
      device: from.device,
      id: 7,
      order: 50 + index,
    } as const;
    world.server.groups.put([bob.user], { ...entry, ts: 1, ciphertext });
    await world.quiet();
    await sayAs(world, person, bob, { kind: 'group-resent', group, number: 7, sentAt: 5, content });
    await world.quiet();
    const expected = person === dave ? ['genuine'] : ['genuine', 'slipped in'];
    t.same(await texts(bob, name), expected, person === dave ? 'not from a stranger' : 'but from a member');
  }
});

/** Cuts the connection of Alice's phone at everything that it would tell her other devices. */
function holdTranscripts(world: World, alice: Person): () => void {
  world.server.onReceive = (message: ClientMessage, user: string): Fate =>
    user === alice.user && message.kind === 'message' && message.to === user ? 'drop-before' : 'ok';
  return () => void (world.server.onReceive = () => 'ok');
}

t.test('what is done to a message before its copy has come is done when it comes', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const laptop = await world.link(alice);
  const release = holdTranscripts(world, alice);
  await alice.client.send(BOB, 'hello');
  await alice.client.send(BOB, 'oops');
  await world.pass(5_000);
  const idOf = async (words: string): Promise<string> =>
    (await bob.client.history(ALICE)).find((item) => item.text === words)!.id;
  await bob.client.react(ALICE, await idOf('hello'), '?');
  await bob.client.react(ALICE, await idOf('hello'), '!');
  await bob.client.react(ALICE, await idOf('oops'), '!');
  await world.pass(5_000);
  t.same(await laptop.client.history(BOB), []);
  t.equal(await countOf(laptop, KEYS.waitingIn(bob.user)), 2);
  await laptop.start();
  await laptop.client.connect();
  release();
  await world.pass(120_000);
  const items = await laptop.client.history(BOB);
  t.match(items, [
    { text: 'hello', reactions: [{ author: bob.user, emoji: '!' }] },
    { text: 'oops', reactions: [{ author: bob.user, emoji: '!' }] },
  ]);
  t.equal(await countOf(laptop, KEYS.waitingIn(bob.user)), 0);
});

t.test('no more waits than there is room for, and what has waited longest goes', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await bob.client.send(ALICE, 'hello');
  await world.quiet();
  const count = LIMITS.waitingMessageCountMax + 3;
  for (let number = 1_001; number <= 1_000 + count; number += 1) {
    const target = { author: bob.user, device: bob.client.account!.device, number, sentAt: 5 };
    const { device } = bob.client.account!;
    await speakAs(world, bob, { user: bob.user, device }, alice, { kind: 'reaction', target, emoji: 'x' }, number);
    await world.settle();
  }
  const store = await alice.disk.copy().open();
  const waiting = await store.list({ prefix: KEYS.waitingIn(bob.user), limit: 256 });
  t.equal(waiting.length, LIMITS.waitingMessageCountMax);
  t.ok(waiting[0]!.key.endsWith(String(1_001 + 3)), waiting[0]!.key);
  const target = { author: DAVE, device: 1, number: 1, sentAt: 5 };
  const { device } = bob.client.account!;
  await speakAs(world, bob, { user: bob.user, device }, alice, { kind: 'reaction', target, emoji: 'x' }, 2_000);
  await world.settle();
  t.equal(await countOf(alice, KEYS.waitingIn(bob.user)), LIMITS.waitingMessageCountMax, 'nor for a message of nobody');
});

t.test('what is lost of a group is told, acknowledged, and its changes are asked for', async (t) => {
  const { world, alice, bob, name, group } = await groupWorld();
  await bob.client.close();
  await alice.client.groups.setTitle(name, 'Rowing');
  await alice.client.send(name, 'never to be read by Bob');
  await world.quiet();
  world.server.loseOfGroup(bob.user, group, 'APP_EXPIRED');
  await bob.start();
  await bob.client.connect();
  await world.quiet();
  t.match(bob.eventsOf('group-pruned'), [{ group: name, code: 'APP_EXPIRED' }]);
  t.equal((await bob.client.groups.get(name)).title, 'Rowing');
  t.equal(world.server.inboxCount(bob.user), 0, 'the notice is acknowledged like a message');
  await alice.client.send(name, 'after');
  await world.quiet();
  t.same(await texts(bob, name), ['after']);
});

t.test(
  'what was heard under an id before it was given out does not count against the device that gets it',
  async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    const mallory = await world.person(CAROL).join();
    await alice.client.send(BOB, 'hello');
    await world.quiet();
    const name = idToCome(world, alice, mallory);
    await speakAs(world, mallory, name, alice, { kind: 'seen', user: alice.user, device: 1, id: 7 }, 50);
    await speakAs(world, mallory, name, bob, text('it is me'), 50);
    await world.pass(60_000);
    const laptop = await world.link(alice);
    t.equal(laptop.client.account!.device, name.device);
    await laptop.client.send(BOB, 'from my laptop');
    await world.pass(60_000);
    t.equal((await bob.texts(ALICE)).at(-1), 'from my laptop', 'a peer hears it from its first message on');
    t.equal((await alice.client.history(BOB)).at(-1)!.text, 'from my laptop', 'and so do the other own devices');
  },
);

t.test('the same in a group', async (t) => {
  const { world, alice, bob, carol: mallory, name, group } = await groupWorld();
  const spy = idToCome(world, alice, mallory);
  const random = (length: number): Uint8Array => world.random.bytes(length);
  const key = createSenderKey(random(16), random);
  await speakAs(world, mallory, spy, bob, { kind: 'sender-key', group, distribution: distributionMessage(key) });
  const content = { id: 50, phone: '', sentAt: world.clock.nowMs(), timerSeconds: 0, isViewOnce: false };
  const sealed = encryptForGroup(key, encodeContent({ ...content, body: text('it is me') })!);
  if (isSignalError(sealed)) throw new Error(sealed.code);
  const { ciphertext } = sealed;
  const entry = { group, from: spy.user, device: spy.device, id: 50, order: 99, ts: world.clock.nowMs(), ciphertext };
  world.server.groups.put([bob.user], { kind: 'group-message', ...entry });
  await world.pass(1_000);
  t.same(await texts(bob, name), ['it is me'], 'with the help of the server a thief is heard for now');
  const laptop = await world.link(alice);
  await world.pass(60_000);
  await laptop.client.send(name, 'from my laptop');
  await world.pass(60_000);
  t.same(await texts(bob, name), ['it is me', 'from my laptop']);
});
