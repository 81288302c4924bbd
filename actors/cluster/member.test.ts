/** A member that leaves: it waits until others have its shards, by the registry. */

import t from 'tap';
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
