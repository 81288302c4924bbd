/**
 * Ceilings: what the same machine does in the same run without us. A figure of ours means something beside them only,
 * because machines, neighbours and generators differ.
 *
 * Each ceiling runs in a process of its own and is measured while our server is down, or all of our nodes are.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.ts';
import { Child } from '../harness/child.ts';
import { systemClock, within } from '../harness/clock.ts';
import { LoadProcesses } from '../harness/load-process.ts';
import { readProcessMemory } from '../harness/memory.ts';
import { LIMITS } from '../limits.ts';

export interface EchoCeilingPlan {
  readonly generators: number;
  readonly connections: number;
  readonly inFlight: number;
  readonly messageBytes: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
}

export interface EchoCeilingResult {
  readonly messagesPerSecond: number;
  /** CPU of the busiest generator, in cores: near 1 the ceiling is the generator's. */
  readonly generatorCoresMax: number;
}

export interface RelayCeilingPlan {
  readonly generators: number;
  readonly pairs: number;
  readonly ratePerSecond: number;
  readonly messageBytes: number;
  readonly native: boolean;
  readonly warmUpMs: number;
  readonly windowMs: number;
}

export interface RelayCeilingResult {
  /** From the intended time to the arrival at the recipient. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

export interface LmdbCeilingPlan {
  /** Records in a flush. */
  readonly batchCount: number;
  readonly valueBytes: number;
  readonly recipients: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
}

export interface LmdbCeilingResult {
  /** Records put and flushed, each of them removed again. */
  readonly putsPerSecond: number;
}

/** How messages go into a bare log: see `bare-log.ts`. */
export type LogCeilingWay = 'each' | 'gathered';

export interface LogCeilingPlan {
  /** URLs of the NATS servers. */
  readonly servers: readonly string[];
  readonly way: LogCeilingWay;
  /** Made for this; their names say the way, so it is measured once on the same servers. */
  readonly streams: number;
  readonly replicas: number;
  readonly ratePerSecond: number;
  readonly messageBytes: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
}

export interface LogCeilingResult {
  /** From the intended time to the acknowledgement. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly publishesPerSecond: number;
  /** Messages of the window that were acknowledged. */
  readonly acknowledged: number;
  /** Messages that were not, also before the window: above 0 where the servers do not carry the rate. */
  readonly unanswered: number;
}

/** What the parent tells the process of the store. */
export interface LmdbCeilingCommand {
  /** An empty directory. */
  readonly path: string;
  readonly plan: LmdbCeilingPlan;
}

