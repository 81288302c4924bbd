/**
 * Two clients through the fake server: what an application sees.
 */

import t from 'tap';
import { CODE } from './testing/fake-server.ts';
import { ALICE, BOB, World } from './testing/world.ts';

t.test('a message is sent, delivered, received and read', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const message = await alice.client.send(BOB, 'hello');
  t.equal(message.number, 1);
  t.not(message.state, 'queued');
  const [received] = await bob.take(1);
  t.match(received, {
    kind: 'text',
    text: 'hello',
    from: alice.user,
    phone: ALICE,
    number: 1,
    sentAt: world.clock.nowMs(),
  });
  await message.delivered;
  t.equal(message.state, 'delivered');
  await received!.markRead();
  await message.read;
  t.equal(message.state, 'read');
  t.equal(world.server.inboxCount(bob.user), 0, 'the inbox entry is acknowledged');
});

t.test('a long exchange in both directions keeps order and completeness', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  for (let round = 0; round < 20; round += 1) {
    await Promise.all([
      alice.client.send(BOB, `a${round}.1`),
      alice.client.send(BOB, `a${round}.2`),
      bob.client.send(ALICE, `b${round}`),
    ]);
  }
  await world.settle();
  t.same(await bob.texts(ALICE), Array.from({ length: 20 }, (_, n) => [`a${n}.1`, `a${n}.2`]).flat());
  t.same(
    await alice.texts(BOB),
    Array.from({ length: 20 }, (_, n) => `b${n}`),
  );
});

t.test('the sender number inside a message is a claim until it has been looked up', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'hello');
  await world.settle();
  const [first] = bob.eventsOf('message');
  t.equal(first!.message.phoneVerified, false);
  t.same(bob.eventsOf('phone-checked'), [{ type: 'phone-checked', user: alice.user, phone: ALICE, verified: true }]);
  const [again] = await bob.take(1);
  t.equal(again!.phoneVerified, true);
});

t.test('what the client may not do is refused with a code', async (t) => {
  const world = new World();
  const stranger = world.person(ALICE);
  await stranger.start();
  await t.rejects(stranger.client.connect(), { code: 'CLI_NOT_REGISTERED' });
  await t.rejects(stranger.client.send(BOB, 'x'), { code: 'CLI_NOT_REGISTERED' });
  await t.rejects(stranger.client.requestCode('01511'), { code: 'CLI_PHONE_INVALID' });
  await t.rejects(stranger.client.confirmCode(ALICE, '000000'), { code: 'APP_BAD_CODE' });
  await stranger.join();
  await t.rejects(stranger.client.send(BOB, 'x'), { code: 'CLI_PEER_UNKNOWN' });
  await t.rejects(stranger.client.send('Bob', 'x'), { code: 'CLI_PHONE_INVALID' });
  await t.rejects(stranger.client.send(ALICE, 'x'), { code: 'CLI_PEER_SELF' });
  await t.rejects(stranger.client.send(BOB, 'ü'.repeat(2_049)), { code: 'CLI_TEXT_TOO_LONG' });
  await t.rejects(stranger.client.requestCode(BOB), { code: 'CLI_ACCOUNT_EXISTS' });
  await stranger.client.close();
  await t.rejects(stranger.client.send(BOB, 'x'), { code: 'CLI_CLOSED' });
});

t.test('the longest text goes through, and one byte more does not', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'x'.repeat(4_096));
  await world.settle();
  t.equal((await bob.texts(ALICE))[0]!.length, 4_096);
  await t.rejects(alice.client.send(BOB, 'x'.repeat(4_097)), { code: 'CLI_TEXT_TOO_LONG' });
});

t.test('the outbox fills while offline and empties after reconnecting, in order', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  world.server.isDown = true;
  world.server.dropAll(alice.user);
  await world.settle();
  const waiting = [];
  for (let n = 0; n < 40; n += 1) waiting.push(await alice.client.enqueue(BOB, `m${n}`));
  t.equal(alice.client.outboxSize, 40);
  t.ok(waiting.every((message) => message.state === 'queued'));
  world.server.isDown = false;
  await world.pass(60_000);
  t.equal(alice.client.outboxSize, 0);
  await Promise.all(waiting.map((message) => message.sent));
  t.same(await bob.texts(ALICE), ['first', ...waiting.map((_, n) => `m${n}`)]);
});

