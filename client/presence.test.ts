/**
 * Presence and typing between two clients and a server in memory; what of it survives a lost connection, and how often it is said.
 */

import t from 'tap';
import type { ClientMessage } from '../protocol/wire/index.ts';
import { LIMITS } from './limits.ts';
import { LatestFeed } from './latest-feed.ts';
import type { PeerPresence } from './presence.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

/** Reads a feed into a list, in the background. */
function collect(feed: AsyncIterable<PeerPresence>): {
  readonly seen: PeerPresence[];
  readonly over: Promise<unknown>;
} {
  const seen: PeerPresence[] = [];
  const over = (async () => {
    for await (const presence of feed) seen.push(presence);
  })().catch((error: unknown) => error);
  return { seen, over };
}

function states(seen: readonly PeerPresence[]): string[] {
  return seen.map(({ state, typing }) => (typing === undefined ? state : `${state} ${typing}`));
}

/** What a person said to the server, of the kinds that presence has. */
function said({ server }: World, { user }: Person): ClientMessage[] {
  const kinds = ['availability', 'typing', 'unsubscribe'];
  return server.log.flatMap(({ user: from, message }) => {
    const isSubscription = message.kind === 'iq-set' && message.request.kind === 'subscribe';
    return from === user && (isSubscription || kinds.includes(message.kind)) ? [message] : [];
  });
}

t.test('a chat shows whether the other side is there, and nothing after it is closed', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const feed = alice.client.presence(BOB);
  const { seen, over } = collect(feed);
  await world.settle();
  t.strictSame(states(seen), ['unknown'], 'answered, though there is nothing to tell');
  bob.client.setAvailable(true);
  await world.settle();
  await world.pass(120_000);
  bob.client.setAvailable(false);
  await world.settle();
  t.strictSame(states(seen), ['unknown', 'online', 'away']);
  t.equal(seen.at(-1)!.lastSeenAt! % 60_000, 0);
  t.match(alice.eventsOf('presence'), [{ state: 'online' }, { state: 'away', user: bob.user }]);
  await feed.return!();
  await over;
  bob.client.setAvailable(true);
  await world.settle();
  t.equal(seen.length, 3);
  t.match(said(world, alice).at(-1), { kind: 'unsubscribe', to: bob.user });
});

t.test('a client whose application says nothing is not said to be there', async (t) => {
  const world = new World();
  const [, bob] = await world.pair();
  await bob.client.send(ALICE, 'hello');
  await world.pass(LIMITS.presenceRepeatMs * 2);
  t.strictSame(said(world, bob), []);
});

t.test('the first message of somebody who is hidden makes the client ask again, and not each one', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  collect(alice.client.presence(BOB));
  await world.settle();
  for (let count = 0; count < 5; count++) await bob.client.send(ALICE, `m${count}`);
  await world.settle();
  t.equal(said(world, alice).length, 2);
  await world.pass(LIMITS.presenceAskAgainMs);
  await bob.client.send(ALICE, 'later');
  await world.settle();
  t.equal(said(world, alice).length, 3);
  bob.client.setAvailable(true);
  await world.pass(LIMITS.presenceAskAgainMs);
  await bob.client.send(ALICE, 'once it is known');
  await world.settle();
  t.equal(said(world, alice).length, 3);
});

t.test('two readers share a subscription; the last to leave ends it', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const [first, second] = [alice.client.presence(BOB), alice.client.presence(bob.user)];
  const [one, two] = [collect(first), collect(second)];
  await world.settle();
  bob.client.setAvailable(true);
  await world.settle();
  t.equal(states(one.seen).at(-1), 'online');
  t.equal(states(two.seen).at(-1), 'online');
  t.equal(said(world, alice).length, 1);
  await first.return!();
  await world.settle();
  t.equal(said(world, alice).length, 1);
  await second.return!();
  await world.settle();
  t.match(said(world, alice).at(-1), { kind: 'unsubscribe' });
});

