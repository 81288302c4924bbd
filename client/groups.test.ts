/** Groups end to end: clients with disks on a faithful server in memory. Lying servers: `group-attacks.test.ts`. */

import t from 'tap';
import { readGroupHeader } from '../protocol/signal/index.ts';
import type { GroupHeader } from '../protocol/signal/index.ts';
import { GROUP_KEYS, groupOfName, PAIRWISE, UNREAD } from './group-layout.ts';
import { formatLink, parseLink } from './group-link.ts';
import { LIMITS } from './limits.ts';
import { canRead, CAROL, DAVE, groupWorld, roster, texts } from './testing/group-world.ts';
import { CODE } from './testing/fake-server.ts';
import { ALICE, BOB, World } from './testing/world.ts';

t.test('a group is made, everybody is told, and reads', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  for (const person of [alice, bob, carol]) {
    const [group] = await person.client.groups.list();
    t.match(group, { name, title: 'Sailing', epoch: 1, mode: 'sender-keys' });
    t.equal(await roster(person, name, [alice, bob, carol]), 'alice* bob carol');
  }
  t.match(bob.eventsOf('group-joined'), [{ group: name, inviter: alice.user, byLink: false }]);
  const message = await alice.client.send(name, 'Meet me at the harbour');
  await bob.client.send(name, 'Aye');
  await world.settle();
  t.same(await texts(bob, name), ['Meet me at the harbour']);
  t.same(await texts(carol, name), ['Meet me at the harbour', 'Aye']);
  t.same(await texts(alice, name), ['Aye']);
  await message.delivered;
  t.equal(message.state, 'delivered');
  const [received] = await carol.take(1);
  t.match(received, { from: alice.user, group: name, phone: ALICE });
});

t.test('one ciphertext goes up, whatever the number of members; keys go ahead of it, once', async (t) => {
  const { world, alice, name } = await groupWorld();
  const before = world.server.log.length;
  for (const text of ['one', 'two', 'three']) await alice.client.send(name, text);
  const said = world.server.log.slice(before).filter(({ user }) => user === alice.user);
  const kinds = said.flatMap(({ message }) => (/message$/.test(message.kind) ? [message.kind] : []));
  t.same(kinds, ['message', 'message', 'group-message', 'group-message', 'group-message']);
});

t.test('states of each member, on the handle and in the history', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await carol.client.close();
  const message = await alice.client.send(name, 'hello');
  await world.settle();
  const states = (): string[] =>
    message.members.map(({ user, state }) => `${user === bob.user ? 'bob' : 'carol'} ${state}`).sort();
  t.same(states(), ['bob delivered', 'carol sent']);
  t.equal(message.state, 'sent', 'as far as with the last one');
  const [received] = await bob.take(1);
  await received!.markRead();
  await world.settle();
  t.same(states(), ['bob read', 'carol sent']);
  await carol.start();
  await carol.client.connect();
  await world.settle();
  await carol.client.markRead(name);
  await world.settle();
  t.same(states(), ['bob read', 'carol read']);
  await message.read;
  const [item] = (await alice.client.history(name)).filter(({ direction }) => direction === 'out');
  t.match(item, { state: 'read', members: [{ state: 'read' }, { state: 'read' }] });
  const dave = await world.person(DAVE).join();
  await alice.client.groups.add(name, [DAVE]);
  await world.settle();
  t.equal(message.members.length, 2, 'who came later is not asked for what was before');
  t.equal((await alice.client.send(name, 'welcome')).members.length, 3);
  await world.settle();
  t.same(await texts(dave, name), ['welcome']);
});

