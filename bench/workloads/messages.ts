/**
 * How many messages from online sender to online recipient does one node carry in full cycles, and how long do they take?
 *
 * A full cycle: sent, stored and flushed, acknowledged to the sender, delivered, acknowledged by the recipient, removed, and
 * the delivered receipt back at the sender. It counts when the receipt arrives. Phases:
 *
 *   saturation   closed loop, 20 in flight for each pair      accepted_per_s, delivered_per_s
 *   half load    open loop at half of that                    p50_ms, p99_ms, receipt_…, messages_per_flush
 *   steady       open loop at a rate that is always the same  steady_p50_ms, steady_p99_ms
 *   single       closed loop, 1 in flight for each pair       delivered_1_per_s, p99_1_ms
 *   ceilings     the server is down                           bare_echo, bare_relay at the rate of half load, bare_lmdb
 *
 * With `--control` a fault is planted that the half load must show, and there are no ceilings; see `../controls/control.ts`.
 * Every message is checked for exactly once, in order and unharmed; one violation voids the run.
 */

import { measureEcho, measureLmdb, measureRelay, type RelayCeilingResult } from '../ceilings/ceilings.ts';
import { BenchError } from '../errors.ts';
import { CONTROLS, plant, type Control } from '../controls/control.ts';
import { LivePhases } from '../harness/live-phase.ts';
import {
  NATIVE_OPTION,
  sayGenerators,
  type LoadPlan,
  type LoadProcesses,
  type LoadResult,
} from '../harness/load-process.ts';
import { pairsOfPhones } from '../harness/population.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import type { Recorder } from '../harness/report.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { withServer } from '../harness/server-under-load.ts';
import { ServerWatch, type ServerWindow } from '../harness/server-watch.ts';
import { BYTES_OPTION, HALF_LOAD_OPTION, WORKERS_OPTION } from '../harness/shared-options.ts';
import { refuseEjabberd } from '../peers/ejabberd.ts';
import {
  measureEjabberdMessages,
  PEERS_LEFT_OUT,
  PEERS_OPTION,
  type EjabberdMessages,
} from '../peers/ejabberd-script.ts';
import { judgeLateness, noteBusyGenerator, noteOthers, recordUse } from '../harness/trust.ts';
import { LIMITS } from '../limits.ts';

type OptionName =
  | 'pairs'
  | 'in-flight'
  | 'bytes'
  | 'rate'
  | 'steady-rate'
  | 'generators'
  | 'native'
  | 'workers'
  | 'warm-up'
  | 'seconds'
  | 'peers';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  pairs: {
    default: 100,
    min: 1,
    max: 5_000,
    help: 'senders, each with a recipient of its own: two connections a pair',
  },
  'in-flight': { default: 20, min: 1, max: 1_000, help: 'messages in flight for each pair at saturation' },
  bytes: BYTES_OPTION,
  rate: HALF_LOAD_OPTION,
  'steady-rate': {
    default: 40_000,
    min: 0,
    max: 1_000_000,
    help: 'messages per second whose latency is compared from build to build and machine to machine; 0 leaves it out',
  },
  generators: { default: 1, min: 1, max: 16, help: 'generator processes' },
  native: NATIVE_OPTION,
  workers: WORKERS_OPTION,
  'warm-up': { default: 5, quick: 2, min: 0, max: 60, help: 'seconds before each window that are left out' },
  seconds: { default: 20, quick: 5, min: 1, max: 600, help: 'seconds of the windows of saturation and half load' },
  peers: PEERS_OPTION,
};

type Context = WorkloadContext<OptionName>;

/** The windows of steady, single and ceilings are this share of the others; they vary less. */
const SHORT_WINDOW_SHARE = 0.6;
/** A stored entry beside its ciphertext: see actors/store/layout.ts. */
const ENTRY_HEADER_BYTES = 27;

/** What tests change: the server that is measured, and how patient a phase is. */
export interface MessagesSettings {
  /** The script to start in place of the command line. */
  readonly serverScript?: string;
  readonly serverFlags?: readonly string[];
  readonly drainMsMax?: number;
  /** How long a second of the options is. */
  readonly secondMs?: number;
  readonly withCeilings?: boolean;
}

