/** Message requests: what strangers see, who is none, and how people decide. */

import t from 'tap';
import { CAROL, texts } from './testing/group-world.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

async function standings(person: Person): Promise<object> {
  const list = await person.client.conversations();
  return Object.fromEntries(list.map(({ last, standing }) => [last.text, standing]));
}

t.test(
  'a stranger’s message is a request, and tells its author nothing before it is accepted, and then that it was read',
  async (t) => {
    const world = new World();
    const alice = await world.person(ALICE).join();
    const bob = await world.person(BOB).join('ask');
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
    await world.quiet();
    t.equal(first.state, 'read', 'what Bob had read before');
    const third = await alice.client.send(BOB, 'hello');
    await world.quiet();
    t.equal(third.state, 'delivered');
    await bob.client.markRead(ALICE);
    await third.read;
    t.match((await bob.take(2)).at(-1), { text: 'hello', isRequest: false });
  },
);

t.test('answering accepts, also without a connection: the server hears it at the next login', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join('ask');
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

t.test('whom one has written to is no stranger after a block; whom one has not, is', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
  for (const person of [alice, carol]) await person.client.send(BOB, 'hello');
  await world.quiet();
  await bob.client.send(ALICE, 'hello Alice');
  const standingAfterBlock = async (phone: string): Promise<string> => {
    await bob.client.protection.block(phone);
    await bob.client.protection.unblock(phone);
    return bob.client.protection.standing(phone);
  };
  t.equal(await standingAfterBlock(ALICE), 'accepted');
  t.equal(await standingAfterBlock(CAROL), 'request');
});

t.test('an answer tells what had been read before, once the server knows that its author was accepted', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join('ask');
  world.server.answersAfterMs.set('relation', 30);
  const first = await alice.client.send(BOB, 'it is Alice');
  await world.quiet();
  await bob.client.markRead(ALICE);
  await bob.client.send(ALICE, 'hello Alice');
  t.equal(first.state, 'sent');
  await world.pass(1_000);
  t.equal(first.state, 'read');
});

t.test('what a stranger was not told because its reader told nobody is never told, nor in a group', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
  const group = await alice.client.groups.create('Sailing', [BOB]);
  const kept = [await alice.client.send(BOB, 'one'), await alice.client.send(group.name, 'one, to all')];
  const chosenAway = await carol.client.send(BOB, 'one');
  await world.quiet();
  await bob.client.markRead(CAROL);
  await bob.client.setReadReceipts('nobody');
  for (const peer of [ALICE, group.name]) await bob.client.markRead(peer);
  await bob.client.setReadReceipts('everyone');
  const later = [await alice.client.send(BOB, 'two'), await alice.client.send(group.name, 'two, to all')];
  await world.quiet();
  for (const phone of [ALICE, CAROL]) await bob.client.protection.accept(phone);
  await world.quiet();
  for (const message of [...kept, chosenAway]) t.not(message.state, 'read', 'read while nobody was told');
  for (const peer of [ALICE, group.name]) await bob.client.markRead(peer);
  await world.quiet();
  for (const message of later) t.equal(message.state, 'read', 'everybody is told of the next one');
});

t.test('what a stranger was not told outlives the run; a block and its end tell nothing that was kept', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
  const withheld = await alice.client.send(BOB, 'one');
  const kept = await carol.client.send(BOB, 'one');
  await world.quiet();
  await bob.client.markRead(ALICE);
  await bob.start();
  await bob.client.connect();
  await bob.client.protection.accept(ALICE);
  await world.quiet();
  t.equal(withheld.state, 'read');
  await bob.client.setReadReceipts('nobody');
  await bob.client.send(CAROL, 'hello Carol');
  await bob.client.markRead(CAROL);
  await bob.client.setReadReceipts('everyone');
  await bob.client.protection.block(CAROL);
  await bob.client.protection.unblock(CAROL);
  await world.quiet();
  t.not(kept.state, 'read');
});

t.test('of two devices, that one tells an accepted stranger which has read, as it has chosen', async (t) => {
  for (const audience of ['everyone', 'nobody'] as const) {
    const world = new World();
    const alice = await world.person(ALICE).join();
    const bob = await world.person(BOB).join('ask');
    const laptop = await world.link(bob);
    await bob.client.setReadReceipts(audience);
    const first = await alice.client.send(BOB, 'one');
    await world.quiet();
    await bob.client.markRead(ALICE);
    await world.quiet();
    await bob.start();
    await bob.client.connect();
    await laptop.client.protection.accept(ALICE);
    await world.quiet();
    t.equal(first.state === 'read', audience === 'everyone', audience);
  }
});

