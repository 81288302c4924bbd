/**
 * One side of a contest, seen from the parent: a process that runs one program as often as it is told to.
 *
 * A process of its own for each program, so that no program finds the heap, or the compiler's conclusions, of another.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { BenchError } from '../errors.ts';
import { Child } from '../harness/child.ts';
import { within } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';
import type { HostAnswer, HostCommand } from './host-control.ts';
import type { Figure, Sizes } from './program.ts';

export interface Performer {
  /** Waits until it can run. @throws {BenchError} BENCH_CHILD, BENCH_INTERRUPTED. */
  started(): Promise<void>;
  /** Has it run once. @throws {BenchError} BENCH_RESULT for wrong work; BENCH_CHILD, BENCH_INTERRUPTED. */
  run(sizes: Sizes): Promise<readonly Figure[]>;
  readonly pid: number;
  /** Ends it at once: it has nothing to lose. */
  stop(): Promise<void>;
}

/** A process of Node.js that speaks `host-control.ts`: ours, the JavaScript peer, or the ceiling. */
export class NodePerformer implements Performer {
  readonly #process: ChildProcess;
  readonly #child: Child;
  readonly #name: string;
  readonly #signal: AbortSignal;
  readonly #ready: Promise<HostAnswer>;

  /**
   * @param entry - The module to run.
   * @param program - The name of a program, its first argument.
   */
  constructor(entry: string, program: string, signal: AbortSignal) {
    const stdio = ['ignore', 'ignore', 'pipe', 'ipc'] as const;
    this.#process = fork(entry, [program], { stdio: [...stdio], execArgv: ['--expose-gc'] });
    this.#name = `the process of ${program}`;
    this.#child = new Child(this.#process, this.#name, 'BENCH_CHILD');
    this.#signal = signal;
    this.#ready = this.#answer(LIMITS.programStartMsMax);
    // Awaited in `started`; until then a failure is nobody's business.
    this.#ready.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async started(): Promise<void> {
    await this.#ready;
  }

  async run(sizes: Sizes): Promise<readonly Figure[]> {
    const answered = this.#answer(LIMITS.programMsMax);
    this.#process.send({ sizes } satisfies HostCommand);
    const answer = await answered;
    if (answer.kind === 'failed') throw new BenchError(answer.code, `${this.#name}: ${answer.detail}`);
    if (answer.kind !== 'figures') throw new BenchError('BENCH_CHILD', `${this.#name} answered out of turn`);
    return answer.figures;
  }

  #answer(timeoutMs: number): Promise<HostAnswer> {
    const said = new Promise<HostAnswer>((resolve) =>
      this.#process.once('message', (answer) => resolve(answer as HostAnswer)),
    );
    const late = (): Error => new BenchError('BENCH_CHILD', `${this.#name} said nothing in ${timeoutMs} ms`);
    return within(Promise.race([said, this.#child.gone]), timeoutMs, late, this.#signal);
  }

  async stop(): Promise<void> {
    await this.#child.stop(() => this.#process.kill('SIGKILL'), LIMITS.childStopMsMax);
  }
}
