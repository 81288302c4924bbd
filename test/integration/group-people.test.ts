/**
 * Groups through a real node with two workers, over real sockets, with clients on disks: made, added to, written to, left; and what
 * somebody who was removed can read with everything that they have.
 */

import { cpSync } from 'node:fs';
import t from 'tap';
import { createClient } from '../../client/index.ts';
import type { Transport } from '../../client/index.ts';
import { diskStore } from '../../client/node/disk-store.ts';
import { GROUP_KEY } from '../../client/group-layout.ts';
import { systemClock, systemRandom } from '../../client/node/system.ts';
import { wsTransport } from '../../client/node/ws-transport.ts';
import { decryptFromGroup, isSignalError } from '../../protocol/signal/index.ts';
import { eachStanza, parseServerMessage } from '../../protocol/wire/index.ts';
import { newPerson, pause, type Person, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const [ALICE, BOB, CAROL, DAVE] = ['+4915100000001', '+4915100000002', '+4915100000003', '+4915100000004'] as const;

/** Waits until `holds`, looking every 50 ms. */
async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await holds()); waitedMs += 50) {
    if (waitedMs > PATIENCE_MS) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
    await pause(50);
  }
}

/** Texts that a person has received in a group, in their order. */
async function texts({ client }: Person, name: string): Promise<string[]> {
  const items = await client.history(name, { limit: 256 });
  return items
    .filter(({ direction }) => direction === 'in')
    .map((item) => (item.kind === 'undecryptable' ? item.code : item.text));
}

async function untilRead(person: Person, name: string, count: number): Promise<string[]> {
  let read: string[] = [];
  await eventually(`${count} messages at ${person.phone}`, async () => {
    read = await texts(person, name);
    return read.length >= count;
  });
  return read;
}

/** Resolves when `viewer` is told that `typist` types in a group whose chat both show. */
async function seesTyping(viewer: Person, typist: Person, name: string): Promise<void> {
  const [seen, own] = [viewer.client.groups.typing(name), typist.client.groups.typing(name)];
  let isSeen = false;
  void (async () => {
    for await (const typists of seen) isSeen ||= typists.some(({ user }) => user === typist.client.account!.user);
  })();
  // Said again: the first time may be before the subscriptions.
  for (let tries = 0; !isSeen; tries++) {
    if (400 * tries > PATIENCE_MS) throw new Error(`${viewer.phone} was not told that ${typist.phone} types`);
    await typist.client.setTyping(name, tries % 2 === 0 ? 'composing' : 'paused');
    await pause(400);
  }
  await seen.return!();
  await own.return!();
}

async function untilEpoch(person: Person, name: string, epoch: number): Promise<void> {
  await eventually(`epoch ${epoch} at ${person.phone}`, async () => {
    const group = await person.client.groups.get(name).catch(() => undefined);
    return group !== undefined && group.epoch >= epoch;
  });
}