/** Makes the workload; the settings are for tests. */
export function createMessagesWorkload(settings: MessagesSettings = {}): Workload<OptionName> {
  return {
    name: 'messages',
    question: 'one-to-one messages between online clients: full cycles per second, and their latency at half load',
    options: OPTIONS,
    controls: CONTROLS,
    thresholds: [
      { metric: 'delivered_per_s', bound: 'at-least', value: 40_000 },
      { metric: 'p99_ms', bound: 'below', value: 20 },
    ],
    run: (context) => new MessagesRun(context, settings).run(),
  };
}

/** What the ceilings take over from the server's phases. */
interface Found {
  /** Messages in a commit at saturation. */
  readonly batchCount: number;
  /** The rate of half load. */
  readonly ratePerSecond: number;
}

class MessagesRun {
  readonly #context: Context;
  readonly #settings: MessagesSettings;
  readonly #live: LivePhases;

  constructor(context: Context, settings: MessagesSettings) {
    this.#context = context;
    this.#live = new LivePhases(context);
    this.#settings = settings;
  }

  async run(): Promise<void> {
    const found = await this.#measureServer();
    const { control } = this.#context;
    if (control !== undefined || this.#settings.withCeilings === false) return;
    await this.#measureCeilings(found);
    await this.#measurePeers();
  }

  #measureServer(): Promise<Found> {
    const { generators, workers } = this.#context.options;
    const { serverScript, serverFlags } = this.#settings;
    const plan = { generators, workers, flags: serverFlags, script: serverScript };
    return withServer(this.#context, plan, (server, load) => this.#measurePhases(server, load));
  }

  async #measurePhases(server: ServerProcess, load: LoadProcesses): Promise<Found> {
    const { progress, signal } = this.#context;
    progress('starting the server');
    const control = await plant(this.#context.control, await server.started(), signal);
    try {
      return await this.#measureBehind(control, server, load);
    } finally {
      await control.stop();
    }
  }

  /** The phases, with the fault planted that was asked for, if any. */
  async #measureBehind(control: Control, server: ServerProcess, load: LoadProcesses): Promise<Found> {
    const { options, progress, recorder } = this.#context;
    progress(`registering ${options.pairs * 2} accounts`);
    await load.openPairs(control.url, pairsOfPhones(options.pairs), options.bytes, options.native === 1);
    recorder.note(sayGenerators(load));
    const saturated = await this.#phase('saturation', this.#closedPlan(options['in-flight'], 1), load, server);
    recordSaturation(recorder, saturated.result, saturated.window);
    const isPlanted = this.#context.control !== undefined;
    const halfPerSecond = Math.floor(saturated.result.completedPerSecond / 2);
    const ratePerSecond = options.rate || (isPlanted ? LIMITS.controlRateOfPair * options.pairs : halfPerSecond);
    if (ratePerSecond < 1) throw new BenchError('BENCH_LOST', 'no message completed its cycle at saturation');
    control.begin(load.pids);
    const half = await this.#phase(`half load, ${ratePerSecond} msg/s`, this.#openPlan(ratePerSecond, 1), load, server);
    control.end();
    recordHalfLoad(recorder, half.result, half.window);
    control.judge(recorder, half.result.delivery);
    if (!isPlanted) await this.#measureSteady(saturated.result.completedPerSecond, load, server);
    const single = await this.#phase('one in flight', this.#closedPlan(1, SHORT_WINDOW_SHARE), load, server);
    recordSingle(recorder, single.result);
    const batchCount = Math.max(1, Math.round(saturated.window.messagesPerFlush ?? options['in-flight']));
    return { batchCount, ratePerSecond };
  }

