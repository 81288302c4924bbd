/**
 * The server under test, started as its users start it: the command line, in a process of its own, with a data directory
 * that is removed afterwards. It is watched from outside, through its log, its statistics and /proc.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { Child } from './child.ts';
import { systemClock, within } from './clock.ts';
import { readProcessUse, type ProcessUse } from './resources.ts';

const COMMAND: string = fileURLToPath(new URL('../../../bin/blindbeam.js', import.meta.url));

/** All clients of a benchmark share a few addresses: what bounds one address would be all that is measured. */
const UNBOUND = ['--address-connections', '0', '--address-connects', '0', '--address-registrations', '0'] as const;

export interface ServerOptions {
  /** Flags of `blindbeam start` beside data, port and log format. */
  readonly flags?: readonly string[];
  /** The script to start in place of the command line; tests put a stand-in here. */
  readonly script?: string;
  /** Where the data directory is made; the system's temporary directory unless it is said. */
  readonly parent?: string | undefined;
  /** Leave the data directory where it is, for looking into it. */
  readonly keepData?: boolean;
  readonly onCode: (phone: string, code: string) => void;
  readonly signal: AbortSignal;
}

/** Counters of the server, summed over its shards, since it started. */
export interface ServerStatistics {
  readonly commits: number;
  readonly committedMessages: number;
  /** Bytes of undelivered messages; undefined from a server that does not say. */
  readonly queuedBytes?: number | undefined;
  /** What the objects of its workers' heaps take; undefined from a server that does not say. */
  readonly heapBytes?: number | undefined;
  readonly connections?: number | undefined;
}

interface LogLine {
  readonly event?: unknown;
  readonly [field: string]: unknown;
}

export class ServerProcess {
  readonly #options: ServerOptions;
  readonly #process: ChildProcess;
  readonly #child: Child;
  /** The store of the run. */
  readonly dataDirectory: string;
  /** Where it is scraped, once it has started; undefined from a server that does not say. */
  metricsUrl: string | undefined = undefined;
  #waiting: { readonly event: string; readonly take: (line: LogLine) => void }[] = [];
  #lastErrors: string[] = [];
  readonly #seen = new Map<unknown, number>();

  /** Starts the process. Stop it, whatever happens. */
  constructor(options: ServerOptions) {
    this.#options = options;
    const { script = COMMAND, flags = [], parent = tmpdir() } = options;
    this.dataDirectory = mkdtempSync(join(parent, 'blindbeam-bench-'));
    const start = ['start', '--data', this.dataDirectory, '--port', '0', '--log-format', 'json', ...UNBOUND, ...flags];
    // In a process group of its own: Ctrl-C is for the benchmark, which then stops the server in order.
    this.#process = spawn(process.execPath, [script, ...start], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#child = new Child(this.#process, 'the server', 'BENCH_SERVER');
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.#takeLine(line));
  }

  /** Waits until it serves. Returns the URL that clients connect to. */
  async started(): Promise<string> {
    const { url, metrics } = await this.#next('node_started', LIMITS.serverStartMsMax);
    if (typeof metrics === 'string') this.metricsUrl = metrics;
    if (typeof url !== 'string') throw new BenchError('BENCH_SERVER', 'its event "node_started" has no "url"');
    return url;
  }

  /** Waits until its log has had `count` lines of an event. */
  async logged(event: string, count: number): Promise<void> {
    while ((this.#seen.get(event) ?? 0) < count) await this.#next(event, LIMITS.serverStartMsMax);
  }

  /** Sends it a signal: SIGKILL is a crash, which is then not reported as one. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Asks for its statistics. */
  async statistics(): Promise<ServerStatistics> {
    const line = this.#next('statistics', LIMITS.statisticsMsMax);
    this.#process.kill('SIGUSR2');
    const { commits, committedMessages, ...rest } = await line;
    const number = (name: string): number | undefined => (typeof rest[name] === 'number' ? rest[name] : undefined);
    if (typeof commits === 'number' && typeof committedMessages === 'number') {
      const [queuedBytes, heapBytes, connections] = ['queuedBytes', 'heapBytes', 'connections'].map(number);
      return { commits, committedMessages, queuedBytes, heapBytes, connections };
    }
    throw new BenchError('BENCH_SERVER', 'its event "statistics" lacks "commits" or "committedMessages"');
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Its CPU time and memory; `undefined` where /proc is not there. */
  use(): ProcessUse | undefined {
    return readProcessUse(this.#child.pid);
  }

  /** Errors that it has logged, the last ones. A run with any is not to be trusted. */
  get loggedErrors(): readonly string[] {
    return this.#lastErrors;
  }

  /** Rejects when it has ended: see `Child`. */
  get gone(): Promise<never> {
    return this.#child.gone;
  }

  /**
   * Stops it by SIGTERM, and by SIGKILL if that takes too long; then removes the data.
   *
   * @returns Whether it ended by itself.
   */
  async stop(): Promise<boolean> {
    const { serverStopMsMax, serverStopHurriedMsMax } = LIMITS;
    const ask = (): void => void this.#process.kill('SIGTERM');
    const endedItself = await this.#child.stop(ask, serverStopMsMax, serverStopHurriedMsMax);
    if (this.#options.keepData !== true) rmSync(this.dataDirectory, { recursive: true, force: true });
    return endedItself;
  }

  #next(event: string, timeoutMs: number): Promise<LogLine> {
    const line = new Promise<LogLine>((take) => this.#waiting.push({ event, take }));
    const late = (): Error => new BenchError('BENCH_SERVER', `no "${event}" in its log after ${timeoutMs} ms`);
    const { signal } = this.#options;
    return within(Promise.race([line, this.#child.gone]), timeoutMs, late, signal, systemClock);
  }

  #takeLine(text: string): void {
    const line = parseLine(text);
    if (line === undefined) return;
    this.#seen.set(line.event, (this.#seen.get(line.event) ?? 0) + 1);
    if (line.event === 'verification_code') this.#options.onCode(String(line.phone), String(line.code));
    if (line.level === 'error') this.#noteError(text);
    const waiting = this.#waiting.filter(({ event }) => event === line.event);
    this.#waiting = this.#waiting.filter(({ event }) => event !== line.event);
    for (const { take } of waiting) take(line);
  }

  #noteError(text: string): void {
    this.#lastErrors = [...this.#lastErrors, text].slice(-LIMITS.stderrLinesMax);
  }
}

/** A line of the log, or `undefined` for whatever else stands on stdout. */
function parseLine(text: string): LogLine | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' && line !== null ? (line as LogLine) : undefined;
  } catch {
    return undefined;
  }
}
