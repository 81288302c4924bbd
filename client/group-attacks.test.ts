/**
 * A server that lies about groups: each lie is told to the application with a code, and nothing is encrypted for whom it would bring.
 */

import t from 'tap';
import { generateIdentityKeyPair, xeddsaSign } from '../protocol/signal/index.ts';
import {
  decodeGroupChange,
  draftGroupChange,
  encodeGroupChange,
  encodeRoster,
  groupChangeStatement,
  hashOfChange,
} from '../protocol/wire/index.ts';
import type { GroupAction, GroupChange, GroupState, SignedGroupChange } from '../protocol/wire/index.ts';
import type { ClientEvent } from './events.ts';
import { GROUP_KEYS, INVITED } from './group-layout.ts';
import { sha512 } from './group-verifier.ts';
import type { StoreChange } from './store.ts';
import { sayAs } from './testing/bent-client.ts';
import { CAROL, DAVE, groupWorld, roster, texts } from './testing/group-world.ts';
import type { GroupWorld } from './testing/group-world.ts';
import { ALICE, BOB } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** What the server can do: it knows every roster and no identity key. */
function forge(
  { world, group }: GroupWorld,
  author: string,
  device: number,
  actions: readonly GroupAction[],
  from: GroupState = world.server.groups.get(group).state,
): { readonly bytes: Uint8Array; readonly state: GroupState } {
  const draft = draftGroupChange(from, { group, author, device, time: 1, actions }, sha512) as GroupChange;
  const statement = groupChangeStatement(draft);
  const random = (length: number): Uint8Array => world.random.bytes(length);
  const { privateKey } = generateIdentityKeyPair(random);
  const bytes = encodeGroupChange(statement, xeddsaSign(privateKey, statement, random));
  return { bytes, state: stateAfter(from, actions, bytes) };
}

/** The roster that the server pretends to have now. */
function stateAfter({ roster }: GroupState, actions: readonly GroupAction[], bytes: Uint8Array): GroupState {
  const members = new Map(roster.members);
  for (const action of actions) {
    if (action.kind === 'add') members.set(action.user, action.role);
    if (action.kind === 'remove') members.delete(action.user);
  }
  const change = decodeGroupChange(bytes) as SignedGroupChange;
  return { roster: { ...roster, members, epoch: roster.epoch + 1 }, head: hashOfChange(change, sha512) };
}

function alarms(person: Person): string[] {
  return person.eventsOf('group-alarm').map(({ code }: ClientEvent & { readonly type: 'group-alarm' }) => code);
}

async function intruder({ world }: GroupWorld): Promise<Person> {
  return world.person(DAVE).join();
}

/** Sends, lets time pass, and wants the message not to have left in any form that the intruder could get. */
async function keepsSilent(t: Tap, scene: GroupWorld, dave: Person): Promise<void> {
  const { world, alice, name } = scene;
  const before = world.server.log.length;
  const message = await alice.client.enqueue(name, 'for members only');
  await world.pass(600_000);
  const said = world.server.log.slice(before).map(({ message: each }) => each);
  const toDave = said.filter((each) => each.kind === 'message' && each.to === dave.user);
  t.equal(toDave.length, 0, 'no key for the intruder');
  t.equal(world.server.groups.messages.length, 0, 'no message under the intruder’s roster');
  t.ok(message.state === 'refused' || message.state === 'queued', message.state);
  t.same(await texts(dave, name).catch(() => []), []);
}

type Tap = Pick<typeof t, 'equal' | 'ok' | 'same' | 'match'>;

t.test('the server adds a member: no signature, no key', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name, group } = scene;
  const dave = await intruder(scene);
  const device = alice.client.account!.device;
  const { bytes, state } = forge(scene, alice.user, device, [{ kind: 'add', user: dave.user, role: 'member' }]);
  world.server.groups.slip(group, bytes, state);
  await world.settle();
  for (const person of [alice, bob, carol]) {
    t.same(alarms(person), ['CLI_GROUP_FORGED']);
    t.equal(await roster(person, name, [alice, bob, carol, dave]), 'alice* bob carol');
  }
  t.same(await dave.client.groups.list(), [], 'nobody has invited him');
  await keepsSilent(t, scene, dave);
});

