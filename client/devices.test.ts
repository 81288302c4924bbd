/**
 * Several devices through the fake server: linking, signed lists and silent devices, what devices tell each other.
 */

import t from 'tap';
import { generateIdentityKeyPair, signDeviceList } from '../protocol/signal/index.ts';
import { decodeLinkCode, encodeLinkCode } from './linking-code.ts';
import { openProvision, sealProvision } from './linking.ts';
import type { Provision } from './linking.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** Texts of a chat in order, own ones with an arrow. */
async function chat(person: Person, peer: string): Promise<string[]> {
  const items = await person.client.history(peer, { limit: 256 });
  return items.map(
    (item) => `${item.direction === 'out' ? '→' : ''}${item.kind === 'undecryptable' ? item.code : item.text}`,
  );
}

async function states(person: Person, peer: string): Promise<(string | undefined)[]> {
  const items = await person.client.history(peer, { limit: 256 });
  return items.filter(({ direction }) => direction === 'out').map(({ state }) => state);
}

t.test('a device is linked with a code, knows its account and contacts, and both know the list', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'hello');
  await world.quiet();
  const laptop = await world.link(alice);
  t.match(laptop.client.account, { phone: ALICE, user: alice.user });
  t.not(laptop.client.account!.device, alice.client.account!.device);
  const [primary, second] = [alice.client.account!.device, laptop.client.account!.device];
  t.same(await alice.client.devices(), [
    { id: primary, isPrimary: true, isThis: true },
    { id: second, isPrimary: false, isThis: false },
  ]);
  t.same(await laptop.client.devices(), [
    { id: primary, isPrimary: true, isThis: false },
    { id: second, isPrimary: false, isThis: true },
  ]);
  t.match(await laptop.client.peer(bob.user), { phone: BOB });
  await t.rejects(laptop.client.approveLink('x'), { code: 'CLI_LINK_CODE_INVALID' });
  await t.rejects(laptop.client.unlinkDevice(primary), { code: 'CLI_NOT_PRIMARY' });
});

t.test('everything arrives on each device once and in order, and nobody is asked to trust anew', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'before');
  await world.quiet();
  const [aliceTwo, bobTwo] = [await world.link(alice), await world.link(bob)];
  await bob.client.send(ALICE, 'b1');
  await world.quiet();
  await bobTwo.client.send(ALICE, 'b2');
  await world.quiet();
  await aliceTwo.client.send(BOB, 'a2');
  await world.quiet();
  await alice.client.send(BOB, 'a1');
  await world.quiet();
  const atAlice = ['b1', 'b2', '→a2', '→a1'];
  t.same(await chat(alice, BOB), ['→before', ...atAlice]);
  t.same(await chat(aliceTwo, BOB), atAlice);
  const atBob = ['→b1', '→b2', 'a2', 'a1'];
  t.same(await chat(bob, ALICE), ['before', ...atBob]);
  t.same(await chat(bobTwo, ALICE), atBob);
  for (const person of [alice, aliceTwo, bob, bobTwo]) {
    t.same(person.eventsOf('identity-changed'), [], 'listed devices are no news');
    t.same(person.eventsOf('devices-refused'), []);
    t.same(person.eventsOf('trouble'), []);
  }
  const [mine, theirs] = [await alice.client.safetyNumber(BOB), await bobTwo.client.safetyNumber(ALICE)];
  t.equal((await aliceTwo.client.safetyNumber(BOB))!.digits.length, mine!.digits.length);
  t.ok(theirs, 'each device has a number of its own with the primary of the other');
});

t.test('states and reading come right on both devices of the sender and of the recipient', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const aliceTwo = await world.link(alice);
  const bobTwo = await world.link(bob);
  await alice.client.send(BOB, 'one');
  await world.quiet();
  t.same(await states(alice, BOB), ['delivered']);
  t.same(await states(aliceTwo, BOB), ['delivered']);
  const [received] = await bobTwo.take(1);
  await received!.markRead();
  await world.quiet();
  t.same(await states(alice, BOB), ['read']);
  t.same(await states(aliceTwo, BOB), ['read']);
  t.match(bob.eventsOf('seen'), [{ user: alice.user, device: alice.client.account!.device, id: 1 }]);
  t.match(aliceTwo.eventsOf('transcript'), [{ user: bob.user, item: { text: 'one', direction: 'out' } }]);
});

