/**
 * Ownership and replication under many seeds: nodes are killed, paused and cut off, disks and servers go away, and after the heal nothing that
 * was acknowledged is missing, every shard has one owner, and every copy is equal.
 * `SIM_CLUSTER_SEEDS=10000 node dist/test/sim/cluster.test.js` runs more of them; `SIM_CLUSTER_FROM=17 SIM_CLUSTER_SEEDS=1` one again.
 */

import t from 'tap';
import { LIMITS } from '../../actors/cluster/limits.ts';
import { formatShard, parseShard, shardKey } from '../../actors/cluster/shard-record.ts';
import { ClusterSim, DOUBT, type ServerKind } from '../../actors/cluster/sim.test-kit.ts';

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
async function simulate(seed: number, servers: ServerKind, isLocal: boolean = false): Promise<Outcome> {
  const sim = new ClusterSim({ seed, nodes: NODES, servers, isLocal });
  await sim.run(8_000, 50);
  for (let fault = 0; fault < 6; fault++) {
    await disturb(sim);
    await sim.run(500 + sim.random.integer(8_000), 50);
  }
  for (const process of sim.processes.values()) process.heal();
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
  const kinds = ['kill', 'kill', 'pause', 'cut', 'unplug', 'servers', 'disk', 'wake', 'stale'] as const;
  const kind = kinds[sim.random.integer(kinds.length)]!;
  sim.trace.push(`${(sim.clock.monotonicMs() / 1_000).toFixed(3)} -- ${kind} ${node}`);
  if (kind === 'servers') sim.servers.isDown = !sim.servers.isDown;
  else if (process === undefined) sim.start(node);
  else if (kind === 'wake') {
    process.heal();
    process.resume();
  } else if (kind === 'stale') process.goStale();
  else if (kind === 'unplug') process.unplug();
  else if (kind === 'pause') process.isPaused = true;
  else if (kind === 'cut') process.isCut = true;
  // With a disk gone, a second copy must be there: losing both is more than two copies promise.
  else if (kind === 'disk') await loseDisk(sim, node);
  else sim.kill(node);
}

/** A node loses its disk while the cluster is whole: every shard has a copy elsewhere. */
async function loseDisk(sim: ClusterSim, node: string): Promise<void> {
  for (const process of sim.processes.values()) {
    process.heal();
    process.resume();
  }
  sim.servers.isDown = false;
  for (const name of NODES) if (!sim.processes.has(name)) sim.start(name);
  await sim.run(45_000, 20);
  sim.kill(node, 'lost');
}

for (const durability of ['replicated', 'local'] as const)
  t.test(
    `${SEED_COUNT} seeds, ${durability}: nothing acknowledged is lost, whatever happens to nodes and servers`,
    async (t) => {
      let acknowledged = 0;
      for (let seed = FROM; seed < FROM + SEED_COUNT; seed++) {
        const outcome = await simulate(seed, seed % 2 === 0 ? 'strict' : 'lax', durability === 'local');
        acknowledged += outcome.acknowledged;
        if (outcome.faults.length === 0) continue;
        for (const line of outcome.trace.filter((line) => !line.includes(' ack ')).slice(-60)) t.comment(line);
        t.strictSame(outcome.faults, [], `seed ${seed}`);
        return;
      }
      t.ok(acknowledged > SEED_COUNT * 300, `${acknowledged} writes were acknowledged`);
    },
  );

/** Writes that were acknowledged in a while. */
async function acknowledgedIn(sim: ClusterSim, ms: number): Promise<number> {
  const count = (): number => [...sim.acknowledged.values()].reduce((sum, keys) => sum + keys.size, 0);
  const before = count();
  await sim.run(ms, 50);
  return count() - before;
}

for (const isLocal of [true, false])
  t.test(
    `servers that are gone for a minute, ${isLocal ? 'local: writes go on' : 'replicated: no write is acknowledged'}`,
    async (t) => {
      const sim = new ClusterSim({ seed: 7, nodes: NODES, isLocal });
      await sim.run(15_000, 20);
      const before = await acknowledgedIn(sim, 60_000);
      sim.servers.isDown = true;
      await sim.run(3_000);
      const acknowledged = await acknowledgedIn(sim, 60_000);
      if (isLocal) t.ok(acknowledged > 0.9 * before, `${acknowledged}, before ${before}`);
      else t.equal(acknowledged, 0);
      sim.servers.isDown = false;
      await sim.run(5_000);
      t.strictSame(sim.findFaults(), []);
      if (isLocal)
        t.strictSame(
          sim.trace.filter((line) => line.includes('"why":"take-over"')),
          [],
          'nobody took over',
        );
    },
  );

