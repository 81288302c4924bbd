/**
 * Presence, typing and read receipts through a real node with two workers, over real sockets: the SDK for what people see, raw
 * clients for what they must not.
 */

import t from 'tap';
import type { PeerPresence } from '../../client/index.ts';
import { diskStore } from '../../client/node/disk-store.ts';
import type { ServerMessage } from '../../protocol/wire/index.ts';
import { newPerson, openClient, until, PATIENCE_MS } from './people.ts';
import { connectAs, newClient, type RawClient } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const [ALICE, BOB, EVE] = ['+4915100000001', '+4915100000002', '+4915100000003'] as const;

function watch(feed: AsyncIterable<PeerPresence>): PeerPresence[] {
  const seen: PeerPresence[] = [];
  void (async () => {
    for await (const presence of feed) seen.push(presence);
  })();
  return seen;
}

t.test('two people see each other come, type and go', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '2']);
  const alice = await newPerson(t, server, ALICE);
  const bob = await newPerson(t, server, BOB);
  const bobUser = await alice.client.resolve(BOB);
  const seen = watch(alice.client.presence(BOB));
  await until('the answer', PATIENCE_MS, () => seen.length === 1);
  t.match(seen[0], { user: bobUser, state: 'unknown', lastSeenAt: undefined });
  bob.client.setAvailable(true);
  await bob.client.send(ALICE, 'so that alice is a contact of mine');
  await until('online', PATIENCE_MS, () => seen.at(-1)?.state === 'online');
  await bob.client.setTyping(ALICE, 'composing');
  await until('typing', PATIENCE_MS, () => seen.at(-1)?.typing === 'composing');
  await bob.client.send(ALICE, 'done');
  await until('the end of typing', PATIENCE_MS, () => seen.at(-1)?.typing === undefined);
  await bob.client.close();
  await until('away', PATIENCE_MS, () => seen.at(-1)?.state === 'away');
  const { lastSeenAt } = seen.at(-1)!;
  t.ok(lastSeenAt! % 60_000 === 0 && Math.abs(lastSeenAt! - Date.now()) < 180_000, 'to the minute');
});

t.test('who may not see is told what is told of nobody; settings and minutes outlive a restart', async (t) => {
  const directory = temporaryDirectory(t);
  const first = await ServerProcess.start(t, directory, ['--workers', '2']);
  const alice = await newClient(first, ALICE);
  const bob = await newClient(first, BOB);
  const eve = await newClient(first, EVE);
  const ask = (client: RawClient, to: string) => client.ask({ kind: 'subscribe', to });
  t.match(await alice.client.ask({ kind: 'privacy' }), { audience: 'contacts', shown: [], hidden: [] });
  const chosen = { audience: 'everyone', shown: [], hidden: [eve.who.user] } as const;
  t.match(await alice.client.ask({ kind: 'privacy-change', ...chosen }), { kind: 'privacy', ...chosen });
  alice.client.send({ kind: 'availability', state: 'available' });
  const missing = '999999999999999';
  const nothing = { kind: 'presence', state: 'unavailable', lastSeen: undefined };
  t.strictSame(await ask(eve.client, missing), { ...nothing, from: missing });
  t.strictSame(await ask(eve.client, alice.who.user), { ...nothing, from: alice.who.user });
  t.match(await ask(bob.client, alice.who.user), { state: 'available' });
  alice.client.send({ kind: 'typing', to: eve.who.user, state: 'composing' });
  alice.client.send({ kind: 'typing', to: bob.who.user, state: 'composing' });
  await bob.client.next('typing', ({ from }) => from === alice.who.user);
  const kinds = eve.client.inbox.map(({ kind }: ServerMessage) => kind);
  t.notOk(kinds.includes('typing') || kinds.includes('presence'), 'eve heard nothing more');
  for (const { client } of [alice, bob, eve]) client.close();
  t.equal(await first.stop(), 0);

  const second = await ServerProcess.start(t, directory, ['--workers', '1']);
  const [bobAgain, eveAgain] = [await connectAs(second, bob.who), await connectAs(second, eve.who)];
  t.strictSame(await ask(eveAgain, alice.who.user), { ...nothing, from: alice.who.user });
  const seen = await ask(bobAgain, alice.who.user);
  t.ok(
    typeof seen !== 'string' && seen.kind === 'presence' && seen.lastSeen! > Date.now() - 180_000,
    'last seen is kept',
  );
  for (const client of [bobAgain, eveAgain]) client.close();
  await second.stop();
});

t.test('a flood of signals ends its own connection, and messages of others go on', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t));
  const alice = await newPerson(t, server, ALICE);
  const bob = await newPerson(t, server, BOB);
  const eve = await newClient(server, EVE);
  const typing = { kind: 'typing', to: await alice.client.resolve(BOB), state: 'composing' } as const;
  const flood = Array.from({ length: 400 }, () => typing);
  for (let part = 0; part < 4; part++) eve.client.send(...flood);
  const sent = await Promise.all(Array.from({ length: 50 }, (_, index) => alice.client.send(BOB, `m${index}`)));
  await Promise.all(sent.map(({ delivered }) => delivered));
  t.same(await eve.client.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
  await until('all', PATIENCE_MS, () => bob.received.length === 50);
  t.strictSame(
    bob.received.map(({ text }) => text),
    sent.map(({ text }) => text),
  );
});

t.test('a read receipt noted without a server is sent by the next run of the client', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t));
  const alice = await newPerson(t, server, ALICE);
  const store = diskStore(temporaryDirectory(t));
  const bob = await newPerson(t, server, BOB, store);
  const message = await alice.client.send(BOB, 'read me on the train');
  await message.delivered;
  await bob.client.close();
  const offline = await openClient('ws://127.0.0.1:1', store);
  await offline.markRead(alice.client.account!.user);
  await offline.close();
  t.equal(message.state, 'delivered');
  const again = await openClient(server.url, store);
  t.teardown(() => again.close());
  await again.connect();
  await message.read;
  t.equal(message.state, 'read');
});