t.test('reactions, edits, deletions and timers reach all four', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const aliceTwo = await world.link(alice);
  const bobTwo = await world.link(bob);
  await alice.client.send(BOB, 'mistake');
  await alice.client.send(BOB, 'secret');
  await world.quiet();
  const idOf = async (person: Person, peer: string, text: string): Promise<string> =>
    (await person.client.history(peer)).find((item) => item.text === text)!.id;
  await aliceTwo.client.edit(BOB, await idOf(aliceTwo, BOB, 'mistake'), 'mended');
  await bobTwo.client.react(ALICE, await idOf(bobTwo, ALICE, 'secret'), '!');
  await world.quiet();
  const everywhere = [
    [alice, BOB],
    [aliceTwo, BOB],
    [bob, ALICE],
    [bobTwo, ALICE],
  ] as const;
  for (const [person, peer] of everywhere) {
    const items = await person.client.history(peer);
    t.match(items[0], { text: 'mended' });
    t.match(items[1]!.reactions, [{ author: bob.user, emoji: '!' }]);
  }
  await aliceTwo.client.deleteForEveryone(BOB, await idOf(aliceTwo, BOB, 'secret'));
  await aliceTwo.client.setTimer(BOB, 60);
  await world.quiet();
  await alice.client.send(BOB, 'fleeting');
  await world.quiet();
  for (const [person, peer] of everywhere) {
    const items = await person.client.history(peer);
    t.same(
      items.map(({ kind }) => kind),
      ['text', 'deleted', 'timer', 'text'],
    );
    t.ok(items[3]!.expiresAt);
  }
});

t.test('a linked device writes, reads and keeps groups going while the first one is off', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const laptop = await world.link(alice);
  const { name } = await alice.client.groups.create('Sailing', [BOB]);
  await world.quiet();
  await alice.client.close();
  const sent = await laptop.client.send(BOB, 'from the laptop');
  await world.quiet();
  await bob.client.send(ALICE, 'to whom it may concern');
  const toAll = await laptop.client.send(name, 'to all');
  await bob.client.send(name, 'aye');
  await bob.client.markRead(ALICE);
  await bob.client.markRead(name);
  await world.quiet();
  t.same(await chat(laptop, BOB), ['→from the laptop', 'to whom it may concern']);
  t.same(await chat(laptop, name), ['→to all', 'aye']);
  t.equal(sent.state, 'read', 'states as well');
  t.equal(toAll.state, 'read');
  await alice.start();
  await alice.client.connect();
  await world.quiet();
  t.same(
    await chat(alice, BOB),
    ['→from the laptop', 'to whom it may concern'],
    'the first one has it when it is back',
  );
  t.same(await chat(alice, name), ['→to all', 'aye']);
});

t.test('a device that was away catches up, and one that is unlinked gets nothing further', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const laptop = await world.link(alice);
  await laptop.client.close();
  await bob.client.send(ALICE, 'while away');
  await alice.client.send(BOB, 'and from here');
  await world.quiet();
  await laptop.start();
  await laptop.client.connect();
  await world.quiet();
  t.same(await chat(laptop, BOB), ['while away', '→and from here']);
  await alice.client.unlinkDevice(laptop.client.account!.device);
  await world.quiet();
  t.match(laptop.eventsOf('stopped'), [{ code: 'APP_UNREGISTERED' }]);
  await bob.client.send(ALICE, 'after');
  await alice.client.send(BOB, 'me too');
  await world.quiet();
  t.same(await chat(laptop, BOB), ['while away', '→and from here']);
  t.same((await chat(alice, BOB)).at(-1), '→me too');
  t.equal((await alice.client.devices()).length, 1);
});

t.test(
  'a device that the primary has not signed gets no envelope: the message waits, and the application is told',
  async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    await alice.client.send(BOB, 'hello');
    await world.quiet();
    const spy = world.server.addSilently(bob.user, world.server.keysOf(alice.user, alice.client.account!.device));
    const waiting = await alice.client.enqueue(BOB, 'not for spies');
    await world.quiet();
    t.equal(waiting.state, 'queued');
    t.match(alice.eventsOf('devices-refused'), [{ user: bob.user, device: spy, code: 'CLI_DEVICE_UNLISTED' }]);
    await world.pass(300_000);
    t.equal(waiting.state, 'queued');
    t.equal(alice.eventsOf('devices-refused').length, 1, 'told once');
    t.equal(alice.eventsOf('refused').length, 0, 'and not given up');
    const sent = world.server.log.flatMap(({ message }) => (message.kind === 'message' ? message.envelopes : []));
    t.notOk(sent.some(({ device }) => device === spy));
  },
);

