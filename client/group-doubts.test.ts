/**
 * Whose word about a group counts, and who learns what: devices in our own name, messages before their invitation, strangers' groups.
 */

import t from 'tap';
import { createSenderKey, distributionMessage, encryptForGroup, isSignalError } from '../protocol/signal/index.ts';
import { encodeContent, encodeOutgoing } from './content.ts';
import type { ContentBody } from './content-body.ts';
import { GROUP, GROUP_KEYS, groupOfName } from './group-layout.ts';
import type { GroupInfo } from './groups.ts';
import { plainContent } from './record-codec.ts';
import { LIMITS } from './limits.ts';
import { sayAs, speakAs } from './testing/bent-client.ts';
import { CAROL, groupWorld, texts } from './testing/group-world.ts';
import type { GroupWorld } from './testing/group-world.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

const text = (words: string): { readonly kind: 'text'; readonly text: string } => ({ kind: 'text', text: words });

function inGroup(group: string, words: string, number: number, sentAt: number): ContentBody {
  return { kind: 'in-group', group, number, content: encodeOutgoing(plainContent(text(words))), sentAt };
}

async function told(person: Person): Promise<number> {
  const store = await person.disk.copy().open();
  return (await store.list({ prefix: GROUP_KEYS.tolds, limit: 256 })).length;
}

/** Carol's group with Bob, who has accepted nobody yet, and Alice. */
async function strangersGroup(): Promise<
  Pick<GroupWorld, 'world' | 'alice' | 'bob' | 'carol'> & { readonly group: GroupInfo }
> {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
  const group = await carol.client.groups.create('Winners', [BOB, ALICE]);
  await world.quiet();
  return { world, alice, bob, carol, group };
}

function saidTo(world: World, from: Person, to: Person): number {
  return world.server.log.filter(
    ({ user, message }) => user === from.user && message.kind === 'message' && message.to === to.user,
  ).length;
}

t.test('a device that the server adds writes nothing into a group in our own name', async (t) => {
  const { world, alice, carol: mallory, name, group } = await groupWorld();
  const spy = world.server.addSilently(alice.user, world.server.keysOf(mallory.user, mallory.client.account!.device));
  const as = { user: alice.user, device: spy };
  const random = (length: number): Uint8Array => world.random.bytes(length);
  const key = createSenderKey(random(16), random);
  const distribution = distributionMessage(key);
  const number = LIMITS.pairwiseNumberBase + 1;
  await speakAs(world, mallory, as, alice, inGroup(group, 'I never wrote this', number, 5), 1);
  await speakAs(world, mallory, as, alice, { kind: 'sender-key', group, distribution }, 2);
  const content = { id: 1, phone: '', sentAt: 5, timerSeconds: 0, isViewOnce: false, body: text('nor this') };
  const sealed = encryptForGroup(key, encodeContent(content)!);
  if (isSignalError(sealed)) throw new Error(sealed.code);
  const entry = { group, from: alice.user, device: spy, id: 1, order: 50, ts: 1, ciphertext: sealed.ciphertext };
  world.server.groups.put([alice.user], { kind: 'group-message', ...entry });
  await world.pass(100_000);
  t.same(await alice.client.history(name), []);
  t.same(alice.eventsOf('transcript'), []);
  t.equal(await told(alice), 0, 'and what it said is not kept either');
});

t.test('what a new device of one’s own writes to a group waits until a list names it', async (t) => {
  const { world, alice, name } = await groupWorld();
  await alice.client.groups.setMode(name, 'pairwise');
  const laptop = await world.link(alice);
  world.server.silentOn.add('devices').add('bundle');
  const tablet = world.person(ALICE);
  const client = await tablet.start();
  const { code, linked } = await client.beginLinking('tablet');
  await alice.client.approveLink(code);
  await linked;
  world.server.silentOn.delete('bundle');
  await client.connect();
  await world.pass(1_000);
  await client.send(name, 'from the tablet');
  await world.pass(5_000);
  t.same(await laptop.client.history(name), []);
  t.ok((await told(laptop)) > 0, 'kept');
  world.server.silentOn.clear();
  await laptop.start();
  await laptop.client.connect();
  await world.pass(5_000);
  t.match(await laptop.client.history(name), [{ text: 'from the tablet', direction: 'out' }]);
  t.equal(await told(laptop), 0);
});

t.test('a message to each member that overtakes the invitation is shown once that is there', async (t) => {
  const { world, alice, bob } = await groupWorld();
  await alice.client.send(BOB, 'hello');
  await world.quiet();
  world.server.groups.withholdFrom.add(bob.user);
  const { name } = await alice.client.groups.create('Rowing', [BOB]);
  await world.quiet();
  const number = LIMITS.pairwiseNumberBase + 1;
  await sayAs(world, alice, bob, inGroup(name.slice(1), 'early', number, 5));
  await world.quiet();
  t.same(await texts(bob, name), []);
  t.equal(await told(bob), 1);
  world.server.groups.withholdFrom.clear();
  await bob.start();
  await bob.client.connect();
  await world.pass(20_000);
  t.same(await texts(bob, name), ['early']);
  t.equal(await told(bob), 0);
});