t.test('what waits in the outbox when the process is killed is sent by the next one, once and in order', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'first');
  await alice.client.close();
  await alice.start();
  for (const text of ['second', 'third']) await alice.client.enqueue(BOB, text);
  alice.kill();
  await alice.start();
  t.equal(alice.client.outboxSize, 2);
  t.same(
    (await alice.client.history(BOB)).map(({ text, state }) => [text, state]),
    [
      ['first', 'sent'],
      ['second', 'queued'],
      ['third', 'queued'],
    ],
    'and shows as waiting meanwhile',
  );
  await alice.client.connect();
  await world.settle();
  t.equal(alice.client.outboxSize, 0);
  t.same(await bob.texts(ALICE), ['first', 'second', 'third']);
});

t.test('a receipt that came while the sender was away is asked for after login', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await bob.client.close();
  const message = await alice.client.send(BOB, 'hello');
  t.equal(message.state, 'sent');
  world.server.dropAll(alice.user);
  await world.settle();
  await bob.start();
  await bob.client.connect();
  t.equal(message.state, 'sent', 'the receipt had nobody to go to');
  await world.pass(2_000);
  t.equal(message.state, 'delivered');
});

t.test('history pages backwards and tells the state of each message', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  for (let n = 1; n <= 5; n += 1) await alice.client.send(BOB, `m${n}`);
  await world.settle();
  const page = await alice.client.history(BOB, { limit: 2 });
  t.match(page, [
    { text: 'm4', state: 'delivered', direction: 'out' },
    { text: 'm5', state: 'delivered' },
  ]);
  const before = await alice.client.history(bob.user, { limit: 10, before: page[0]!.id });
  t.same(
    before.map((item) => item.text),
    ['m1', 'm2', 'm3'],
  );
  t.same(await alice.client.history('+4999999999'), []);
  await t.rejects(alice.client.history(BOB, { limit: 0 }), RangeError);
});

t.test('registering anew keeps the history, and both directions go on under the new keys', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'before');
  await bob.client.send(ALICE, 'reply');
  await world.settle();
  await bob.client.confirmCode(BOB, CODE);
  await bob.client.connect();
  await alice.client.send(BOB, 'after');
  await bob.client.send(ALICE, 'reply after');
  await world.settle();
  t.same(await bob.texts(ALICE), ['before', 'after']);
  t.same(await alice.texts(BOB), ['reply', 'reply after']);
  t.match(alice.eventsOf('identity-changed'), [{ user: bob.user, accepted: true }]);
});

t.test('a closed client leaves no timer behind and rejects what waited', async (t) => {
  const world = new World();
  const alice = await world.person(ALICE).join();
  world.server.isDown = true;
  world.server.dropAll(alice.user);
  await world.settle();
  const resolving = alice.client.send('+4915100000009', 'never met');
  const connecting = alice.client.connect();
  const loop = alice.client.messages();
  const next = loop.next();
  t.equal(world.clock.timerCount, 1, 'the next attempt to connect');
  const rejected = Promise.all([
    t.rejects(resolving, { code: 'CLI_CLOSED' }),
    t.rejects(connecting, { code: 'CLI_CLOSED' }),
  ]);
  await alice.client.close();
  await rejected;
  t.same(await next, { done: true, value: undefined });
  t.equal(alice.client.state, 'closed');
  t.equal(world.clock.timerCount, 0);
});

t.test('a disk that fails stops the client before anything leaves unsaved', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'saved');
  await world.settle();
  alice.disk.crashAfter(0);
  await t.rejects(alice.client.send(BOB, 'not saved'), { code: 'CLI_STORE_FAILED' });
  await world.settle();
  t.equal(alice.client.state, 'closed');
  t.same(alice.eventsOf('stopped'), [{ type: 'stopped', code: 'CLI_STORE_FAILED' }]);
  t.same(await bob.texts(ALICE), ['saved']);
  await t.rejects(alice.client.send(BOB, 'nor this'), { code: 'CLI_STORE_FAILED' });
});
