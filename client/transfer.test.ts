/**
 * The history on its way to a new device: what comes and in which order, over crashes, cuts and lost files; who may, and why not.
 */

import t from 'tap';
import type { ClientMessage } from '../protocol/wire/index.ts';
import type { TransferBody, TransferInfo } from './transfer-layout.ts';
import { TRANSFER_KEYS } from './transfer-layout.ts';
import { KEYS } from './layout.ts';
import { LIMITS } from './limits.ts';
import { sayAs, speakAs } from './testing/bent-client.ts';
import type { Fate } from './testing/fake-server.ts';
import { CAROL } from './testing/group-world.ts';
import { ALICE, BOB, World } from './testing/world.ts';
import type { Person } from './testing/world.ts';

interface Scene {
  readonly world: World;
  readonly alice: Person;
  readonly bob: Person;
  readonly carol: Person;
  /** Alice's, new. */
  readonly laptop: Person;
  readonly group: string;
}

/** Alice has written with Bob and in a group before she links a laptop, and goes on afterwards. */
async function scene(seed: number = 1): Promise<Scene> {
  const world = new World(seed);
  const [alice, bob] = await world.pair();
  const carol = await world.person(CAROL).join();
  const { name: group } = await alice.client.groups.create('Sailing', [BOB, CAROL]);
  const first = await alice.client.send(BOB, 'a1');
  await world.quiet();
  await bob.client.send(ALICE, 'b1');
  await alice.client.send(group, 'g1');
  await carol.client.send(group, 'g2');
  await world.quiet();
  await bob.client.react(ALICE, (await bob.client.history(ALICE))[0]!.id, '!');
  await alice.client.edit(BOB, first.id, 'a1, edited');
  await alice.client.send(BOB, { kind: 'text', text: 'once', viewOnce: true });
  await bob.client.setTimer(ALICE, 3_600);
  await bob.client.send(ALICE, 'fleeting');
  await bob.client.setTimer(ALICE, 0);
  await bob.client.send(ALICE, 'b2');
  await world.quiet();
  const laptop = await world.link(alice);
  await bob.client.send(ALICE, 'after the linking');
  await world.quiet();
  return { world, alice, bob, carol, laptop, group };
}

/** A chat as a device shows it. */
async function chat(person: Person, peer: string): Promise<string[]> {
  const items = await person.client.history(peer, { limit: 256 });
  return items.map((item) => `${item.direction === 'out' ? '→' : ''}${item.text || item.kind}`);
}

function news(person: Person, direction: 'in' | 'out'): TransferInfo[] {
  return person.eventsOf('history-transfer').filter((event) => event.direction === direction);
}

function lastNews(person: Person, direction: 'in' | 'out'): Pick<TransferInfo, 'state' | 'code'> | undefined {
  const last = news(person, direction).at(-1);
  return last && { state: last.state, code: last.code };
}

async function transfer({ world, alice, laptop }: Scene): Promise<void> {
  await laptop.client.requestHistory();
  await world.quiet();
  await alice.client.approveHistory(laptop.client.account!.device);
  await world.pass(60_000);
}

const WITH_BOB = ['→a1, edited', 'b1', 'b2', 'after the linking'];
const IN_GROUP = ['→g1', 'g2'];

/** The rest of the chat with Bob consists of timers, which are messages of their own. */
async function texts(person: Person, peer: string): Promise<string[]> {
  return (await chat(person, peer)).filter((line) => line !== 'timer');
}

async function assertComplete(t: Tap, { alice, bob, laptop, group }: Scene): Promise<void> {
  t.same(await texts(laptop, BOB), WITH_BOB);
  t.same(await chat(laptop, group), IN_GROUP);
  const [first] = await laptop.client.history(BOB);
  t.match(first, { reactions: [{ author: bob.user, emoji: '!' }], state: 'delivered' });
  t.ok(first!.editedAt);
  t.same(lastNews(laptop, 'in'), { state: 'done', code: undefined });
  t.same(lastNews(alice, 'out'), { state: 'done', code: undefined });
  t.same(await alice.client.historyTransfers(), []);
}

