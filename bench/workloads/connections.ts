/**
 * What does a logged-in connection cost, and how many a second can log in?
 *
 * One server process holds as many connections as its descriptors allow, each with a supervised actor. The clients are
 * registered first; then all leave, and memory is looked at:
 *
 *   start ── all register and leave ── empty ── all log in by ticket ── held ── all are cut off ── left
 *
 *   bytes_per_connection_user    held − empty (or left, where that is less), of the memory that is the server's own, for each connection
 *   bytes_per_connection_kernel  the same of the kernel's structures for sockets, one end
 *   connects_per_s               clients over the time from the first dialling to the last `<success>`
 *   left_over_ratio              left over empty: 1 is a server that gave everything back
 *
 * *Empty* is a server that has all its accounts and no connection: its code is compiled, its buffers are made, its caches of
 * accounts are full, and bounded. What it has at its start stands beside it. Pages of the store are not counted: they belong
 * to the accounts, and the kernel takes them back when it needs them.
 *
 * With more connections than one process may have, many nodes are started; see `../connections/crowd.ts`.
 *
 * Ceiling: bare uWebSockets.js with one small object for each connection. Read next: `../harness/memory.ts`.
 */

import { measureBareConnections } from '../ceilings/ceilings.ts';
import { CrowdRun } from '../connections/crowd.ts';
import { BenchError } from '../errors.ts';
import type { StormResult } from '../generator/storm-load.ts';
import { pause, systemClock } from '../harness/clock.ts';
import { connectionsOfProcess } from '../harness/descriptors.ts';
import { mergeHistograms } from '../harness/histogram.ts';
import type { LoadProcesses } from '../harness/load-process.ts';
import { readKernelMemory, readProcessMemory, type KernelMemory, type ProcessMemory } from '../harness/memory.ts';
import { phonesFrom, sourcesOf } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServer } from '../harness/server-under-load.ts';
import { WORKERS_OPTION } from '../harness/shared-options.ts';
import { refuseEjabberd } from '../peers/ejabberd.ts';
import { measureEjabberdConnections, PEERS_LEFT_OUT, PEERS_OPTION } from '../peers/ejabberd-script.ts';
import { LIMITS } from '../limits.ts';

type OptionName =
  | 'connections'
  | 'generators'
  | 'sources'
  | 'parallel'
  | 'login-nodes'
  | 'workers'
  | 'per-process'
  | 'port'
  | 'rate'
  | 'size'
  | 'heartbeat'
  | 'warm-up'
  | 'hold'
  | 'seed'
  | 'reloads'
  | 'memory-floor'
  | 'peers';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  connections: { default: 0, min: 0, max: 5_000_000, help: 'connections to hold; 0: as many as a process may have' },
  generators: { default: 2, min: 1, max: 64, help: 'generator processes' },
  sources: { default: 8, min: 1, max: 250, help: 'loopback addresses that clients connect from' },
  parallel: { default: 256, min: 1, max: 4_096, help: 'clients that log in at a time' },
  'login-nodes': { default: 4, min: 1, max: 512, help: 'of several nodes, how many are logged in to at a time' },
  workers: WORKERS_OPTION,
  'per-process': {
    default: 0,
    min: 0,
    max: 5_000_000,
    help: 'connections of a node at most; 0: what its descriptors allow',
  },
  port: { default: 7600, min: 1_024, max: 65_000, help: 'of several nodes, the port of the first' },
  rate: { default: 1_000, min: 0, max: 1_000_000, help: 'of several nodes, messages a second among random pairs' },
  size: { default: 100, min: 24, max: 1_024, help: 'bytes of a ciphertext' },
  heartbeat: {
    default: 100,
    min: 0,
    max: 110,
    help: 'seconds between two heartbeats of a connection, answered by its actor; 0 leaves it to the pings of the server',
  },
  'warm-up': {
    default: 10,
    min: 0,
    max: 3_600,
    help: 'seconds for which messages flow among several nodes before they are measured',
  },
  hold: { default: 60, min: 1, max: 86_400, help: 'seconds for which the connections of several nodes are held' },
  seed: { default: 1, min: 0, max: 1_000_000_000, help: 'which pairs are drawn, and who writes' },
  reloads: { default: 0, min: 0, max: 100, help: 'of several nodes, how often connections get new code while held' },
  'memory-floor': {
    default: 1_500,
    min: 0,
    max: 1_000_000,
    help: 'MiB of available memory below which the run ends itself',
  },
  peers: PEERS_OPTION,
};