t.test(
  'what was read in a group without a connection is told by the next run; who tells nothing is told nothing',
  async (t) => {
    const { world, alice, bob, carol, name } = await groupWorld();
    const message = await alice.client.send(name, 'hello');
    await world.settle();
    const states = (): string[] =>
      message.members.map(({ user, state }) => `${user === bob.user ? 'bob' : 'carol'} ${state}`).sort();
    t.same(states(), ['bob delivered', 'carol delivered']);
    world.server.isDown = true;
    world.server.dropAll(bob.user);
    await world.settle();
    await bob.client.markRead(name);
    await bob.client.close();
    world.server.isDown = false;
    await bob.start();
    await bob.client.connect();
    await world.settle();
    t.same(states(), ['bob read', 'carol delivered']);
    const told = (): number => world.server.log.filter(({ message: { kind } }) => kind === 'group-read').length;
    t.equal(told(), 1);
    await carol.client.setReadReceipts('nobody');
    await carol.client.markRead(name);
    await world.settle();
    t.equal(told(), 1);
    const own = await carol.client.send(name, 'seen by all');
    await world.settle();
    await alice.client.markRead(name);
    await bob.client.markRead(name);
    await world.settle();
    t.equal(own.state, 'delivered');
  },
);

t.test('who is removed reads nothing that follows, with the whole disk and every ciphertext', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.send(name, 'before');
  await world.settle();
  await alice.client.groups.remove(name, [CAROL]);
  await world.settle();
  t.equal((await carol.client.groups.get(name)).role, undefined);
  await t.rejects(carol.client.send(name, 'still here?'), { code: 'CLI_GROUP_NOT_A_MEMBER' });
  await alice.client.send(name, 'after');
  await bob.client.send(name, 'after, too');
  await world.settle();
  t.same(await texts(carol, name), ['before']);
  t.same(await texts(bob, name), ['before', 'after']);
  const sent = world.server.groups.messages.map(({ ciphertext }) => ciphertext);
  t.equal(sent.length, 3);
  // The first was read and its key is gone; a chain that had been kept would open one of the others.
  t.same(await Promise.all(sent.map((ciphertext) => canRead(carol, ciphertext))), [false, false, false]);
});

t.test('who was removed from one group still learns how far messages to the others have come', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  const other = await alice.client.groups.create('Rowing', [BOB, CAROL]);
  await world.settle();
  await bob.client.close();
  await carol.client.send(name, 'in the one');
  const sent = await carol.client.send(other.name, 'in the other');
  await world.settle();
  await alice.client.groups.remove(name, [CAROL]);
  await world.settle();
  await carol.client.close();
  for (const person of [bob, carol]) {
    await person.start();
    await person.client.connect();
    await world.settle();
  }
  await world.settle();
  const item = (await carol.client.history(other.name)).find(({ id }) => id === sent.id);
  t.equal(item?.state, 'delivered');
  t.same(carol.eventsOf('trouble'), []);
});

t.test('positive control: who is not removed could read the next one with that disk', async (t) => {
  const { world, alice, carol, name } = await groupWorld();
  await alice.client.send(name, 'before');
  await world.settle();
  await carol.client.close();
  await alice.client.send(name, 'after');
  t.equal(await canRead(carol, world.server.groups.messages[1]!.ciphertext), true);
});

t.test('who joins reads from then on, and nothing from before', async (t) => {
  const { world, alice, name } = await groupWorld();
  await alice.client.send(name, 'before');
  const dave = await world.person(DAVE).join();
  await alice.client.groups.add(name, [DAVE]);
  await world.settle();
  await alice.client.send(name, 'after');
  await world.settle();
  t.same(await texts(dave, name), ['after']);
  t.equal(await canRead(dave, world.server.groups.messages[0]!.ciphertext), false);
});

t.test('replies, reactions, edits, deletions, timers and files in a group', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.send(name, 'Harbour at six?');
  await world.settle();
  const [question] = await bob.client.history(name);
  await bob.client.reply(name, question!.id, 'Seven');
  await bob.client.react(name, question!.id, '👍');
  await world.settle();
  const [original, reply] = await carol.client.history(name);
  t.match(original, { text: 'Harbour at six?', from: alice.user, reactions: [{ author: bob.user, emoji: '👍' }] });
  t.match(reply, { kind: 'reply', text: 'Seven', quote: 'Harbour at six?', from: bob.user });
  await t.rejects(carol.client.edit(name, reply!.id, 'Eight'), { code: 'CLI_MESSAGE_FIXED' });
  const mine = (await bob.client.history(name)).find(({ direction }) => direction === 'out')!;
  await bob.client.edit(name, mine.id, 'Half past six');
  await alice.client.deleteForEveryone(name, (await alice.client.history(name))[0]!.id);
  await alice.client.setTimer(name, 60);
  const attachment = {
    ...{
      kind: 'attachment' as const,
      locator: '/media/1',
      key: new Uint8Array(32),
      digest: new Uint8Array(32),
      bytes: 5,
    },
    ...{ type: 'image/jpeg', name: 'a.jpg', caption: 'the boat', width: 1, height: 1, durationMs: 0 },
    thumbnail: new Uint8Array(0),
  } as const;
  await alice.client.send(name, attachment);
  await world.settle();
  const items = await carol.client.history(name);
  t.match(items, [
    { kind: 'deleted' },
    { text: 'Half past six' },
    { kind: 'timer' },
    { kind: 'attachment', text: 'the boat' },
  ]);
  t.ok(items[3]!.expiresAt! > 0);
  await world.pass(61_000);
  t.equal((await carol.client.history(name)).length, 3, 'the timer holds in groups');
});