t.test('local: an owner that is killed in a cut comes back with what only its disk had', async (t) => {
  const sim = new ClusterSim({ seed: 8, nodes: NODES, isLocal: true });
  await sim.run(15_000, 20);
  for (const process of sim.processes.values()) process.isCut = true;
  await sim.run(3_000);
  t.ok((await acknowledgedIn(sim, 20_000)) > 400);
  for (const node of NODES) sim.kill(node);
  for (const node of NODES) sim.start(node);
  await sim.run(10_000, 20);
  await sim.run(20_000);
  t.strictSame(sim.findFaults(), []);
});

/** A cluster `local` of which one node goes on alone for a while, and is killed with what only its disk has. */
async function killedAlone(seed: number): Promise<{ readonly sim: ClusterSim; readonly owned: readonly number[] }> {
  const sim = new ClusterSim({ seed, nodes: NODES, isLocal: true });
  await sim.run(15_000, 20);
  const owned = Array.from({ length: sim.shardCount }, (_, shard) => shard).filter(
    (shard) => sim.serversOf(shard)[0] === 'n1',
  );
  sim.processes.get('n1')!.isCut = true;
  await sim.run(10_000, 50);
  sim.kill('n1');
  await sim.run(3_000, 20);
  return { sim, owned };
}

t.test('local: a node that comes back with another number of workers has what its disk has', async (t) => {
  const { sim, owned } = await killedAlone(8);
  t.ok(owned.length > 0);
  // As if seat 3 of three had owned them: in its next life the node has one.
  const { table } = sim.servers.tables;
  for (const shard of owned) {
    const record = parseShard(table.entries.get(shardKey(shard))!.value);
    table.set(shardKey(shard), formatShard({ ...record, owner: { ...record.owner, worker: 3 } }));
  }
  sim.start('n1');
  await sim.run(20_000, 20);
  await sim.run(20_000);
  t.strictSame(sim.findFaults(), []);
});

t.test('local: a node that leaves does not hand over what came to be on its disk alone meanwhile', async (t) => {
  const sim = new ClusterSim({ seed: 8, nodes: NODES, isLocal: true });
  await sim.run(15_000, 20);
  await sim.run(3_000);
  const shard = [0, 1, 2, 3].find((each) => sim.serversOf(each)[0] === 'n1')!;
  const { member, serving } = sim.processes.get('n1')!;
  sim.servers.silentLogs.add(shard);
  const written = serving.get(shard)!.write('late', 'x');
  // Until the log has been waited for; the write goes to the disk then, which is slow, and the hand-over begins beside it.
  await sim.run(2_000);
  sim.diskMs = 1_500;
  await sim.run(500);
  const left = member.leave(30_000);
  await sim.run(3_000);
  t.equal(await written, 'ok');
  sim.diskMs = 1;
  sim.servers.silentLogs.clear();
  await sim.run(20_000);
  t.equal(await left, 0);
  t.strictSame(sim.findFaults(), []);
  const [owner] = sim.serversOf(shard);
  t.not(owner, 'n1');
  t.ok(sim.disk(owner!, shard).content.has('late'));
});

t.test('local to replicated: nobody takes over before a node has looked at what only its disk has', async (t) => {
  for (let seed = 1; seed <= 6; seed++) {
    const { sim } = await killedAlone(seed);
    sim.isLocal = false;
    for (const node of ['n2', 'n3']) {
      sim.kill(node);
      sim.start(node);
    }
    await sim.run(8_000, 20);
    sim.start('n1');
    await sim.run(10_000, 20);
    await sim.run(20_000);
    t.strictSame(sim.findFaults(), [], `seed ${seed}`);
  }
});

