/** The offenders, seen from the parent: one process, told when somebody offends and asked what came of it. */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.ts';
import { Child } from '../harness/child.ts';
import { within } from '../harness/clock.ts';
import { LIMITS } from '../limits.ts';
import type { GuestName, Offence, OffenderAnswer, OffenderCommand } from './control.ts';

const ENTRY: string = fileURLToPath(new URL('./main.js', import.meta.url));

type Kind = Exclude<OffenderAnswer['kind'], 'failed'>;
type AnswerOf<K extends Kind> = Extract<OffenderAnswer, { readonly kind: K }>;

export class OffenderProcess {
  readonly #process: ChildProcess;
  readonly #child: Child;
  readonly #signal: AbortSignal;
  #listen: (answer: OffenderAnswer) => void = () => undefined;

  /** Starts it. Stop it, whatever happens. */
  constructor(signal: AbortSignal) {
    const stdio = ['ignore', 'ignore', 'pipe', 'ipc'] as const;
    this.#process = fork(ENTRY, [], { stdio: [...stdio], serialization: 'advanced', execArgv: [] });
    this.#child = new Child(this.#process, 'the offenders', 'BENCH_CHILD');
    this.#signal = signal;
    this.#process.on('message', (answer: OffenderAnswer) => this.#listen(answer));
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Registers whoever takes part. */
  async open(url: string, phonePrefix: string, members: number): Promise<void> {
    await this.#ask({ kind: 'open', url, phonePrefix, members }, 'opened', LIMITS.openingMsMax);
  }

  /** The server sent this code to that number. */
  takeCode(phone: string, code: string): void {
    this.#tell({ kind: 'code', phone, code });
  }

  async begin(offender: GuestName): Promise<void> {
    await this.#ask({ kind: 'begin', offender }, 'begun', LIMITS.drainMsMax);
  }

  /** Stops it. Returns what it did in all of its turns. */
  async end(offender: GuestName): Promise<Offence> {
    return (await this.#ask({ kind: 'end', offender }, 'ended', LIMITS.drainMsMax)).offence;
  }

  #tell(command: OffenderCommand): void {
    if (this.#process.connected) this.#process.send(command);
  }

  async #ask<K extends Kind>(command: OffenderCommand, kind: K, timeoutMs: number): Promise<AnswerOf<K>> {
    const said = new Promise<OffenderAnswer>((resolve) => (this.#listen = resolve));
    this.#tell(command);
    const late = (): Error => new BenchError('BENCH_CHILD', `the offenders: ${command.kind} took ${timeoutMs} ms`);
    const answer = await within(Promise.race([said, this.#child.gone]), timeoutMs, late, this.#signal);
    if (answer.kind === 'failed') throw new BenchError(answer.code, answer.detail);
    if (answer.kind !== kind) throw new BenchError('BENCH_CHILD', `${command.kind}: answered with ${answer.kind}`);
    return answer as AnswerOf<K>;
  }

  async stop(): Promise<void> {
    await this.#child.stop(() => this.#process.connected && this.#process.disconnect(), LIMITS.childStopMsMax);
  }
}
