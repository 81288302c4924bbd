/**
 * The outbox of a shard under many seeds: the recipients' shard goes out of reach and comes back, loses what is under way, changes its owner, has no log and no room, and
 * so does the sender's, while a client writes and comes again at any moment. Nothing that has a check mark is lost, nothing comes twice, each conversation keeps its order.
 * `SIM_OUTBOX_SEEDS=2000 node dist/test/sim/outbox.test.js` runs more of them; `SIM_OUTBOX_FROM=17 SIM_OUTBOX_SEEDS=1` one again.
 */

import t from 'tap';
import { DetourWorld, FRIENDS, type Plant } from './detour-world.ts';

const SEED_COUNT = Number(process.env.SIM_OUTBOX_SEEDS ?? 12);
const FROM = Number(process.env.SIM_OUTBOX_FROM ?? 1);
const CARL = FRIENDS[1]!;

t.setTimeout(0);

async function newWorld(seed: number, plant: Plant = 'none'): Promise<DetourWorld> {
  const world = new DetourWorld(seed, plant);
  await world.start();
  await world.run(1_000);
  return world;
}

/** Everything is whole, and time enough for all pauses of clients and outboxes. */
async function settle(world: DetourWorld): Promise<void> {
  world.heal();
  for (let round = 0; round < 40 && world.findFaults().length > 0; round++) await world.run(5_000, 50);
}

async function disturb(world: DetourWorld): Promise<void> {
  const { random } = world;
  const side = random.integer(2);
  const kinds = ['cut', 'cut', 'heal', 'lose', 'owner', 'break', 'log', 'full', 'hold', 'whole'] as const;
  const kind = kinds[random.integer(kinds.length)]!;
  world.trace.push(`${(world.nowMs / 1_000).toFixed(2)} ${kind} ${side}`);
  if (kind === 'cut') world.cut(true);
  else if (kind === 'heal') world.cut(false);
  else if (kind === 'lose') world.loseSome(30);
  else if (kind === 'owner') await world.changeOwner(side);
  else if (kind === 'break') world.client.breakOff(random.integer(400));
  else if (kind === 'log') world.setCutOff(side, random.integer(2) === 0);
  else if (kind === 'full') world.stores[side]!.failNextCommits(1 + random.integer(2));
  else if (kind === 'hold') {
    world.stores[side]!.holdCommits();
    await write(world, 200);
    world.stores[side]!.releaseCommits();
  } else world.heal();
}

/** Alice writes for a while, now to one and now to another, one message or several at once. */
async function write(world: DetourWorld, ms: number): Promise<void> {
  const { random } = world;
  for (let leftMs = ms; leftMs > 0; leftMs -= 50) {
    const to = FRIENDS[random.integer(FRIENDS.length)]!;
    const burst = random.integer(4) === 0 ? 1 + random.integer(6) : 0;
    for (let count = 0; count < burst; count++) world.client.write(to);
    await world.run(50);
  }
}

interface Outcome {
  readonly faults: readonly string[];
  readonly trace: readonly string[];
  readonly written: number;
  readonly marksInCut: number;
}

async function simulate(seed: number, plant: Plant = 'none'): Promise<Outcome> {
  const world = await newWorld(seed, plant);
  for (let fault = 0; fault < 12; fault++) {
    await disturb(world);
    await write(world, 100 + world.random.integer(2_000));
  }
  await settle(world);
  const written = [...world.client.texts.values()].reduce((sum, texts) => sum + texts.length, 0);
  return { faults: world.findFaults(), trace: world.trace, written, marksInCut: world.marksInCut };
}

t.test(`${SEED_COUNT} seeds: nothing that has a check mark is lost, doubled or out of order`, async (t) => {
  let [written, marksInCut] = [0, 0];
  for (let seed = FROM; seed < FROM + SEED_COUNT; seed++) {
    const outcome = await simulate(seed);
    written += outcome.written;
    marksInCut += outcome.marksInCut;
    if (outcome.faults.length === 0) continue;
    for (const line of outcome.trace) t.comment(line);
    t.strictSame(outcome.faults, [], `seed ${seed}`);
    return;
  }
  t.ok(written > SEED_COUNT * 50, `${written} messages were written`);
  if (SEED_COUNT > 4)
    t.ok(marksInCut > SEED_COUNT, `${marksInCut} check marks came while the recipient was out of reach`);
});

