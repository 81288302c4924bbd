/**
 * How many messages does a cluster carry between people on different nodes, in full cycles, and how long do they take?
 *
 * Three nodes and three NATS servers on this machine, each a process. The sender of a pair is connected to one node and its
 * recipient to the next; the shards that serve the two are wherever they are, so a message takes one to two hops between
 * nodes, and its receipt as many. A full cycle is that of `messages`. Phases:
 *
 *   saturation   closed loop      delivered_per_s, nodes_cores, nats_cores
 *   half load    open loop        cross_node_p50_ms, cross_node_p99_ms
 *   take-over    SIGKILL of a node, people with the SDK on the others        takeover_s, acked_lost
 *   ceilings     the nodes are down          the same servers' logs at the rate of half load, beside cross_node_p50_ms and cross_node_p99_ms
 *
 * Every message is checked for exactly once, in order and unharmed; one violation voids the run. All of it shares the cores
 * of one machine: what is measured is the work that a message costs in all, not what three machines would carry.
 */

import type { NatsServers } from '../../runtime/testing/nats-servers.ts';
import { measureLog, type LogCeilingResult, type LogCeilingWay } from '../ceilings/ceilings.ts';
import { BenchError } from '../errors.ts';
import type { PairPhones } from '../generator/control.ts';
import { systemClock } from '../harness/clock.ts';
import { LivePhases } from '../harness/live-phase.ts';
import {
  LoadProcesses,
  NATIVE_OPTION,
  sayGenerators,
  type LoadPlan,
  type LoadResult,
  type WindowWatch,
} from '../harness/load-process.ts';
import { pairsOfPhones } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { Recorder } from '../harness/report.ts';
import { readMachineCpuMs, readProcessUse } from '../harness/resources.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { BYTES_OPTION, HALF_LOAD_OPTION, NATS_SERVERS_OPTION } from '../harness/shared-options.ts';
import { judgeLateness, noteOthers } from '../harness/trust.ts';
import { LIMITS } from '../limits.ts';
import { ClusterProcesses, type ClusterShape } from './cluster-processes.ts';
import { measureTakeOver } from './take-over.ts';

type OptionName =
  | 'pairs'
  | 'in-flight'
  | 'bytes'
  | 'rate'
  | 'nodes'
  | 'servers'
  | 'shards'
  | 'generators'
  | 'native'
  | 'warm-up'
  | 'seconds';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  pairs: { default: 100, min: 1, max: 5_000, help: 'senders, each with a recipient on the next node' },
  'in-flight': { default: 20, min: 1, max: 1_000, help: 'messages in flight for each pair at saturation' },
  bytes: BYTES_OPTION,
  rate: HALF_LOAD_OPTION,
  nodes: { default: 3, min: 2, max: 9, help: 'nodes, with one worker thread each' },
  servers: NATS_SERVERS_OPTION,
  shards: { default: 0, min: 0, max: 1_024, help: 'shards of the cluster; 0 for one each node' },
  generators: { default: 1, min: 1, max: 16, help: 'generator processes' },
  native: NATIVE_OPTION,
  // Quick too: three nodes compile on the processors that carry the load, 15 % of their time after 3 s of it and 1 % after 10.
  'warm-up': { default: 5, min: 0, max: 60, help: 'seconds before each window that are left out' },
  seconds: { default: 20, quick: 5, min: 1, max: 600, help: 'seconds of each window' },
};

/** The windows of ceilings are this share of the others. */
const SHORT_WINDOW_SHARE = 0.6;

/** Enough that each node of a few owns some of their shards. */
const TAKE_OVER_PAIRS = 12;

type Context = WorkloadContext<OptionName>;

export function createClusterWorkload(): Workload<OptionName> {
  return {
    name: 'cluster',
    question: 'messages between people on different nodes of a cluster: full cycles per second, and their latency',
    options: OPTIONS,
    thresholds: [
      { metric: 'delivered_per_s', bound: 'at-least', value: 10_000 },
      { metric: 'cross_node_p50_ms', bound: 'below', value: 8 },
      { metric: 'cross_node_p99_ms', bound: 'below', value: 50 },
      { metric: 'takeover_s', bound: 'below', value: 3 },
      { metric: 'acked_lost', bound: 'below', value: 1 },
    ],
    run: (context) => new ClusterRun(context).run(),
  };
}

class ClusterRun {
  readonly #context: Context;
  readonly #live: LivePhases;
  #killed: ServerProcess | undefined;

  constructor(context: Context) {
    this.#context = context;
    this.#live = new LivePhases(context);
  }

