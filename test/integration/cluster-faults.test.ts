/**
 * What a cluster promises while its parts fail under load: nothing that was acknowledged is lost, nothing comes twice to the application, the order of each
 * conversation is kept, and soon after the heal everything has arrived.
 *
 * Two short schedules here. `CLUSTER_SCHEDULES=30 node dist/test/integration/cluster-faults.test.js` runs random
 * ones of every fault, also those of 20 seconds; `CLUSTER_FAULT='cut off'` only those whose name has that in it. `CLUSTER_LOG=FILE` keeps what the nodes logged.
 */

import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { findFaults } from './delivery-check.ts';
import { FAULTS, FaultyCluster, type FaultName } from './faulty-cluster.ts';
import { newPerson, pause, type Person } from './people.ts';
import type { ServerProcess } from './server-process.ts';
import { untilComplete, Writer } from './writer.ts';

const SCHEDULES = Number(process.env.CLUSTER_SCHEDULES ?? 0);
const NODES = ['a', 'b', 'c'];
const SHARDS = 6;
/** Between the heal and the arrival of the last message, on a machine that does nothing else; nine others run their tests on this one. */
const ARRIVAL_MS_MAX = Number(process.env.CLUSTER_ARRIVAL_MS ?? 30_000);

t.setTimeout(0);
const SKIP = hasNatsServer() ? {} : { skip: 'nats-server is not installed' };

async function people(t: Test, cluster: FaultyCluster): Promise<Person[]> {
  const door = { url: cluster.url, code: (phone: string) => cluster.code(phone) } as unknown as ServerProcess;
  const phones = ['+4915100000001', '+4915100000002', '+4915100000003', '+4915100000004'];
  return Promise.all(phones.map((phone) => newPerson(t, door, phone)));
}

function writersAmong(persons: readonly Person[]): Writer[] {
  return persons.map((person, index) => new Writer(person, persons[(index + 1) % persons.length]!));
}

/** One schedule under load, and what everybody saw of it. */
async function runSchedule(
  t: Test,
  cluster: FaultyCluster,
  persons: readonly Person[],
  faults: readonly FaultName[],
  pick: () => string = () => NODES[randomInt(NODES.length)]!,
): Promise<void> {
  for (const person of persons) person.received.length = 0;
  const writers = writersAmong(persons);
  await pause(1_000);
  for (const fault of faults) {
    const name = pick();
    const began = performance.now();
    await FAULTS[fault](cluster, name);
    t.comment(`${fault}: ${name}, ${Math.round(performance.now() - began)} ms`);
  }
  const healed = performance.now();
  await Promise.all(writers.map((writer) => writer.finish()));
  await untilComplete(t, writers);
  const arrivalMs = Math.round(performance.now() - healed);
  t.ok(arrivalMs < ARRIVAL_MS_MAX, `the last message came ${arrivalMs} ms after the heal`);
  await pause(300);
  for (const writer of writers) {
    const transcript = writer.transcript();
    t.strictSame(findFaults(transcript), [], `${transcript.sent.length} messages of ${faults.join(', ')}`);
    t.equal(transcript.acknowledged.size, transcript.sent.length, 'all were acknowledged in the end');
  }
}

t.test('three nodes and three servers under load', SKIP, async (t) => {
  const began = performance.now();
  const cluster = await FaultyCluster.start(t, {
    nodes: NODES,
    servers: 3,
    flags: ['--cluster-shards', String(SHARDS)],
  });
  const { CLUSTER_LOG: file } = process.env;
  if (file !== undefined) t.teardown(() => writeFileSync(file, cluster.log()));
  const persons = await people(t, cluster);
  await cluster.untilCopied(SHARDS, 30_000);
  t.comment(`ready after ${Math.round(performance.now() - began)} ms`);

  t.test('a node is killed, then its disk is gone', async (t) => {
    const faults = ['a node is killed', 'a node is killed and its disk is gone'] as const;
    await runSchedule(t, cluster, persons, faults, () => cluster.serving());
    t.ok(cluster.countMoved() > 0, `${cluster.countMoved()} times a shard was served by another, or by another life`);
  });

  const among = process.env.CLUSTER_FAULT ?? '';
  const names = (Object.keys(FAULTS) as FaultName[]).filter((name) => name.includes(among));
  for (let schedule = 1; schedule <= SCHEDULES; schedule++) {
    const faults = Array.from({ length: 1 + randomInt(3) }, () => names[randomInt(names.length)]!);
    t.test(`schedule ${schedule}: ${faults.join(', ')}`, (t) => runSchedule(t, cluster, persons, faults));
  }
});
