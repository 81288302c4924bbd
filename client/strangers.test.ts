/** Message requests: what strangers see, who is none, and how people decide. */

import t from 'tap';
import { CODE } from './testing/fake-server.ts';
import { CAROL, texts } from './testing/group-world.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** Somebody who registers and wants to be asked. */
async function joinAsking(world: World, phone: string): Promise<Person> {
  const person = world.person(phone);
  await person.start(undefined, 'ask');
  await person.client.requestCode(phone);
  await person.client.confirmCode(phone, CODE);
  await person.client.connect();
  await world.quiet();
  return person;
}

async function standings(person: Person): Promise<object> {
  const list = await person.client.conversations();
  return Object.fromEntries(list.map(({ last, standing }) => [last.text, standing]));
}

t.test('a stranger’s message is a request, and tells its author nothing before it is accepted', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await joinAsking(world, BOB);
  const first = await alice.client.send(BOB, 'buy this');
  await alice.client.send(BOB, 'buy this too');
  await world.quiet();
  t.match(await bob.take(1), [{ text: 'buy this', isRequest: true }]);
  t.match(bob.eventsOf('message-request'), [{ user: alice.user }], 'told once');
  t.same(await standings(bob), { 'buy this too': 'request' });
  await bob.client.markRead(ALICE);
  await world.quiet();
  t.equal(first.state, 'sent', 'neither delivered nor read');
  await bob.client.protection.accept(ALICE);
  t.equal(await bob.client.protection.standing(ALICE), 'accepted');
  const third = await alice.client.send(BOB, 'hello');
  await world.quiet();
  t.equal(third.state, 'delivered');
  await bob.client.markRead(ALICE);
  await third.read;
  t.match((await bob.take(2)).at(-1), { text: 'hello', isRequest: false });
});

t.test('answering accepts, also without a connection: the server hears it at the next login', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await joinAsking(world, BOB);
  await alice.client.send(BOB, 'it is Alice');
  await world.quiet();
  world.server.isDown = true;
  world.server.dropAll();
  await bob.client.enqueue(ALICE, 'hello Alice');
  t.equal(await bob.client.protection.standing(ALICE), 'accepted');
  await bob.start();
  t.equal(await bob.client.protection.standing(ALICE), 'accepted', 'kept');
  t.ok(world.server.protection.isStranger(bob.user, alice.user));
  world.server.isDown = false;
  await bob.client.connect();
  await world.pass(60_000);
  t.notOk(world.server.protection.isStranger(bob.user, alice.user));
});

/** Bob, who is asked, with messages of these people; and the server takes a while for each decision. */
async function askedBySeveral(world: World): Promise<{ bob: Person; alice: Person; carol: Person }> {
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await joinAsking(world, BOB);
  for (const person of [alice, carol]) await person.client.send(BOB, 'hello');
  await world.quiet();
  world.server.answersAfterMs.set('relation', 30);
  return { bob, alice, carol };
}

t.test('an acceptance that was owed does not undo a block that came after it', async (t) => {
  const world = new World();
  const { bob, alice, carol } = await askedBySeveral(world);
  world.server.isDown = true;
  world.server.dropAll();
  const [first, second] = [alice, carol].sort((a, b) => (a.user < b.user ? -1 : 1)) as [Person, Person];
  for (const person of [first, second]) await bob.client.enqueue(person.phone, 'hello');
  await bob.start();
  world.server.isDown = false;
  await bob.client.connect();
  // While the server is asked about the first one; its answer about the second comes after that.
  await world.pass(20);
  const blocked = bob.client.protection.block(second.user);
  await world.pass(1_000);
  await blocked;
  t.notOk(world.server.protection.isStranger(bob.user, first.user));
  t.ok(world.server.protection.isBlocked(bob.user, second.user));
  await bob.start();
  await bob.client.connect();
  await world.pass(1_000);
  t.equal(await bob.client.protection.standing(second.user), 'blocked');
});

t.test('whoever is written to while the server is told of another is told as well', async (t) => {
  const world = new World();
  const { bob, alice, carol } = await askedBySeveral(world);
  await bob.client.enqueue(ALICE, 'hello');
  await world.pass(10);
  await bob.client.enqueue(CAROL, 'hello');
  await world.pass(1_000);
  for (const person of [alice, carol]) t.notOk(world.server.protection.isStranger(bob.user, person.user));
});

t.test('strangers have to ask only when the server knows who is none, whoever began telling it', async (t) => {
  const world = new World();
  const [, bob] = await world.pair();
  await world.person(CAROL).join();
  for (const phone of [ALICE, CAROL]) await bob.client.send(phone, 'hello');
  world.server.answersAfterMs.set('relation', 30);
  world.server.log.length = 0;
  const both = [bob.client.protection.setStrangers('ask'), bob.client.protection.setStrangers('ask')];
  await world.pass(1_000);
  await Promise.all(both);
  const asked = world.server.log.flatMap(({ message }) => (message.kind === 'iq-set' ? [message.request.kind] : []));
  t.same(asked, ['relation', 'relation', 'strangers-change', 'strangers-change']);
});