type Tap = Pick<typeof t, 'same' | 'match' | 'ok' | 'equal'>;

t.test('what was before the linking comes before what came since, and nothing wakes the reader', async (t) => {
  const all = await scene();
  const { world, alice, laptop, group } = all;
  t.same(await texts(laptop, BOB), ['after the linking']);
  await laptop.client.requestHistory();
  await world.quiet();
  const device = laptop.client.account!.device;
  t.match(news(alice, 'out'), [{ device, state: 'asked', transferred: 0 }]);
  t.same(await chat(laptop, group), [], 'nothing comes before somebody consents');
  await alice.client.approveHistory(device);
  await world.pass(60_000);
  await assertComplete(t, all);
  t.match(news(laptop, 'in').at(-1), { transferred: 10, total: 10 });
  t.equal(laptop.eventsOf('message').length, 1, 'only what came since was told as new');
  const shown = await chat(laptop, BOB);
  t.notOk(shown.includes('fleeting') || shown.includes('→view-once'), 'what disappears stays where it is');
  t.equal(shown.filter((line) => line.endsWith('timer')).length, 1);
  await bobAnswers(t, all);
});

/** Both devices go on with what was transferred: an edit and a reaction reach it, sent messages keep their state. */
async function bobAnswers(t: Tap, { world, bob, laptop }: Scene): Promise<void> {
  const item = (await bob.client.history(ALICE)).find(({ text }) => text === 'b2')!;
  await bob.client.edit(ALICE, item.id, 'b2, edited');
  await world.quiet();
  t.ok((await texts(laptop, BOB)).includes('b2, edited'));
  await bob.client.markRead(ALICE);
  await world.quiet();
  t.equal((await laptop.client.history(BOB))[0]!.state, 'read');
}

t.test('a second transfer brings nothing twice', async (t) => {
  const all = await scene();
  await transfer(all);
  const before = await chat(all.laptop, BOB);
  await transfer(all);
  t.same(await chat(all.laptop, BOB), before);
  await assertComplete(t, all);
});

t.test('newest first: where room is bounded, it is the oldest that stays behind', async (t) => {
  const world = new World();
  const [alice, bob] = await world.pair();
  const long = 'x'.repeat(4_000);
  const count = 90;
  for (let number = 1; number <= count; number += 1) await bob.client.enqueue(ALICE, `${number} ${long}`);
  await world.pass(10_000);
  const laptop = await world.link(alice);
  await laptop.client.requestHistory({ bytesMax: 300_000 });
  await world.quiet();
  await alice.client.approveHistory(laptop.client.account!.device);
  await world.pass(60_000);
  t.same(lastNews(laptop, 'in'), { state: 'failed', code: 'CLI_TRANSFER_SPACE' });
  t.same(lastNews(alice, 'out'), { state: 'failed', code: 'CLI_TRANSFER_SPACE' });
  const held = (await laptop.client.history(BOB, { limit: 256 })).map(({ text }) => Number(text.split(' ')[0]));
  t.ok(held.length > 50 && held.length < count, `${held.length} of ${count}`);
  t.same(
    held,
    Array.from({ length: held.length }, (_, index) => count - held.length + 1 + index),
  );
  await laptop.client.requestHistory();
  await world.quiet();
  await alice.client.approveHistory(laptop.client.account!.device);
  await world.pass(60_000);
  const all = (await laptop.client.history(BOB, { limit: 256 })).map(({ text }) => Number(text.split(' ')[0]));
  t.equal(all.length, count);
  t.same(new Set(all).size, count, 'the rest came, and nothing twice');
  const sizes = [...world.media.files.values()].map(({ length }) => length);
  t.ok(Math.max(...sizes) < 2 * LIMITS.transferChunkBytesMax, 'no piece is larger than its bound');
});

