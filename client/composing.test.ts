/**
 * Messages about messages, from one client to the other: what both see, also after a restart.
 */

import t from 'tap';
import type { HistoryItem } from './messages.ts';
import { KEYS } from './layout.ts';
import { LIMITS } from './limits.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** The last message that `person` has of the conversation with `peer`. */
async function lastOf(person: Person, peer: Person): Promise<HistoryItem> {
  return (await person.client.history(peer.user)).at(-1)!;
}

async function idOfLast(person: Person, peer: Person): Promise<string> {
  return (await lastOf(person, peer)).id;
}

t.test('a reply carries the beginning of what it answers', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, `Where do we meet? ${'x'.repeat(200)}`);
  await world.settle();
  await bob.client.reply(alice.user, await idOfLast(bob, alice), 'At the harbour');
  await world.settle();
  const [item] = await alice.take(1);
  t.match(item, { kind: 'reply', text: 'At the harbour', quote: /^Where do we meet\? x+$/ });
  t.equal((item as { quote: string }).quote.length, LIMITS.quoteBytesMax);
  t.match(await lastOf(bob, alice), { kind: 'reply', text: 'At the harbour', direction: 'out' });
});

t.test('an edit shows at both ends, in place, and is told', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const sent = await alice.client.send(BOB, 'At noon');
  await world.settle();
  await alice.client.edit(BOB, sent.id, 'At one');
  await world.settle();
  for (const [person, peer] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const history = await person.client.history(peer.user);
    t.equal(history.length, 1, 'it is no message of its own');
    t.match(history[0], { kind: 'text', text: 'At one', editedAt: Number });
    t.match(person.eventsOf('changed'), [{ item: { text: 'At one' } }]);
  }
  t.match(await bob.take(1), [{ text: 'At one' }], 'the reader gets it as it is now');
});

t.test('a deletion leaves a mark at both ends and nothing on either disk', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const sent = await alice.client.send(BOB, 'not meant for you');
  await world.settle();
  await bob.client.react(alice.user, await idOfLast(bob, alice), '\u2753');
  await world.settle();
  await alice.client.deleteForEveryone(BOB, sent.id);
  await world.settle();
  for (const [person, peer] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    t.match(await person.client.history(peer.user), [{ kind: 'deleted', text: '', reactions: [] }]);
    await person.client.close();
    const store = await person.disk.open();
    const kept = await store.list({ prefix: '', limit: 1_000 });
    t.notOk(kept.some(({ value }) => new TextDecoder().decode(value).includes('not meant')));
  }
});

t.test('reactions come, change and go', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const sent = await alice.client.send(BOB, 'I found the envelope');
  await world.settle();
  const id = await idOfLast(bob, alice);
  for (const emoji of ['\u{1f44d}', '\u2764']) await bob.client.react(alice.user, id, emoji);
  await alice.client.react(BOB, sent.id, '\u{1f600}');
  await world.settle();
  const expected = [
    { author: bob.user, emoji: '\u2764' },
    { author: alice.user, emoji: '\u{1f600}' },
  ];
  const byAuthor = (item: HistoryItem): unknown =>
    [...item.reactions].sort(({ author }) => (author === bob.user ? -1 : 1));
  t.same(byAuthor(await lastOf(alice, bob)), expected);
  t.same(byAuthor(await lastOf(bob, alice)), expected);
  await bob.client.react(alice.user, id, '');
  await world.settle();
  t.same((await lastOf(alice, bob)).reactions, [expected[1]]);
});

t.test('what a recipient would ignore is refused at once, and does not leave', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const sent = await alice.client.send(BOB, 'hello');
  await world.settle();
  const received = await idOfLast(bob, alice);
  const fixed = { code: 'CLI_MESSAGE_FIXED' };
  await t.rejects(bob.client.edit(alice.user, received, 'x'), fixed, 'another’s message');
  await t.rejects(bob.client.deleteForEveryone(alice.user, received), fixed);
  await t.rejects(alice.client.react(BOB, '999999', '!'), { code: 'CLI_MESSAGE_UNKNOWN' });
  await t.rejects(alice.client.view(BOB, sent.id), { code: 'CLI_MESSAGE_UNKNOWN' }, 'not to be viewed once');
  await t.rejects(alice.client.react(BOB, 'x', '!'), TypeError);
  await t.rejects(alice.client.setTimer(BOB, -1), RangeError);
  await t.rejects(alice.client.react(BOB, sent.id, 'x'.repeat(65)), { code: 'CLI_TEXT_TOO_LONG' });
  await t.rejects(alice.client.edit(BOB, sent.id, 'x'.repeat(4_097)), { code: 'CLI_TEXT_TOO_LONG' });
  await world.pass(LIMITS.editWindowMs + 1);
  await t.rejects(alice.client.edit(BOB, sent.id, 'too late'), fixed);
  t.ok(await alice.client.deleteForEveryone(BOB, sent.id), 'deleting is possible for longer');
  await world.settle();
  t.equal(alice.client.outboxSize, 0);
  t.match(await bob.client.history(alice.user), [{ kind: 'deleted' }]);
});

t.test('with a timer both ends forget, each by its own clock, also across a restart', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'stays');
  await alice.client.setTimer(BOB, 60);
  await alice.client.send(BOB, 'goes');
  await world.settle();
  await bob.client.send(ALICE, 'goes as well');
  await world.settle();
  t.match(await bob.client.history(alice.user), [
    { text: 'stays', expiresAt: undefined },
    { kind: 'timer', seconds: 60 },
    { text: 'goes', expiresAt: Number },
    { text: 'goes as well', expiresAt: Number },
  ]);
  await bob.client.close();
  await world.pass(61_000);
  t.same(
    (await alice.client.history(bob.user)).map(({ kind }) => kind),
    ['text', 'timer'],
  );
  t.match(alice.eventsOf('changed').filter(({ item }) => item === undefined).length, 2);
  await bob.start();
  await world.settle();
  t.same(
    (await bob.client.history(alice.user)).map(({ kind }) => kind),
    ['text', 'timer'],
    'forgotten at the start',
  );
  const store = await bob.disk.open();
  t.same(await store.list({ prefix: KEYS.expiries, limit: 9 }), []);
});