  async run(): Promise<void> {
    const { options, progress, signal, recorder, keepData } = this.#context;
    progress('starting the NATS servers');
    const load = new LoadProcesses(options.generators, signal);
    const shape = { nodes: options.nodes, servers: options.servers, shards: options.shards || options.nodes };
    const onCode = (phone: string, code: string): void => load.takeCode(phone, code);
    const cluster = await ClusterProcesses.start(shape, { signal, keepData, onCode });
    try {
      const measured = this.#measure(cluster, load);
      const ratePerSecond = await Promise.race([measured, ...cluster.nodes.map((node) => this.#gone(node))]);
      progress('stopping the nodes');
      await cluster.stopNodes();
      await this.#measureCeilings(cluster.nats, shape, ratePerSecond);
    } finally {
      await load.stop();
      for (const error of await cluster.stop()) recorder.note(`a node logged errors, the last: ${error}`);
    }
  }

  /** Rejects when a node has ended that we did not kill. */
  async #gone(node: ServerProcess): Promise<never> {
    return node.gone.catch((error: unknown) => {
      if (node !== this.#killed) throw error;
      return new Promise<never>(() => undefined);
    });
  }

  /** @returns The rate of half load. */
  async #measure(cluster: ClusterProcesses, load: LoadProcesses): Promise<number> {
    const { options, progress } = this.#context;
    const { nodes, nats } = cluster;
    progress(`starting ${nodes.length} nodes`);
    const urls = await cluster.started();
    progress(`registering ${options.pairs * 2} accounts`);
    await load.openPairs(urls[0]!, spread(pairsOfPhones(options.pairs), urls), options.bytes, options.native === 1);
    this.#context.recorder.note(sayGenerators(load));
    const saturated = await this.#saturate(nodes, nats, load);
    const ratePerSecond = options.rate || Math.floor(saturated.completedPerSecond / 2);
    if (ratePerSecond < 1) throw new BenchError('BENCH_LOST', 'no message completed its cycle at saturation');
    await this.#halfLoad(ratePerSecond, nodes, nats, load);
    await load.stop();
    if (nodes.length > 2) await this.#takeOver(cluster, urls);
    return ratePerSecond;
  }

  async #saturate(nodes: readonly ServerProcess[], nats: NatsServers, load: LoadProcesses): Promise<LoadResult> {
    const { options, recorder } = this.#context;
    const watch = watchCpu(nodes, nats);
    const result = await this.#run('saturation', { kind: 'closed', inFlight: options['in-flight'] }, load, watch);
    recorder.metric('delivered_per_s', result.completedPerSecond, 'msg/s');
    recorder.metric('saturated_p99_ms', result.delivery.percentileMs(99), 'ms');
    recorder.metric('nodes_cores', watch.cores('nodes'), 'cores');
    recorder.metric('nats_cores', watch.cores('nats'), 'cores');
    recorder.metric('generator_cores', result.cpuCores, 'cores');
    return result;
  }

  async #halfLoad(
    ratePerSecond: number,
    nodes: readonly ServerProcess[],
    nats: NatsServers,
    load: LoadProcesses,
  ): Promise<void> {
    const { recorder } = this.#context;
    const watch = watchCpu(nodes, nats);
    const result = await this.#run(`half load, ${ratePerSecond} msg/s`, { kind: 'open', ratePerSecond }, load, watch);
    recorder.metric('half_load_nodes_cores', watch.cores('nodes'), 'cores');
    recorder.metric('half_load_nats_cores', watch.cores('nats'), 'cores');
    recorder.metric('half_load_machine_cores', watch.machineCores(), 'cores');
    const others = watch.machineCores() - watch.cores('nodes') - watch.cores('nats') - result.cpuCores;
    recorder.metric('half_load_other_cores', others, 'cores');
    noteOthers(recorder, 'half load', others);
    recorder.metric('cross_node_p50_ms', result.delivery.percentileMs(50), 'ms');
    recorder.metric('cross_node_p99_ms', result.delivery.percentileMs(99), 'ms');
    recorder.metric('cross_node_max_ms', result.delivery.maxMs(), 'ms');
    recorder.metric('receipt_p99_ms', result.receipt.percentileMs(99), 'ms');
    recorder.metric('half_load_sending_p99_ms', result.sending.percentileMs(99), 'ms');
    judgeLateness(recorder, 'half load', result);
  }