/** Echoes over bare uWebSockets.js, one thread, through the generator of the workload. */
export async function measureEcho(plan: EchoCeilingPlan, signal: AbortSignal): Promise<EchoCeilingResult> {
  const server = startCeiling('echo-server');
  const load = new LoadProcesses(plan.generators, signal);
  try {
    const { url } = await server.answer<{ readonly url: string }>(LIMITS.serverStartMsMax, signal);
    await load.openEcho(url, plan.connections, plan.messageBytes);
    const shape = { kind: 'closed', inFlight: plan.inFlight } as const;
    const { warmUpMs, windowMs } = plan;
    const result = await load.run({ shape, warmUpMs, windowMs, drainMsMax: LIMITS.drainMsMax });
    return { messagesPerSecond: result.completedPerSecond, generatorCoresMax: result.cpuCoresMax };
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
}

/** One-to-one messages through a bare relay, one thread, at a fixed rate, through the generator of the workload. */
export async function measureRelay(plan: RelayCeilingPlan, signal: AbortSignal): Promise<RelayCeilingResult> {
  const server = startCeiling('relay-server');
  const load = new LoadProcesses(plan.generators, signal);
  try {
    const { url } = await server.answer<{ readonly url: string }>(LIMITS.serverStartMsMax, signal);
    await load.openRelay(url, plan.pairs, plan.messageBytes, plan.native);
    const shape = { kind: 'open', ratePerSecond: plan.ratePerSecond } as const;
    const { warmUpMs, windowMs } = plan;
    const { delivery } = await load.run({ shape, warmUpMs, windowMs, drainMsMax: LIMITS.drainMsMax });
    return { p50Ms: delivery.percentileMs(50), p99Ms: delivery.percentileMs(99) };
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
}

/** Storms against bare uWebSockets.js: connections, upgrades and one message there and back, no login. */
export async function measureBareStorms<Outcome>(
  plan: { readonly generators: number; readonly clients: number; readonly sources: readonly string[] },
  signal: AbortSignal,
  measure: (load: LoadProcesses) => Promise<Outcome>,
): Promise<Outcome> {
  const server = startCeiling('echo-server');
  const load = new LoadProcesses(plan.generators, signal);
  try {
    const { url } = await server.answer<{ readonly url: string }>(LIMITS.serverStartMsMax, signal);
    await load.openBareClients(url, plan.clients, plan.sources);
    return await measure(load);
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
}

/** Puts, flushes and removals in bare LMDB. */
export async function measureLmdb(plan: LmdbCeilingPlan, signal: AbortSignal): Promise<LmdbCeilingResult> {
  // Made and removed here, because the other process may be ended at any moment.
  const path = mkdtempSync(join(tmpdir(), 'blindbeam-bench-lmdb-'));
  const store = startCeiling('lmdb-store');
  try {
    const answer = store.answer<LmdbCeilingResult>(plan.warmUpMs + plan.windowMs + LIMITS.drainMsMax, signal);
    store.tell({ path, plan } satisfies LmdbCeilingCommand);
    return await answer;
  } finally {
    await store.stop();
    rmSync(path, { recursive: true, force: true });
  }
}

/** Messages into bare streams on servers that run already, at a fixed rate. */
export async function measureLog(plan: LogCeilingPlan, signal: AbortSignal): Promise<LogCeilingResult> {
  const log = startCeiling('bare-log');
  try {
    const answer = log.answer<LogCeilingResult>(plan.warmUpMs + plan.windowMs + 2 * LIMITS.drainMsMax, signal);
    log.tell(plan);
    return await answer;
  } finally {
    await log.stop();
  }
}

/** The bare library under files. Stop it, whatever happens. */
export function startStreamServer(signal: AbortSignal): { readonly url: Promise<string>; stop(): Promise<void> } {
  const server = startCeiling('stream-server');
  const started = server.answer<{ readonly url: string }>(LIMITS.serverStartMsMax, signal);
  return { url: started.then(({ url }) => url), stop: () => server.stop() };
}

/**
 * What an open connection costs the bare library: the memory of its own that a process of uWebSockets.js has for `clients`
 * of them, each with an object of one number, and their upgrades in a second.
 */
export async function measureBareConnections(
  plan: { readonly generators: number; readonly clients: number; readonly sources: readonly string[] },
  signal: AbortSignal,
): Promise<{ readonly bytesPerConnection: number | undefined; readonly connectsPerSecond: number }> {
  const server = startCeiling('holding-server', ['--expose-gc']);
  const load = new LoadProcesses(plan.generators, signal);
  const collected = async (): Promise<number | undefined> => {
    const answer = server.answer(LIMITS.serverStartMsMax, signal);
    server.tell({ kind: 'collect' });
    await answer;
    return readProcessMemory(server.pid)?.anonymousBytes;
  };
  try {
    const { url } = await server.answer<{ readonly url: string }>(LIMITS.serverStartMsMax, signal);
    const empty = await collected();
    const beganMs = systemClock.nowMs();
    await load.openBareClients(url, plan.clients, plan.sources);
    const connectsPerSecond = (plan.clients * 1000) / (systemClock.nowMs() - beganMs);
    const full = await collected();
    const isKnown = empty !== undefined && full !== undefined;
    return { bytesPerConnection: isKnown ? (full - empty) / plan.clients : undefined, connectsPerSecond };
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
}

interface CeilingProcess {
  readonly pid: number;
  tell(plan: object): void;
  /** The next thing that it says. */
  answer<Answer>(timeoutMs: number, signal: AbortSignal): Promise<Answer>;
  stop(): Promise<void>;
}

type CeilingName = 'echo-server' | 'relay-server' | 'lmdb-store' | 'bare-log' | 'stream-server' | 'holding-server';

function startCeiling(name: CeilingName, execArgv: readonly string[] = []): CeilingProcess {
  const entry = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const stdio = ['ignore', 'ignore', 'pipe', 'ipc'] as const;
  const process: ChildProcess = fork(entry, [], { stdio: [...stdio], execArgv: [...execArgv] });
  const child = new Child(process, `the ceiling ${name}`, 'BENCH_CHILD');
  return {
    pid: child.pid,
    tell: (plan) => void process.send(plan),
    answer<Answer>(timeoutMs: number, signal: AbortSignal): Promise<Answer> {
      const said = new Promise<Answer>((resolve) => process.once('message', (answer) => resolve(answer as Answer)));
      const late = (): Error => new BenchError('BENCH_CHILD', `the ceiling ${name} said nothing in ${timeoutMs} ms`);
      return within(Promise.race([said, child.gone]), timeoutMs, late, signal);
    },
    stop: async () => {
      await child.stop(() => process.connected && process.disconnect(), LIMITS.childStopMsMax);
    },
  };
}