t.test('two admins at one time: both changes are made, one after the other', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.groups.setRole(name, BOB, 'admin');
  await world.settle();
  const dave = await world.person(DAVE).join();
  await Promise.all([alice.client.groups.add(name, [DAVE]), bob.client.groups.setTitle(name, 'Rowing')]);
  await world.settle();
  for (const person of [alice, bob, carol, dave]) {
    t.match(await person.client.groups.get(name), { title: 'Rowing', epoch: 4 });
    t.equal(await roster(person, name, [alice, bob, carol, dave]), 'alice* bob* carol dave');
  }
});

t.test(
  'a message for an epoch that has passed is encrypted anew, under the same id, for who is there now',
  async (t) => {
    const { world, alice, bob, carol, name } = await groupWorld();
    await alice.client.groups.setRole(name, BOB, 'admin');
    await alice.client.send(name, 'first');
    await world.settle();
    world.server.dropAll(bob.user);
    world.server.isDown = true;
    const waiting = await bob.client.enqueue(name, 'from afar');
    world.server.isDown = false;
    // Bob's client does not know yet that Carol has been removed when it sends.
    world.server.groups.withhold = true;
    await alice.client.groups.remove(name, [CAROL]);
    await world.pass(1_500);
    t.equal(waiting.state, 'queued', 'nothing is encrypted for a roster that is not proven');
    world.server.groups.withhold = false;
    await world.pass(120_000);
    await waiting.sent;
    await world.settle();
    t.same(await texts(alice, name), ['from afar']);
    t.same(await texts(carol, name), ['first']);
    t.equal(waiting.number, 1);
    const last = world.server.groups.messages.at(-1)!;
    t.equal(await canRead(carol, last.ciphertext), false);
  },
);

t.test('the outbox of a group outlives a restart', async (t) => {
  const { world, alice, bob, name } = await groupWorld();
  await alice.client.send(name, 'first');
  await alice.client.close();
  await alice.start();
  const waiting = await alice.client.enqueue(name, 'kept');
  t.equal(alice.client.outboxSize, 1);
  alice.kill();
  await alice.start();
  t.equal(alice.client.outboxSize, 1);
  await alice.client.connect();
  await world.pass(1_000);
  t.equal(waiting.number, 2);
  t.same(await texts(bob, name), ['first', 'kept']);
  t.equal(alice.client.outboxSize, 0);
});

t.test('lost connections at every stanza: exactly once, in order', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  let count = 0;
  world.server.onReceive = (message) => {
    if (message.kind !== 'group-message' && message.kind !== 'message' && message.kind !== 'inbox-ack') return 'ok';
    count += 1;
    return count % 5 === 2 ? 'drop-after' : count % 5 === 4 ? 'drop-before' : 'ok';
  };
  const all = Array.from({ length: 12 }, (_, index) => `message ${index}`);
  for (const text of all) await alice.client.enqueue(name, text);
  await world.pass(300_000);
  world.server.onReceive = () => 'ok';
  await world.pass(300_000);
  t.ok(count > 20, `${count} stanzas`);
  t.same(await texts(bob, name), all);
  t.same(await texts(carol, name), all);
});

