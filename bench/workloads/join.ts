/**
 * What do people notice while a node joins a cluster under load, is given its share, and leaves again?
 *
 * Three nodes and three NATS servers on this machine; people with the SDK, each on a node, write to somebody on the next one at a steady pace. A fourth
 * node is started, gets copies and then shards, and is stopped in order, which hands them back. Stages:
 *
 *   before     nothing happens                                                  before_p50_ms, before_p99_ms
 *   join       from the start of the node until each of its shards is served    join_p99_ms, join_max_ms, join_s
 *   leave      from its SIGTERM until the others have them                      leave_p99_ms, leave_max_ms, leave_s
 *
 * A message that was acknowledged and does not come is `acked_lost`; one that comes twice, or is never acknowledged, voids the run.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import type { NodeList } from '../../actors/nodes/verbs.ts';
import { AdminClient } from '../../bin/operator/client.ts';
import { BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { NATS_SERVERS_OPTION } from '../harness/shared-options.ts';
import { LIMITS } from '../limits.ts';
import { ClusterProcesses } from './cluster-processes.ts';
import { checkWhole, JOIN_STAGES, measureJoin, type JoinResult } from './node-join.ts';

type OptionName = 'pairs' | 'rate' | 'nodes' | 'servers' | 'shards' | 'warm-up' | 'seconds';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  pairs: { default: 24, min: 1, max: 400, help: 'senders, each with a recipient on the next node' },
  rate: { default: 120, min: 1, max: 10_000, help: 'messages per second of all of them' },
  nodes: { default: 3, min: 2, max: 9, help: 'nodes before one joins, with one worker thread each' },
  servers: NATS_SERVERS_OPTION,
  shards: { default: 12, min: 2, max: 1_024, help: 'shards of the cluster' },
  'warm-up': { default: 5, quick: 2, min: 0, max: 60, help: 'seconds at the beginning that are left out' },
  seconds: { default: 10, quick: 3, min: 1, max: 600, help: 'seconds before the node joins' },
};

type Context = WorkloadContext<OptionName>;

export function createJoinWorkload(): Workload<OptionName> {
  return {
    name: 'join',
    question: 'a node joins a cluster under load and leaves again: the latency meanwhile, and what is lost',
    options: OPTIONS,
    thresholds: [
      { metric: 'join_p99_ms', bound: 'below', value: 100 },
      { metric: 'leave_p99_ms', bound: 'below', value: 100 },
      { metric: 'acked_lost', bound: 'below', value: 1 },
    ],
    run: (context) => new JoinRun(context).run(),
  };
}

class JoinRun {
  readonly #context: Context;
  /** One that was told to end. */
  #left: ServerProcess | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  async run(): Promise<void> {
    const { options, progress, signal, recorder, keepData } = this.#context;
    progress('starting a cluster');
    const onCode = (): void => undefined;
    const cluster = await ClusterProcesses.start(options, { signal, keepData, onCode });
    try {
      await Promise.race([this.#measure(cluster), ...cluster.nodes.map((node) => node.gone)]);
    } finally {
      for (const error of await cluster.stop()) recorder.note(`a node logged errors, the last: ${error}`);
    }
  }

  async #measure(cluster: ClusterProcesses): Promise<void> {
    const { options, progress } = this.#context;
    const urls = await cluster.started();
    const founder = cluster.nodes[0]!;
    await untilSettled(founder, options.shards, options.nodes);
    progress(`${options.pairs} pairs write ${options.rate} messages a second`);
    const result = await measureJoin({
      urls,
      pairs: options.pairs,
      ratePerSecond: options.rate,
      warmUpMs: options['warm-up'] * 1_000,
      beforeMs: options.seconds * 1_000,
      settleMsMax: LIMITS.drainMsMax,
      codeOf: (phone) => cluster.codeOf(phone),
      join: () => this.#join(cluster, founder),
      leave: () => this.#leave(founder),
    });
    this.#record(result);
  }

  async #join(cluster: ClusterProcesses, founder: ServerProcess): Promise<void> {
    const { options, progress, recorder } = this.#context;
    progress('one more node joins');
    const node = cluster.add(`node-${options.nodes + 1}`);
    this.#left = node;
    await Promise.race([node.started(), node.gone]);
    const moved = await untilSettled(founder, options.shards, options.nodes + 1);
    recorder.metric('shards_moved', moved, 'shard');
  }

  async #leave(founder: ServerProcess): Promise<void> {
    const { options, progress } = this.#context;
    progress('it leaves again');
    await this.#left!.stop();
    // Its copies are made anew after ten to thirty seconds: it may only have been started anew.
    await untilSettled(founder, options.shards, options.nodes, 'owners');
  }

  #record(result: JoinResult): void {
    const { recorder } = this.#context;
    recorder.metric('before_p50_ms', result.latency.before.percentileMs(50), 'ms');
    for (const stage of JOIN_STAGES) {
      const latency = result.latency[stage];
      recorder.metric(`${stage}_p99_ms`, latency.percentileMs(99), 'ms');
      recorder.metric(`${stage}_max_ms`, latency.maxMs(), 'ms');
      recorder.metric(`${stage}_s`, result.seconds[stage], 's');
    }
    recorder.metric('comings_of_a_pair', result.comings, 'login');
    recorder.metric('logins_of_a_pair', result.logins, 'login');
    recorder.metric('acked', result.acknowledged, 'msg');
    recorder.metric('acked_lost', result.lost, 'msg');
    checkWhole(result);
  }
}

/**
 * Waits until `nodes` share the shards, and nothing has moved for a while.
 *
 * @param what - `copies`: each shard has a whole one, too.
 * @returns Shards of the node that sorts last, which is the one that joined.
 * @throws {BenchError} (as rejection) BENCH_SERVER after a while.
 */
async function untilSettled(
  founder: ServerProcess,
  shards: number,
  nodes: number,
  what: 'owners' | 'copies' = 'copies',
): Promise<number> {
  const deadlineMs = systemClock.nowMs() + LIMITS.clusterSettlingMsMax;
  let since = systemClock.nowMs();
  let before = '';
  while (systemClock.nowMs() < deadlineMs) {
    const { owners, copies } = await shardsOf(founder);
    const isShared = owners.length === nodes && !owners.includes(0) && sumOf(owners) === shards;
    const isThere = isShared && (what === 'owners' || copies === shards);
    const text = JSON.stringify([isThere, owners]);
    if (text !== before) since = systemClock.nowMs();
    before = text;
    if (isThere && systemClock.nowMs() - since >= LIMITS.clusterSettledMs) return owners.at(-1)!;
    await delay(LIMITS.settlingLookMs);
  }
  throw new BenchError(
    'BENCH_SERVER',
    `the shards of ${nodes} nodes did not settle within ${LIMITS.clusterSettlingMsMax} ms`,
  );
}

/** Shards that each node owns, by its name, without those that are gone; and whole copies of all. */
async function shardsOf(founder: ServerProcess): Promise<{ readonly owners: number[]; readonly copies: number }> {
  const client = await AdminClient.connect(join(founder.dataDirectory, 'admin.sock'), LIMITS.statisticsMsMax);
  try {
    const { nodes } = await client.request<NodeList>('node.list', {}, LIMITS.statisticsMsMax);
    const rows = nodes.filter(({ state, owned }) => state === 'up' || owned > 0);
    return { owners: rows.map(({ owned }) => owned), copies: sumOf(rows.map((row) => row.standby - row.copying)) };
  } finally {
    client.close();
  }
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