t.test('the timer of a conversation is known when the message that set it has disappeared', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  t.equal(await alice.client.timer(BOB), 0);
  await alice.client.setTimer(BOB, 5);
  await alice.client.setTimer(BOB, 60);
  await world.settle();
  await world.pass(6_000);
  t.same(
    (await alice.client.history(bob.user)).map(({ kind }) => kind),
    ['timer'],
    'the second one went with the timer of the first',
  );
  for (const timer of [alice.client.timer(BOB), bob.client.timer(alice.user)]) t.equal(await timer, 60);
  t.equal(await alice.client.timer('+4915100000099'), 0, 'nobody that is known here');
  const { name } = await alice.client.groups.create('Sailing', [BOB]);
  await alice.client.setTimer(name, 30);
  await world.settle();
  t.equal(await bob.client.timer(name), 30, 'of a group as well');
});

t.test('a timer of 0 ends it', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.setTimer(BOB, 60);
  await alice.client.setTimer(BOB, 0);
  await alice.client.send(BOB, 'stays');
  await world.settle();
  await world.pass(100_000);
  t.match(await lastOf(bob, alice), { text: 'stays', expiresAt: undefined });
});

t.test('what may be viewed once is viewed once, and the sender is told', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const sent = await alice.client.send(BOB, { kind: 'text', text: 'burn this', viewOnce: true });
  await world.settle();
  const [received] = await bob.take(1);
  t.match(received, { kind: 'view-once', text: '' });
  t.match(await lastOf(alice, bob), { kind: 'view-once', viewedAt: undefined }, 'the sender keeps nothing of it');
  t.match(await bob.client.view(alice.user, received!.id), { kind: 'text', text: 'burn this' });
  await world.settle();
  await t.rejects(bob.client.view(alice.user, received!.id), { code: 'CLI_MESSAGE_UNKNOWN' });
  t.match(await lastOf(alice, bob), { id: sent.id, kind: 'view-once', viewedAt: Number });
  await t.rejects(alice.client.edit(BOB, sent.id, 'x'), { code: 'CLI_MESSAGE_FIXED' });
});

t.test('a crash between viewing and telling shows it at most once', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, { kind: 'text', text: 'burn this', viewOnce: true });
  await world.settle();
  const id = await idOfLast(bob, alice);
  bob.disk.crashAfter(1, () => bob.kill());
  await t.rejects(bob.client.view(alice.user, id));
  await bob.start();
  await t.rejects(bob.client.view(alice.user, id), { code: 'CLI_MESSAGE_UNKNOWN' });
});

t.test('an attachment arrives with everything that opens it', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const attachment = {
    locator: 'https://media.example/b/1',
    key: world.random.bytes(32),
    digest: world.random.bytes(32),
    bytes: 123_456,
    type: 'image/jpeg',
    name: 'harbour.jpg',
    caption: 'Look',
    width: 1_600,
    height: 1_200,
    durationMs: 0,
    thumbnail: world.random.bytes(1_500),
  };
  await alice.client.send(BOB, { kind: 'attachment', ...attachment });
  await world.settle();
  t.match(await bob.take(1), [{ kind: 'attachment', text: 'Look', attachment }]);
  const large = { kind: 'attachment', ...attachment, thumbnail: world.random.bytes(5_000) } as const;
  await t.rejects(alice.client.send(BOB, large), { code: 'CLI_TEXT_TOO_LONG' });
});

t.test('an effect that waits in the outbox survives a crash and is done once', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const sent = await alice.client.send(BOB, 'At noon');
  await world.settle();
  await alice.client.close();
  await alice.start();
  await alice.client.edit(BOB, sent.id, 'At one');
  alice.kill();
  await alice.start();
  t.match(await lastOf(alice, bob), { text: 'At one' }, 'it is done here as soon as it is durable');
  await alice.client.connect();
  await world.settle();
  t.match(await bob.client.history(alice.user), [{ text: 'At one' }]);
});

t.test(
  'a message is passed on with a mark, a reply without what it answers; what is to be seen once stays',
  async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    const carol = await world.person('+4915100000003').join();
    await alice.client.send(BOB, 'Where do we meet?');
    await world.settle();
    await bob.client.reply(alice.user, await idOfLast(bob, alice), 'At the harbour');
    await world.settle();
    await alice.client.forward(BOB, await idOfLast(alice, bob), carol.user);
    await world.settle();
    t.match(await carol.take(1), [{ kind: 'text', text: 'At the harbour', isForwarded: true }]);
    t.match(await lastOf(alice, carol), { kind: 'text', direction: 'out', isForwarded: true });
    t.match(await lastOf(alice, bob), { isForwarded: false });
    await alice.start();
    t.match(await lastOf(alice, carol), { isForwarded: true }, 'also after a restart');
    await alice.client.connect();
    await bob.client.send(ALICE, { kind: 'text', text: 'once', viewOnce: true });
    await world.settle();
    await t.rejects(alice.client.forward(BOB, await idOfLast(alice, bob), carol.user), { code: 'CLI_MESSAGE_FIXED' });
    await bob.client.setTimer(ALICE, 60);
    await world.settle();
    await t.rejects(alice.client.forward(BOB, await idOfLast(alice, bob), carol.user), { code: 'CLI_MESSAGE_FIXED' });
  },
);