t.test('a group on a real node: create, send, receipts, add, remove', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '2']);
  const alice = await newPerson(t, server, ALICE);
  const bob = await newPerson(t, server, BOB);
  const directory = temporaryDirectory(t);
  const carol = await newPerson(t, server, CAROL, diskStore(directory));
  const { name } = await alice.client.groups.create('Sailing', [BOB, CAROL]);
  await untilEpoch(bob, name, 1);
  await untilEpoch(carol, name, 1);
  const first = await alice.client.send(name, 'Meet me at the harbour');
  await bob.client.send(name, 'Aye');
  t.same((await untilRead(carol, name, 2)).sort(), ['Aye', 'Meet me at the harbour']);
  await first.delivered;
  t.same(
    first.members.map(({ state }) => state),
    ['delivered', 'delivered'],
  );
  await t.resolves(seesTyping(bob, carol, name));
  await carol.client.markRead(name);
  await eventually('read by one', () => first.members.some(({ state }) => state === 'read'));
  t.equal(first.state, 'delivered', 'as far as with the last one');

  const dave = await newPerson(t, server, DAVE);
  await alice.client.groups.add(name, [DAVE]);
  for (const person of [bob, carol, dave]) await untilEpoch(person, name, 2);
  await bob.client.send(name, 'Welcome');
  t.same(await untilRead(dave, name, 1), ['Welcome']);
  t.equal((await untilRead(carol, name, 3)).length, 3);

  await alice.client.groups.remove(name, [CAROL]);
  for (const person of [bob, dave]) await untilEpoch(person, name, 3);
  await alice.client.send(name, 'Without Carol');
  await dave.client.send(name, 'Aye aye');
  await untilRead(bob, name, 3).then((read) => t.same(read.slice(-2), ['Without Carol', 'Aye aye']));
  await eventually('carol knows', async () => (await carol.client.groups.get(name)).role === undefined);
  t.equal((await texts(carol, name)).length, 3);
  await t.rejects(carol.client.send(name, 'still here?'), { code: 'CLI_GROUP_NOT_A_MEMBER' });
  await carol.client.close();
  t.same(
    [alice, bob, dave].map(({ client }) => client.outboxSize),
    [0, 0, 0],
    'everything is at the server',
  );
});

t.test('who was removed cannot read what follows, with all keys of the disk', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '2']);
  const alice = await newPerson(t, server, ALICE);
  const [bobs, carols, copy] = [temporaryDirectory(t), temporaryDirectory(t), temporaryDirectory(t)];
  const bob = await newPerson(t, server, BOB, diskStore(bobs));
  const carol = await newPerson(t, server, CAROL, diskStore(carols));
  const { name } = await alice.client.groups.create('Sailing', [BOB, CAROL]);
  for (const person of [bob, carol]) await untilEpoch(person, name, 1);
  await alice.client.send(name, 'before');
  await untilRead(carol, name, 1);
  await alice.client.groups.remove(name, [CAROL]);
  await alice.client.send(name, 'without Carol');
  await untilRead(bob, name, 2);
  await bob.client.close();
  await carol.client.close();
  // As Bob's disk was before the message came: reading it uses its key up.
  cpSync(bobs, copy, { recursive: true });
  await alice.client.send(name, 'after');
  const ciphertexts: Uint8Array[] = [];
  const options = { url: server.url, store: diskStore(bobs), clock: systemClock, random: systemRandom };
  const again = await createClient({ ...options, transport: recordingTransport(ciphertexts) });
  t.teardown(() => again.close());
  await again.connect();
  await eventually('the ciphertext', () => ciphertexts.length > 0);
  const [sealed] = ciphertexts;
  t.equal(await opens(carols, sealed!), false);
  t.equal(await opens(copy, sealed!), true, 'positive control: the same attempt with the disk of a member');
});

/** Keeps the ciphertexts of group messages that pass by. */
function recordingTransport(ciphertexts: Uint8Array[]): Transport {
  const record = (bytes: Uint8Array): void => {
    eachStanza(bytes, (stanza) => {
      const message = parseServerMessage(stanza);
      if ('kind' in message && message.kind === 'group-message') ciphertexts.push(message.ciphertext.slice());
    });
  };
  return {
    dial: (url, listener) =>
      wsTransport.dial(url, {
        onMessage: (bytes) => {
          record(bytes);
          listener.onMessage(bytes);
        },
        onClose: (close) => listener.onClose(close),
      }),
  };
}

/** Whether any chain on a disk, of whatever sender, opens a ciphertext. */
async function opens(directory: string, ciphertext: Uint8Array): Promise<boolean> {
  const store = await diskStore(directory)();
  const keys = await store.list({ prefix: 'group-key/', limit: 1_000 });
  await store.close();
  t.ok(keys.length > 0, 'there are keys to try');
  return keys.some(({ value }) => !isSignalError(decryptFromGroup(GROUP_KEY.decode(value), ciphertext)));
}