t.test('the person declines', async (t) => {
  const { world, alice, laptop, group } = await scene();
  await laptop.client.requestHistory();
  await world.quiet();
  await alice.client.declineHistory(laptop.client.account!.device);
  await world.quiet();
  t.same(lastNews(laptop, 'in'), { state: 'failed', code: 'CLI_TRANSFER_DECLINED' });
  t.same(await chat(laptop, group), []);
  t.match(await laptop.client.historyTransfers(), [{ state: 'failed', code: 'CLI_TRANSFER_DECLINED' }]);
});

t.test('nobody answers for a day', async (t) => {
  const { world, alice, laptop } = await scene();
  await laptop.client.requestHistory();
  await world.quiet();
  await world.pass(LIMITS.transferAskMsMax + 1);
  for (const person of [laptop, alice]) {
    await person.start();
    await person.client.connect();
  }
  await world.quiet();
  t.same(lastNews(laptop, 'in'), { state: 'failed', code: 'CLI_TRANSFER_EXPIRED' });
  await t.rejects(alice.client.approveHistory(laptop.client.account!.device), { code: 'CLI_TRANSFER_EXPIRED' });
});

t.test('either side may break it off, and begin anew', async (t) => {
  for (const side of ['new', 'primary'] as const) {
    const all = await scene();
    const { world, alice, laptop } = all;
    await laptop.client.requestHistory();
    await world.quiet();
    await (side === 'new' ? laptop : alice).client.cancelHistory();
    await world.quiet();
    t.same(lastNews(laptop, 'in'), { state: 'failed', code: 'CLI_TRANSFER_CANCELLED' }, side);
    t.same(lastNews(alice, 'out'), { state: 'failed', code: 'CLI_TRANSFER_CANCELLED' }, side);
    await transfer(all);
    await assertComplete(t, all);
  }
});

t.test('broken off while a piece is fetched, it stays broken off', async (t) => {
  for (const fate of ['comes', 'is gone']) {
    const all = await scene();
    const { world, laptop } = all;
    let cancelled: Promise<void> | undefined;
    world.media.onRequest = (method) => {
      if (method !== 'GET' || cancelled !== undefined) return undefined;
      cancelled = laptop.client.cancelHistory();
      return fate === 'is gone' ? new Response('APP_UNKNOWN_MEDIA', { status: 404 }) : undefined;
    };
    await transfer(all);
    t.ok(cancelled, 'a piece was being fetched');
    await cancelled;
    t.same(lastNews(laptop, 'in'), { state: 'failed', code: 'CLI_TRANSFER_CANCELLED' }, `the piece ${fate}`);
    t.match(await laptop.client.historyTransfers(), [{ state: 'failed', transferred: 0 }]);
    t.same(await texts(laptop, BOB), ['after the linking'], 'nothing of it is stored');
    await transfer(all);
    await assertComplete(t, all);
  }
});

t.test('only a linked device asks, and only its primary answers', async (t) => {
  const { world, alice, bob, laptop } = await scene();
  await t.rejects(alice.client.requestHistory(), { code: 'CLI_TRANSFER_UNSUITABLE' });
  await t.rejects(alice.client.approveHistory(laptop.client.account!.device), { code: 'CLI_TRANSFER_EXPIRED' });
  const { device: to } = alice.client.account!;
  const request: TransferBody = { kind: 'transfer-request', transfer: new Uint8Array(16), to, version: 1 };
  await sayAs(world, bob, alice, request);
  await world.quiet();
  t.same(news(alice, 'out'), [], 'from somebody else it means nothing');
  const mallory = await world.person('+4915100000009').join();
  const spy = world.server.addSilently(alice.user, world.server.keysOf(mallory.user, mallory.client.account!.device));
  await speakAs(world, mallory, { user: alice.user, device: spy }, alice, request);
  await world.pass(60_000);
  t.same(news(alice, 'out'), [], 'nor from a device that the list does not name');
});

