/** A member that leaves: it waits until others have its shards, by the registry. And members of two data centres, which have a registry each. */

import t from 'tap';
import { Abroad } from './abroad.ts';
import type { Announcements } from './contracts.ts';
import { ClusterSim } from './sim.test-kit.ts';

/** Shards whose owner is a node, by the registry. */
function ownedBy(sim: ClusterSim, node: string): number {
  const records = [...sim.servers.tables.table.entries.values()].map(({ value }) => value);
  return records.filter((value) => (JSON.parse(value) as { owner: { node: string } }).owner.node === node).length;
}

interface Left {
  readonly count: number;
  readonly atMs: number;
  /** What the registry said in that moment. */
  readonly owned: number;
}

function leave(sim: ClusterSim, node: string, timeoutMs: number): Promise<Left> {
  const { member } = sim.processes.get(node)!;
  return member.leave(timeoutMs).then((count) => ({ count, atMs: sim.clock.monotonicMs(), owned: ownedBy(sim, node) }));
}

t.test('a node has left when the registry gives its shards to others, not when they are sealed', async (t) => {
  for (let seed = 1; seed <= 4; seed += 1) {
    const sim = new ClusterSim({ seed, nodes: ['n1', 'n2'] });
    await sim.run(15_000, 20);
    t.ok(ownedBy(sim, 'n1') > 0);
    const left = leave(sim, 'n1', 30_000);
    await sim.run(10_000, 20);
    t.match(await left, { count: 0, owned: 0 }, `seed ${seed}`);
  }
});

t.test('who asks a second time waits as long as the first does: copies are still being made', async (t) => {
  const sim = new ClusterSim({ seed: 3, nodes: ['n1', 'n2'] });
  await sim.run(15_000, 20);
  sim.kill('n2', 'lost');
  await sim.run(5_000, 20);
  sim.start('n2');
  await sim.run(200, 20);
  const first = leave(sim, 'n1', 60_000);
  const second = leave(sim, 'n1', 60_000);
  await sim.run(40_000, 20);
  t.match(await first, { count: 0, owned: 0 });
  t.match(await second, { count: 0, owned: 0 });
});

t.test('a member that is called back ends its wait', async (t) => {
  const sim = new ClusterSim({ seed: 3, nodes: ['n1', 'n2'] });
  await sim.run(15_000, 20);
  sim.kill('n2');
  await sim.run(5_000, 20);
  const left = leave(sim, 'n1', 60_000);
  await sim.run(1_000);
  sim.processes.get('n1')!.member.comeBack();
  const cameBackMs = sim.clock.monotonicMs();
  await sim.run(1_000);
  const { count, atMs } = await left;
  t.ok(count > 0 && atMs - cameBackMs < 500, `${count} shards are kept, told after ${atMs - cameBackMs} ms`);
});

/** The line between two data centres. */
class Line {
  isCut = false;
  readonly #listeners = new Map<string, Set<(text: string, centre: string) => void>>();
  /** What was said in each, newest last. */
  readonly said: Record<string, string[]> = { east: [], west: [] };

  /** @returns What the members of a centre have of it. */
  end(own: string, other: string): Announcements {
    const listeners = new Set<(text: string, centre: string) => void>();
    this.#listeners.set(own, listeners);
    return {
      say: (text) => {
        this.said[own]!.push(text);
        if (!this.isCut) for (const listener of this.#listeners.get(other)!) listener(text, own);
      },
      hear: (onText) => {
        listeners.add(onText);
        return { stop: () => void listeners.delete(onText) };
      },
    };
  }
}

interface Centres {
  readonly line: Line;
  readonly east: ClusterSim;
  readonly west: ClusterSim;
}

/** All nodes of both centres were let in. */
function abroad(): Abroad {
  const found = new Abroad(
    ['east', 'west'].map((name) => ({ name, prefixes: [] })),
    4,
  );
  for (const node of ['e1', 'e2', 'w1', 'w2']) {
    const info = { centre: node.startsWith('e') ? 'east' : 'west' };
    const member = { node, life: 1, versions: { min: 1, max: 1 }, workers: [1], info };
    found.noteMember({ type: 'up', member });
  }
  return found;
}

/** Two simulated data centres, each with two of the four shards, and a time and servers of its own. */
function twoCentres(seed: number): Centres {
  const line = new Line();
  const [eastEnd, westEnd] = [line.end('east', 'west'), line.end('west', 'east')];
  const [east, west] = (['east', 'west'] as const).map((centre) => {
    const [home, announcements] =
      centre === 'east' ? [{ first: 0, count: 2 }, eastEnd] : [{ first: 2, count: 2 }, westEnd];
    return new ClusterSim({
      seed,
      nodes: [1, 2].map((number) => `${centre[0]}${number}`),
      home,
      announcements,
      abroad,
    });
  }) as [ClusterSim, ClusterSim];
  return { line, east, west };
}

async function run({ east, west }: Centres, ms: number, writesPerSecond: number = 20): Promise<void> {
  for (let ran = 0; ran < ms; ran += 500) for (const sim of [east, west]) await sim.run(500, writesPerSecond);
}

/** Copies have what was written last a moment later; where an answer of the servers was lost, a second. */
function quieten(centres: Centres): Promise<void> {
  return run(centres, 3_000, 0);
}

function ownersAt(sim: ClusterSim, node: string): (string | undefined)[] {
  const { member } = sim.processes.get(node)!;
  return Array.from({ length: sim.shardCount }, (_, shard) => member.ownerOf(shard)?.node);
}

t.test(
  'two data centres: each has its own shards, knows the owners of the others, and needs nothing of them',
  async (t) => {
    for (let seed = 1; seed <= 3; seed += 1) {
      const centres = twoCentres(seed);
      const { line, east, west } = centres;
      line.isCut = true;
      await run(centres, 15_000);
      await quieten(centres);
      for (const [sim, other] of [
        [east, west],
        [west, east],
      ] as const) {
        t.strictSame(sim.findFaults(), [], `seed ${seed}: one that has never heard of the other serves`);
        for (const { member } of sim.processes.values()) t.ok(member.isPlaced());
        const known = ownersAt(sim, sim.nodes[0]!);
        t.equal(known.filter((owner) => owner === undefined).length, other.home.count);
      }
      line.isCut = false;
      await run(centres, 2_000);
      const owners = ownersAt(east, 'e1');
      t.notOk(owners.includes(undefined));
      for (const node of ['w1', 'w2']) t.strictSame(ownersAt(west, node), owners, 'all know all owners');

      line.isCut = true;
      const old = line.said['west']!.at(-1)!;
      await run(centres, 10_000);
      t.strictSame(ownersAt(east, 'e2'), owners, 'a cut moves nothing');
      west.kill('w1');
      await run(centres, 10_000);
      t.strictSame(ownersAt(east, 'e2'), owners, 'of which nobody hears in a cut');
      line.isCut = false;
      await run(centres, 2_000);
      const moved = ownersAt(west, 'w2');
      t.notOk(moved.includes('w1'));
      t.strictSame(ownersAt(east, 'e1'), moved);
      line.end('west', 'east').say(old);
      line.end('west', 'east').say('no announcement');
      t.strictSame(ownersAt(east, 'e1'), moved, 'what a former owner said comes too late');
      await quieten(centres);
      for (const sim of [east, west])
        t.strictSame(
          sim.findFaults().filter((fault) => !/has no copy/.test(fault)),
          [],
        );
    }
  },
);