  async #takeOver(cluster: ClusterProcesses, urls: readonly string[]): Promise<void> {
    const { progress, recorder } = this.#context;
    progress('take-over of the shards of a node that is killed');
    const kill = (): void => {
      this.#killed = cluster.nodes[0]!;
      this.#killed.signal('SIGKILL');
    };
    const times = { beforeMs: 1_000, afterMs: 5_000, settleMsMax: 10_000 };
    const codeOf = (phone: string): string | undefined => cluster.codeOf(phone);
    const ends = { senderUrl: urls[1]!, recipientUrl: urls[2]! };
    const result = await measureTakeOver({ ...ends, pairs: TAKE_OVER_PAIRS, ...times, kill, codeOf });
    recorder.metric('takeover_s', result.takeOverMs / 1_000, 's');
    recorder.metric('acked_lost', result.lost, 'msg');
    recorder.metric('take_over_acked', result.acknowledged, 'msg');
    if (result.doubled > 0) throw new BenchError('BENCH_LOST', `${result.doubled} messages came twice`);
  }

  /** The logs alone, of the same servers: what of a latency is theirs. */
  async #measureCeilings({ urls }: NatsServers, { shards }: ClusterShape, ratePerSecond: number): Promise<void> {
    const { options, progress, recorder, signal } = this.#context;
    const windowMs = options.seconds * 1000 * SHORT_WINDOW_SHARE;
    const warmUpMs = Math.min(options['warm-up'] * 1000, 1000);
    const size = { streams: shards, replicas: urls.length, ratePerSecond, messageBytes: options.bytes };
    for (const way of ['gathered', 'each'] as const) {
      progress(`ceiling: the bare log, ${NAMES_OF_WAYS[way]}`);
      const plan = { servers: urls, way, warmUpMs, windowMs };
      recordLog(recorder, way, await measureLog(Object.assign(plan, size), signal));
    }
  }

  #run(name: string, shape: LoadPlan['shape'], load: LoadProcesses, watch: CpuWatch): Promise<LoadResult> {
    const plan = this.#plan(shape);
    return load.run(plan, watch, this.#live.phase(name, plan, watch.pids, load.pids));
  }

  #plan(shape: LoadPlan['shape']): LoadPlan {
    const { options } = this.#context;
    const [warmUpMs, windowMs] = [options['warm-up'] * 1000, options.seconds * 1000];
    return { shape, warmUpMs, windowMs, drainMsMax: LIMITS.drainMsMax };
  }
}

const NAMES_OF_WAYS: Readonly<Record<LogCeilingWay, string>> = {
  gathered: 'one publish under way for each stream',
  each: 'a publish for each message',
};

function recordLog(recorder: Recorder, way: LogCeilingWay, result: LogCeilingResult): void {
  const { p50Ms, p99Ms, publishesPerSecond, unanswered } = result;
  const name = way === 'gathered' ? 'bare_log' : 'bare_publish';
  recorder.peer('cross_node_p50_ms', name, p50Ms);
  recorder.peer('cross_node_p99_ms', name, p99Ms);
  recorder.metric(`${name}_publishes_per_s`, publishesPerSecond, 'op/s');
  if (unanswered > 0) recorder.note(`${name}: the servers left ${unanswered} messages unanswered at this rate`);
}

/** Each sender on one node and its recipient on the next. */
function spread(pairs: readonly PairPhones[], urls: readonly string[]): PairPhones[] {
  const url = (index: number): string => urls[index % urls.length]!;
  return pairs.map(({ sender, recipient }, index) => {
    return { sender, recipient, senderUrl: url(index), recipientUrl: url(index + 1) };
  });
}

function watchCpu(nodes: readonly ServerProcess[], { servers }: NatsServers): CpuWatch {
  return new CpuWatch({ nodes: nodes.map(({ pid }) => pid), nats: servers.map(({ pid }) => pid!) });
}

/** CPU of groups of processes within a window. */
class CpuWatch implements WindowWatch {
  readonly #groups: Readonly<Record<string, readonly number[]>>;
  readonly #samples: {
    readonly atMs: number;
    readonly machineMs: number;
    readonly used: Readonly<Record<string, number>>;
  }[] = [];

  constructor(groups: Readonly<Record<string, readonly number[]>>) {
    this.#groups = groups;
  }

  /** All processes under watch. */
  get pids(): readonly number[] {
    return Object.values(this.#groups).flat();
  }

  readonly begun = (): void => this.#sample();
  readonly ended = (): void => this.#sample();

  #sample(): void {
    const sum = (pids: readonly number[]): number =>
      pids.reduce((total, pid) => total + (readProcessUse(pid)?.cpuMs ?? Number.NaN), 0);
    const used = Object.fromEntries(Object.entries(this.#groups).map(([name, pids]) => [name, sum(pids)]));
    this.#samples.push({ atMs: systemClock.nowMs(), machineMs: readMachineCpuMs() ?? Number.NaN, used });
  }

  /** Cores that all processes of the machine used. */
  machineCores(): number {
    const [before, after] = this.#samples;
    return (after!.machineMs - before!.machineMs) / (after!.atMs - before!.atMs);
  }

  /** Cores that a group used; NaN where /proc is not there. */
  cores(group: string): number {
    const [before, after] = this.#samples;
    return (after!.used[group]! - before!.used[group]!) / (after!.atMs - before!.atMs);
  }
}
