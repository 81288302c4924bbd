/**
 * A cluster as operators run it: they look at its nodes, drain them and have them back, and what does not belong is told so. Real nodes, a real server.
 *
 * `CLUSTER_OPERATIONS=long` runs the long form instead: it restarts each of three nodes under load (`restart`), adds a fourth and has it leave (`join`), and kills
 * three servers one after the other (`servers`); each of these words runs that part alone. `CLUSTER_LOG=FILE` keeps what the nodes logged.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { NodeRow } from '../../actors/nodes/overview.ts';
import type { ClusterReloadReport } from '../../actors/nodes/reload-across.ts';
import type { NodeList, NodeMap } from '../../actors/nodes/verbs.ts';
import type { ReloadProgress } from '../../actors/reload/verbs.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { checkout } from './checkout.ts';
import { findFaults } from './delivery-check.ts';
import { FaultyCluster } from './faulty-cluster.ts';
import { newPerson, pause, PATIENCE_MS, type Person } from './people.ts';
import { ROOT, temporaryDirectory } from './server-process.ts';
import { untilComplete, Writer } from './writer.ts';

const SKIP = hasNatsServer() ? {} : { skip: 'nats-server is not installed' };
/** Parts of the long form, which runs instead of the short one. */
const LONG = process.env['CLUSTER_OPERATIONS'] ?? '';
const PARTS: readonly string[] = LONG === 'long' ? ['restart', 'join', 'servers'] : LONG.split(',');
const SHARDS = 6;
const WAIT_MS = PATIENCE_MS;
const STATES: object[] = [];

function part(name: string): { skip?: string } {
  return PARTS.includes(name) ? {} : { skip: `CLUSTER_OPERATIONS=${name} runs it` };
}

/** What an operator of `node` asks. */
async function ask<Answer extends object>(
  cluster: FaultyCluster,
  node: string,
  verb: string,
  parameters: object = {},
): Promise<Answer> {
  const client = await AdminClient.connect(`${cluster.directoryOf(node)}/admin.sock`, WAIT_MS);
  try {
    return await client.request<Answer>(verb, parameters, WAIT_MS);
  } finally {
    client.close();
  }
}

/** Asks until the list of nodes fits. */
async function untilListed(
  cluster: FaultyCluster,
  node: string,
  fits: (rows: readonly NodeRow[]) => boolean,
): Promise<readonly NodeRow[]> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const { nodes } = await ask<NodeList>(cluster, node, 'node.list');
    if (fits(nodes)) return nodes;
    if (performance.now() > deadline) throw new Error(`the list never fitted: ${JSON.stringify(nodes)}`);
    await pause(200);
  }
}

/** Every node is there, and every shard has a whole copy. */
function isWhole(rows: readonly NodeRow[]): boolean {
  const copies = rows.reduce((sum, { standby, copying }) => sum + standby - copying, 0);
  return rows.every(({ state, lag }) => state === 'up' && (lag?.records ?? 0) < 100) && copies === SHARDS;
}

/** Every shard is served by who owns it. */
async function untilServed(cluster: FaultyCluster): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  const isServed = async (): Promise<boolean> =>
    (await ask<NodeMap>(cluster, 'a', 'node.map')).shards.every(({ phase }) => phase === 'serving');
  while (!(await isServed())) {
    if (performance.now() > deadline) throw new Error('a shard is never served');
    await pause(100);
  }
}

/** Whether a node, or a lease, was missed since, on a machine without enough time for all. */
function wasStarved(cluster: FaultyCluster, since: string): boolean {
  const lines = cluster.all().flatMap((process) => process.lines);
  const isLetGo = lines.some(({ event, time }) => event === 'connections_let_go' && String(time) >= since);
  return isLetGo || cluster.wasDown(since);
}

/** A verb that tells its stages first. */
async function reload(cluster: FaultyCluster, node: string, parameters: object): Promise<ClusterReloadReport> {
  const client = await AdminClient.connect(`${cluster.directoryOf(node)}/admin.sock`, WAIT_MS);
  try {
    const request = Object.assign({ name: 'actors/connection', cluster: true, renumber: true }, parameters);
    for await (const value of client.watch<ReloadProgress>('reload', request))
      if ('clusterReport' in value) return value.clusterReport;
    throw new Error('a reload without a report');
  } finally {
    client.close();
  }
}

