/**
 * Read receipts: when they are sent, what of them outlives a connection and a run, and who takes no part.
 */

import t from 'tap';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** The ids that a person has said to have read, in order. */
function receiptsOf({ server }: World, { user }: Person): number[] {
  return server.log.flatMap(({ user: from, message }) =>
    from === user && message.kind === 'receipt' ? [message.id] : [],
  );
}

async function stateOf(person: Person, peer: string): Promise<(string | undefined)[]> {
  const items = await person.client.history(peer);
  return items.filter(({ direction }) => direction === 'out').map(({ state }) => state);
}

t.test('a receipt noted while offline is sent after a restart, once', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'one');
  await alice.client.send(BOB, 'two');
  await world.settle();
  world.server.isDown = true;
  world.server.dropAll(bob.user);
  await world.settle();
  await bob.client.markRead(ALICE);
  t.strictSame(receiptsOf(world, bob), []);
  await bob.client.close();
  world.server.isDown = false;
  await bob.start();
  await bob.client.connect();
  await world.settle();
  t.strictSame(receiptsOf(world, bob), [2], 'one, up to the last');
  t.strictSame(await stateOf(alice, BOB), ['read', 'read']);
  await bob.client.close();
  await bob.start();
  await bob.client.connect();
  await world.settle();
  t.strictSame(receiptsOf(world, bob), [2], 'paid');
});

t.test('a receipt goes after the acknowledgement that says delivered, also when that was lost', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  let cuts = 1;
  world.server.onReceive = (message) => (message.kind === 'inbox-ack' && cuts-- > 0 ? 'drop-before' : 'ok');
  await alice.client.send(BOB, 'one');
  await world.settle();
  t.equal(world.server.inboxCount(bob.user), 1, 'stored here, not acknowledged there');
  await bob.client.markRead(alice.user);
  await world.pass(5_000);
  t.strictSame(await stateOf(alice, BOB), ['read']);
  const order = world.server.log
    .filter(({ user, message }) => user === bob.user && ['inbox-ack', 'receipt'].includes(message.kind))
    .map(({ message }) => message.kind);
  t.equal(order.indexOf('inbox-ack') < order.indexOf('receipt'), true, order.join());
});

t.test('messages read one by one in a turn make one receipt', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  for (let count = 0; count < 20; count++) await alice.client.send(BOB, `m${count}`);
  await world.settle();
  const messages = await bob.take(20);
  await Promise.all(messages.map((message) => message.markRead()));
  await world.settle();
  const receipts = receiptsOf(world, bob);
  t.equal(receipts.at(-1), 20);
  t.ok(receipts.length <= 20);
  t.strictSame(
    [...receipts].sort((a, b) => a - b),
    receipts,
    'never back',
  );
  await messages[3]!.markRead();
  await world.settle();
  t.equal(receiptsOf(world, bob).length, receipts.length, 'what is covered is not said again');
});

t.test('one message that is read means all before it, and none behind it', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  for (let count = 0; count < 5; count++) await alice.client.send(BOB, `m${count}`);
  await world.settle();
  const messages = await bob.take(5);
  await messages[2]!.markRead();
  await world.settle();
  t.strictSame(await stateOf(alice, BOB), ['read', 'read', 'read', 'delivered', 'delivered']);
  await bob.client.markRead(ALICE);
  await world.settle();
  t.strictSame(await stateOf(alice, BOB), Array(5).fill('read'));
  t.equal(receiptsOf(world, bob).at(-1), 5);
  t.ok(receiptsOf(world, bob).length <= 2, 'one receipt for as many as are read at a time');
});

t.test(
  'who keeps to himself what he reads sends no receipts and is shown none, in this run and the next',
  async (t) => {
    const world = new World();
    const [alice, bob] = await world.pair();
    t.equal(bob.client.readReceipts, 'everyone');
    await bob.client.setReadReceipts('nobody');
    await alice.client.send(BOB, 'to bob');
    await bob.client.send(ALICE, 'to alice');
    await world.settle();
    await bob.client.markRead(ALICE);
    await alice.client.markRead(BOB);
    await world.settle();
    t.strictSame(receiptsOf(world, bob), []);
    t.strictSame(receiptsOf(world, alice), [1]);
    t.strictSame(await stateOf(bob, ALICE), ['delivered'], 'though alice said so');
    t.strictSame(await stateOf(alice, BOB), ['delivered']);
    await bob.client.close();
    await bob.start();
    t.equal(bob.client.readReceipts, 'nobody');
    await bob.client.setReadReceipts('everyone');
    await bob.client.connect();
    await world.settle();
    t.strictSame(receiptsOf(world, bob), [], 'what was read meanwhile is not told later');
  },
);

t.test('contacts are those to whom one has written', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await bob.client.setReadReceipts('contacts');
  await alice.client.send(BOB, 'from a stranger');
  await world.settle();
  await bob.client.markRead(ALICE);
  await world.settle();
  t.strictSame(receiptsOf(world, bob), []);
  await bob.client.send(ALICE, 'an answer');
  await alice.client.send(BOB, 'from a contact');
  await world.settle();
  await bob.client.markRead(ALICE);
  await world.settle();
  t.strictSame(receiptsOf(world, bob), [2]);
});

t.test('a choice drops what is still owed to those it leaves out', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  await alice.client.send(BOB, 'one');
  await world.settle();
  world.server.isDown = true;
  world.server.dropAll(bob.user);
  await world.settle();
  await bob.client.markRead(ALICE);
  await bob.client.setReadReceipts('nobody');
  world.server.isDown = false;
  await world.pass(120_000);
  t.equal(bob.client.state, 'live');
  t.strictSame(receiptsOf(world, bob), []);
  t.strictSame(await stateOf(alice, BOB), ['delivered']);
});