t.test('a chain that did not come is asked for: the placeholder resolves', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  // Carol's disk forgets the chain, as after damage; what comes then cannot be read.
  await alice.client.send(name, 'readable');
  await world.settle();
  await carol.client.close();
  const store = await carol.disk.open();
  const keys = await store.list({ prefix: 'group-key/', limit: 10 });
  await store.write(
    keys.map(({ key }) => ({ type: 'delete', key })),
    'flushed',
  );
  await store.close();
  await carol.start();
  await carol.client.connect();
  await alice.client.send(name, 'lost and found');
  await world.settle();
  t.same(await texts(carol, name), ['readable', 'SIG_NO_SENDER_KEY']);
  await world.pass(60_000);
  t.same(await texts(carol, name), ['readable', 'lost and found']);
  await alice.client.send(name, 'and on');
  await world.settle();
  t.same(await texts(carol, name), ['readable', 'lost and found', 'and on'], 'the chain came with the next message');
  t.same(await texts(bob, name), ['readable', 'lost and found', 'and on']);
});

t.test('what happens in a group, or in another, does not put off what is asked for there', async (t) => {
  for (const happening of ['in it', 'elsewhere'] as const) {
    const { world, alice, bob, carol, name, group } = await groupWorld();
    const { name: other } = await bob.client.groups.create('Rowing', [CAROL]);
    await alice.client.send(name, 'readable');
    await bob.client.send(other, 'readable');
    await world.settle();
    await carol.client.close();
    const store = await carol.disk.open();
    const keys = await store.list({ prefix: `group-key/${group}/`, limit: 10 });
    const unread = { ordinal: 9_999, order: 2, code: 'SIG_BAD_MAC', tries: 1, askedAt: world.clock.nowMs() } as const;
    const key = GROUP_KEYS.unread(groupOfName(other)!, bob.user, bob.client.account!.device, 1);
    const asked = UNREAD.encode({ ...unread, ciphertext: new Uint8Array(0) });
    await store.write(
      [{ type: 'put', key, value: asked }, ...keys.map(({ key }) => ({ type: 'delete' as const, key }))],
      'flushed',
    );
    await store.close();
    await carol.start();
    await carol.client.connect();
    await alice.client.send(name, 'lost and found');
    await world.pass(LIMITS.groupAskDelayMs / 2);
    t.same(await texts(carol, name), ['readable', 'SIG_NO_SENDER_KEY']);
    if (happening === 'in it') await alice.client.groups.setTitle(name, 'Sailing far');
    else await bob.client.groups.setTitle(other, 'Rowing far');
    await world.pass(LIMITS.groupAskDelayMs);
    t.same(await texts(carol, name), ['readable', 'lost and found'], happening);
  }
});

t.test('a member who was not one then is not given what was before, though they ask', async (t) => {
  const { world, alice, name, group } = await groupWorld();
  await alice.client.send(name, 'secret');
  const dave = await world.person(DAVE).join();
  await alice.client.groups.add(name, [DAVE]);
  await world.settle();
  // Dave's disk claims to lack Alice's first message, as that of somebody would who wants to have it.
  await dave.client.close();
  const store = await dave.disk.open();
  const unread = {
    ordinal: 9_999,
    order: 2,
    code: 'SIG_BAD_MAC',
    tries: 0,
    askedAt: 0,
    ciphertext: new Uint8Array(0),
  } as const;
  const key = GROUP_KEYS.unread(group, alice.user, alice.client.account!.device, 1);
  await store.write([{ type: 'put', key, value: UNREAD.encode(unread) }], 'flushed');
  await store.close();
  await dave.start();
  await dave.client.connect();
  const before = world.server.log.length;
  await world.pass(60_000);
  const said = world.server.log.slice(before).map(({ user, message }) => `${message.kind} by ${user}`);
  t.ok(said.includes(`message by ${dave.user}`), 'he asks');
  t.notOk(said.includes(`message by ${alice.user}`), 'and is given nothing');
  t.same(await texts(dave, name), []);
});