t.test('the server has a mere member add somebody, or lets a stranger do it', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, name, group } = scene;
  const dave = await intruder(scene);
  const { head, roster: present } = world.server.groups.get(group).state;
  // Draft it as if Bob were an admin: the rules would not let it be made otherwise.
  const members = new Map(present.members).set(bob.user, 'admin');
  const pretended = { head, roster: { ...present, members } };
  const actions: GroupAction[] = [{ kind: 'add', user: dave.user, role: 'member' }];
  const { bytes, state } = forge(scene, bob.user, bob.client.account!.device, actions, pretended);
  world.server.groups.slip(group, bytes, state);
  await world.settle();
  t.same(alarms(alice), ['CLI_GROUP_UNLAWFUL']);
  t.equal(await roster(alice, name, [alice, bob, dave]), '? alice* bob');
  await keepsSilent(t, scene, dave);
});

t.test('a genuine change with another action in it', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, group } = scene;
  const dave = await intruder(scene);
  world.server.groups.withhold = true;
  await alice.client.groups.add(scene.name, ['+4915100000005']).catch(() => undefined);
  await alice.client.groups.setTitle(scene.name, 'Rowing');
  world.server.groups.withhold = false;
  const genuine = world.server.groups.get(group).changes.at(-1)!.bytes;
  const swapped = genuine.with(genuine.length - 70, genuine[genuine.length - 70]! ^ 1);
  world.server.groups.get(group).changes.pop();
  world.server.groups.slip(group, swapped, { ...world.server.groups.get(group).state });
  await world.settle();
  t.same(new Set(alarms(bob)), new Set(['CLI_GROUP_ROSTER']));
  t.ok(dave);
});

t.test('the server drops a change: whoever lacks it does not go on, and does once it is there', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name } = scene;
  await bob.client.send(name, 'first');
  await alice.client.groups.setRole(name, BOB, 'admin');
  await world.settle();
  world.server.groups.withhold = true;
  await alice.client.groups.remove(name, [CAROL]);
  world.server.groups.withhold = false;
  const kept = world.server.groups.get(scene.group).changes.splice(-1);
  await alice.client.groups.setTitle(name, 'Without Carol');
  await world.pass(10_000);
  t.equal(
    await roster(bob, name, [alice, bob, carol]),
    'alice* bob* carol',
    'the later change waits for the one before',
  );
  const waiting = await bob.client.enqueue(name, 'who is there?');
  await world.pass(600_000);
  t.equal(waiting.state, 'queued');
  t.equal(world.server.groups.messages.length, 1);
  t.match(bob.eventsOf('group-alarm'), [{ code: 'CLI_GROUP_GAP' }], 'told once');
  world.server.groups.get(scene.group).changes.splice(-1, 0, ...kept);
  await world.pass(600_000);
  t.match(waiting.state, /sent|delivered/);
  t.equal(await roster(bob, name, [alice, bob, carol]), 'alice* bob*');
  const late = await bob.client.send(name, 'just us');
  t.equal(late.members.length, 1);
});

t.test('the server shows two histories: members who write to each other find out', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, carol, name, group } = scene;
  await alice.client.groups.setRole(name, BOB, 'admin');
  await world.settle();
  const server = world.server.groups.get(group);
  const [state, order] = [server.state, server.order];
  // Alice's change goes to nobody but her; then the group is set back, and Bob makes another one of the same epoch.
  world.server.groups.withhold = true;
  await alice.client.groups.setTitle(name, 'Alice’s');
  const hers = server.changes.splice(-1);
  t.equal(hers.length, 1);
  server.state = state;
  await bob.client.groups.setTitle(name, 'Bob’s');
  world.server.groups.withhold = false;
  t.equal((await alice.client.groups.get(name)).epoch, (await bob.client.groups.get(name)).epoch);
  await bob.client.send(name, 'hello');
  await world.settle();
  t.same(
    alice.eventsOf('group-alarm').map(({ code, user }) => [code, user]),
    [['CLI_GROUP_FORKED', bob.user]],
  );
  t.ok(order < server.order && carol);
});

t.test('another roster for who is invited into a group that fits no invitation: it is not believed', async (t) => {
  const { world, alice } = await groupWorld();
  const dave = await world.person(DAVE).join();
  const many = Array.from({ length: 480 }, (_, index) => String(200_000_000_000_000 + index));
  const { name } = await alice.client.groups.create('Large', many);
  const { roster: present } = world.server.groups.get(name.slice(1)).state;
  const members = new Map([...present.members, [dave.user, 'member'], ['999999999999999', 'admin']] as const);
  world.server.groups.rosterLie = encodeRoster({ ...present, epoch: 2, members });
  await alice.client.groups.add(name, [DAVE]);
  await world.pass(20_000);
  t.same(new Set(alarms(dave)), new Set(['CLI_GROUP_ROSTER']));
  t.same(await dave.client.groups.list(), []);
  world.server.groups.rosterLie = undefined;
  await dave.client.close();
  await dave.start();
  await dave.client.connect();
  await world.pass(20_000);
  const group = await dave.client.groups.get(name);
  t.equal(group.members.length, 482, 'and once the server tells the truth, it is');
});