t.test('a server that hides the list, or shows an old one, adds nobody either', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await world.quiet();
  const former = world.server.replaceList(bob.user, undefined)!;
  world.server.replaceList(bob.user, former);
  const tablet = await world.link(bob);
  await alice.client.send(BOB, 'to both');
  await world.quiet();
  t.same(await chat(tablet, ALICE), ['to both']);
  world.server.addSilently(bob.user, world.server.keysOf(alice.user, alice.client.account!.device));
  world.server.replaceList(bob.user, undefined);
  const hidden = await alice.client.enqueue(BOB, 'x');
  await world.quiet();
  t.match(alice.eventsOf('devices-refused').at(-1), { code: 'CLI_DEVICES_UNSIGNED' });
  world.server.replaceList(bob.user, former);
  await world.pass(300_000);
  t.match(alice.eventsOf('devices-refused').at(-1), { code: 'SIG_LIST_ROLLED_BACK' });
  t.equal(hidden.state, 'queued');
});

t.test('an account of an earlier release, which has no list, is one device and works as before', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await world.quiet();
  world.server.replaceList(bob.user, undefined);
  await alice.client.send(BOB, 'hello');
  await world.quiet();
  t.same(await bob.texts(ALICE), ['hello']);
});

t.test('linking refuses another device than the one whose code was scanned', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const laptop = await world.person(ALICE).start();
  const { code } = await laptop.beginLinking('laptop');
  const scanned = decodeLinkCode(code)!;
  const forged = encodeLinkCode({ ...scanned, identityHash: new Uint8Array(32) });
  await t.rejects(alice.client.approveLink(forged), { code: 'CLI_LINK_MISMATCH' });
  await t.rejects(alice.client.beginLinking(), { code: 'CLI_ACCOUNT_EXISTS' });
  t.equal(world.server.inboxCount(alice.user), 0);
  const expired = await laptop.beginLinking('laptop');
  await world.pass(300_001);
  await t.rejects(expired.linked, { code: 'CLI_LINK_EXPIRED' });
});

t.test('a code is read back as people type it, and no other text is one', async (t) => {
  const pair = generateIdentityKeyPair((length) => new SeededRandom(5).bytes(length));
  const whole = {
    id: '00012345678901234599',
    provisioningKey: pair.publicKey,
    identityHash: new Uint8Array(32).fill(7),
    name: 'Küche',
  };
  const code = encodeLinkCode(whole);
  t.same(decodeLinkCode(code), whole);
  t.same(decodeLinkCode(code.toLowerCase().replace(/.{5}/g, '$& - ')), whole);
  t.match(code, /^[A-Z2-7]+$/);
  for (let index = 0; index < code.length - 1; index += 1) {
    const bent = code.slice(0, index) + (code[index] === 'A' ? 'B' : 'A') + code.slice(index + 1);
    if (decodeLinkCode(bent) !== undefined) t.fail(`letter ${index}`);
  }
  for (const other of ['', 'A', 'hello', code.slice(1), `${code}AAAA`, 'A'.repeat(600)])
    t.equal(decodeLinkCode(other), undefined);
  t.throws(() => encodeLinkCode({ ...whole, name: 'x'.repeat(33) }), RangeError);
});

t.test('a provision opens only where list, device and linking agree', async (t) => {
  const random = new SeededRandom(8);
  const draw = (length: number): Uint8Array => random.bytes(length);
  const [primary, device, pair] = [
    generateIdentityKeyPair(draw),
    generateIdentityKeyPair(draw),
    generateIdentityKeyPair(draw),
  ];
  const user = '123456789012345';
  const listed = { id: 2, identityKey: device.publicKey };
  const list = signDeviceList({ id: 1, identityKeyPair: primary }, user, [listed], undefined, draw);
  const contacts = [{ user: '200000000000001', phone: BOB, verified: true }];
  const provision: Provision = { phone: ALICE, user, device: 2, primary: 1, list, contacts };
  const context = Uint8Array.of(1);
  const open = (bent: Partial<Provision>, stanza: object = {}, at = context): Provision | undefined => {
    const envelope = sealProvision({ ...provision, ...bent }, pair.publicKey, context, random);
    return openProvision({ user, device: 2, envelope, ...stanza }, pair, at, device.publicKey);
  };
  t.same(open({}), provision);
  t.equal(open({}, { device: 3 }), undefined, 'another device id');
  t.equal(open({}, { user: '223456789012345' }), undefined, 'another user');
  t.equal(open({}, {}, Uint8Array.of(2)), undefined, 'another linking');
  t.equal(open({ primary: 2 }), undefined, 'another primary');
  const without = signDeviceList({ id: 1, identityKeyPair: primary }, user, [], undefined, draw);
  t.equal(open({ list: without }), undefined, 'a list that does not name it');
  const foreign = signDeviceList({ id: 1, identityKeyPair: primary }, 'somebody else', [listed], undefined, draw);
  t.equal(open({ list: foreign }), undefined, 'the list of another account');
});
