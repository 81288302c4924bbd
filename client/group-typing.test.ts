/** Typing in groups between clients and a server in memory: who is shown to type, for how long, and what is said how often. */

import t from 'tap';
import type { GroupTypist } from './group-typing.ts';
import { LIMITS } from './limits.ts';
import { CAROL, groupWorld } from './testing/group-world.ts';
import type { GroupWorld } from './testing/group-world.ts';
import type { Person } from './testing/world.ts';

/** Reads who types, as words, in the background. */
function collect(
  person: Person,
  { name, alice, bob, carol }: GroupWorld,
): { seen: string[]; leave: () => void; over: Promise<unknown> } {
  const seen: string[] = [];
  const names = new Map([
    [alice.user, 'alice'],
    [bob.user, 'bob'],
    [carol.user, 'carol'],
  ]);
  const feed = person.client.groups.typing(name);
  const describe = (typists: readonly GroupTypist[]): string =>
    typists.map(({ user, state }) => `${names.get(user)} ${state}`).join(', ');
  const over = (async () => {
    for await (const typists of feed) seen.push(describe(typists));
  })().catch((error: unknown) => error);
  return { seen, leave: () => void feed.return!(), over };
}

/** What a person told the server of typing, and how often they asked. */
function said({ world, group }: GroupWorld, { user }: Person): string[] {
  return world.server.log.flatMap(({ user: from, message }) => {
    if (from !== user) return [];
    if (message.kind === 'group-typing' && message.group === group) return [message.state];
    if (message.kind === 'group-unsubscribe') return ['leaves'];
    return message.kind === 'iq-set' && message.request.kind === 'group-subscribe' ? ['asks'] : [];
  });
}

/** Alice and Bob show the chat; what Alice sees. */
async function shownChat(): Promise<{ readonly world: GroupWorld; readonly seen: string[] }> {
  const world = await groupWorld();
  const { seen } = collect(world.alice, world);
  collect(world.bob, world);
  await world.world.settle();
  return { world, seen };
}

t.test('members who show the chat see who types, until they pause or their message comes', async (t) => {
  const world = await groupWorld();
  const { alice, bob, carol, name } = world;
  const [atAlice, atBob] = [collect(alice, world), collect(bob, world)];
  await world.world.settle();
  await bob.client.setTyping(name, 'composing');
  await world.world.settle();
  await carol.client.setTyping(name, 'composing');
  await world.world.settle();
  t.strictSame(atAlice.seen, ['', 'bob composing'], 'who does not show the chat is not said to type');
  t.strictSame(atBob.seen, [''], 'nor is oneself');
  await bob.client.send(name, 'hello');
  await world.world.settle();
  t.strictSame(atAlice.seen, ['', 'bob composing', '']);
  t.match(alice.eventsOf('group-typing'), [{ group: name, typists: [{ user: bob.user }] }, { typists: [] }]);
  const atCarol = collect(carol, world);
  await world.world.settle();
  await carol.client.setTyping(name, 'recording');
  await bob.client.setTyping(name, 'composing');
  await world.world.settle();
  t.equal(atAlice.seen.at(-1), 'carol recording, bob composing');
  for (const each of [atAlice, atBob, atCarol]) each.leave();
  await world.world.settle();
  t.strictSame(said(world, alice), ['asks', 'leaves']);
  t.equal(said(world, carol).at(-1), 'leaves');
});

t.test('who goes on is said to so every few seconds, and to have stopped when the keys do', async (t) => {
  const { world, seen } = await shownChat();
  const { bob, name } = world;
  for (let elapsedMs = 0; elapsedMs < 12_000; elapsedMs += 500) {
    await bob.client.setTyping(name, 'composing');
    await world.world.pass(500);
  }
  t.strictSame(said(world, bob), ['asks', 'composing', 'composing', 'composing']);
  t.strictSame(seen, ['', 'bob composing']);
  await world.world.pass(LIMITS.typingIdleMs);
  t.strictSame(said(world, bob).at(-1), 'paused');
  t.equal(seen.at(-1), '');
});

t.test('a key just before a message is sent says nothing after it', async (t) => {
  const { world, seen } = await shownChat();
  const { bob, name } = world;
  const typed = bob.client.setTyping(name, 'composing');
  await Promise.all([typed, bob.client.send(name, 'hello')]);
  await world.world.settle();
  t.strictSame(said(world, bob), ['asks']);
  t.strictSame(seen, ['']);
  await bob.client.setTyping(name, 'composing');
  await world.world.settle();
  t.strictSame(seen, ['', 'bob composing'], 'the next key does');
});

t.test('somebody who vanishes while typing does not type for ever', async (t) => {
  const { world, seen } = await shownChat();
  const { bob, name } = world;
  await bob.client.setTyping(name, 'composing');
  await world.world.settle();
  bob.kill();
  await world.world.pass(LIMITS.typingShownMs - 100);
  t.equal(seen.at(-1), 'bob composing');
  await world.world.pass(200);
  t.equal(seen.at(-1), '');
});

t.test('a lost connection ends what is known; the next one asks again, and so does time', async (t) => {
  const { world, seen } = await shownChat();
  const { alice, bob, name } = world;
  await bob.client.setTyping(name, 'composing');
  await world.world.settle();
  world.world.server.dropAll();
  await world.world.settle();
  t.equal(seen.at(-1), '');
  await world.world.pass(60_000);
  t.strictSame(said(world, alice), ['asks', 'asks']);
  await bob.client.setTyping(name, 'composing');
  await world.world.settle();
  t.equal(seen.at(-1), 'bob composing');
  await world.world.pass(LIMITS.presenceRepeatMs);
  t.strictSame(said(world, alice), ['asks', 'asks', 'asks']);
});

t.test('whoever is put out hears why their loop ends', async (t) => {
  const world = await groupWorld();
  const { alice, carol, name } = world;
  const { over } = collect(carol, world);
  await world.world.settle();
  await alice.client.groups.remove(name, [CAROL]);
  await world.world.pass(LIMITS.presenceRepeatMs);
  t.match(await over, { code: 'APP_NOT_A_MEMBER' });
  t.equal(said(world, carol).at(-1), 'leaves', 'the refused subscription takes no place');
  t.throws(() => alice.client.groups.typing('+4915100000002'), { code: 'CLI_GROUP_UNKNOWN' });
});

t.test('members of a group into which a stranger has brought us are not told before we write there', async (t) => {
  const world = await groupWorld();
  const { alice, bob, name } = world;
  await bob.client.protection.setStrangers('ask');
  await bob.client.protection.block(alice.user);
  const { seen } = collect(alice, world);
  collect(bob, world);
  await world.world.settle();
  await bob.client.setTyping(name, 'composing');
  await world.world.settle();
  t.strictSame(seen, ['']);
  await bob.client.protection.accept(alice.user);
  await bob.client.setTyping(name, 'composing');
  await world.world.settle();
  t.strictSame(seen, ['', 'bob composing'], 'positive control');
});

t.test('who shows the chat twice asks once', async (t) => {
  const world = await groupWorld();
  const { alice, name } = world;
  const [one, other] = [collect(alice, world), collect(alice, world)];
  await world.world.settle();
  one.leave();
  await world.world.settle();
  t.strictSame(said(world, alice), ['asks']);
  other.leave();
  await world.world.settle();
  t.strictSame(said(world, alice), ['asks', 'leaves']);
  const closing = collect(alice, world);
  await alice.client.close();
  t.equal(await closing.over, undefined);
  t.throws(() => alice.client.groups.typing(name), { code: 'CLI_CLOSED' });
});