t.test('after a lost connection nothing is known, and then what holds', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  bob.client.setAvailable(true);
  const { seen } = collect(alice.client.presence(BOB));
  await world.settle();
  world.server.dropAll();
  await world.settle();
  t.strictSame(states(seen), ['online', 'unknown']);
  await world.pass(120_000);
  t.equal(states(seen).at(-1), 'online', 'both have come back and said so');
});

t.test('what the server may have lost is said again every few minutes', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  bob.client.setAvailable(true);
  collect(alice.client.presence(BOB));
  await world.pass(10 * LIMITS.presenceRepeatMs);
  for (const person of [alice, bob]) {
    const count = said(world, person).length;
    t.ok(count >= 11 && count <= 15, `${count} times`);
  }
});

t.test('typing is told while keys come, rarely, and ends by itself', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const { seen } = collect(alice.client.presence(BOB));
  bob.client.setAvailable(true);
  await world.settle();
  for (let key = 0; key < 120; key++) {
    await bob.client.setTyping(alice.user, 'composing');
    await world.pass(100);
  }
  t.equal(said(world, bob).filter(({ kind }) => kind === 'typing').length, 3, 'three times in twelve seconds');
  t.equal(states(seen).at(-1), 'online composing');
  await world.pass(LIMITS.typingIdleMs);
  t.equal(states(seen).at(-1), 'online');
  await bob.client.setTyping(alice.user, 'recording');
  await bob.client.send(ALICE, 'done');
  await world.settle();
  t.equal(states(seen).at(-1), 'online', 'a message ends it');
  t.ok(states(seen).includes('online recording'));
});

t.test('who vanishes while typing does not type for ever', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const { seen } = collect(alice.client.presence(BOB));
  await world.settle();
  await bob.client.setTyping(alice.user, 'composing');
  await world.settle();
  t.equal(states(seen).at(-1), 'unknown composing');
  bob.kill();
  await world.pass(LIMITS.typingShownMs - 1_000);
  t.equal(states(seen).at(-1), 'unknown composing');
  await world.pass(2_000);
  t.equal(states(seen).at(-1), 'unknown');
});

t.test('a peer that does not exist fails the loop; closing the client ends it, without a timer left', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const missing = collect(alice.client.presence('+4915100000099'));
  t.match(await missing.over, { code: 'CLI_PEER_UNKNOWN' });
  const open = collect(alice.client.presence(BOB));
  await alice.client.setTyping(BOB, 'composing');
  alice.client.setAvailable(true);
  await world.settle();
  await alice.client.close();
  t.equal(await open.over, undefined);
  await bob.client.close();
  t.equal(world.clock.timerCount, 0);
});

t.test('who may see us is chosen by number, and the lists are bounded', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  t.strictSame(await alice.client.privacy(), { audience: 'contacts', shown: [], hidden: [] });
  await alice.client.setPrivacy({ audience: 'everyone', hidden: [BOB, bob.user] });
  t.strictSame(await alice.client.privacy(), { audience: 'everyone', shown: [], hidden: [bob.user] });
  await t.rejects(alice.client.setPrivacy({ audience: 'nobody', shown: [BOB], hidden: [bob.user] }), RangeError);
  const many = Array.from({ length: 257 }, (_, index) => String(200_000_000_000_000 + index));
  await t.rejects(alice.client.setPrivacy({ audience: 'nobody', shown: many }), RangeError);
});

t.test('a feed keeps the newest value for a slow reader, and ends for all who wait', async (t) => {
  const value = (user: string): PeerPresence => ({ user, state: 'online', lastSeenAt: undefined, typing: undefined });
  let left = 0;
  const feed = new LatestFeed<PeerPresence>(() => (left += 1));
  feed.push(value('1'));
  feed.push(value('2'));
  t.match(await feed.next(), { value: { user: '2' }, done: false });
  const waiting = [feed.next(), feed.next()];
  feed.push(value('3'));
  t.match(await waiting[0], { value: { user: '3' } });
  await feed.return();
  await feed.return();
  t.match(await waiting[1], { done: true });
  t.match(await feed.next(), { done: true });
  t.equal(left, 1);
});