t.test('local: who takes over from an empty disk puts what it has in doubt, once, in all copies', async (t) => {
  const { sim, owned } = await killedAlone(8);
  t.ok(owned.length > 0);
  for (const shard of owned) sim.disks.delete(`n1/${shard}`);
  sim.start('n1');
  await sim.run(30_000);
  for (const shard of owned) {
    const [owner] = sim.serversOf(shard);
    t.ok(sim.disk(owner!, shard).content.has(DOUBT.toString()), `shard ${shard}`);
    t.equal(parseShard(sim.servers.tables.table.entries.get(shardKey(shard))!.value).isDoubted, false, 'and settled');
  }
  const others = [0, 1, 2, 3].filter((shard) => !owned.includes(shard));
  t.ok(others.every((shard) => !sim.disk(sim.serversOf(shard)[0]!, shard).content.has(DOUBT.toString())));
  const faults = sim.findFaults().filter((fault) => !fault.includes('acknowledged writes are lost'));
  t.strictSame(faults, [], 'but for what was on that disk alone');
});

t.test('a node that joins and leaves: whoever loses a shard by it is told of the next owner, and soon', async (t) => {
  for (let seed = 1; seed <= 6; seed++) {
    const sim = new ClusterSim({ seed, nodes: NODES, losesAnswers: false });
    await sim.run(15_000, 50);
    sim.start('n4');
    await sim.run(30_000, 50);
    const joined = sim.losses.length;
    t.ok(joined > 0, `seed ${seed}: ${joined} losses`);
    const left = sim.processes.get('n4')!.member.leave(30_000);
    await sim.run(10_000, 50);
    t.equal(await left, 0);
    t.ok(sim.losses.length > joined, 'and it had some to lose');
    for (const { node, shard, atMs, found } of sim.losses) {
      const where = `seed ${seed}, shard ${shard} at ${node}`;
      t.equal(found.length, 1, `${where}: told once`);
      t.match(
        found,
        [{ found: 'shard-served', servers: { length: 1 } }],
        `${where}: when it is served, and nobody is sent away`,
      );
      const waitedMs = found[0]!.atMs - atMs;
      t.ok(waitedMs < LIMITS.renewalMs, `${where}: ${waitedMs} ms, less than a renewal`);
    }
    await sim.run(2_000);
    t.strictSame(sim.findFaults(), []);
  }
});

t.test('the owners of a node that is killed are waited for, and those who are cut off wait for nobody', async (t) => {
  const sim = new ClusterSim({ seed: 3, nodes: NODES, losesAnswers: false });
  await sim.run(15_000, 50);
  const owned = [0, 1, 2, 3].filter((shard) => sim.serversOf(shard)[0] === 'n1');
  t.ok(owned.length > 0);
  sim.kill('n1');
  for (const shard of owned) sim.noteLost(shard, { node: 'n1', worker: 1 });
  await sim.run(LIMITS.deadMs + 1_500, 50);
  t.equal(sim.losses.length, 2 * owned.length);
  for (const { found } of sim.losses) t.match(found, [{ found: 'shard-served' }]);
  sim.losses.length = 0;
  const cut = sim.processes.get('n2')!;
  cut.isCut = true;
  await sim.run(LIMITS.leaseMs);
  cut.loseOwner(0, { node: 'n3', worker: 1 });
  await sim.run(2 * LIMITS.lookMs);
  t.match(sim.losses, [{ found: [{ found: 'shard-missing' }] }]);
});

t.test(
  'a subscription to the table that tells nothing more: who was replaced meanwhile learns of it from what the others have heard',
  async (t) => {
    for (let seed = 1; seed <= 6; seed++) {
      const sim = new ClusterSim({ seed, nodes: NODES });
      await sim.run(15_000, 50);
      const shard = [0, 1, 2, 3].find((each) => sim.serversOf(each)[0] === 'n1')!;
      // Taken over, in the moment in which n1 had lost its connection and found it again; nobody writes, so its log does not tell.
      const { table } = sim.servers.tables;
      const record = parseShard(table.entries.get(shardKey(shard))!.value);
      const heir = sim.processes.get(record.standby!.node)!;
      for (const process of sim.processes.values()) if (process !== heir) process.goStale();
      const owner = heir.seat;
      table.set(shardKey(shard), formatShard({ ...record, epoch: record.epoch + 1, owner, standby: undefined }));
      await sim.run(5_000);
      // Whoever it is by now: shards go back to whom they should belong to.
      t.equal(sim.serversOf(shard).length, 1, `seed ${seed}: ${sim.serversOf(shard).join(' and ')}`);
    }
  },
);

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