t.test('a link lets people in while its maker is there; a removal closes it', async (t) => {
  const { world, alice, bob, name } = await groupWorld();
  const link = await alice.client.groups.inviteLink(name);
  t.equal(await alice.client.groups.inviteLink(name), link);
  const dave = await world.person(DAVE).join();
  t.equal(await dave.client.groups.join(link), name);
  await world.settle();
  t.match(dave.eventsOf('group-joined'), [{ group: name, inviter: alice.user, byLink: true }]);
  t.match(alice.eventsOf('group-changed').at(-1), { author: alice.user, byLink: [dave.user] });
  await bob.client.send(name, 'welcome');
  await world.settle();
  t.same(await texts(dave, name), ['welcome']);
  await alice.client.groups.remove(name, [DAVE]);
  await world.settle();
  await dave.client.groups.join(link);
  await world.pass(10_000);
  t.equal((await dave.client.groups.get(name)).role, undefined, 'who was removed does not come back by the link');
  t.equal((await alice.client.groups.get(name)).hasLink, false);
  await t.rejects(dave.client.groups.join('blindbeam:join/xyz'), { code: 'CLI_GROUP_LINK' });
});

t.test('any admin of the link’s day lets people in: the first who comes online, and nobody twice', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.groups.setRole(name, BOB, 'admin');
  await world.settle();
  const link = await alice.client.groups.inviteLink(name);
  for (const person of [alice, bob]) await person.client.close();
  const dave = await world.person(DAVE).join();
  await dave.client.groups.join(link);
  await world.pass(60_000);
  t.same(await dave.client.groups.list(), [], 'nobody is there, and the request waits');
  await bob.start();
  await bob.client.connect();
  await world.quiet();
  t.equal(await roster(dave, name, [alice, bob, carol, dave]), 'alice* bob* carol dave');
  t.match(dave.eventsOf('group-joined'), [{ group: name, inviter: bob.user, byLink: true }]);
  await alice.start();
  await alice.client.connect();
  await world.quiet();
  const erin = await world.person('+4915100000005').join();
  await erin.client.groups.join(link);
  await world.quiet();
  t.equal((await alice.client.groups.get(name)).members.length, 5, 'two admins at once add one member');
  for (const person of [alice, bob]) t.same(person.eventsOf('trouble'), [], 'and neither minds');
  await alice.client.groups.setRole(name, BOB, 'member');
  await alice.client.close();
  const frank = await world.person('+4915100000006').join();
  await frank.client.groups.join(link);
  await world.quiet();
  t.same(await frank.client.groups.list(), [], 'who is no admin any more lets nobody in');
  t.same(bob.eventsOf('trouble'), []);
});

t.test('links of an earlier release are read, and what is none is refused', async (t) => {
  const [group, maker, secret] = ['123456789012345', '543210987654321', new Uint8Array(32).fill(7)];
  const link = { group, admins: [maker, group], secret };
  t.same(parseLink(` ${formatLink(link)}\n`), link);
  const idOf = (id: string): number[] =>
    Array.from({ length: 7 }, (_, index) => Number((BigInt(id) >> BigInt(8 * (6 - index))) & 255n));
  const textOf = (...bytes: number[]): string => {
    const base64 = btoa(String.fromCharCode(...bytes));
    return `blindbeam:join/${base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`;
  };
  t.same(parseLink(textOf(1, ...idOf(group), ...idOf(maker), ...secret)), { group, admins: [maker], secret });
  const head = [...idOf(group), ...secret];
  const many = Array.from({ length: 9 }, () => idOf(maker)).flat();
  for (const bytes of [
    [2, ...head],
    [3, ...head, ...idOf(maker)],
    [2, ...head, 0],
    [2, ...head, ...many],
  ]) {
    t.throws(() => parseLink(textOf(...bytes)), { code: 'CLI_GROUP_LINK' });
  }
});

t.test('leaving: the last admin names another; the group goes on without', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await t.rejects(alice.client.groups.leave(name), { code: 'CLI_GROUP_REFUSED' });
  await alice.client.groups.leave(name, BOB);
  await world.settle();
  t.equal(await roster(bob, name, [alice, bob, carol]), 'bob* carol');
  await bob.client.send(name, 'just us');
  await world.settle();
  t.same(await texts(carol, name), ['just us']);
  t.same(await texts(alice, name), []);
  await t.rejects(carol.client.groups.remove(name, [BOB]), { code: 'CLI_GROUP_REFUSED' });
  await bob.client.groups.add(name, [ALICE]);
  await world.settle();
  await bob.client.send(name, 'welcome back');
  await world.settle();
  t.same(await texts(alice, name), ['welcome back']);
});