type Context = WorkloadContext<OptionName>;

/** What tests change. */
export interface ConnectionsSettings {
  readonly withCeiling?: boolean;
  /** How long is waited for memory to settle, as a share of what a measurement takes. */
  readonly patience?: number;
}

/** Memory at one moment. */
interface Look {
  readonly server: ProcessMemory | undefined;
  readonly kernel: KernelMemory | undefined;
  readonly heapBytes: number | undefined;
  readonly connections: number | undefined;
}

/** Makes the workload; the settings are for tests. */
export function createConnectionsWorkload(settings: ConnectionsSettings = {}): Workload<OptionName> {
  return {
    name: 'connections',
    question: 'connections that are logged in and idle: bytes for each, logins per second, and what is left afterwards',
    options: OPTIONS,
    thresholds: [
      { metric: 'bytes_per_connection_user', bound: 'at-most', value: 2_000 },
      { metric: 'connects_per_s', bound: 'at-least', value: 5_000, phase: 'connecting' },
      { metric: 'left_over_ratio', bound: 'at-most', value: 1.05, ifMeasured: true },
      { metric: 'messages_lost', bound: 'at-most', value: 0, ifMeasured: true, phase: 'holding' },
      { metric: 'unexpected_closes', bound: 'at-most', value: 0, ifMeasured: true, phase: 'holding' },
      { metric: 'p99_ms', bound: 'at-most', value: 100, ifMeasured: true, phase: 'holding' },
    ],
    run: (context) => {
      const { connections, 'per-process': perProcess } = context.options;
      const isCrowd = connections > (perProcess === 0 ? connectionsOfProcess() : perProcess);
      return isCrowd ? runCrowd(context, settings) : new ConnectionsRun(context, settings).run();
    },
  };
}

/** More than one process may have. */
function runCrowd(
  { options, recorder, progress, panel, columns, signal, keepData }: Context,
  { patience = 1 }: ConnectionsSettings,
): Promise<void> {
  const crowd = {
    connections: options.connections,
    perProcess: options['per-process'],
    port: options.port,
    parallel: options.parallel,
    loginNodes: options['login-nodes'],
    messagesPerSecond: options.rate,
    ciphertextBytes: options.size,
    heartbeatS: options.heartbeat,
    warmUpS: options['warm-up'],
    holdS: options.hold,
    seed: options.seed,
    reloads: options.reloads,
    memoryFloorBytes: options['memory-floor'] * 2 ** 20,
    patience,
  };
  return new CrowdRun(crowd, { recorder, progress, panel, columns, signal, keepData }).run();
}

class ConnectionsRun {
  readonly #context: Context;
  readonly #settings: ConnectionsSettings;
  readonly #connections: number;

  constructor(context: Context, settings: ConnectionsSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#connections = connectionsToHold(context.options.connections);
  }

