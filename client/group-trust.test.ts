/**
 * Whose word counts in a group: devices that were unlinked, changes that a server withholds, chains after an unlinking.
 */

import t from 'tap';
import { readGroupHeader, xeddsaSign } from '../protocol/signal/index.ts';
import type { GroupHeader } from '../protocol/signal/index.ts';
import {
  applyGroupChange,
  decodeGroupChange,
  draftGroupChange,
  encodeGroupChange,
  groupChangeStatement,
} from '../protocol/wire/index.ts';
import type { ClientMessage, GroupAction, GroupChange, GroupState, SignedGroupChange } from '../protocol/wire/index.ts';
import { loadAccount } from './account.ts';
import { readDevices } from './devices.ts';
import { sha512 } from './group-verifier.ts';
import { Journal } from './journal.ts';
import type { Fate } from './testing/fake-server.ts';
import { canRead, DAVE, groupWorld, roster, texts } from './testing/group-world.ts';
import type { GroupWorld } from './testing/group-world.ts';
import { sayAs } from './testing/bent-client.ts';
import { ALICE } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** A lawful change, signed with the key of a device that may have been unlinked: what a thief of that device can make. */
async function signedBy(
  { world, group }: GroupWorld,
  device: Person,
  actions: readonly GroupAction[],
): Promise<{ readonly bytes: Uint8Array; readonly state: GroupState }> {
  const account = (await loadAccount(new Journal(await device.disk.copy().open(), () => {})))!;
  const { state } = world.server.groups.get(group);
  const intent = { group, author: account.user, device: account.device, time: world.clock.nowMs(), actions };
  const statement = groupChangeStatement(draftGroupChange(state, intent, sha512) as GroupChange);
  const random = (length: number): Uint8Array => world.random.bytes(length);
  const bytes = encodeGroupChange(statement, xeddsaSign(account.local.identityKeyPair.privateKey, statement, random));
  const change = decodeGroupChange(bytes) as SignedGroupChange;
  return { bytes, state: applyGroupChange(state, change, sha512) as GroupState };
}

/** Alice's group, and her laptop in it; everybody has written to both of her devices. */
async function withLaptop(): Promise<GroupWorld & { readonly laptop: Person }> {
  const scene = await groupWorld();
  const { world, alice, bob, carol } = scene;
  const laptop = await world.link(alice);
  for (const person of [bob, carol]) await person.client.send(ALICE, 'hello');
  await world.quiet();
  t.equal((await laptop.client.groups.list()).length, 1, 'the laptop is in the group');
  return { ...scene, laptop };
}

/** Unlinks the laptop, and lets people find out by writing to Alice. */
async function unlink({ world, alice, laptop }: { readonly laptop: Person } & GroupWorld, told: readonly Person[]) {
  await alice.client.unlinkDevice(laptop.client.account!.device);
  for (const person of told) await person.client.send(ALICE, 'still there?');
  await world.quiet();
}

async function listedCount(person: Person, user: string): Promise<number | undefined> {
  return (await readDevices(new Journal(await person.disk.copy().open(), () => {}), user))?.length;
}

function alarms(person: Person): string[] {
  return person.eventsOf('group-alarm').map(({ code }) => code);
}

/** Messages between two people that somebody has sent, hand-outs and requests among them. */
function saidBy({ world }: GroupWorld, person: Person): number {
  return world.server.log.filter(({ user, message }) => user === person.user && message.kind === 'message').length;
}

t.test('correspondents of an unlinked device ask for the list, which then names it no longer', async (t) => {
  const scene = await withLaptop();
  const { alice, bob } = scene;
  t.equal(await listedCount(bob, alice.user), 2);
  await unlink(scene, [bob]);
  t.equal(await listedCount(bob, alice.user), 1);
});

t.test('the key of an unlinked device changes no group, though it was an admin’s', async (t) => {
  const scene = await withLaptop();
  const { world, alice, bob, carol, name, group, laptop } = scene;
  const dave = await world.person(DAVE).join();
  const add: GroupAction[] = [{ kind: 'add', user: dave.user, role: 'member' }];
  await unlink(scene, [bob, carol]);
  const { bytes, state } = await signedBy(scene, laptop, add);
  world.server.groups.slip(group, bytes, state);
  await world.pass(60_000);
  for (const person of [alice, bob, carol]) {
    t.same(alarms(person), ['CLI_GROUP_DEVICE_GONE'], 'told once');
    t.equal(await roster(person, name, [alice, bob, carol, dave]), 'alice* bob carol');
  }
  const message = await bob.client.enqueue(name, 'for members only');
  await world.pass(600_000);
  t.equal(message.state, 'queued');
  t.equal(world.server.groups.messages.length, 0);
});

t.test('the same change by a device that is linked holds: the test above can tell', async (t) => {
  const scene = await withLaptop();
  const { world, alice, bob, carol, name, group, laptop } = scene;
  const dave = await world.person(DAVE).join();
  const { bytes, state } = await signedBy(scene, laptop, [{ kind: 'add', user: dave.user, role: 'member' }]);
  world.server.groups.slip(group, bytes, state);
  await world.quiet();
  for (const person of [alice, bob, carol]) {
    t.same(alarms(person), []);
    t.equal(await roster(person, name, [alice, bob, carol, dave]), 'alice* bob carol dave');
  }
});

