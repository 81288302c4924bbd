/**
 * What all child processes of a benchmark have in common: their last words are kept, an early end is an error, and none
 * outlives the parent.
 */

import type { ChildProcess } from 'node:child_process';
import { BenchError, type BenchCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { interrupted, systemClock, type Cancel } from './clock.ts';

/** A child process under watch. */
export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #lastWords: string[] = [];
  #isExpectedToEnd = false;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  /** Rejects when the process has ended: with `code`, or BENCH_INTERRUPTED if it was stopped. Who waits for it waits no longer. */
  readonly gone: Promise<never>;

  /**
   * @param name - For failures: "the server".
   * @param code - The code of an early end.
   */
  constructor(process: ChildProcess, name: string, code: BenchCode) {
    this.#process = process;
    this.#name = name;
    living.add(process);
    process.stderr?.setEncoding('utf8').on('data', (text: string) => this.#keep(text));
    this.ended = new Promise((resolve) => {
      process.once('error', () => resolve());
      process.once('exit', () => resolve());
    });
    this.gone = this.ended.then(() => this.#reject(code));
    this.gone.catch(() => undefined);
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new BenchError('BENCH_CHILD', `${this.#name} could not be started`);
    return this.#process.pid;
  }

  /** The last lines of its stderr, for a failure. */
  get lastWords(): string {
    return this.#lastWords.join('\n');
  }

  #keep(text: string): void {
    this.#lastWords.push(...text.split('\n').filter((line) => line !== ''));
    this.#lastWords.splice(0, this.#lastWords.length - LIMITS.stderrLinesMax);
  }

  async #reject(code: BenchCode): Promise<never> {
    living.delete(this.#process);
    if (this.#isExpectedToEnd) throw interrupted();
    // Not the event `close`, which never comes after the parent has disconnected a forked child (Node 20).
    const { stderr } = this.#process;
    if (stderr?.closed === false) await new Promise((resolve) => stderr.once('close', resolve));
    const { exitCode, signalCode } = this.#process;
    const how = signalCode === null ? `with exit code ${exitCode}` : `by ${signalCode}`;
    throw new BenchError(code, `${this.#name} ended ${how}\n${this.lastWords}`.trim());
  }

  /**
   * Ends the process: asks, waits, kills by its pid.
   *
   * @param ask - How this kind of process is asked to end.
   * @param hurriedMs - What it is given once the run is interrupted, if that is less.
   * @returns Whether it ended by itself.
   */
  async stop(ask: () => void, graceMs: number, hurriedMs: number = LIMITS.childStopHurriedMsMax): Promise<boolean> {
    this.#isExpectedToEnd = true;
    let wasKilled = false;
    const cancels: Cancel[] = [];
    const killAfter = (ms: number): void => {
      cancels.push(systemClock.after(ms, () => (wasKilled = this.#process.kill('SIGKILL'))));
    };
    const hurryUp = (): void => killAfter(hurriedMs);
    stopping.add(hurryUp);
    killAfter(graceMs);
    if (isHurried) hurryUp();
    if (this.#process.exitCode === null && this.#process.signalCode === null) ask();
    await this.ended;
    stopping.delete(hurryUp);
    for (const cancel of cancels) cancel();
    return !wasKilled;
  }
}

/** Children that are asked to end, and how they are told that the run was interrupted. */
const stopping: Set<() => void> = new Set();
let isHurried = false;

/** The run is interrupted: children that are being stopped, or will be, get less time for it. @returns What ends that, with the run. */
export function hurryChildren(): () => void {
  isHurried = true;
  for (const hurryUp of stopping) hurryUp();
  return () => void (isHurried = false);
}

const living: Set<ChildProcess> = new Set();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});