  async run(): Promise<void> {
    await this.#measureServer();
    if (this.#settings.withCeiling === false) return;
    await this.#measureCeiling();
    await this.#measurePeers();
  }

  /** As many connections to ejabberd, idle and logged in. */
  async #measurePeers(): Promise<void> {
    const { options, progress, recorder, signal } = this.#context;
    if (options.peers === 0) return recorder.note(PEERS_LEFT_OUT);
    const refusal = refuseEjabberd();
    if (refusal !== undefined) return recorder.note(refusal);
    progress('peer: ejabberd');
    const plan = {
      generators: options.generators,
      clients: this.#connections,
      parallel: options.parallel,
      sources: sourcesOf(options.sources),
      settle: (read: () => number | undefined) => untilSteady(read, this.#settings.patience ?? 1),
    };
    const found = await measureEjabberdConnections(plan, signal);
    recorder.peer('bytes_per_connection_user', 'ejabberd', found.bytesPerConnection);
    recorder.peer('connects_per_s', 'ejabberd', found.connectsPerSecond);
    recorder.note(
      `ejabberd ${found.version}: plain TCP, SASL PLAIN, no module, no presence; ours log in by ticket over WebSocket`,
    );
  }

  async #measureCeiling(): Promise<void> {
    const { options, progress, recorder, signal } = this.#context;
    progress('ceiling: bare uWebSockets.js');
    const plan = { ...options, clients: this.#connections, sources: sourcesOf(options.sources) };
    const { bytesPerConnection, connectsPerSecond } = await measureBareConnections(plan, signal);
    recorder.peer('bytes_per_connection_user', 'bare_uws', bytesPerConnection);
    recorder.peer('connects_per_s', 'bare_uws', connectsPerSecond);
  }

  #measureServer(): Promise<void> {
    const { generators, workers } = this.#context.options;
    return withServer(this.#context, { generators, workers }, (server, load) => this.#measure(server, load));
  }

  async #measure(server: ServerProcess, load: LoadProcesses): Promise<void> {
    const { options, progress } = this.#context;
    progress('starting the server');
    const url = await server.started();
    const start = await look(server);
    progress(`registering ${this.#connections} clients`);
    await load.openClients(url, phonesFrom(0, this.#connections), sourcesOf(options.sources));
    await load.depart();
    progress('looking at the empty server');
    const empty = await lookWhenSteady(server, this.#settings.patience ?? 1);
    progress('all log in');
    const back = await this.#logIn(load);
    progress('looking at the memory of those who are there');
    const held = await lookWhenSteady(server, this.#settings.patience ?? 1);
    this.#checkHeld(held);
    await load.depart();
    progress('looking at what they leave');
    const left = await lookWhenSteady(server, this.#settings.patience ?? 1);
    this.#record({ start, empty, held, left });
    this.#recordLogins(back);
  }

  async #logIn(load: LoadProcesses): Promise<{ readonly results: readonly StormResult[]; readonly tookMs: number }> {
    const beganMs = systemClock.nowMs();
    const { parallel } = this.#context.options;
    const results = await load.comeBack({ parallelMax: parallel, returnMsMax: LIMITS.returnMsMax });
    return { results, tookMs: systemClock.nowMs() - beganMs };
  }

  #checkHeld({ connections }: Look): void {
    if (connections === this.#connections) return;
    throw new BenchError('BENCH_LOST', `${connections} connections of ${this.#connections} are still there`);
  }

  #record({ start, empty, held, left }: Readonly<Record<'start' | 'empty' | 'held' | 'left', Look>>): void {
    const { recorder } = this.#context;
    const count = this.#connections;
    const bare = lesserOf(empty, left);
    const each = (part: (look: Look) => number, before: Look = bare): number => (part(held) - part(before)) / count;
    const user = each(ownBytes);
    const kernel = kernelBytesOfSocket(empty.kernel, held.kernel);
    recorder.metric('connections', count, 'client');
    recorder.metric('bytes_per_connection_user', user, 'bytes');
    recorder.metric('bytes_per_connection_kernel', kernel, 'bytes');
    recorder.metric('bytes_per_connection_total', user + (kernel ?? Number.NaN), 'bytes');
    recorder.metric('bytes_per_connection_heap', each(objectBytes), 'bytes');
    recorder.metric('bytes_per_connection_native', user - each(objectBytes), 'bytes');
    recorder.metric('bytes_per_connection_from_start', each(ownBytes, start), 'bytes');
    recorder.metric('store_pages_per_account', each(pageBytes, start), 'bytes');
    recorder.metric('server_bytes_start', ownBytes(start), 'bytes');
    recorder.metric('server_bytes_empty', ownBytes(empty), 'bytes');
    recorder.metric('server_bytes_held', ownBytes(held), 'bytes');
    recorder.metric('server_bytes_left', ownBytes(left), 'bytes');
    recorder.metric('left_over_ratio', ownBytes(left) / ownBytes(bare), 'ratio');
    if (bare === left)
      recorder.note('the server had less when all had left than before they came: that is taken as empty');
  }

  #recordLogins({ results, tookMs }: { readonly results: readonly StormResult[]; readonly tookMs: number }): void {
    const { recorder } = this.#context;
    const login = mergeHistograms(results.map((result) => result.login));
    const sum = (part: (result: StormResult) => number): number => results.reduce((all, each) => all + part(each), 0);
    recorder.metric('connects_per_s', (this.#connections * 1000) / tookMs, 'login/s');
    recorder.metric('p50_login_ms', login.percentileMs(50), 'ms');
    recorder.metric('p99_login_ms', login.percentileMs(99), 'ms');
    recorder.metric(
      'told_to_wait',
      sum((result) => result.toldToWait),
      'client',
    );
    recorder.metric(
      'dropped',
      sum((result) => result.dropped),
      'client',
    );
    recorder.metric('generator_cores', sum((result) => result.cpuMs) / tookMs, 'cores');
  }
}

/** Both ends are on this machine, so half of what the kernel has more. */
function kernelBytesOfSocket(before: KernelMemory | undefined, after: KernelMemory | undefined): number | undefined {
  if (before === undefined || after === undefined) return undefined;
  const sockets = after.tcpSockets - before.tcpSockets;
  if (sockets <= 0) return undefined;
  return (after.slabBytes - before.slabBytes + after.tcpBufferBytes - before.tcpBufferBytes) / sockets;
}

/**
 * The empty server, before anybody came or after all had left: the look that found less of its own memory. Garbage that it had not collected
 * yet when it was looked at would be taken off the connections.
 */
export function lesserOf(before: Look, after: Look): Look {
  return ownBytes(after) < ownBytes(before) ? after : before;
}

const ownBytes = ({ server }: Look): number => server?.anonymousBytes ?? Number.NaN;
const pageBytes = ({ server }: Look): number => server?.fileBytes ?? Number.NaN;
const objectBytes = ({ heapBytes }: Look): number => heapBytes ?? Number.NaN;

async function look(server: ServerProcess): Promise<Look> {
  const { heapBytes, connections } = await server.statistics();
  return { server: readProcessMemory(server.pid), kernel: readKernelMemory(), heapBytes, connections };
}

/** Waits until the server's memory no longer moves: it collects when it is quiet. */
async function lookWhenSteady(server: ServerProcess, patience: number): Promise<Look> {
  await untilSteady(() => readProcessMemory(server.pid)?.anonymousBytes, patience);
  return look(server);
}

/** Resolves when a figure has stopped moving, or will not; at once where there is none. */
async function untilSteady(read: () => number | undefined, patience: number): Promise<void> {
  const deadlineMs = systemClock.nowMs() + LIMITS.settlingMsMax * patience;
  let reference = read();
  let sinceMs = systemClock.nowMs();
  while (reference !== undefined && systemClock.nowMs() < deadlineMs) {
    await pause(LIMITS.settlingLookMs);
    const value = read();
    if (value === undefined || Math.abs(value - reference) > LIMITS.settledBytes) {
      reference = value;
      sinceMs = systemClock.nowMs();
    } else if (systemClock.nowMs() - sinceMs >= LIMITS.settledMs * patience) return;
  }
}

function connectionsToHold(asked: number): number {
  return asked === 0 ? connectionsOfProcess() : asked;
}