// Each begins a little before the seed at which it is found.
for (const [plant, from, what] of [
  ['behind', 50, 'a login that does not learn what is in the outbox'],
  ['unanswered', 1, 'a connection that forgets what a shard has not answered'],
  ['opens', 170, 'a shard that lets any forwarded message open its row'],
] as const) {
  t.test(`${what} is found out: the check can fail`, async (t) => {
    for (let seed = from; seed < from + 300; seed++) {
      const { faults } = await simulate(seed, plant);
      if (faults.length === 0) continue;
      t.pass(`seed ${seed}: ${faults[0]}`);
      return;
    }
    t.fail('no fault in 300 seeds');
  });
}

t.test('the check mark comes in the cut, and the sender need not be there when it ends', async (t) => {
  const world = await newWorld(1);
  world.cut(true);
  for (let count = 0; count < 100; count++) world.client.write(CARL);
  await world.run(10_000);
  t.equal(world.client.lanes.get(CARL)!.sentId, 100, 'check marks for all');
  t.strictSame(world.inboxOf(CARL), []);
  t.equal(world.inOutbox, 100);
  world.client.breakOff(Infinity);
  world.cut(false);
  await world.run(3_000);
  t.strictSame(world.inboxOf(CARL), world.client.texts.get(CARL), 'once and in order');
  t.equal(world.inOutbox, 0);
});

t.test('who serves the sender next goes on, and the client stays behind what waits', async (t) => {
  const world = await newWorld(2);
  world.cut(true);
  for (let count = 0; count < 10; count++) world.client.write(CARL);
  await world.run(5_000);
  await world.changeOwner(0);
  await world.run(2_000);
  // Not the line: the recipient's shard takes nothing from the outbox for a while, but would take it from the client.
  world.stores[1]!.failNextCommits(3);
  world.cut(false);
  for (let count = 0; count < 10; count++) world.client.write(CARL);
  await world.run(30_000);
  t.strictSame(world.inboxOf(CARL), world.client.texts.get(CARL));
});

/** What keeps the outbox from taking what is written after its loss, for a while. */
const PASSING: Readonly<Record<string, (world: DetourWorld) => void>> = {
  'a full disk': (world) => world.stores[0]!.failNextCommits(2),
  'a log that does not answer': (world) => world.setCutOff(0, true),
  'a full disk of the recipient': (world) => world.stores[1]!.failNextCommits(2),
  'a log of the recipient that does not answer': (world) => world.setCutOff(1, true),
};

for (const [what, begin] of Object.entries(PASSING)) {
  t.test(`${what} after an outbox was lost: refused for now, the conversation goes on`, async (t) => {
    for (const seed of [3, 4]) {
      const world = await newWorld(seed);
      world.client.write(CARL);
      await world.run(1_000);
      world.cut(true);
      for (let count = 0; count < 5; count++) world.client.write(CARL);
      await world.run(10_000, 50);
      world.stores[0]!.outbox.lose(world.wallMs);
      await world.changeOwner(0);
      world.cut(false);
      await world.run(2_000);
      begin(world);
      for (let count = 0; count < 3; count++) world.client.write(CARL);
      await world.run(1_500, 50);
      world.heal();
      await world.run(60_000, 50);
      const texts = world.client.texts.get(CARL)!;
      t.strictSame(world.client.problems, []);
      t.strictSame(world.inboxOf(CARL), [texts[0], 'APP_RESTORED 2 to 6', ...texts.slice(6)]);
    }
  });
}

t.test('an outbox that is lost with its disk is told as lost, and the conversation goes on', async (t) => {
  for (const isKnown of [true, false]) {
    const world = await newWorld(3);
    world.client.write(CARL);
    await world.run(1_000);
    world.cut(true);
    for (let count = 0; count < 5; count++) world.client.write(CARL);
    await world.run(10_000);
    t.equal(world.inOutbox, 5);
    // The tail of the sender's shard is gone, and whoever serves it knows that something may be missing; or does not.
    world.stores[0]!.outbox.lose(isKnown ? world.wallMs : 0);
    await world.changeOwner(0);
    world.cut(false);
    await world.run(2_000);
    for (let count = 0; count < 3; count++) world.client.write(CARL);
    await world.run(30_000);
    const texts = world.client.texts.get(CARL)!;
    if (!isKnown) {
      t.match(world.client.problems, [/CLI_ORDER_LOST/], 'without that the conversation would end');
      continue;
    }
    t.strictSame(world.client.problems, []);
    t.strictSame(world.inboxOf(CARL), [texts[0], 'APP_RESTORED 2 to 6', ...texts.slice(6)]);
    t.strictSame(world.client.lost, [{ to: CARL, since: 2, until: 6 }], 'and its sender is told');
  }
});