  /** Half of the saturated rate is another rate for each build: a faster one is measured under more load. This one stays. */
  async #measureSteady(saturatedPerSecond: number, load: LoadProcesses, server: ServerProcess): Promise<void> {
    const { options, recorder } = this.#context;
    const ratePerSecond = options['steady-rate'];
    if (ratePerSecond === 0) return;
    if (ratePerSecond >= saturatedPerSecond)
      return recorder.note(`steady_…: left out, the server saturates below ${ratePerSecond} msg/s`);
    const plan = this.#openPlan(ratePerSecond, SHORT_WINDOW_SHARE);
    const { result } = await this.#phase(`steady, ${ratePerSecond} msg/s`, plan, load, server);
    recorder.metric('steady_p50_ms', result.delivery.percentileMs(50), 'ms');
    recorder.metric('steady_p99_ms', result.delivery.percentileMs(99), 'ms');
    judgeLateness(recorder, 'steady', result);
  }

  async #phase(
    name: string,
    plan: LoadPlan,
    load: LoadProcesses,
    server: ServerProcess,
  ): Promise<{ readonly result: LoadResult; readonly window: ServerWindow }> {
    const watch = new ServerWatch(server, load.pids);
    const result = await load.run(plan, watch, this.#live.phase(name, plan, [server.pid], load.pids));
    return { result, window: await watch.window() };
  }

  #closedPlan(inFlight: number, share: number): LoadPlan {
    return { shape: { kind: 'closed', inFlight }, ...this.#times(share) };
  }

  #openPlan(ratePerSecond: number, share: number): LoadPlan {
    return { shape: { kind: 'open', ratePerSecond }, ...this.#times(share) };
  }

  #times(share: number): Omit<LoadPlan, 'shape'> {
    const { options } = this.#context;
    const { drainMsMax = LIMITS.drainMsMax, secondMs = 1000 } = this.#settings;
    return { warmUpMs: options['warm-up'] * secondMs, windowMs: options.seconds * secondMs * share, drainMsMax };
  }

  /** The same script on another server, with the machine to itself as ours had it. */
  async #measurePeers(): Promise<void> {
    const { options, recorder, progress, signal } = this.#context;
    if (options.peers === 0) return recorder.note(PEERS_LEFT_OUT);
    const refusal = refuseEjabberd();
    if (refusal !== undefined) return recorder.note(refusal);
    progress('peer: ejabberd');
    const { generators, pairs, 'in-flight': inFlight, bytes: messageBytes } = options;
    const { warmUpMs, windowMs } = this.#times(SHORT_WINDOW_SHARE);
    const plan = { generators, pairs, inFlight, messageBytes, warmUpMs, windowMs };
    recordEjabberd(recorder, await measureEjabberdMessages(plan, signal));
  }

  async #measureCeilings({ batchCount, ratePerSecond }: Found): Promise<void> {
    const { options, recorder, progress, signal } = this.#context;
    const { warmUpMs, windowMs } = this.#times(SHORT_WINDOW_SHARE);
    const times = { warmUpMs: Math.min(warmUpMs, 2000), windowMs };
    progress('ceiling: bare echo');
    const size = { connections: options.pairs * 2, inFlight: options['in-flight'], messageBytes: options.bytes };
    const echo = await measureEcho({ generators: options.generators, ...size, ...times }, signal);
    progress('ceiling: bare relay');
    const { generators, pairs, bytes: messageBytes } = options;
    const native = options.native === 1;
    const relay = await measureRelay({ generators, pairs, messageBytes, native, ratePerSecond, ...times }, signal);
    progress('ceiling: bare LMDB');
    const valueBytes = ENTRY_HEADER_BYTES + options.bytes;
    const lmdb = await measureLmdb({ batchCount, valueBytes, recipients: options.pairs, ...times }, signal);
    recordCeilings(recorder, echo.messagesPerSecond, lmdb.putsPerSecond);
    recordRelay(recorder, relay);
    noteBusyGenerator(recorder, 'the bare echo', echo.generatorCoresMax);
  }
}