async function people(t: Test, cluster: FaultyCluster): Promise<Person[]> {
  const door = { url: cluster.url, code: (phone: string) => cluster.code(phone) };
  const phones = ['+4915100000001', '+4915100000002', '+4915100000003', '+4915100000004'];
  return Promise.all(phones.map((phone) => newPerson(t, door, phone)));
}

/** Everybody writes to the next one while `work` goes on; nothing is lost, doubled or out of order. @returns How often each came back. */
async function underLoad(t: Test, persons: readonly Person[], work: () => Promise<void>): Promise<number[]> {
  for (const { received } of persons) received.length = 0;
  const comings = persons.map(() => 0);
  const endings = persons.map(({ client, phone }, index) =>
    client.onState((state) => {
      STATES.push({ time: new Date().toISOString(), phone, state });
      comings[index]! += state === 'connecting' ? 1 : 0;
    }),
  );
  const writers = persons.map((person, index) => new Writer(person, persons[(index + 1) % persons.length]!));
  await pause(300);
  await work();
  await pause(300);
  await Promise.all(writers.map((writer) => writer.finish()));
  await untilComplete(t, writers);
  for (const end of endings) end();
  const sent = writers.reduce((sum, { sent: { length } }) => sum + length, 0);
  for (const writer of writers) t.strictSame(findFaults(writer.transcript()), []);
  t.ok(sent > 50, `${sent} messages, each once and in order`);
  return comings;
}

/** Writes what the nodes logged, and the states of the clients, to `CLUSTER_LOG`; also when the run is ended early. */
function keepLog(t: Test, cluster: FaultyCluster): void {
  const { CLUSTER_LOG: file } = process.env;
  if (file === undefined) return;
  const save = (): void =>
    writeFileSync(file, cluster.log() + STATES.map((each) => `${JSON.stringify(each)}\n`).join(''));
  t.teardown(save);
  process.once('SIGTERM', save);
}

/** Puts an edit into the connection of the checkouts of `nodes`. */
function edit(roots: ReadonlyMap<string, string>, nodes: readonly string[], statement: string): void {
  const original = readFileSync(join(ROOT, 'actors', 'connection.ts'), 'utf8');
  const edited = original.replace('  handleCast(message, state, ctx) {', `$&\n    ${statement}`);
  for (const node of nodes) writeFileSync(join(roots.get(node)!, 'actors', 'connection.ts'), edited);
}

t.setTimeout(0);