t.test('a group that its last member has left is over, and keeps its title here', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  for (const member of [bob, carol]) await member.client.groups.leave(name);
  await world.settle();
  const { title } = await alice.client.groups.get(name);
  t.not(title, '');
  await alice.client.groups.leave(name);
  t.match(await alice.client.groups.get(name), { title, members: [], role: undefined });
  await alice.start();
  t.match(await alice.client.groups.get(name), { title }, 'in the next run as well');
  t.match(await bob.client.groups.get(name), { title });
  await t.rejects(alice.client.send(name, 'anybody?'), { code: 'CLI_GROUP_NOT_A_MEMBER' });
});

t.test('a member with a new phone gets a new chain; the old one is burnt', async (t) => {
  const { world, alice, carol, name } = await groupWorld();
  await alice.client.send(name, 'one');
  await world.settle();
  await carol.client.close();
  const again = await world.person(CAROL).join();
  await again.client.send(ALICE, 'new phone');
  await world.settle();
  await alice.client.send(name, 'two');
  await world.settle();
  t.equal(await canRead(carol, world.server.groups.messages[1]!.ciphertext), false, 'the old phone cannot read it');
  t.equal(again.user, carol.user);
});

t.test('a message comes before the invitation and before the change: it waits unseen, and is read', async (t) => {
  const world = new World(3);
  const [alice, bob] = await world.pair();
  const { name, epoch } = await alice.client.groups.create('Quick', []);
  t.equal(epoch, 1);
  await bob.client.close();
  await alice.client.groups.add(name, [BOB]);
  await alice.client.send(name, 'hello');
  await world.settle();
  await bob.start();
  await bob.client.connect();
  await world.settle();
  t.same(await texts(bob, name), ['hello']);
});

t.test('rotation by number: after 1,000 messages of a chain comes another', async (t) => {
  const { world, alice, bob, name, group } = await groupWorld();
  await alice.client.send(name, 'first');
  const count = 1_001;
  const sent = Array.from({ length: count }, (_, index) => alice.client.enqueue(name, `m${index}`));
  const handles = await Promise.all(sent);
  await Promise.all(handles.map((handle) => handle.sent));
  await world.settle();
  const chains = world.server.groups.messages.map(
    ({ ciphertext }) => (readGroupHeader(ciphertext) as GroupHeader).chainId,
  );
  t.equal(new Set(chains).size, 2);
  t.equal(chains.indexOf(chains.at(-1)!), 1_000);
  t.equal((await texts(bob, name)).length, 256, 'as many as a page of the history has');
  t.notOk((await texts(bob, name)).includes('SIG_NO_SENDER_KEY'));
  t.equal(world.server.groups.get(group).order, 1 + 1 + count);
});

t.test('a group that encrypts for each device: no chain, one message to each member, states and effects', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.groups.setMode(name, 'pairwise');
  await world.settle();
  t.equal((await bob.client.groups.get(name)).mode, 'pairwise');
  await t.rejects(bob.client.groups.setMode(name, 'sender-keys'), { code: 'CLI_GROUP_REFUSED' }, 'admins choose');
  const sent = await bob.client.send(name, 'for each of you');
  await sent.delivered;
  await world.quiet();
  for (const person of [alice, carol]) t.same(await texts(person, name), ['for each of you']);
  t.equal(world.server.groups.messages.length, 0, 'nothing for all of them');
  const states = async (): Promise<string> => {
    const [item] = (await bob.client.history(name)).filter(({ direction }) => direction === 'out');
    const ofEach = item!.members.map(({ user, state }) => `${user === alice.user ? 'alice' : 'carol'} ${state}`);
    return [item!.state, ...ofEach].join(', ');
  };
  t.equal(await states(), 'delivered, alice delivered, carol delivered');
  await alice.client.send(BOB, 'unrelated');
  await world.quiet();
  await bob.client.send(ALICE, 'also unrelated');
  await world.quiet();
  await alice.client.markRead(bob.user);
  await world.quiet();
  t.equal(await states(), 'delivered, alice delivered, carol delivered', 'reading elsewhere says nothing of the group');
  await alice.client.markRead(name);
  await world.quiet();
  t.equal(await states(), 'delivered, alice read, carol delivered');
  t.equal(sent.state, 'delivered');
  await carol.client.markRead(name);
  await sent.read;
  t.equal(await states(), 'read, alice read, carol read');
  const [item] = await alice.client.history(name);
  await alice.client.react(name, item!.id, '👍');
  await bob.client.edit(name, sent.id, 'for all of you');
  await world.quiet();
  for (const person of [alice, bob, carol]) {
    const [shown] = await person.client.history(name);
    t.match(shown, { text: 'for all of you', reactions: [{ author: alice.user, emoji: '👍' }] });
  }
  await bob.start();
  t.equal(await states(), 'read, alice read, carol read', 'also after a restart');
  await bob.client.connect();
  await alice.client.groups.setMode(name, 'sender-keys');
  await world.settle();
  await bob.client.send(name, 'once for all');
  await world.quiet();
  for (const person of [alice, carol]) t.equal((await texts(person, name)).at(-1), 'once for all');
});

