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
 *
 * Every message is checked for exactly once, in order and unharmed; one violation voids the run. All of it shares the cores
 * of one machine: what is measured is the work that a message costs in all, not what three machines would carry.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsServers, startNatsServers } from '../../runtime/testing/nats-servers.ts';
import { BenchError } from '../errors.ts';
import type { PairPhones } from '../generator/control.ts';
import { systemClock } from '../harness/clock.ts';
import { LivePhases } from '../harness/live-phase.ts';
import { LoadProcesses, type LoadPlan, type LoadResult, type WindowWatch } from '../harness/load-process.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import { readMachineCpuMs, readProcessUse } from '../harness/resources.ts';
import { ServerProcess } from '../harness/server-process.ts';
import { judgeLateness, noteOthers } from '../harness/trust.ts';
import { LIMITS } from '../limits.ts';
import { measureTakeOver } from './take-over.ts';
import { phonesOf } from './messages.ts';

type OptionName =
  'pairs' | 'in-flight' | 'bytes' | 'rate' | 'nodes' | 'servers' | 'shards' | 'generators' | 'warm-up' | 'seconds';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  pairs: { default: 100, min: 1, max: 5_000, help: 'senders, each with a recipient on the next node' },
  'in-flight': { default: 20, min: 1, max: 1_000, help: 'messages in flight for each pair at saturation' },
  bytes: { default: 100, min: 4, max: 15_360, help: 'bytes of a ciphertext' },
  rate: {
    default: 0,
    min: 0,
    max: 1_000_000,
    help: 'messages per second at half load; 0 takes half of the saturated rate',
  },
  nodes: { default: 3, min: 2, max: 9, help: 'nodes, with one worker thread each' },
  servers: { default: 3, min: 1, max: 3, help: 'nats-server processes: 1 or 3' },
  shards: { default: 0, min: 0, max: 1_024, help: 'shards of the cluster; 0 for one each node' },
  generators: { default: 1, min: 1, max: 16, help: 'generator processes' },
  'warm-up': { default: 5, quick: 2, min: 0, max: 60, help: 'seconds before each window that are left out' },
  seconds: { default: 20, quick: 5, min: 1, max: 600, help: 'seconds of each window' },
};

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
  readonly #codes = new Map<string, string>();
  readonly #live: LivePhases;
  #killed: ServerProcess | undefined;
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'blindbeam-bench-cluster-'));

  constructor(context: Context) {
    this.#context = context;
    this.#live = new LivePhases(context);
  }

  async run(): Promise<void> {
    const { options, progress, signal, recorder } = this.#context;
    progress('starting the NATS servers');
    const nats = await startNatsServers(options.servers, this.#directory);
    const load = new LoadProcesses(options.generators, signal);
    const nodes = this.#startNodes(nats, load);
    try {
      await Promise.race([this.#measure(nodes, nats, load), ...nodes.map((node) => this.#gone(node))]);
    } finally {
      await load.stop();
      await Promise.all(nodes.map((node) => node.stop()));
      for (const { loggedErrors } of nodes) {
        if (loggedErrors.length > 0) recorder.note(`a node logged errors, the last: ${loggedErrors.at(-1)}`);
      }
      await nats.stop();
      rmSync(this.#directory, { recursive: true, force: true });
    }
  }

  #startNodes({ urls }: NatsServers, load: LoadProcesses): ServerProcess[] {
    const { options, signal, keepData } = this.#context;
    const config = join(this.#directory, 'cluster.yaml');
    writeFileSync(config, `cluster-secret: "${randomBytes(32).toString('hex')}"\n`, { mode: 0o600 });
    const names = Array.from({ length: options.nodes }, (_, index) => `node-${index + 1}`);
    return names.map((name, index) => {
      // Each begins with another server, so that the three share the work.
      const servers = urls.map((_, at) => urls[(at + index) % urls.length]!).join(',');
      const cluster = ['--nats', servers, '--node', name, '--cluster-nodes', names.join(',')];
      const shards = ['--cluster-shards', String(options.shards || options.nodes)];
      const flags = ['--config', config, ...shards, '--workers', '1', '--metrics-port', '0', ...cluster];
      return new ServerProcess({ flags, keepData, signal, onCode: (phone, code) => this.#takeCode(phone, code, load) });
    });
  }

  #takeCode(phone: string, code: string, load: LoadProcesses): void {
    this.#codes.set(phone, code);
    load.takeCode(phone, code);
  }

  /** Rejects when a node has ended that we did not kill. */
  async #gone(node: ServerProcess): Promise<never> {
    return node.gone.catch((error: unknown) => {
      if (node !== this.#killed) throw error;
      return new Promise<never>(() => undefined);
    });
  }

  async #measure(nodes: readonly ServerProcess[], nats: NatsServers, load: LoadProcesses): Promise<void> {
    const { options, progress } = this.#context;
    progress(`starting ${nodes.length} nodes`);
    const urls = await Promise.all(nodes.map((node) => node.started()));
    await Promise.all(nodes.map((node) => node.logged('node_up', nodes.length - 1)));
    progress(`registering ${options.pairs * 2} accounts`);
    await load.openPairs(urls[0]!, spread(phonesOf(options.pairs), urls), options.bytes);
    const saturated = await this.#saturate(nodes, nats, load);
    const ratePerSecond = options.rate || Math.floor(saturated.completedPerSecond / 2);
    if (ratePerSecond < 1) throw new BenchError('BENCH_LOST', 'no message completed its cycle at saturation');
    await this.#halfLoad(ratePerSecond, nodes, nats, load);
    await load.stop();
    if (nodes.length > 2) await this.#takeOver(nodes, urls);
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

  async #takeOver(nodes: readonly ServerProcess[], urls: readonly string[]): Promise<void> {
    const { progress, recorder } = this.#context;
    progress('take-over of the shards of a node that is killed');
    const kill = (): void => {
      this.#killed = nodes[0]!;
      nodes[0]!.signal('SIGKILL');
    };
    const times = { beforeMs: 1_000, afterMs: 5_000, settleMsMax: 10_000 };
    const codeOf = (phone: string): string | undefined => this.#codes.get(phone);
    const ends = { senderUrl: urls[1]!, recipientUrl: urls[2]! };
    const result = await measureTakeOver({ ...ends, pairs: TAKE_OVER_PAIRS, ...times, kill, codeOf });
    recorder.metric('takeover_s', result.takeOverMs / 1_000, 's');
    recorder.metric('acked_lost', result.lost, 'msg');
    recorder.metric('take_over_acked', result.acknowledged, 'msg');
    if (result.doubled > 0) throw new BenchError('BENCH_LOST', `${result.doubled} messages came twice`);
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