t.test('a cluster of two nodes and its operators', LONG === '' ? SKIP : { skip: 'the long form runs' }, async (t) => {
  const flags = ['--cluster-shards', String(SHARDS), '--drain-ms', '2000'];
  const base = temporaryDirectory(t);
  const roots = new Map(['a', 'b'].map((name) => [name, join(base, name)]));
  const launchers = new Map([...roots].map(([name, root]) => [name, checkout(root)]));
  const cluster = await FaultyCluster.start(t, {
    nodes: ['a', 'b'],
    servers: 1,
    flags,
    launcherOf: (name) => launchers.get(name),
  });

  t.teardown(() => {
    if (process.env['CLUSTER_LOG'] === undefined) return;
    for (const [index, node] of cluster.all().entries())
      for (const line of node.lines) process.stderr.write(`${index} ${JSON.stringify(line)}\n`);
  });
  const persons = await people(t, cluster);

  await t.test('each node lists both, with what they have, and who has which shard', async (t) => {
    for (const name of ['a', 'b']) {
      const rows = await untilListed(cluster, name, isWhole);
      t.match(rows, [
        {
          node: 'a',
          state: 'up',
          release: String,
          wire: Number,
          sessions: Number,
          nats: { isUp: true },
          isThis: name === 'a',
        },
        {
          node: 'b',
          state: 'up',
          release: String,
          wire: Number,
          sessions: Number,
          nats: { isUp: true },
          isThis: name === 'b',
        },
      ]);
      t.equal(rows[0]!.owned + rows[1]!.owned, SHARDS);
    }
    const { shards } = await ask<NodeMap>(cluster, 'a', 'node.map');
    t.equal(shards.length, SHARDS);
    t.equal(
      shards.reduce((sum, { partitions }) => sum + partitions, 0),
      1_024,
    );
    for (const { phase, owner, standby } of shards)
      t.strictSame([phase, [owner, standby].sort()], ['serving', ['a.1', 'b.1']]);
    const sum = (await ask<NodeList>(cluster, 'a', 'node.list')).shards;
    t.strictSame(sum, { count: SHARDS, unserved: 0, single: 0 }, 'each with a whole second copy');
    await t.rejects(ask(cluster, 'a', 'node.map', { of: 'nobody' }), { code: 'ADM_NOT_FOUND' });
    await t.rejects(ask(cluster, 'a', 'node.map', { user: '+4915100000001' }), { code: 'ADM_BAD_PARAMETER' });
  });

  await t.test('what does not belong to the cluster is told so, and ends', async (t) => {
    const wrong = [
      { code: 'APP_CLUSTER_SECRET', secret: 'ab'.repeat(32), says: /same cluster-secret/ },
      {
        code: 'APP_CLUSTER_SHARDS',
        flags: ['--cluster-shards', '7'],
        says: /has 6 shards, .* set cluster-shards to 6/,
      },
    ];
    for (const { code, says, ...how } of wrong) {
      const node = cluster.launch(`wrong-${code.slice(-6).toLowerCase()}`, how);
      t.equal(await node.exited(), 1, code);
      t.match(node.errors, new RegExp(`^${code}: `));
      t.match(node.errors, says);
    }
    const { nodes } = await ask<NodeList>(cluster, 'a', 'node.list');
    t.strictSame(
      nodes.map(({ node, state }) => [node, state]),
      [
        ['a', 'up'],
        ['b', 'up'],
      ],
      'and the others have not noticed',
    );
  });

  await t.test(
    'a reload goes through both nodes, and neither it nor a fault at the second ends a connection',
    async (t) => {
      await untilServed(cluster);
      const since = cluster.now();
      const comings = await underLoad(t, persons, async () => {
        edit(roots, ['a'], "ctx.log.info('edited', { kind: message.kind });");
        t.match(await reload(cluster, 'a', {}), {
          outcome: 'refused',
          nodes: [
            { node: 'a', report: { outcome: 'checked' } },
            { node: 'b', report: { refusals: [{ code: 'RELOAD_OTHER_CODE' }] } },
          ],
        });
        edit(roots, ['b'], "ctx.log.info('edited', { kind: message.kind });");
        t.match(await reload(cluster, 'a', {}), {
          outcome: 'kept',
          nodes: [{ report: { to: 1 } }, { report: { to: 1 } }],
          back: [],
        });
        for (const name of ['a', 'b'])
          await cluster.node(name).process.line(({ event, kind }) => event === 'edited' && kind === 'frames');
        const isLive = 'Object.getPrototypeOf(state.socket) !== null';
        edit(
          roots,
          ['a', 'b'],
          `if (ctx.self.node === 'b' && ${isLive} && message.kind === 'frames') throw new TypeError('planted');`,
        );
        t.match(await reload(cluster, 'a', { observe: 1_000 }), {
          outcome: 'rolled_back',
          nodes: [
            { report: { outcome: 'kept' } },
            { report: { outcome: 'rolled_back', fault: { code: 'handler_threw' } } },
          ],
          back: [{ node: 'a', report: { outcome: 'kept', isBack: true } }],
        });
      });
      if (cluster.wasDown(since)) t.comment('the machine was starved: a node was missed meanwhile');
      else t.strictSame(comings, [0, 0, 0, 0], 'no connection was lost');
      for (const name of ['a', 'b']) {
        const { behaviors } = await ask<{ behaviors: { name: string; version: number }[] }>(
          cluster,
          name,
          'reload.list',
        );
        t.match(
          behaviors.find((each) => each.name === 'actors/connection'),
          { version: 1 },
          `${name} is where it was`,
        );
      }
    },
  );

  await t.test('a node is drained from another one, and joins again', async (t) => {
    await untilListed(cluster, 'a', isWhole);
    const since = cluster.now();
    const [a] = (await ask<NodeList>(cluster, 'a', 'node.list')).nodes;
    const comings = await underLoad(t, persons, async () => {
      t.match(await ask(cluster, 'a', 'node.drain', { node: 'b' }), { told: Number, left: 0, shardsLeft: 0 });
      const drained = await untilListed(cluster, 'a', (rows) =>
        rows.every(({ node, owned }) => owned === (node === 'a' ? SHARDS : 0)),
      );
      t.match(drained, [{ state: 'up' }, { state: 'draining' }]);
      await untilServed(cluster);
    });
    const stayed = comings.filter((count) => count === 0).length;
    if (wasStarved(cluster, since)) t.comment('the machine was starved: a node was missed meanwhile');
    else t.equal(stayed, a!.sessions, `who was connected to the other node stayed: ${comings.join(', ')}`);
    const { lines } = await ask<{ lines: { via: string; verb: string }[] }>(cluster, 'b', 'audit.list');
    t.match(
      lines.find(({ verb }) => verb === 'node.drain'),
      { via: 'node a' },
      'who ordered it is in its audit log',
    );
    await ask(cluster, 'a', 'node.join', { node: 'b' });
    t.match((await ask<NodeList>(cluster, 'b', 'node.list')).nodes, [{ state: 'up' }, { state: 'up' }]);
    await t.rejects(ask(cluster, 'a', 'node.drain', { node: 'c' }), { code: 'ADM_NOT_FOUND' });
  });

  await t.test('a node that leaves ends in order, and is listed as gone', async (t) => {
    const b = cluster.node('b').process;
    t.match(await ask(cluster, 'a', 'node.leave', { node: 'b' }), { shardsLeft: 0 });
    t.equal(await b.exited(), 0);
    t.match(await untilListed(cluster, 'a', ([, row]) => row!.state === 'gone'), [{ owned: SHARDS }, { owned: 0 }]);
  });
});