t.test('a member whose conversation takes nothing any more does not stop the others', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.groups.setMode(name, 'pairwise');
  await alice.client.send(CAROL, 'before');
  world.server.refuseNext(carol.user, { code: 'APP_OUT_OF_ORDER', expected: 1 });
  await t.rejects(alice.client.send(CAROL, 'lost'), { code: 'CLI_ORDER_LOST' });
  await bob.client.send(name, 'from Bob');
  await carol.client.send(name, 'from Carol');
  await world.quiet();
  world.server.log.length = 0;
  for (const text of ['one', 'two']) await alice.client.send(name, text);
  await world.quiet();
  t.same(await texts(bob, name), ['from Carol', 'one', 'two']);
  t.match((await alice.client.history(name)).at(-1), { state: 'delivered', members: [{ user: bob.user }] });
  const toBob = world.server.log.filter(({ message }) => message.kind === 'message' && message.to === bob.user);
  t.equal(toBob.length, 2, 'each once');
  t.match(alice.eventsOf('trouble').at(-1), { code: 'CLI_ORDER_LOST' });
  await alice.client.markRead(name);
  await world.quiet();
  const [fromBob] = (await bob.client.history(name)).filter(({ direction }) => direction === 'out');
  t.ok(fromBob!.members.some(({ user, state }) => user === alice.user && state === 'read'));
});

t.test('a part that was refused for good has no state of what goes out under its id next', async (t) => {
  for (const isRestarted of [false, true]) {
    const { world, alice, bob, name, group } = await groupWorld();
    await alice.client.groups.setMode(name, 'pairwise');
    await world.quiet();
    world.server.refuseNext(bob.user, { code: 'APP_UNKNOWN_USER' });
    const message = await alice.client.send(name, 'not to Bob');
    await world.quiet();
    t.match(alice.eventsOf('refused').at(-1), { user: bob.user, code: 'APP_UNKNOWN_USER' });
    if (isRestarted) await alice.start();
    if (isRestarted) await alice.client.connect();
    await alice.client.send(bob.phone, 'under the same id');
    await world.quiet();
    t.same(await texts(bob, name), []);
    const item = (await alice.client.history(name)).at(-1);
    const states = Object.fromEntries(
      item!.members.map(({ user, state }) => [user === bob.user ? 'bob' : 'carol', state]),
    );
    t.same(states, { bob: 'sent', carol: 'delivered' });
    t.equal(item!.state, 'sent');
    if (!isRestarted) t.equal(message.members.find(({ user }) => user === bob.user)!.state, 'sent');
    const store = await alice.disk.copy().open();
    t.same(await store.list({ prefix: GROUP_KEYS.pairwiseRefusedAll, limit: 1 }), [], 'nothing is left to be noted');
    t.match(PAIRWISE.decode((await store.get(GROUP_KEYS.pairwise(group, message.number)))!), [
      { id: 0 },
      { user: /./ },
    ]);
    await store.close();
  }
});

