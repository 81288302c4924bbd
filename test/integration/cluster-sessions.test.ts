/**
 * People on different nodes of a cluster: real nodes, real NATS, the SDK for what people see and raw clients for what they must not.
 */

import t from 'tap';
import type { PeerPresence } from '../../client/index.ts';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { startTestCluster } from './cluster-process.ts';
import { attend, newPerson, openClient, pause, until, PATIENCE_MS } from './people.ts';
import { connectAs, loginForTicket, newClient, RawClient, register, resumeWith } from './raw-client.ts';
import type { ServerProcess } from './server-process.ts';

const PHONES = ['+4915100000001', '+4915100000002', '+4915100000003', '+4915100000004'] as const;

/** On a machine that is starved an owner may lose its lease for a moment: clients are told to come again, and so does this one. */
async function askUntilServed(ask: () => Promise<unknown>): Promise<void> {
  for (let left = 200; ; left--) {
    try {
      await ask();
      return;
    } catch (error) {
      if (left === 0 || !/APP_RESTARTING|APP_UNAVAILABLE/.test(String(error))) throw error;
      await pause(250);
    }
  }
}

t.test('with two nodes', hasNatsServer() ? {} : { skip: 'nats-server is not installed' }, async (t) => {
  const cluster = await startTestCluster(t, { nodes: ['a', 'b'], servers: 1 });
  const [first, second] = cluster.nodes as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]];

  // Wherever their numbers belong, four people make every case: sender and recipient near and far from their shards.
  const people = await Promise.all(PHONES.map((phone, index) => newPerson(t, index % 2 ? second : first, phone)));

  t.test('everybody writes to everybody, in order and once, and the marks come back', async (t) => {
    const done: Promise<unknown>[] = [];
    for (const from of people) {
      for (const to of people) {
        if (from === to) continue;
        for (let count = 1; count <= 5; count += 1) {
          const message = await from.client.send(to.phone, `${from.phone} ${count}`);
          if (count === 5) done.push(message.delivered);
        }
      }
    }
    await Promise.all(done);
    await until('all of it', PATIENCE_MS, () => people.every(({ received }) => received.length >= 15));
    for (const { received } of people) {
      for (const { phone } of people) {
        const texts = received.filter((message) => message.phone === phone).map(({ text }) => text);
        const expected = texts.length === 0 ? [] : [1, 2, 3, 4, 5].map((count) => `${phone} ${count}`);
        t.strictSame(texts, expected);
      }
      t.equal(received.length, 15);
    }
    const [alice, bob] = people as [(typeof people)[0], (typeof people)[0]];
    const message = await alice.client.send(bob.phone, 'read this');
    await until('it', PATIENCE_MS, () => bob.received.at(-1)?.text === 'read this');
    await bob.received.at(-1)!.markRead();
    await message.read;
  });

  t.test('they see each other come, type and go', async (t) => {
    const [alice, bob] = people as [(typeof people)[0], (typeof people)[0]];
    const seen: PeerPresence[] = [];
    void (async () => {
      for await (const presence of alice.client.presence(bob.phone)) seen.push(presence);
    })();
    await until('the answer', PATIENCE_MS, () => seen.length > 0);
    bob.client.setAvailable(true);
    await until('online', PATIENCE_MS, () => seen.at(-1)?.state === 'online');
    await bob.client.setTyping(alice.phone, 'composing');
    await until('typing', PATIENCE_MS, () => seen.at(-1)?.typing === 'composing');
    bob.client.setAvailable(false);
    await until('away', PATIENCE_MS, () => seen.at(-1)?.state === 'away');
    t.pass();
  });

  t.test('what was written to somebody who is away waits, whichever node it comes back to', async (t) => {
    const dora = await openClient(first.url);
    t.teardown(() => dora.close());
    await askUntilServed(() => dora.requestCode('+4915100000009'));
    await dora.confirmCode('+4915100000009', await first.code('+4915100000009'));
    for (const { client } of people) await client.send('+4915100000009', 'for later');
    await dora.connect();
    const { received } = attend('+4915100000009', dora);
    await until('all four', PATIENCE_MS, () => received.length === 4);
    t.pass();
  });

  t.test('the newest login of a device wins, on whichever node it is', async (t) => {
    const [here, there] = [first, second] as unknown as [ServerProcess, ServerProcess];
    /** Logs in here, there, and here again. @returns Why the former two were closed. */
    const change = async (phone: string): Promise<unknown[]> => {
      const who = await register(here, phone);
      const before = await connectAs(here, who);
      const elsewhere = await connectAs(there, who);
      const closes = [await before.closed];
      const back = await connectAs(here, who);
      closes.push(await elsewhere.closed);
      back.close();
      return closes;
    };
    const replaced = { code: 4409, reason: 'APP_REPLACED' };
    let seenCount = 0;
    // On a machine that is starved an owner may lose its lease for a moment: clients are told to come again, and so does this one.
    for (let last = 10; last < 16 && seenCount < 2; last++) {
      const closes = await change(`+49151000000${last}`).catch((error: Error) => error.message);
      if (/APP_RESTARTING|APP_UNAVAILABLE|APP_OVERLOADED/.test(JSON.stringify(closes))) continue;
      t.same(closes, [replaced, replaced]);
      seenCount++;
    }
    t.equal(seenCount, 2, 'two devices were seen to be replaced');
  });

  t.test('a ticket of one node logs in on the other, which goes on after what was acknowledged there', async (t) => {
    const [here, there] = [first, second] as unknown as [ServerProcess, ServerProcess];
    /** Gets a message here, leaves, is written to, and comes back there. @returns Positions and ids of what it got on both. */
    const move = async (phone: string, from: string): Promise<unknown[]> => {
      const [who, sender] = [await register(here, phone), await newClient(there, from)];
      const write = async (id: number): Promise<void> => {
        const envelopes = [{ device: 1, type: 'ratchet', ciphertext: new Uint8Array(40) }] as const;
        sender.client.send({ kind: 'message', to: who.user, id, envelopes });
        await sender.client.next('ack', (ack) => ack.to === who.user && ack.id === id);
      };
      const ticket = await loginForTicket(here, who);
      const before = await connectAs(here, who);
      await write(1);
      const { seq, id } = await before.next('message');
      before.send({ kind: 'inbox-ack', seq });
      await sender.client.next('receipt', ({ type }) => type === 'delivered');
      before.close();
      await write(2);
      const after = new RawClient(there.url);
      after.send(resumeWith(who, ticket, (await after.next('stream')).nonce));
      await after.next('success');
      const next = await after.next('message');
      for (const client of [after, sender.client]) client.close();
      return [
        [seq, id],
        [next.seq, next.id],
      ];
    };
    let moved: unknown;
    // As above: who is told to come again does.
    for (let last = 20; last < 28 && !Array.isArray(moved); last += 2) {
      moved = await move(`+49151000000${last}`, `+49151000000${last + 1}`).catch(({ message }: Error) => message);
      if (!Array.isArray(moved) && !/APP_RESTARTING|APP_UNAVAILABLE|APP_OVERLOADED/.test(String(moved))) break;
    }
    t.same(moved, [
      [1, 1],
      [2, 2],
    ]);
  });

  t.test('a node that is killed is missed soon', async (t) => {
    await second.process.kill();
    const lost = await first.process.line(({ event, node }) => event === 'node_down' && node === 'b');
    // Its connection is gone; on a machine that is starved its silence may be over before the servers are asked.
    t.match(lost['reason'], /^(deserted|silence)$/);
    t.equal(await first.process.stop(), 0, 'and the other stops in order');
  });
});
