/**
 * The BEAM as a peer: finds `erl`, compiles the twins of the programs into a temporary directory, runs one of them in a
 * process of its own. What is said to it, and how it answers, stands in `erlang/host.erl`.
 */

import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Performer } from '../actors/performer.ts';
import type { Figure, Sizes } from '../actors/program.ts';
import { BenchError } from '../errors.ts';
import { Child } from '../harness/child.ts';
import { interrupted, within } from '../harness/clock.ts';
import { hasProgram } from '../harness/programs.ts';
import { LIMITS } from '../limits.ts';

// The sources of the twins are not copied into the build.
const SOURCES: string = fileURLToPath(new URL('../../../bench/peers/erlang/', import.meta.url));

/** Why there is no BEAM to compare with, in a sentence for the table; `undefined` if there is one. */
export function refuseErlang(): string | undefined {
  if (hasProgram('erlc')) return undefined;
  return 'the peer beam is left out: erl is not installed (Debian: apt-get install erlang-base)';
}

/** The twins, compiled. */
export class ErlangTwins {
  readonly #directory: string;
  readonly #signal: AbortSignal;

  private constructor(directory: string, signal: AbortSignal) {
    this.#directory = directory;
    this.#signal = signal;
  }

  /** Compiles. @throws {BenchError} BENCH_CHILD with what the compiler says; BENCH_INTERRUPTED. */
  static async compile(signal: AbortSignal): Promise<ErlangTwins> {
    const directory = mkdtempSync(join(tmpdir(), 'blindbeam-bench-erlang-'));
    const twins = new ErlangTwins(directory, signal);
    try {
      await compileInto(directory, sourceFiles(), signal);
      return twins;
    } catch (error) {
      twins.remove();
      throw error;
    }
  }

  /** Starts a process for one program, with `schedulers` schedulers. */
  start(program: string, schedulers: number): Performer {
    return new ErlangPerformer(this.#directory, program, schedulers, this.#signal);
  }

  /** Removes what was compiled. Stop the processes first. */
  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Ctrl-C is for the benchmark: the BEAM would stop for a question that nobody sees, and wait for its answer. */
const DEAF = '+Bi';

/** The host first: it declares the behaviour of the others. */
function sourceFiles(): string[] {
  const isTwin = (name: string): boolean => name.endsWith('.erl') && name !== 'host.erl';
  return ['host.erl', ...readdirSync(SOURCES).filter(isTwin)];
}

async function compileInto(directory: string, files: readonly string[], signal: AbortSignal): Promise<void> {
  const paths = files.map((name) => join(SOURCES, name));
  const argv = ['-Werror', '-pa', directory, '-o', directory, ...paths];
  const env = { ...process.env, ERL_FLAGS: DEAF };
  const options = { env, timeout: LIMITS.programStartMsMax, signal, killSignal: 'SIGKILL' } as const;
  const compiling = promisify(execFile)('erlc', argv, options);
  const closed = new Promise((resolve) => compiling.child.once('close', resolve));
  try {
    await compiling;
  } catch (error) {
    // An abort rejects at once, and until the compiler has ended it writes into what is about to be removed.
    if (compiling.child.pid !== undefined) await closed;
    if (signal.aborted) throw interrupted();
    const { stdout = '', message } = error as Error & { readonly stdout?: string };
    throw new BenchError('BENCH_CHILD', `the Erlang twins do not compile: ${stdout || message}`.trim());
  }
}

/** What is allowed beyond the defaults: more processes than 262,144, since the programs spawn a million. */
const PROCESSES_MAX = 4_000_000;

class ErlangPerformer implements Performer {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #child: Child;
  readonly #name: string;
  readonly #signal: AbortSignal;
  #lines: string[] = [];
  #rest = '';
  #onDone: (lines: readonly string[]) => void = () => undefined;

  constructor(directory: string, program: string, schedulers: number, signal: AbortSignal) {
    const machine = [
      DEAF,
      '+S',
      `${schedulers}:${schedulers}`,
      '+P',
      String(PROCESSES_MAX),
      '-noshell',
      '-pa',
      directory,
    ];
    const argv = [...machine, '-s', 'host', 'main', '-extra', program];
    this.#process = spawn('erl', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#name = `the Erlang process of ${program}`;
    this.#child = new Child(this.#process, this.#name, 'BENCH_CHILD');
    this.#signal = signal;
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    // Its end is told by the child; a write that finds it ended has nothing to add.
    this.#process.stdin.on('error', () => undefined);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async started(): Promise<void> {
    await this.#ask('ready', LIMITS.programStartMsMax);
  }

  async run(sizes: Sizes): Promise<readonly Figure[]> {
    const lines = await this.#ask(['run', ...Object.values(sizes)].join(' '), LIMITS.programMsMax);
    return lines.map(parseFigure);
  }

  #ask(line: string, timeoutMs: number): Promise<readonly string[]> {
    const said = new Promise<readonly string[]>((resolve) => (this.#onDone = resolve));
    this.#process.stdin.write(`${line}\n`);
    const late = (): Error => new BenchError('BENCH_CHILD', `${this.#name} said nothing in ${timeoutMs} ms`);
    return within(Promise.race([said, this.#child.gone]), timeoutMs, late, this.#signal);
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      if (line !== 'done') this.#lines.push(line);
      else this.#onDone(this.#lines.splice(0));
    }
  }

  async stop(): Promise<void> {
    await this.#child.stop(() => this.#process.kill('SIGKILL'), LIMITS.childStopMsMax);
  }
}

/**
 * Reads a line of an answer: a metric and its value.
 *
 * @throws {BenchError} BENCH_CHILD for anything else.
 */
export function parseFigure(line: string): Figure {
  const [metric, text, ...rest] = line.split(' ');
  const value = Number(text);
  if (/^\w+$/.test(metric!) && text !== undefined && text !== '' && Number.isFinite(value) && rest.length === 0) {
    return [metric!, value];
  }
  throw new BenchError('BENCH_CHILD', `an Erlang process answered with "${line}", which is no metric and value`);
}