t.test(
  'three nodes and three servers, the long form',
  LONG === '' ? { skip: 'CLUSTER_OPERATIONS=long runs it' } : SKIP,
  async (t) => {
    const flags = ['--cluster-shards', String(SHARDS), '--drain-ms', '2000'];
    const cluster = await FaultyCluster.start(t, { nodes: ['a', 'b', 'c'], servers: 3, flags });
    keepLog(t, cluster);
    const persons = await people(t, cluster);
    await untilListed(cluster, 'a', isWhole);

    await t.test(
      'each node is stopped and started again, and each client comes back at most once for it',
      part('restart'),
      async (t) => {
        for (const name of ['b', 'c', 'a']) {
          const comings = await underLoad(t, persons, async () => {
            await cluster.retire(name);
            await cluster.restart(name);
            await untilListed(cluster, name, isWhole);
            await untilServed(cluster);
          });
          t.ok(Math.max(...comings) <= 1, `${name}: ${comings.join(', ')}`);
        }
      },
    );

    await t.test('a fourth node comes, is given shards, and leaves again', part('join'), async (t) => {
      const since = cluster.now();
      const comings = await underLoad(t, persons, async () => {
        await cluster.join('d');
        const given = await untilListed(
          cluster,
          'a',
          (rows) => (rows.find(({ node }) => node === 'd')?.owned ?? 0) > 0,
        );
        t.equal(given.length, 4);
        await untilListed(cluster, 'a', isWhole);
        cluster.node('d').isOut = true;
        t.match(await ask(cluster, 'a', 'node.leave', { node: 'd' }), { shardsLeft: 0 });
        t.equal(await cluster.node('d').process.exited(), 0);
        await untilListed(cluster, 'a', (rows) => rows.every(({ node, owned }) => (node === 'd') === (owned === 0)));
      });
      if (wasStarved(cluster, since)) t.comment(`a node was missed meanwhile: ${comings.join(', ')}`);
      else t.strictSame(comings, [0, 0, 0, 0], 'no connection was lost: their nodes lived');
    });

    await t.test('each server is killed and started again, one after the other', part('servers'), async (t) => {
      await underLoad(t, persons, async () => {
        for (const server of cluster.nats.servers) {
          server.signal('SIGKILL');
          await pause(2_000);
          await server.restart();
          // As an operator waits: until each node says that it is connected, and every shard is served.
          await untilListed(cluster, 'a', (rows) => rows.filter(({ nats }) => nats?.isUp === true).length === 3);
          await pause(10_000);
        }
      });
      await untilServed(cluster);
    });
  },
);