/** Bob, who is asked, with messages of these people; and the server takes a while for each decision. */
async function askedBySeveral(world: World): Promise<{ bob: Person; alice: Person; carol: Person }> {
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
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
  const bob = await world.person(BOB).join('ask');
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
  const bob = await world.person(BOB).join('ask');
  const laptop = await world.link(bob);
  for (const person of [alice, carol]) await person.client.send(BOB, 'hello');
  await world.quiet();
  t.equal(laptop.eventsOf('message-request').length, 2, 'a linked device is asked as well');
  await laptop.client.send(ALICE, 'answered on the laptop');
  await bob.client.protection.block(carol.user);
  await world.pass(60_000);
  t.equal(await bob.client.protection.standing(ALICE), 'accepted');
  await laptop.start();
  t.equal(await laptop.client.protection.standing(carol.user), 'blocked', 'heard of at once, and kept');
  await laptop.client.connect();
  await world.quiet();
  t.equal(await laptop.client.protection.standing(carol.user), 'blocked');
  t.match(laptop.eventsOf('standing').at(-1), { user: carol.user, standing: 'blocked' });
  await laptop.client.protection.unblock(carol.user);
  t.equal(await laptop.client.protection.standing(carol.user), 'request');
});

t.test('what one device decides the others know at once, and of two at a time the last one', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join('ask');
  const laptop = await world.link(bob);
  await alice.client.send(BOB, 'buy this');
  await world.quiet();
  await bob.client.protection.block(alice.user);
  await world.quiet();
  t.equal(await laptop.client.protection.standing(alice.user), 'blocked', 'without a login');
  t.match(laptop.eventsOf('standing').at(-1), { user: alice.user, standing: 'blocked' });
  await laptop.client.protection.unblock(alice.user);
  await world.quiet();
  t.equal(await bob.client.protection.standing(alice.user), 'request');
  await Promise.all([bob.client.protection.accept(alice.user), laptop.client.protection.block(alice.user)]);
  await world.quiet();
  const last = world.server.protection.isBlocked(bob.user, alice.user) ? 'blocked' : 'accepted';
  t.same(
    await Promise.all([bob, laptop].map(({ client }) => client.protection.standing(alice.user))),
    [last, last],
    'each asks the server, which knows the order',
  );
  await laptop.client.protection.setStrangers('open');
  await world.quiet();
  const carol = await world.person(CAROL).join();
  await carol.client.send(BOB, 'hello');
  await world.quiet();
  t.equal(await bob.client.protection.standing(carol.user), 'open');
});

t.test('decisions reach the other devices from a slow disk as well', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
  const laptop = await world.link(bob);
  for (const person of [alice, carol]) await person.client.send(BOB, 'buy this');
  await world.quiet();
  bob.disk.flushing = () => new Promise((resolve) => void world.clock.setTimer(5, resolve));
  const standingOf = (person: Person): Promise<string> => laptop.client.protection.standing(person.user);
  const blocked = bob.client.protection.block(alice.user);
  await world.pass(1_000);
  await blocked;
  t.equal(await standingOf(alice), 'blocked');
  const answered = bob.client.enqueue(CAROL, 'yes?');
  await world.pass(1_000);
  await answered;
  t.equal(await standingOf(carol), 'accepted');
  const chosen = bob.client.protection.setStrangers('open');
  await world.pass(1_000);
  await chosen;
  t.equal(await standingOf(bob), 'open');
  const erin = await world.person('+4915100000005').join();
  t.equal(await standingOf(erin), 'open');
});

t.test(
  'a decision that a device was told of is asked for until it is known, also where nobody has to ask',
  async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    const laptop = await world.link(bob);
    let lost = 0;
    world.server.onReceive = (message) => {
      const isQuestion = message.kind === 'iq-get' && message.request.kind === 'strangers';
      if (isQuestion && (lost += 1) === 1) laptop.kill();
      return 'ok';
    };
    await bob.client.protection.block(alice.user);
    await world.quiet();
    t.equal(lost, 1, 'the laptop has asked, and is gone before it hears the answer');
    await laptop.start();
    await laptop.client.connect();
    await world.quiet();
    t.equal(await laptop.client.protection.standing(alice.user), 'blocked');
    const asked = (): number =>
      world.server.log.filter(({ message }) => message.kind === 'iq-get' && message.request.kind === 'relations')
        .length;
    const before = asked();
    await bob.client.protection.unblock(alice.user);
    await world.quiet();
    t.equal(asked() - before, 1);
    await laptop.start();
    await laptop.client.connect();
    await world.quiet();
    t.equal(asked() - before, 1, 'and with nothing decided no list is asked for any more');
  },
);

t.test('a device that is told of a decision and loses its connection asks at the next one', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  const bob = await world.person(BOB).join('ask');
  const laptop = await world.link(bob);
  await laptop.client.close();
  await bob.client.protection.block(alice.user);
  await world.quiet();
  await laptop.start();
  await laptop.client.connect();
  await world.quiet();
  t.equal(await laptop.client.protection.standing(alice.user), 'blocked');
  t.same(laptop.eventsOf('trouble'), []);
});

t.test('who writes in a group is no stranger, unless a stranger has brought one there', async (t) => {
  const world = new World();
  const [alice, carol] = [await world.person(ALICE).join(), await world.person(CAROL).join()];
  const bob = await world.person(BOB).join('ask');
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
    const bob = await world.person(BOB).join('ask');
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
