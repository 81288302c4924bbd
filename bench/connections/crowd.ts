/**
 * More connections than one process may have: many nodes, a lean generator for each, held for a while under messages and
 * heartbeats, and every second of it looked at.
 *
 *   preflight ── accounts ── nodes start ── all log in ── warming up ── held ── messages drain ── all are cut off ── nodes end
 *
 * Node n has its port, its directory and the generator n, whose addresses are its own. Pairs are drawn at random among the
 * connections of a generator, so both ends of a conversation are on one node. Messages and heartbeats have intended times,
 * which the generators share the rate of. Memory is watched: below a floor the run ends itself, with its report.
 *
 * Each second is looked at in `crowd-watch.ts`. What generators count is in `crowd-count.ts`, how a crowd is spread in `crowd-plan.ts`, who holds it in
 * `generator/native/hold.c`.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.ts';
import { HolderProcess, writeAccounts } from '../generator/native-holder.ts';
import { buildNative } from '../generator/native-program.ts';
import { Child } from '../harness/child.ts';
import { interrupted, systemClock, within } from '../harness/clock.ts';
import type { Recorder } from '../harness/report.ts';
import { judgeLateness, noteOthers } from '../harness/trust.ts';
import { LIMITS } from '../limits.ts';
import { CrowdCount } from './crowd-count.ts';
import { connectionsOfSource, planCrowd, type CrowdPart } from './crowd-plan.ts';
import { recordReloads, reloadAll } from './crowd-reload.ts';
import { CrowdWatch, errorsOf, kernelBytes, type CrowdUse } from './crowd-watch.ts';
import { Panel } from './panel.ts';
import { preflight, type Shortage } from './preflight.ts';
import { ProcessGroup, type GroupUse } from '../harness/process-group.ts';
import { provision } from './provision.ts';

const COMMAND: string = fileURLToPath(new URL('../../../bin/blindbeam.js', import.meta.url));
const UNBOUND = ['--address-connections', '0', '--address-connects', '0', '--address-registrations', '0'] as const;
const HOST = '127.0.0.1';

export interface CrowdOptions {
  readonly connections: number;
  /** Connections of a node at most; 0 for what its descriptors allow. */
  readonly perProcess: number;
  readonly port: number;
  /** Clients that log in at a time, over all nodes, and nodes that they log in to at a time. */
  readonly parallel: number;
  readonly loginNodes: number;
  readonly messagesPerSecond: number;
  readonly ciphertextBytes: number;
  readonly heartbeatS: number;
  /** For how long messages flow before they are measured: code that never ran is slow. */
  readonly warmUpS: number;
  readonly holdS: number;
  readonly seed: number;
  /** How often the code of connections is replaced on each node while they are held. */
  readonly reloads: number;
  /** Available memory below which the run ends itself. */
  readonly memoryFloorBytes: number;
  /** How long is waited for memory to settle, as a share of what a measurement takes; less than 1 in tests. */
  readonly patience: number;
}

export interface CrowdIo {
  readonly recorder: Recorder;
  readonly progress: (text: string) => void;
  readonly panel: ((text: string) => void) | undefined;
  /** Of the terminal that the panel is on. */
  readonly columns?: (() => number) | undefined;
  readonly signal: AbortSignal;
  readonly keepData: boolean;
}

