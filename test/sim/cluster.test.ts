/**
 * Ownership and replication under many seeds: nodes are killed, paused and cut off, disks and servers go away, and after the heal nothing that
 * was acknowledged is missing, every shard has one owner, and every copy is equal.
 * `SIM_CLUSTER_SEEDS=10000 node dist/test/sim/cluster.test.js` runs more of them; `SIM_CLUSTER_FROM=17 SIM_CLUSTER_SEEDS=1` one again.
 */

import t from 'tap';
import { LIMITS } from '../../actors/cluster/limits.ts';
import { ClusterSim, type ServerKind } from '../../actors/cluster/sim.test-kit.ts';

const SEED_COUNT = Number(process.env.SIM_CLUSTER_SEEDS ?? 8);
const FROM = Number(process.env.SIM_CLUSTER_FROM ?? 1);
const NODES = ['n1', 'n2', 'n3'];

t.setTimeout(0);

interface Outcome {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly acknowledged: number;
  readonly trace: readonly string[];
}

/** One run: a cluster that stands, six faults under load, a heal, and a look at what is there. */
export async function simulate(seed: number, servers: ServerKind): Promise<Outcome> {
  const sim = new ClusterSim({ seed, nodes: NODES, servers });
  await sim.run(8_000, 50);
  for (let fault = 0; fault < 6; fault++) {
    await disturb(sim);
    await sim.run(500 + sim.random.integer(8_000), 50);
  }
  for (const process of sim.processes.values()) process.isCut = false;
  for (const process of sim.processes.values()) process.resume();
  sim.servers.isDown = false;
  for (const node of NODES) if (!sim.processes.has(node)) sim.start(node);
  await sim.run(30_000, 20);
  await sim.run(20_000);
  const acknowledged = [...sim.acknowledged.values()].reduce((sum, keys) => sum + keys.size, 0);
  return { seed, faults: sim.findFaults(), acknowledged, trace: sim.trace };
}

async function disturb(sim: ClusterSim): Promise<void> {
  const node = NODES[sim.random.integer(NODES.length)]!;
  const process = sim.processes.get(node);
  const kinds = ['kill', 'kill', 'pause', 'cut', 'servers', 'disk', 'wake'] as const;
  const kind = kinds[sim.random.integer(kinds.length)]!;
  sim.trace.push(`${(sim.clock.monotonicMs() / 1_000).toFixed(3)} -- ${kind} ${node}`);
  if (kind === 'servers') sim.servers.isDown = !sim.servers.isDown;
  else if (process === undefined) sim.start(node);
  else if (kind === 'wake') {
    process.isCut = false;
    process.resume();
  } else if (kind === 'pause') process.isPaused = true;
  else if (kind === 'cut') process.isCut = true;
  // With a disk gone, a second copy must be there: losing both is more than two copies promise.
  else if (kind === 'disk') await loseDisk(sim, node);
  else sim.kill(node);
}

/** A node loses its disk while the cluster is whole: every shard has a copy elsewhere. */
async function loseDisk(sim: ClusterSim, node: string): Promise<void> {
  for (const process of sim.processes.values()) {
    process.isCut = false;
    process.resume();
  }
  sim.servers.isDown = false;
  for (const name of NODES) if (!sim.processes.has(name)) sim.start(name);
  await sim.run(45_000, 20);
  sim.kill(node, 'lost');
}

t.test(`${SEED_COUNT} seeds: nothing acknowledged is lost, whatever happens to nodes and servers`, async (t) => {
  let acknowledged = 0;
  for (let seed = FROM; seed < FROM + SEED_COUNT; seed++) {
    const outcome = await simulate(seed, seed % 2 === 0 ? 'strict' : 'lax');
    acknowledged += outcome.acknowledged;
    if (outcome.faults.length === 0) continue;
    for (const line of outcome.trace.filter((line) => !line.includes(' ack ')).slice(-60)) t.comment(line);
    t.strictSame(outcome.faults, [], `seed ${seed}`);
    return;
  }
  t.ok(acknowledged > SEED_COUNT * 300, `${acknowledged} writes were acknowledged`);
});

t.test('a copy that nobody replaces holds the log for ten minutes, and is made anew when it comes back', async (t) => {
  const sim = new ClusterSim({ seed: 5, nodes: ['n1', 'n2'] });
  await sim.run(15_000, 20);
  sim.kill('n2');
  await sim.run(60_000, 20);
  const shards = Array.from({ length: sim.shardCount }, (_, shard) => shard);
  const lengths = (): number[] => shards.map((shard) => sim.servers.log(shard).length);
  t.ok(
    lengths().every((length) => length > 100),
    `held: ${lengths().join(' ')}`,
  );
  await sim.run(LIMITS.holdMs);
  t.ok(
    lengths().every((length) => length < 10),
    `cut: ${lengths().join(' ')}`,
  );
  sim.start('n2');
  await sim.run(30_000, 20);
  await sim.run(20_000);
  t.strictSame(sim.findFaults(), []);
});

t.test('servers that lie about the place of an append are found out: the check can fail', async (t) => {
  for (let seed = 1; seed <= 100; seed++) {
    const { faults } = await simulate(seed, 'lying');
    const lost = faults.find((fault) => fault.includes('are lost'));
    if (lost === undefined) continue;
    t.pass(`seed ${seed}: ${lost}`);
    return;
  }
  t.fail('no acknowledged write was lost in 100 seeds');
});
