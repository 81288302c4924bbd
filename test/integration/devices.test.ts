/**
 * Two people with two devices each, through a real node: everything arrives on each device once and in order, one that was
 * away catches up, one that was unlinked gets nothing further.
 */

import { createClient, memoryStore } from '../../client/index.ts';
import { systemClock, systemRandom } from '../../client/node/system.ts';
import { wsTransport } from '../../client/node/ws-transport.ts';
import t, { type Test } from 'tap';
import { attend, newPerson, openClient, until, type Person, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const [ALICE, BOB] = ['+4915100000001', '+4915100000002'];

/** One more device of somebody. */
async function link(t: Test, server: ServerProcess, primary: Person): Promise<Person> {
  const client = await openClient(server.url);
  t.teardown(() => client.close());
  const { code, linked } = await client.beginLinking('second');
  await primary.client.approveLink(code);
  await linked;
  await client.connect();
  return attend(primary.phone, client);
}

/** A chat as a device shows it: own messages with an arrow. */
async function chat({ client }: Person, peer: string): Promise<string[]> {
  const items = await client.history(peer, { limit: 256 });
  return items.map(({ direction, kind, text }) => `${direction === 'out' ? '→' : ''}${kind === 'text' ? text : kind}`);
}

async function untilChat(person: Person, peer: string, count: number): Promise<string[]> {
  let seen: string[] = [];
  let isLooking = false;
  await until(`${count} messages`, PATIENCE_MS, () => {
    if (!isLooking) {
      isLooking = true;
      void chat(person, peer).then((texts) => {
        seen = texts;
        isLooking = false;
      });
    }
    return seen.length >= count;
  }).catch((error: Error) => {
    throw new Error(`${error.message}; seen: ${seen.join(', ')}`);
  });
  return seen;
}

t.test('two people with two devices each', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '2']);
  const alice = await newPerson(t, server, ALICE);
  const bob = await newPerson(t, server, BOB);
  await until('the lists', PATIENCE_MS, () => alice.client.state === 'live' && bob.client.state === 'live');
  await (
    await alice.client.send(BOB, 'before')
  ).delivered;
  const aliceTwo = await link(t, server, alice);
  const bobTwo = await link(t, server, bob);
  const everyone = [alice, aliceTwo, bob, bobTwo];

  const ROUNDS = 10;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const person of everyone) {
      const name = `${person === alice || person === bob ? 'first' : 'second'} ${round}`;
      await person.client.send(person.phone === ALICE ? BOB : ALICE, name);
    }
  }
  const received = Array.from({ length: ROUNDS }, (_, n) => [`first ${n}`, `second ${n}`]).flat();
  for (const person of everyone) {
    const old = person === alice || person === bob ? 1 : 0;
    const texts = (await untilChat(person, person.phone === ALICE ? BOB : ALICE, old + 4 * ROUNDS)).slice(old);
    t.same(
      texts.filter((text) => !text.startsWith('→')),
      received,
      'once, and in order',
    );
    const own = texts.filter((text) => text.startsWith('→'));
    t.same([...own].sort(), received.map((text) => `→${text}`).sort(), 'what one’s own devices sent is there, once');
    for (const device of ['first', 'second']) {
      const expected = Array.from({ length: ROUNDS }, (_, n) => `→${device} ${n}`);
      t.same(
        own.filter((text) => text.startsWith(`→${device}`)),
        expected,
        `${device}: in order`,
      );
    }
  }

  await t.test('a device that is away catches up, also over a restart of the node’s client', async (t) => {
    const store = memoryStore();
    const options = { url: server.url, transport: wsTransport, clock: systemClock, random: systemRandom };
    const kept = { ...bound(store), close: async () => {} };
    const tablet = await createClient({ ...options, store: kept });
    const { code, linked } = await tablet.beginLinking('tablet');
    await alice.client.approveLink(code);
    await linked;
    await tablet.close();
    await bobTwo.client.send(ALICE, 'while the tablet was off');
    await alice.client.send(BOB, 'from the phone');
    const again = await createClient({ ...options, store: kept });
    t.teardown(() => again.close());
    await again.connect();
    t.same(await untilChat(attend(ALICE, again), BOB, 2), ['while the tablet was off', '→from the phone']);
    const stopped = new Promise<string>((resolve) => {
      again.onEvent((event) => {
        if (event.type === 'stopped') resolve(event.code);
      });
    });
    await alice.client.unlinkDevice(again.account!.device);
    t.equal(await stopped, 'APP_UNREGISTERED');
    await (
      await bob.client.send(ALICE, 'after')
    ).delivered;
    t.equal((await again.history(BOB)).length, 2, 'and gets nothing further');
  });
});

/** A store's methods as those of a plain object. */
function bound(store: ReturnType<typeof memoryStore>): Omit<ReturnType<typeof memoryStore>, 'close'> {
  return {
    get: (key) => store.get(key),
    list: (range) => store.list(range),
    write: (changes, durability) => store.write(changes, durability),
  };
}