export class CrowdRun {
  readonly #options: CrowdOptions;
  readonly #io: CrowdIo;
  readonly #parts: readonly CrowdPart[];
  readonly #count: CrowdCount = new CrowdCount();
  readonly #watch: CrowdWatch;
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'blindbeam-crowd-'));
  #holders: readonly HolderProcess[] = [];
  #servers: { readonly process: ChildProcess; readonly child: Child } | undefined = undefined;
  #phase = 'preparing';
  #liveParts = 0;
  /** Those whose turn to log in has not come. */
  #toLogIn: HolderProcess[] = [];
  #failure: BenchError | undefined = undefined;
  #emptyBytes = Number.NaN;
  #kernelEmptyBytes = Number.NaN;
  #heldBytes = Number.NaN;
  #kernelHeldBytes = Number.NaN;
  #heldSince: CrowdUse | undefined = undefined;
  #heldUntil: CrowdUse | undefined = undefined;

  constructor(options: CrowdOptions, io: CrowdIo) {
    this.#options = options;
    this.#io = io;
    const { connections, port, perProcess } = options;
    this.#parts = planCrowd(connections, port, perProcess === 0 ? undefined : perProcess);
    this.#watch = new CrowdWatch({
      count: this.#count,
      servers: new ProcessGroup(() => this.#serverPids()),
      generators: new ProcessGroup(() => this.#holders.map(({ pid }) => pid)),
      target: connections,
      phase: () => this.#phase,
      memoryFloorBytes: options.memoryFloorBytes,
      recorder: io.recorder,
      panel: new Panel(io.panel, io.columns),
      progress: io.panel === undefined ? io.progress : undefined,
      onMemoryLow: (detail) => (this.#failure ??= new BenchError('BENCH_MEMORY', detail)),
    });
  }

  /** @throws {BenchError} What made the run void, after everything that was measured until then is recorded. */
  async run(): Promise<void> {
    try {
      await this.#steps();
    } finally {
      this.#phase = 'ending';
      await Promise.all(this.#holders.map((holder) => holder.stop()));
      await this.#stopServers();
      if (this.#io.keepData) this.#io.recorder.note(`the stores are kept in ${this.#directory}`);
      else rmSync(this.#directory, { recursive: true, force: true });
    }
  }

  async #steps(): Promise<void> {
    this.#preflight();
    const program = this.#program();
    await this.#provision();
    await this.#startServers();
    this.#startHolders(program);
    const stopLooking = systemClock.every(LIMITS.crowdLookMs, () => this.#watch.look());
    try {
      await this.#measure();
    } finally {
      stopLooking();
      this.#record();
    }
  }

  #preflight(): void {
    const { connections, parallel, port } = this.#options;
    const parts = this.#parts;
    const needs = {
      connections,
      parallel: Math.min(parallel, connections),
      connectionsOfSource: connectionsOfSource(parts),
      serverPorts: { first: port, last: port + parts.length - 1 },
    };
    const shortages = preflight(needs, parts.length);
    const say = ({ what, command }: Shortage): string => `${what}. ${command}`;
    if (shortages.some(({ isFatal }) => isFatal)) {
      throw new BenchError('BENCH_PREFLIGHT', shortages.map(say).join('\n'));
    }
    for (const shortage of shortages) this.#io.recorder.note(say(shortage));
  }

  #program(): string {
    const program = buildNative('hold');
    if (program !== undefined) return program;
    throw new BenchError('BENCH_PREFLIGHT', 'there is no C compiler for the lean generator. apt-get install gcc');
  }

  async #provision(): Promise<void> {
    for (const part of this.#parts) {
      if (this.#io.signal.aborted) throw interrupted();
      this.#io.progress(`accounts of node ${part.index + 1} of ${this.#parts.length}`);
      const directory = this.#dataOf(part);
      const holders = await provision(directory, part.first, part.connections, 1);
      writeAccounts(this.#accountsOf(part), this.#urlOf(part), holders, this.#options.ciphertextBytes);
    }
  }

  #dataOf({ index }: CrowdPart): string {
    return join(this.#directory, `process-${String(index).padStart(2, '0')}`);
  }

  #accountsOf({ index }: CrowdPart): string {
    return join(this.#directory, `accounts-${index}`);
  }

  #urlOf({ port }: CrowdPart): URL {
    return new URL(`ws://${HOST}:${port}/ws`);
  }

  async #startServers(): Promise<void> {
    const count = this.#parts.length;
    this.#io.progress(`starting ${count} nodes`);
    const argv = ['start', '--port', String(this.#options.port), '--workers', '1', '--log-format', 'json', ...UNBOUND];
    const place = count === 1 ? join(this.#directory, 'process-00') : this.#directory;
    const own = ['--data', place, '--processes', String(count)];
    const child = spawn(process.execPath, [COMMAND, ...argv, ...own], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const watched = new Child(child, 'the nodes', 'BENCH_SERVER');
    this.#servers = { process: child, child: watched };
    await this.#untilStarted(child, watched, count);
  }

  /** Of the nodes; another one may have taken the place of one that ended. */
  #serverPids(): readonly number[] {
    if (this.#servers === undefined) return [];
    const { pid } = this.#servers.child;
    return this.#parts.length === 1 ? [pid] : childrenOf(pid);
  }

  #untilStarted(child: ChildProcess, watched: Child, count: number): Promise<void> {
    const last = count === 1 ? 'node_started' : 'processes_started';
    const started = new Promise<void>((resolve) => {
      createInterface({ input: child.stdout! }).on('line', (line) => {
        if (line.includes(`"event":"${last}"`)) resolve();
        if (line.includes('"level":"error"')) this.#io.recorder.note(`a node logged an error: ${line}`);
      });
    });
    const late = (): Error => new BenchError('BENCH_SERVER', `no "${last}" after ${LIMITS.crowdStartMsMax} ms`);
    return within(Promise.race([started, watched.gone]), LIMITS.crowdStartMsMax, late, this.#io.signal);
  }

  #startHolders(program: string): void {
    this.#holders = this.#parts.map((part) => {
      const { index, port, sources } = part;
      const onEvent = (event: string): void => this.#event(index, event);
      const onReport = this.#count.take.bind(this.#count, index);
      return new HolderProcess({
        program,
        accounts: this.#accountsOf(part),
        host: HOST,
        port,
        sources,
        onReport,
        onEvent,
      });
    });
    for (const holder of this.#holders) holder.gone.catch((error: BenchError) => (this.#failure ??= error));
  }

  #event(part: number, event: string): void {
    if (event === 'live') this.#nodeIsFull();
    else if (event.startsWith('fatal')) this.#failure ??= new BenchError('BENCH_CHILD', `generator ${part}: ${event}`);
  }

  #nodeIsFull(): void {
    this.#liveParts += 1;
    this.#logInNext();
  }

  async #measure(): Promise<void> {
    await this.#settle();
    this.#emptyBytes = this.#watch.use().server.bytes;
    this.#kernelEmptyBytes = kernelBytes();
    await this.#logIn();
    await this.#settle();
    this.#heldBytes = this.#watch.use().server.bytes;
    this.#kernelHeldBytes = kernelBytes();
    await this.#hold();
    await this.#drain();
    this.#phase = 'leaving';
    for (const holder of this.#holders) holder.tell('cut');
    await this.#pause(LIMITS.crowdLeaveMs * this.#options.patience);
    await this.#settle('leaving');
  }

  async #logIn(): Promise<void> {
    this.#phase = 'connecting';
    const beganMs = systemClock.nowMs();
    this.#toLogIn = [...this.#holders];
    for (let count = this.#nodesAtATime(); count > 0; count -= 1) this.#logInNext();
    await this.#until(() => this.#liveParts === this.#holders.length, LIMITS.crowdStallMsMax);
    const tookMs = systemClock.nowMs() - beganMs;
    const { recorder } = this.#io;
    const { login } = this.#count.measured;
    recorder.metric('connects_per_s', (this.#options.connections * 1000) / tookMs, 'login/s');
    recorder.metric('connecting_s', tookMs / 1000, 's');
    recorder.metric('p50_login_ms', login.percentileMs(50), 'ms');
    recorder.metric('p99_login_ms', login.percentileMs(99), 'ms');
  }

  #nodesAtATime(): number {
    return Math.min(this.#options.loginNodes, this.#holders.length);
  }

  /** One node more is logged in to: a few at a time, whose code and data then stay in the caches of the processors. */
  #logInNext(): void {
    const each = Math.max(1, Math.ceil(this.#options.parallel / this.#nodesAtATime()));
    this.#toLogIn.shift()?.tell(`login ${each}`);
  }

  /** Nodes collect what their start and logins have left when they are quiet, each in its time; what is measured begins after that. */
  async #settle(phase = 'settling'): Promise<void> {
    this.#phase = phase;
    const { patience } = this.#options;
    const deadlineMs = systemClock.nowMs() + LIMITS.crowdSettlingMsMax * patience;
    let [reference, sinceMs] = [this.#watch.use().server.bytes, systemClock.nowMs()];
    while (systemClock.nowMs() < deadlineMs && systemClock.nowMs() - sinceMs < LIMITS.crowdSettledMs * patience) {
      await this.#pause(LIMITS.crowdLookMs * patience);
      const { bytes } = this.#watch.use().server;
      if (Math.abs(bytes - reference) <= reference * LIMITS.crowdSettledShare) continue;
      [reference, sinceMs] = [bytes, systemClock.nowMs()];
    }
  }

  async #hold(): Promise<void> {
    const { holdS, warmUpS, messagesPerSecond, heartbeatS, seed } = this.#options;
    this.#phase = 'warming up';
    const count = this.#holders.length;
    const startNs = process.hrtime.bigint() + 1_000_000_000n;
    const milli = Math.round((messagesPerSecond * 1000) / count);
    this.#holders.forEach((holder, index) => {
      // Shares of one rate, interleaved: together they are what was asked for, without coinciding.
      const offsetNs = messagesPerSecond === 0 ? 0n : BigInt(Math.round((index * 1e9) / messagesPerSecond));
      holder.tell(`go ${startNs + offsetNs} ${milli} ${heartbeatS * 1000} ${seed + index}`);
    });
    await this.#pause(warmUpS * 1000);
    this.#phase = 'holding';
    this.#count.begin();
    this.#heldSince = this.#watch.use();
    const reloading = this.#reload();
    await this.#pause(holdS * 1000);
    // Who reloads longer than that is waited for, and held for as long.
    await this.#until(() => !reloading.isOpen, Infinity);
    this.#heldUntil = this.#watch.use();
  }

  #reload(): { isOpen: boolean } {
    const { reloads } = this.#options;
    const state = { isOpen: reloads > 0 };
    if (reloads === 0) return state;
    const sockets = this.#parts.map((part) => join(this.#dataOf(part), 'admin.sock'));
    const done = reloadAll(sockets, reloads, this.#io.signal).then(
      (reports) => recordReloads(reports, this.#io.recorder),
      (error: BenchError) => (this.#failure ??= error),
    );
    void done.finally(() => (state.isOpen = false));
    return state;
  }

  /** What is under way comes through, or is lost. */
  async #drain(): Promise<void> {
    this.#phase = 'draining';
    for (const holder of this.#holders) holder.tell('stop');
    const deadlineMs = systemClock.nowMs() + LIMITS.drainMsMax;
    await this.#pause(2 * LIMITS.crowdLookMs + 200);
    while (this.#count.sum('delivered') < this.#count.sum('sent') && systemClock.nowMs() < deadlineMs) {
      await this.#pause(LIMITS.crowdLookMs);
    }
  }

  // --- waiting ---------------------------------------------------------------------------------------------------

  async #pause(durationMs: number): Promise<void> {
    const untilMs = systemClock.nowMs() + durationMs;
    await this.#until(() => systemClock.nowMs() >= untilMs, Infinity);
  }

  /** Waits for a condition; ends when the run has failed, is interrupted, or no client more is there for too long. */
  async #until(condition: () => boolean, stallMsMax: number): Promise<void> {
    let [best, movedMs] = [-1, systemClock.nowMs()];
    while (!condition()) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#io.signal.aborted) throw interrupted();
      const live = this.#count.sum('live');
      if (live > best) [best, movedMs] = [live, systemClock.nowMs()];
      if (systemClock.nowMs() - movedMs > stallMsMax) {
        const detail = `${live} of ${this.#options.connections} clients after ${stallMsMax} ms without one more`;
        throw new BenchError('BENCH_LOST', `${detail}; ${JSON.stringify(errorsOf(this.#count))}`);
      }
      await Promise.race([sleep(POLL_MS), this.#servers!.child.gone]);
    }
  }

  async #stopServers(): Promise<void> {
    const servers = this.#servers;
    if (servers === undefined) return;
    const endedThemselves = await servers.child.stop(() => servers.process.kill('SIGTERM'), STOP_MS_MAX);
    if (!endedThemselves) {
      for (const pid of this.#serverPids()) killIfThere(pid);
      this.#io.recorder.note(`the nodes did not stop within ${STOP_MS_MAX} ms and were killed`);
    }
  }

  // --- the report ------------------------------------------------------------------------------------------------

  #record(): void {
    const { recorder } = this.#io;
    const { connections } = this.#options;
    recorder.metric('connections', this.#watch.connectedMax, 'client');
    recorder.metric('processes', this.#parts.length, 'process');
    const user = (this.#heldBytes - this.#emptyBytes) / connections;
    const kernel = (this.#kernelHeldBytes - this.#kernelEmptyBytes) / connections / 2;
    recorder.metric('bytes_per_connection_user', user, 'bytes');
    recorder.metric('bytes_per_connection_kernel', kernel, 'bytes');
    recorder.metric('bytes_per_connection_total', user + kernel, 'bytes');
    recorder.metric('server_bytes_empty', this.#emptyBytes, 'bytes');
    recorder.metric('server_bytes_held', this.#heldBytes, 'bytes');
    const left = this.#phase === 'leaving' ? this.#watch.use().server.bytes : Number.NaN;
    recorder.metric('server_bytes_left', left, 'bytes');
    recorder.metric('left_over_ratio', left / this.#emptyBytes, 'ratio');
    if (this.#heldSince !== undefined) this.#recordHeld(this.#heldSince, this.#heldUntil ?? this.#watch.use());
    this.#watch.conclude();
    const ends = Object.values(this.#count.closes()).reduce((sum, count) => sum + count, 0);
    recorder.metric('unexpected_closes', ends, 'client');
    for (const [cause, count] of Object.entries(this.#count.closes()))
      recorder.note(`${count} connections ended: ${cause}`);
    recorder.metric('told_to_wait', this.#count.sum('deferred'), 'client');
    recorder.note('both ends of a conversation are on one node; pairs are drawn at random among its connections');
  }

  #recordHeld(since: CrowdUse, until: CrowdUse): void {
    const { recorder } = this.#io;
    const { delivery, raw, sending, heartbeat } = this.#count.measured;
    const heldMs = until.atMs - since.atMs;
    const sent = this.#count.sum('sent');
    recorder.metric('held_s', heldMs / 1000, 's');
    recorder.metric('messages_sent', sent, 'msg');
    recorder.metric('messages_lost', sent - this.#count.sum('delivered'), 'msg');
    recorder.metric('messages_out_of_order', this.#count.sum('gaps') + this.#count.sum('duplicates'), 'msg');
    recorder.metric('messages_per_s', (delivery.count * 1000) / heldMs, 'msg/s');
    for (const [percent, name] of PERCENTILES) {
      recorder.metric(`${name}_ms`, delivery.percentileMs(percent), 'ms');
      recorder.metric(`${name}_raw_ms`, raw.percentileMs(percent), 'ms');
    }
    recorder.metric('max_ms', delivery.maxMs(), 'ms');
    const nodes = this.#count.nodePercentilesMs(99);
    recorder.metric('median_node_p99_ms', nodes[Math.floor(nodes.length / 2)], 'ms');
    recorder.metric('worst_node_p99_ms', nodes.at(-1), 'ms');
    recorder.metric('heartbeats', this.#count.sum('pongs'), 'msg');
    recorder.metric('heartbeats_unanswered', this.#count.sum('pings') - this.#count.sum('pongs'), 'msg');
    recorder.metric('p99_heartbeat_ms', heartbeat.percentileMs(99), 'ms');
    recorder.metric('p99_sending_late_ms', sending.percentileMs(99), 'ms');
    const cores = (of: (use: CrowdUse) => GroupUse): number => (of(until).cpuMs - of(since).cpuMs) / heldMs;
    recorder.metric(
      'server_cores',
      cores(({ server }) => server),
      'cores',
    );
    recorder.metric(
      'generator_cores',
      cores(({ generators }) => generators),
      'cores',
    );
    recorder.metric('generator_bytes', until.generators.bytes, 'bytes');
    noteOthers(recorder, 'holding', othersCores(since, until));
    judgeLateness(recorder, 'holding', { sending, delivery });
  }
}

const PERCENTILES = [
  [50, 'p50'],
  [99, 'p99'],
  [99.9, 'p999'],
] as const;

const POLL_MS = 100;
/** All nodes drain and end; they share the cores. */
const STOP_MS_MAX = 60_000;

/** Processors that were busy with none of ours, this process among them; NaN where nobody tells. */
function othersCores(since: CrowdUse, until: CrowdUse): number {
  const machineMs = (until.machineCpuMs ?? Number.NaN) - (since.machineCpuMs ?? Number.NaN);
  const ours = ({ server, generators, ownCpuMs }: CrowdUse): number => server.cpuMs + generators.cpuMs + ownCpuMs;
  return (machineMs - (ours(until) - ours(since))) / (until.atMs - since.atMs);
}

/** Processes that `pid` has started; none when it has ended. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function sleep(durationMs: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(durationMs, resolve));
}