t.test('a message for each member that was forgotten before it left leaves nothing behind', async (t) => {
  const { world, alice, name, group } = await groupWorld();
  await alice.client.groups.setMode(name, 'pairwise');
  await alice.client.setTimer(name, 60);
  await world.quiet();
  world.server.isDown = true;
  world.server.dropAll(alice.user);
  const message = await alice.client.enqueue(name, 'for a minute');
  await world.pass(90_000);
  world.server.isDown = false;
  await world.pass(90_000);
  await message.sent;
  const store = await alice.disk.copy().open();
  t.equal(await store.get(GROUP_KEYS.pairwise(group, message.number)), undefined);
  t.notSame(await store.list({ prefix: GROUP_KEYS.pairwiseAll, limit: 10 }), [], 'others have their states');
});

t.test('who was removed while its author was away gets no message that is encrypted for each device', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  await alice.client.groups.setMode(name, 'pairwise');
  await bob.client.send(name, 'first');
  await world.quiet();
  world.server.isDown = true;
  world.server.dropAll();
  const waiting = await bob.client.enqueue(name, 'without Carol');
  await world.settle();
  t.equal(waiting.state, 'queued');
  t.match((await bob.client.history(name)).at(-1), { state: 'queued' });
  await bob.start();
  world.server.isDown = false;
  await world.pass(60_000);
  await alice.client.groups.remove(name, [CAROL]);
  await bob.client.connect();
  await world.pass(60_000);
  t.same(await texts(carol, name), ['first']);
  t.same(await texts(alice, name), ['first', 'without Carol'], 'and a restart has not lost it');
  t.match((await bob.client.history(name)).at(-1), { state: 'delivered', members: [{ user: alice.user }] });
  await alice.client.groups.remove(name, [BOB]);
  await world.quiet();
  await t.rejects(bob.client.send(name, 'am I in?'), { code: 'CLI_GROUP_NOT_A_MEMBER' });
});

t.test('what one device writes is ours on the other ones, with its states, and nothing to be read', async (t) => {
  const { world, alice, bob, carol, name } = await groupWorld();
  const laptop = await world.link(alice);
  await world.pass(60_000);
  const sent = await alice.client.send(name, 'from the phone');
  await alice.client.send(name, { kind: 'text', text: 'once', viewOnce: true });
  await world.quiet();
  const [item, once] = await laptop.client.history(name);
  t.match(item, { direction: 'out', from: undefined, text: 'from the phone', number: sent.number });
  t.match(once, { direction: 'out', kind: 'view-once' });
  t.same(laptop.eventsOf('message'), []);
  t.match(laptop.eventsOf('transcript'), [{ user: name, item: { text: 'from the phone' } }, { user: name }]);
  for (const person of [bob, carol]) await person.client.markRead(name);
  await world.pass(1_000);
  t.match((await laptop.client.history(name))[0], { state: 'read', members: [{ state: 'read' }, { state: 'read' }] });
  await laptop.client.edit(name, item!.id, 'edited on the laptop');
  await world.quiet();
  t.match((await alice.client.history(name)).at(-2), { text: 'edited on the laptop', direction: 'out' });
  t.match((await bob.client.history(name)).at(-2), { text: 'edited on the laptop', direction: 'in' });
  await laptop.start();
  t.match((await laptop.client.history(name))[0], { direction: 'out', state: 'read' }, 'also after a restart');
});

t.test('a number registered anew on its store stays in the group, with another chain', async (t) => {
  const { world, alice, carol, name } = await groupWorld();
  await carol.client.send(name, 'one');
  await alice.client.send(name, 'two');
  await world.settle();
  const waiting = carol.client.enqueue(name, 'three');
  await (
    await waiting
  ).sent;
  await carol.client.requestCode(CAROL);
  await carol.client.confirmCode(CAROL, CODE);
  await carol.client.connect();
  await carol.client.send(name, 'four');
  await world.pass(20_000);
  t.same(await texts(alice, name), ['one', 'three', 'four']);
  await carol.client.send(ALICE, 'new keys');
  await world.settle();
  await alice.client.send(name, 'five');
  await world.pass(60_000);
  t.same(await texts(carol, name), ['two', 'five']);
});