/** ejabberd's figures beside ours, and what it does not do for them. */
function recordEjabberd(
  recorder: Recorder,
  { version, saturated, half, ratePerSecond, single }: EjabberdMessages,
): void {
  const peer = (metric: string, value: number | undefined): void => recorder.peer(metric, 'ejabberd', value);
  peer('delivered_per_s', saturated.completedPerSecond);
  peer('saturated_p50_ms', saturated.delivery.percentileMs(50));
  peer('saturated_p99_ms', saturated.delivery.percentileMs(99));
  for (const [percent, name] of PERCENTILES) {
    peer(`${name}_ms`, half.delivery.percentileMs(percent));
    peer(`${name}_raw_ms`, half.raw.percentileMs(percent));
  }
  peer('max_ms', half.delivery.maxMs());
  peer('delivered_1_per_s', single.completedPerSecond);
  peer('p50_1_ms', single.delivery.percentileMs(50));
  peer('p99_1_ms', single.delivery.percentileMs(99));
  recorder.note(
    `ejabberd ${version}: plain TCP, SASL PLAIN, no module and no stream management; it stores and flushes nothing and sends no receipts; its half load is ${ratePerSecond} msg/s`,
  );
  noteBusyGenerator(recorder, 'ejabberd', saturated.cpuCoresMax);
}

function recordSaturation(recorder: Recorder, result: LoadResult, window: ServerWindow): void {
  recorder.metric('accepted_per_s', result.acceptedPerSecond, 'msg/s');
  recorder.metric('delivered_per_s', result.completedPerSecond, 'msg/s');
  recorder.metric('saturated_p50_ms', result.delivery.percentileMs(50), 'ms');
  recorder.metric('saturated_p99_ms', result.delivery.percentileMs(99), 'ms');
  recorder.metric('saturated_messages_per_flush', window.messagesPerFlush, 'msg');
  recordUse(recorder, 'saturation', window, result);
}

function recordHalfLoad(recorder: Recorder, result: LoadResult, window: ServerWindow): void {
  for (const [percent, name] of PERCENTILES) {
    recorder.metric(`${name}_ms`, result.delivery.percentileMs(percent), 'ms');
    recorder.metric(`${name}_raw_ms`, result.raw.percentileMs(percent), 'ms');
  }
  recorder.metric('max_ms', result.delivery.maxMs(), 'ms');
  recorder.metric('receipt_p50_ms', result.receipt.percentileMs(50), 'ms');
  recorder.metric('receipt_p99_ms', result.receipt.percentileMs(99), 'ms');
  recorder.metric('messages_per_flush', window.messagesPerFlush, 'msg');
  recorder.metric('half_load_server_cores', window.cpuCores, 'cores');
  recorder.metric('half_load_generator_cores', result.cpuCores, 'cores');
  recorder.metric('half_load_machine_cores', window.machineCores, 'cores');
  recorder.metric('half_load_missing_cores', window.waitingThreads, 'cores');
  recorder.metric('half_load_generator_lag_p99_ms', result.loopLagMs, 'ms');
  recorder.metric('half_load_sending_p99_ms', result.sending.percentileMs(99), 'ms');
  judgeLateness(recorder, 'half load', result);
  noteOthers(recorder, 'half load', window.machineCores - window.cpuCores - result.cpuCores);
}

const PERCENTILES = [
  [50, 'p50'],
  [99, 'p99'],
  [99.9, 'p999'],
] as const;

function recordSingle(recorder: Recorder, result: LoadResult): void {
  recorder.metric('delivered_1_per_s', result.completedPerSecond, 'msg/s');
  recorder.metric('p50_1_ms', result.delivery.percentileMs(50), 'ms');
  recorder.metric('p99_1_ms', result.delivery.percentileMs(99), 'ms');
}

function recordCeilings(recorder: Recorder, echo: number, lmdb: number): void {
  recorder.metric('echo_msgs_per_s', echo, 'msg/s');
  recorder.metric('lmdb_puts_per_s', lmdb, 'put/s');
  for (const metric of ['accepted_per_s', 'delivered_per_s']) {
    recorder.peer(metric, 'bare_echo', echo);
    recorder.peer(metric, 'bare_lmdb', lmdb);
  }
}

/** Latencies of the same rate over bare sockets: what of ours is the machine's. */
function recordRelay(recorder: Recorder, { p50Ms, p99Ms }: RelayCeilingResult): void {
  recorder.peer('p50_ms', 'bare_relay', p50Ms);
  recorder.peer('p99_ms', 'bare_relay', p99Ms);
}