t.test('a stranger whose message cannot be read is asked for it when accepted, and not before', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
  await alice.client.send(CAROL, 'hello');
  await carol.client.send(ALICE, 'hello yourself');
  await alice.client.send(CAROL, 'in a session that Bob has not');
  await world.quiet();
  const sent = world.server.log.flatMap(({ message }) => (message.kind === 'message' ? message.envelopes : []));
  const { ciphertext } = sent.filter(({ type }) => type === 'ratchet').at(-1)!;
  const { device } = alice.client.account!;
  world.server.inject(bob.user, alice.user, { id: 1, type: 'ratchet', ciphertext, device });
  await world.pass(2 * LIMITS.retryPauseMs);
  t.match(await bob.client.history(alice.user), [{ kind: 'undecryptable', code: 'SIG_NO_SESSION' }]);
  t.equal(saidTo(world, bob, alice), 0);
  await bob.client.protection.accept(alice.user);
  await world.pass(5_000);
  t.equal(saidTo(world, bob, alice), 1);
});

t.test('to view and to read in a stranger’s group accepts nobody and tells nobody', async (t) => {
  const { world, alice, bob, carol, group } = await strangersGroup();
  await carol.client.send(group.name, { kind: 'text', text: 'once', viewOnce: true });
  await world.pass(20_000);
  const [item] = await bob.client.history(group.name);
  t.match(await bob.client.view(group.name, item!.id), { text: 'once' });
  await bob.client.markRead(group.name);
  await world.pass(5_000);
  t.equal(await bob.client.protection.standing(carol.user), 'request');
  t.equal(saidTo(world, bob, carol) + saidTo(world, bob, alice), 0);
  const said = world.server.log.filter(({ user }) => user === bob.user).map(({ message }) => message.kind);
  t.notOk(said.includes('group-read'));
  t.notOk(said.includes('group-message'));
});

t.test('to block who brought one into a group accepts nobody who speaks there', async (t) => {
  const { world, alice, bob, carol, group } = await strangersGroup();
  await bob.client.protection.block(carol.user);
  await alice.client.send(group.name, 'you have won');
  await world.pass(20_000);
  t.same(await texts(bob, group.name), ['you have won'], 'it has come');
  t.equal(await bob.client.protection.standing(alice.user), 'request');
});

t.test('a device that takes its own account for the inviter learns better with the next device', async (t) => {
  const { world, alice, bob, carol, group } = await strangersGroup();
  const laptop = await world.link(bob);
  await world.pass(20_000);
  // As an earlier release noted it, which was not told.
  await laptop.client.close();
  const store = await laptop.disk.open();
  const key = GROUP_KEYS.group(groupOfName(group.name)!);
  const record = GROUP.decode((await store.get(key))!);
  await store.write([{ type: 'put', key, value: GROUP.encode({ ...record, inviter: bob.user }) }], 'flushed');
  await store.close();
  await laptop.start();
  await laptop.client.connect();
  await world.quiet();
  t.equal((await laptop.client.groups.get(group.name)).inviter, bob.user);
  await world.link(bob);
  await world.pass(20_000);
  t.equal((await laptop.client.groups.get(group.name)).inviter, carol.user);
  await alice.client.send(group.name, 'you have won');
  await world.pass(20_000);
  t.equal(await laptop.client.protection.standing(alice.user), 'request');
});

t.test('a device that is linked later hears who brought the account into a group', async (t) => {
  const { world, alice, bob, carol, group } = await strangersGroup();
  const laptop = await world.link(bob);
  await world.pass(20_000);
  t.equal((await laptop.client.groups.get(group.name)).inviter, carol.user);
  await alice.client.send(group.name, 'you have won');
  await world.pass(20_000);
  t.equal(await laptop.client.protection.standing(alice.user), 'request');
});

t.test('in a stranger’s group that encrypts for each device, who answers accepts those who spoke', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
  const group = await carol.client.groups.create('Class of 1999', [BOB, ALICE]);
  await carol.client.groups.setMode(group.name, 'pairwise');
  await world.quiet();
  await alice.client.send(group.name, 'remember me?');
  await world.pass(20_000);
  t.same(await texts(bob, group.name), ['remember me?']);
  await bob.client.markRead(group.name);
  await world.pass(1_000);
  t.equal(saidTo(world, bob, alice), 0, 'not told that it was read');
  t.equal(await bob.client.protection.standing(alice.user), 'request');
  await bob.client.send(group.name, 'of course');
  await world.quiet();
  for (const person of [alice, carol]) t.equal(await bob.client.protection.standing(person.user), 'accepted');
});

t.test('messages of two own devices under one number have states of their own', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.groups.setMode(name, 'pairwise');
  const laptop = await world.link(alice);
  await world.pass(20_000);
  await alice.client.send(name, 'from the phone');
  await world.pass(5_000);
  for (const person of [bob, carol]) await person.client.markRead(name);
  await world.pass(5_000);
  await laptop.client.send(name, 'from the laptop');
  await world.pass(5_000);
  const [phone, other] = await alice.client.history(name);
  t.equal(phone!.number, other!.number, 'each counts for itself');
  t.match([phone!.state, other!.state], ['read', 'sent']);
});
