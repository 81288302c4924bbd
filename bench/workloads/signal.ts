/**
 * How much does the Signal half do on one core: messages, ratchet turns, sessions, group messages, media?
 *
 * Each operation of `../signal/tasks.ts` runs in a process of its own, once with the platform's cryptography and once in plain
 * JavaScript, which is the peer `noble`. Every batch is checked; one wrong result voids the run.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.ts';
import { Child } from '../harness/child.ts';
import { within } from '../harness/clock.ts';
import type { Workload, WorkloadContext, WorkloadOption } from '../harness/registry.ts';
import { LIMITS } from '../limits.ts';
import type { SignalAnswer, SignalCommand } from '../signal/control.ts';
import { PROVIDERS, type ProviderName, type SignalTask, type TaskTimes } from '../signal/task.ts';
import { SIGNAL_TASKS } from '../signal/tasks.ts';

type OptionName = 'samples' | 'round-ms' | 'warm-up-ms';

const OPTIONS: Readonly<Record<OptionName, WorkloadOption>> = {
  samples: { default: 9, quick: 5, min: 1, max: 100, help: 'runs of each operation; the figure is their median' },
  'round-ms': { default: 1_000, quick: 120, min: 1, max: 60_000, help: 'milliseconds of work in a round' },
  'warm-up-ms': {
    default: 1_000,
    quick: 200,
    min: 0,
    max: 60_000,
    help: 'milliseconds of work before the first round',
  },
};

const ENTRY: string = fileURLToPath(new URL('../signal/main.js', import.meta.url));

/** What tests change: which process measures. */
export interface SignalSettings {
  readonly entry?: string;
}

/** Makes the workload; the settings are for tests. */
export function createSignalWorkload({ entry = ENTRY }: SignalSettings = {}): Workload<OptionName> {
  return {
    name: 'signal',
    question:
      'encryption on one core: messages, ratchet turns, sessions, groups, media; native and in plain JavaScript',
    options: OPTIONS,
    parts: SIGNAL_TASKS.map(({ name }) => name),
    thresholds: [
      { metric: 'encrypt_per_s', bound: 'at-least', value: 25_000 },
      { metric: 'decrypt_per_s', bound: 'at-least', value: 25_000 },
      { metric: 'ratchet_msgs_per_s', bound: 'at-least', value: 5_000 },
      { metric: 'session_init_per_s', bound: 'at-least', value: 2_500 },
      { metric: 'group_encrypt_per_s', bound: 'at-least', value: 15_000 },
      { metric: 'group_decrypt_per_s', bound: 'at-least', value: 6_000 },
      { metric: 'media_mb_per_s', bound: 'at-least', value: 300 },
    ],
    run: (context) => new SignalRun(context, entry).run(),
  };
}

class SignalRun {
  readonly #context: WorkloadContext<OptionName>;
  readonly #entry: string;

  constructor(context: WorkloadContext<OptionName>, entry: string) {
    this.#context = context;
    this.#entry = entry;
  }

  async run(): Promise<void> {
    const { part } = this.#context;
    for (const task of SIGNAL_TASKS) {
      if (part !== undefined && part !== task.name) continue;
      for (const provider of PROVIDERS) await this.#measure(task, provider);
    }
  }

  async #measure(task: SignalTask, provider: ProviderName): Promise<void> {
    const { recorder, progress, signal } = this.#context;
    progress(`${task.name}, ${provider}`);
    const measuring = new MeasuringProcess(this.#entry, provider, signal);
    try {
      const { value, rounds, provider: inUse } = await measuring.measure({ task: task.name, times: this.#times() });
      if (inUse !== provider) return recorder.note(`${task.metric}: this platform has no ${provider} provider`);
      for (const [endedMs, rate] of rounds)
        recorder.point(task.metric, `${task.name}, ${provider}`, task.unit, endedMs / 1_000, rate);
      if (provider === 'native') recorder.metric(task.metric, value, task.unit);
      else recorder.peer(task.metric, provider, value);
    } finally {
      await measuring.stop();
    }
  }

  #times(): TaskTimes {
    const { options } = this.#context;
    return { rounds: options.samples, roundMs: options['round-ms'], warmUpMs: options['warm-up-ms'] };
  }
}

type SignalFigure = SignalAnswer & { readonly kind: 'figure' };

/** A process that measures one operation and is ended. */
class MeasuringProcess {
  readonly #process: ChildProcess;
  readonly #child: Child;
  readonly #signal: AbortSignal;

  constructor(entry: string, provider: ProviderName, signal: AbortSignal) {
    this.#process = fork(entry, [provider], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
    this.#child = new Child(this.#process, `the process of ${provider}`, 'BENCH_CHILD');
    this.#signal = signal;
  }

  async measure(command: SignalCommand): Promise<SignalFigure> {
    const said = new Promise<SignalAnswer>((resolve) =>
      this.#process.once('message', (answer) => resolve(answer as SignalAnswer)),
    );
    this.#process.send(command);
    const { rounds, roundMs, warmUpMs } = command.times;
    // Refilling takes about as long as working.
    const timeoutMs = LIMITS.programStartMsMax + 4 * (warmUpMs + rounds * roundMs);
    const late = (): Error => new BenchError('BENCH_CHILD', `${command.task} gave no figure in ${timeoutMs} ms`);
    const answer = await within(Promise.race([said, this.#child.gone]), timeoutMs, late, this.#signal);
    if (answer.kind === 'failed') throw new BenchError(answer.code, `${command.task}: ${answer.detail}`);
    return answer;
  }

  async stop(): Promise<void> {
    await this.#child.stop(() => this.#process.connected && this.#process.disconnect(), LIMITS.childStopMsMax);
  }
}
