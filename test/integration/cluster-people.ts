/** People of a cluster by where their shard is served, and what a node has on its disk alone, as an operator sees it. */

import type { Test } from 'tap';
import { partitionOf, shardOfPartition } from '../../actors/partition.ts';
import type { NatsServer } from '../../runtime/testing/nats-servers.ts';
import { FaultyCluster } from './faulty-cluster.ts';
import { blindbeam } from './operator-command.ts';
import { newPerson, PATIENCE_MS, pause, type Person } from './people.ts';
import type { ServerProcess } from './server-process.ts';

/** Shards that a node serves, as it logs it. */
function servedBy({ lines }: ServerProcess): Set<number> {
  const served = new Set<number>();
  for (const { event, shard } of lines) {
    if (event === 'shard_served') served.add(Number(shard));
    if (event === 'shard_released') served.delete(Number(shard));
  }
  return served;
}

/** Two whose inbox is on node `a`, and one whose is on `b`. */
interface People {
  readonly near: readonly [Person, Person];
  readonly far: Person;
}

/** A cluster of nodes `a` and `b` with `cluster-durability: local` and one NATS server; all people are connected to `a`. */
export async function startLocal(
  t: Test,
  shardCount: number,
): Promise<People & { readonly cluster: FaultyCluster; readonly server: NatsServer }> {
  const flags = ['--cluster-shards', String(shardCount), '--cluster-durability', 'local'];
  const cluster = await FaultyCluster.start(t, { nodes: ['a', 'b'], servers: 1, flags });
  await cluster.untilCopied(shardCount, PATIENCE_MS);
  cluster.node('b').isOut = true;
  return { cluster, server: cluster.nats.servers[0]!, ...(await peopleOf(t, cluster, shardCount)) };
}

/** Registers people until there are enough of both kinds; who is there more than that is not used. */
async function peopleOf(t: Test, cluster: FaultyCluster, shardCount: number): Promise<People> {
  const shards = servedBy(cluster.node('a').process);
  const near: Person[] = [];
  const far: Person[] = [];
  for (let number = 1; near.length < 2 || far.length < 1; number++) {
    const phone = `+49151000001${String(number).padStart(2, '0')}`;
    const door = { url: cluster.url, code: (of: string) => cluster.code(of) };
    const person = await newPerson(t, door, phone);
    const isNear = shards.has(shardOfPartition(partitionOf(person.client.account!.user), shardCount));
    (isNear ? near : far).push(person);
  }
  return { near: [near[0]!, near[1]!], far: far[0]! };
}

/** Bytes that are on the disk of a node alone, as `blindbeam node list` tells them there. */
async function tailBytesOf(cluster: FaultyCluster, name: string): Promise<number> {
  const { status, out, errors } = await blindbeam('node', 'list', '--json', '--data', cluster.directoryOf(name));
  if (status !== 0) throw new Error(`node list: ${errors}${out}`);
  const { nodes } = JSON.parse(out) as { nodes: readonly { node: string; tailBytes?: number }[] };
  return nodes.find(({ node }) => node === name)!.tailBytes ?? 0;
}

/** Waits until a node has something, or nothing, on its disk alone. */
export async function untilTail(cluster: FaultyCluster, name: string, is: 'there' | 'empty'): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const bytes = await tailBytesOf(cluster, name);
    if (bytes > 0 === (is === 'there')) return;
    if (performance.now() > deadline)
      throw new Error(`waited ${PATIENCE_MS} ms for the tail to be ${is}: ${bytes} bytes`);
    await pause(250);
  }
}