t.test('a change of somebody else’s group, old ones again, garbage', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, name, group } = scene;
  const { state, changes } = world.server.groups.get(group);
  const [first] = changes;
  const other = await alice.client.groups.create('Other', [BOB]);
  await world.settle();
  const foreign = world.server.groups.get(other.name.slice(1)).changes[0]!.bytes;
  for (const bytes of [first!.bytes, foreign, Uint8Array.of(1, 2, 3)]) world.server.groups.slip(group, bytes, state);
  await world.settle();
  t.same(alarms(bob), ['CLI_GROUP_UNREADABLE', 'CLI_GROUP_UNREADABLE'], 'the old one says nothing new');
  t.equal((await bob.client.groups.get(name)).epoch, 1);
});

t.test('a message put into a group by somebody who is not in it', async (t) => {
  const scene = await groupWorld();
  const { world, alice, bob, name, group } = scene;
  const dave = await intruder(scene);
  await alice.client.send(name, 'genuine');
  await world.settle();
  const [genuine] = world.server.groups.messages;
  const from = { kind: 'group-message', group, from: dave.user, device: dave.client.account!.device, id: 1 } as const;
  const entry = { ...from, order: 50, ts: 1, ciphertext: genuine!.ciphertext };
  world.server.groups.put([bob.user], entry);
  const asAlice = { ...entry, from: alice.user, device: alice.client.account!.device, id: 2 };
  world.server.groups.put([bob.user], asAlice);
  await world.pass(60_000);
  t.same(await texts(bob, name), ['genuine'], 'neither by a stranger nor twice');
});

/** Carol, who has written with Bob, tells him things about groups that she can make up. */
async function invite(
  { world, bob, carol }: GroupWorld,
  { group, epoch = 3 }: { readonly group: string; readonly epoch?: number },
): Promise<void> {
  await carol.client.send(BOB, 'hello');
  await world.quiet();
  const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(3);
  const body = { kind: 'group-invite', group, epoch, head: bytes(32), key: bytes(32), roster: bytes(8) } as const;
  await sayAs(world, carol, bob, body);
  await world.pass(5_000);
}

async function invitations(person: Person): Promise<string[]> {
  const store = await person.disk.copy().open();
  return (await store.list({ prefix: GROUP_KEYS.invitedAll, limit: 256 })).map(({ key }) => key);
}

for (const odd of [
  { group: 'not a group' },
  { group: 'a/b' },
  { group: 'y'.repeat(4_000) },
  { group: '314159265358979', epoch: 0 },
]) {
  t.test(`an invitation into “${odd.group.slice(0, 15)}”, epoch ${odd.epoch ?? 3}, is none`, async (t) => {
    const scene = await groupWorld();
    const { world, bob } = scene;
    await invite(scene, odd);
    t.same(await invitations(bob), []);
    await bob.start();
    await bob.client.connect();
    await world.quiet();
    t.equal(bob.client.state, 'live');
    await bob.client.send(ALICE, 'still here');
    t.same(bob.eventsOf('trouble'), []);
  });
}

t.test('what an earlier release has kept of groups that cannot be goes at the next login', async (t) => {
  const { world, bob } = await groupWorld();
  await bob.client.close();
  const store = await bob.disk.open();
  const record = { inviter: ALICE, origin: '', head: new Uint8Array(32), key: new Uint8Array(32) };
  const put = (group: string, epoch: number): StoreChange => {
    const value = INVITED.encode({ ...record, epoch, roster: new Uint8Array(8) });
    return { type: 'put', key: GROUP_KEYS.invited(group), value };
  };
  await store.write([put('not a group', 3), put('a/b', 3), put('314159265358979', 0)], 'flushed');
  await store.close();
  await bob.start();
  await bob.client.connect();
  await world.quiet();
  t.same(await invitations(bob), []);
  t.equal(bob.client.state, 'live');
  t.same(bob.eventsOf('trouble'), []);
});

for (const epoch of [1, 3, 2 ** 53 - 1]) {
  t.test(`an invitation into a group that there is not is forgotten, epoch ${epoch}`, async (t) => {
    const scene = await groupWorld();
    await invite(scene, { group: '314159265358979', epoch });
    t.same(await invitations(scene.bob), []);
    t.same(scene.bob.eventsOf('trouble'), []);
  });
}