t.test('an older release is told that it is one', async (t) => {
  const { world, alice, laptop } = await scene();
  const { device: to } = alice.client.account!;
  await sayAs(world, laptop, alice, { kind: 'transfer-request', transfer: new Uint8Array(16), to, version: 0 });
  await world.quiet();
  t.same(news(alice, 'out'), []);
  t.same(await alice.client.historyTransfers(), []);
});

t.test(
  'a piece that is gone or damaged is made again; a server that keeps none is told apart from one that bends them',
  async (t) => {
    for (const [fault, code] of [
      ['lose', 'CLI_TRANSFER_MEDIA_GONE'],
      ['bend', 'CLI_TRANSFER_DAMAGED'],
    ] as const) {
      for (const times of [1, Infinity]) {
        const all = await scene();
        let left = times;
        all.world.media.onRequest = (method) => {
          if (method !== 'GET' || left <= 0) return undefined;
          left -= 1;
          all.world.media[fault]();
          return undefined;
        };
        await transfer(all);
        if (times === 1) await assertComplete(t, all);
        else t.same(lastNews(all.laptop, 'in'), { state: 'failed', code }, fault);
      }
    }
  },
);

t.test('a network that cuts, sockets and files alike', async (t) => {
  const all = await scene();
  const { world } = all;
  let requests = 0;
  world.media.onRequest = () => ((requests += 1) % 3 === 1 ? 'cut' : undefined);
  let said = 0;
  world.server.onReceive = (message: ClientMessage): Fate => {
    if (message.kind !== 'message') return 'ok';
    said += 1;
    return said % 3 === 1 ? 'drop-after' : said % 3 === 2 ? 'drop-before' : 'ok';
  };
  await transfer(all);
  await world.pass(600_000);
  await assertComplete(t, all);
  t.ok(requests > 3 && said > 3);
});

for (const victim of ['new', 'primary'] as const) {
  t.test(`the ${victim} device crashes at any write, with a power cut`, async (t) => {
    const step = Number(process.env['BLINDBEAM_CRASH_STEP'] ?? '3');
    let crashes = 0;
    for (let writes = 0; writes < 40; writes += step) {
      const all = await scene(writes + 1);
      const { world, alice, laptop } = all;
      const person = victim === 'new' ? laptop : alice;
      const device = laptop.client.account!.device;
      let hasCrashed = false;
      person.disk.crashAfter(writes, () => {
        hasCrashed = true;
        person.kill();
      });
      await laptop.client.requestHistory().catch(() => undefined);
      await world.quiet();
      await alice.client.approveHistory(device).catch(() => undefined);
      await world.pass(20_000);
      person.disk.powerCut();
      await person.start();
      await person.client.connect();
      await world.quiet();
      // Whoever has lost the question or the answer puts it again.
      await laptop.client.requestHistory();
      await world.quiet();
      await alice.client.approveHistory(device).catch(() => undefined);
      await world.pass(60_000);
      t.same(await texts(laptop, BOB), WITH_BOB, `crash after ${writes}`);
      t.same(await chat(laptop, all.group), IN_GROUP, `crash after ${writes}`);
      crashes += hasCrashed ? 1 : 0;
      if (!hasCrashed && writes > 0) break;
    }
    t.ok(crashes >= 2, `${crashes} crashes`);
  });
}

t.test('nothing of it stays behind but where it stopped', async (t) => {
  const all = await scene();
  await transfer(all);
  const store = await all.laptop.disk.copy().open();
  const left = await store.list({ prefix: TRANSFER_KEYS.all, limit: 256 });
  t.same(
    left.map(({ key }) => key),
    [TRANSFER_KEYS.floor, TRANSFER_KEYS.incoming],
  );
  const [oldest] = await store.list({ prefix: KEYS.historyOf(all.bob.user), limit: 1 });
  t.ok(Number(oldest!.key.split('/')[2]) < LIMITS.linkedOrdinalBase);
});
