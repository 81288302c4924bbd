/**
 * The clients of `bench media`, seen from the parent: one process each, told what to do all at once, and watched for memory.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.ts';
import { Child } from '../harness/child.ts';
import { within } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';
import type { MediaAnswer, MediaCommand } from './control.ts';

const ENTRY: string = fileURLToPath(new URL('./main.js', import.meta.url));

type Kind = Exclude<MediaAnswer['kind'], 'failed'>;
type AnswerOf<K extends Kind> = Extract<MediaAnswer, { readonly kind: K }>;

/** One of them. */
export class MediaClient {
  readonly phone: string;
  readonly #process: ChildProcess;
  readonly #child: Child;
  readonly #signal: AbortSignal;

  constructor(phone: string, signal: AbortSignal) {
    this.phone = phone;
    this.#process = fork(ENTRY, [], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
      execArgv: [],
    });
    this.#child = new Child(this.#process, `the client ${phone}`, 'BENCH_CHILD');
    this.#signal = signal;
  }

  get pid(): number {
    return this.#child.pid;
  }

  tell(command: MediaCommand): void {
    if (this.#process.connected) this.#process.send(command);
  }

  /** Gives a command and waits for the answer of that kind. */
  async ask<K extends Kind>(command: MediaCommand, kind: K): Promise<AnswerOf<K>> {
    const said = new Promise<MediaAnswer>((resolve) =>
      this.#process.once('message', (answer) => resolve(answer as MediaAnswer)),
    );
    this.tell(command);
    const ms = LIMITS.mediaTransferMsMax;
    const late = (): Error => new BenchError('BENCH_CHILD', `${command.kind}: no answer in ${ms} ms`);
    const answer = await within(Promise.race([said, this.#child.gone]), ms, late, this.#signal);
    if (answer.kind === 'failed') throw new BenchError(answer.code, answer.detail);
    if (answer.kind !== kind) throw new BenchError('BENCH_CHILD', `${command.kind}: answered with ${answer.kind}`);
    return answer as AnswerOf<K>;
  }

  /** Registers and logs in; the code is brought by `tell`. */
  async open(url: string): Promise<void> {
    await this.ask({ kind: 'open', url, phone: this.phone }, 'opened');
  }

  async stop(): Promise<void> {
    await this.#child.stop(() => this.#process.connected && this.#process.disconnect(), LIMITS.childStopMsMax);
  }
}
