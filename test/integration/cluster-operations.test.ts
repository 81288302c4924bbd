/**
 * A cluster as operators run it: they look at its nodes, drain them and have them back, and what does not belong is told so. Real nodes, a real server.
 *
 * `CLUSTER_OPERATIONS=long` restarts each of three nodes under load, adds a fourth and has it leave, and restarts three servers.
 */

import t from 'tap';
import type { NodeRow } from '../../actors/nodes/overview.ts';
import type { NodeList, NodeMap } from '../../actors/nodes/verbs.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { FaultyCluster } from './faulty-cluster.ts';
import { pause } from './people.ts';

const SKIP = hasNatsServer() ? {} : { skip: 'nats-server is not installed' };
const LONG = process.env['CLUSTER_OPERATIONS'] === 'long';
const SHARDS = 6;
const WAIT_MS = 60_000;

/** What an operator of `node` asks. */
async function ask<Answer extends object>(
  cluster: FaultyCluster,
  node: string,
  verb: string,
  parameters: object = {},
): Promise<Answer> {
  const client = await AdminClient.connect(`${cluster.directoryOf(node)}/admin.sock`, 5_000);
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

t.setTimeout(0);

t.test('a cluster of two nodes and its operators', SKIP, async (t) => {
  const flags = ['--cluster-shards', String(SHARDS)];
  const cluster = await FaultyCluster.start(t, { nodes: ['a', 'b'], servers: 1, flags });

  t.test('each node lists both, with what they have, and who has which shard', async (t) => {
    const isCopied = (rows: readonly NodeRow[]): boolean =>
      rows.reduce((sum, { standby }) => sum + standby, 0) === SHARDS;
    for (const name of ['a', 'b']) {
      const rows = await untilListed(cluster, name, isCopied);
      t.match(rows, [
        {
          node: 'a',
          state: 'up',
          release: String,
          wire: Number,
          sessions: 0,
          nats: { isUp: true },
          isThis: name === 'a',
        },
        {
          node: 'b',
          state: 'up',
          release: String,
          wire: Number,
          sessions: 0,
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
  });

  t.test('what does not belong to the cluster is told so, and ends', async (t) => {
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

  t.test('a node is drained from another one, and has its shards back when it joins', async (t) => {
    t.match(await ask(cluster, 'a', 'node.drain', { node: 'b' }), { told: 0, left: 0, shardsLeft: 0 });
    const drained = await untilListed(cluster, 'a', (rows) =>
      rows.every(({ node, owned }) => owned === (node === 'a' ? SHARDS : 0)),
    );
    t.match(drained, [{ state: 'up' }, { state: 'draining' }]);
    const { lines } = await ask<{ lines: { via: string; verb: string }[] }>(cluster, 'b', 'audit.list');
    t.match(
      lines.find(({ verb }) => verb === 'node.drain'),
      { via: 'node a' },
      'who ordered it is in its audit log',
    );
    await ask(cluster, 'a', 'node.join', { node: 'b' });
    t.match((await ask<NodeList>(cluster, 'b', 'node.list')).nodes, [{ state: 'up' }, { state: 'up' }]);
    // It is given some when the nodes have been the same for 15 seconds.
    if (LONG) await untilListed(cluster, 'b', ([, b]) => b!.owned > 0);
    await t.rejects(ask(cluster, 'a', 'node.drain', { node: 'c' }), { code: 'ADM_NOT_FOUND' });
  });

  t.test('a node that leaves ends in order, and is listed as gone', async (t) => {
    const b = cluster.node('b').process;
    t.match(await ask(cluster, 'a', 'node.leave', { node: 'b' }), { shardsLeft: 0 });
    t.equal(await b.exited(), 0);
    t.match(await untilListed(cluster, 'a', ([, row]) => row!.state === 'gone'), [{ owned: SHARDS }, { owned: 0 }]);
  });
});