t.test('a list from before a decision does not take it back', async (t) => {
  const world = new World();
  const { bob, alice, carol } = await askedBySeveral(world);
  world.server.answersAfterMs.clear();
  await bob.client.protection.accept(ALICE);
  world.server.answersAfterMs.set('relations', 30);
  await bob.start();
  await bob.client.connect();
  await world.pass(10);
  await bob.client.protection.block(carol.user);
  await world.pass(1_000);
  t.equal(await bob.client.protection.standing(carol.user), 'blocked');
  t.equal(await bob.client.protection.standing(alice.user), 'accepted');
});

t.test('a reaction accepts; viewing once what a stranger sent does not, and tells nothing', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await joinAsking(world, BOB);
  await alice.client.send(BOB, { kind: 'text', text: 'once', viewOnce: true });
  await world.quiet();
  const [item] = await bob.client.history(ALICE);
  t.match(await bob.client.view(ALICE, item!.id), { text: 'once' });
  await world.quiet();
  t.match((await alice.client.history(BOB))[0], { viewedAt: undefined, state: 'sent' });
  t.equal(await bob.client.protection.standing(ALICE), 'request');
  await bob.client.react(ALICE, item!.id, '👍');
  t.equal(await bob.client.protection.standing(ALICE), 'accepted');
});

t.test('whom one has written to is no stranger when one begins to be asked, and everybody else is', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const carol = await world.person(CAROL).join();
  await bob.client.send(ALICE, 'from Bob');
  await carol.client.send(BOB, 'from Carol');
  await world.quiet();
  await bob.client.protection.setStrangers('ask');
  t.equal(await bob.client.protection.standing(ALICE), 'accepted');
  t.equal(await bob.client.protection.standing(carol.user), 'request');
  await alice.client.send(BOB, 'from Alice');
  await world.quiet();
  t.same(bob.eventsOf('message-request'), []);
  await bob.client.protection.setStrangers('open');
  t.equal(await bob.client.protection.standing(carol.user), 'open');
});

t.test('all devices of an account decide for it', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await joinAsking(world, BOB);
  const laptop = await world.link(bob);
  for (const person of [alice, carol]) await person.client.send(BOB, 'hello');
  await world.quiet();
  t.equal(laptop.eventsOf('message-request').length, 2, 'a linked device is asked as well');
  await laptop.client.send(ALICE, 'answered on the laptop');
  await bob.client.protection.block(carol.user);
  await world.pass(60_000);
  t.equal(await bob.client.protection.standing(ALICE), 'accepted');
  await laptop.start();
  t.equal(await laptop.client.protection.standing(carol.user), 'request', 'not heard of yet');
  await laptop.client.connect();
  await world.quiet();
  t.equal(await laptop.client.protection.standing(carol.user), 'blocked');
  t.match(laptop.eventsOf('standing').at(-1), { user: carol.user, standing: 'blocked' });
  await laptop.client.protection.unblock(carol.user);
  t.equal(await laptop.client.protection.standing(carol.user), 'request');
});

t.test('who writes in a group is no stranger, unless a stranger has brought one there', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await joinAsking(world, BOB);
  const spam = await carol.client.groups.create('Winners', [BOB, ALICE]);
  await world.quiet();
  await alice.client.send(spam.name, 'you have won');
  await world.pass(20_000);
  t.equal(await bob.client.protection.standing(alice.user), 'request');
  t.equal(await bob.client.protection.standing(carol.user), 'request');
  await bob.client.send(ALICE, 'hello Alice');
  const group = await alice.client.groups.create('Sailing', [BOB, CAROL]);
  await world.quiet();
  await carol.client.send(group.name, 'hello all');
  await world.pass(20_000);
  t.same(await texts(bob, group.name), ['hello all']);
  t.equal(await bob.client.protection.standing(carol.user), 'accepted');
});

t.test(
  'who answers in a group into which a stranger has brought him accepts the stranger, and who spoke there',
  async (t) => {
    const world = new World();
    const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
    const bob = await joinAsking(world, BOB);
    const group = await carol.client.groups.create('Class of 1999', [BOB, ALICE]);
    await world.quiet();
    await alice.client.send(group.name, 'remember me?');
    await world.pass(20_000);
    for (const person of [alice, carol]) t.equal(await bob.client.protection.standing(person.user), 'request');
    await bob.client.send(group.name, 'of course');
    await world.quiet();
    for (const person of [alice, carol]) t.equal(await bob.client.protection.standing(person.user), 'accepted');
    t.same(await texts(alice, group.name), ['of course']);
  },
);

t.test('a conversation is deleted here, to the last page, and what comes later is there', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const many = Array.from({ length: 300 }, (_, index) => alice.client.enqueue(BOB, `${index}`));
  await Promise.all((await Promise.all(many)).map((message) => message.sent));
  await bob.client.send(ALICE, 'mine');
  await world.quiet();
  await bob.client.forget(ALICE);
  t.same(await bob.client.history(ALICE), []);
  t.same(await bob.client.conversations(), []);
  t.match(bob.eventsOf('forgotten'), [{ user: alice.user }]);
  t.equal((await alice.client.history(BOB)).at(-1)!.text, 'mine', 'not elsewhere');
  await alice.client.send(BOB, 'later');
  await world.quiet();
  t.same(await bob.texts(ALICE), ['later']);
  await bob.start();
  await bob.client.connect();
  await alice.client.send(BOB, 'still there');
  await world.quiet();
  t.same(await bob.texts(ALICE), ['later', 'still there']);
});