t.test('what a device did before it was unlinked is taken from whoever stands behind it', async (t) => {
  const scene = await withLaptop();
  const { world, alice, bob, carol, name, laptop } = scene;
  world.server.groups.withholdFrom.add(carol.user);
  await laptop.client.groups.setTitle(name, 'Rowing');
  await unlink(scene, [bob, carol]);
  t.equal((await bob.client.groups.get(name)).title, 'Rowing');
  t.equal((await carol.client.groups.get(name)).title, 'Sailing');
  world.server.groups.withholdFrom.clear();
  const message = await carol.client.enqueue(name, 'what did I miss?');
  await world.pass(60_000);
  t.match(message.state, /sent|delivered/);
  t.equal((await carol.client.groups.get(name)).title, 'Rowing', 'Alice has said that the group is there');
  t.same(alarms(carol), ['CLI_GROUP_DEVICE_GONE']);
  t.same(await texts(bob, name), ['what did I miss?']);
  t.same(alarms(alice), []);
});

t.test('a later change by a listed device says as much, and nobody is asked', async (t) => {
  const scene = await withLaptop();
  const { world, alice, bob, carol, name, laptop } = scene;
  world.server.groups.withholdFrom.add(carol.user);
  await laptop.client.groups.setTitle(name, 'Rowing');
  await unlink(scene, [bob, carol]);
  await alice.client.groups.setTitle(name, 'Rowing 2');
  await world.quiet();
  world.server.groups.withholdFrom.clear();
  const before = saidBy(scene, carol);
  const message = await carol.client.enqueue(name, 'what did I miss?');
  await world.pass(60_000);
  t.match(message.state, /sent|delivered/);
  t.equal((await carol.client.groups.get(name)).title, 'Rowing 2');
  t.same(alarms(carol), []);
  t.equal(saidBy(scene, carol) - before, 2, 'two hand-outs of the chain and nothing else');
});

t.test('a removal that is withheld from a member is missed by what the others say, and nothing goes out', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name, group } = scene;
  await bob.client.send(name, 'all of us');
  await world.quiet();
  const server = world.server.groups.get(group);
  const former = server.state;
  world.server.groups.withholdFrom.add(bob.user);
  await alice.client.groups.remove(name, [carol.phone]);
  await alice.client.send(name, 'just us');
  await world.quiet();
  t.equal(await roster(bob, name, [alice, bob, carol]), 'alice* bob carol');
  const present = server.state;
  server.state = former; // the server takes Bob's message for the former members
  const message = await bob.client.enqueue(name, 'not for Carol');
  await world.pass(120_000);
  t.equal(message.state, 'queued');
  t.equal(world.server.groups.messages.length, 2);
  t.same(alarms(bob), ['CLI_GROUP_GAP']);
  server.state = present;
  world.server.groups.withholdFrom.clear();
  await world.pass(120_000);
  t.match(message.state, /sent|delivered/);
  t.equal(await roster(bob, name, [alice, bob, carol]), 'alice* bob');
  t.notOk(await canRead(carol, world.server.groups.messages.at(-1)!.ciphertext));
});

t.test('a member who makes an epoch up stops the others only until an admin puts him out', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name, group } = scene;
  await alice.client.send(name, 'welcome');
  await carol.client.send(bob.phone, 'hello');
  await world.quiet();
  const view = { epoch: 5, head: new Uint8Array(32).fill(9) };
  const nothing = new Uint8Array(0);
  await sayAs(world, carol, bob, { kind: 'group-invite', group, ...view, key: new Uint8Array(32), roster: nothing });
  await world.pass(60_000);
  t.same(alarms(bob), ['CLI_GROUP_GAP']);
  const message = await bob.client.enqueue(name, 'hello?');
  await world.pass(60_000);
  t.equal(message.state, 'queued');
  await alice.client.groups.remove(name, [carol.phone]);
  await world.pass(120_000);
  t.match(message.state, /sent|delivered/);
  t.notOk(await canRead(carol, world.server.groups.messages.at(-1)!.ciphertext));
});

t.test('the answer to an unlinking is lost: the chain that the device had is replaced all the same', async (t) => {
  const scene = await withLaptop();
  const { world, alice, name, laptop } = scene;
  await alice.client.send(name, 'both of mine can read this');
  await world.quiet();
  const ciphertextOf = (): Uint8Array => world.server.groups.messages.at(-1)!.ciphertext;
  t.match(await laptop.client.history(name), [{ text: 'both of mine can read this', direction: 'out' }]);
  const chainOf = (): unknown => (readGroupHeader(ciphertextOf()) as GroupHeader).chainId;
  const former = chainOf();
  world.server.onReceive = (message: ClientMessage): Fate => {
    const isUnlink = message.kind === 'iq-set' && message.request.kind === 'unlink';
    if (isUnlink) world.server.onReceive = () => 'ok';
    return isUnlink ? 'drop-after' : 'ok';
  };
  const device = laptop.client.account!.device;
  const unlinking = alice.client.unlinkDevice(device).catch(({ code }: { code: string }) => code);
  // Written while the connection is away: it must not be the first thing that leaves.
  await world.settle();
  const waiting = await alice.client.enqueue(name, 'not for the laptop');
  await world.pass(60_000);
  t.equal(await unlinking, 'CLI_DISCONNECTED');
  t.match(waiting.state, /sent|delivered/);
  t.not(chainOf(), former);
  t.notOk(await canRead(laptop, ciphertextOf()));
  t.equal((await alice.client.devices()).length, 1);
});
