/**
 * Positive controls: faults that the kit plants itself, to show that it sees them. A benchmark that has never seen a slow
 * server says nothing about one that is not slow.
 *
 *   slow      one message in a hundred takes 50 ms longer     must show at p99 and p99.9, and not at p50
 *   starved   the generator stands still now and then          must be said: the figures are not the server's
 *
 * A control that is not seen ends the run with BENCH_CONTROL. One that is seen leaves a report as a real fault would, so that
 * `--check` and `compare` can be tried on it.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../errors.ts';
import { Child } from '../harness/child.ts';
import { systemClock, within, type Cancel, type Clock } from '../harness/clock.ts';
import type { LatencyHistogram } from '../harness/histogram.ts';
import type { Recorder } from '../harness/report.ts';
import { LIMITS } from '../limits.ts';

export const CONTROLS = ['slow', 'starved'] as const;

const ENTRY: string = fileURLToPath(new URL('./slow-proxy-main.js', import.meta.url));

/** A planted fault. Stop it, whatever happens. */
export interface Control {
  /** What clients connect to in place of the server. */
  readonly url: string;
  /** The open loop begins: what is judged afterwards. */
  begin(generators: readonly number[]): void;
  /** The open loop is over. */
  end(): void;
  /** Whether the fault was seen. @throws {BenchError} BENCH_CONTROL when it was not. */
  judge(recorder: Recorder, delivery: LatencyHistogram): void;
  stop(): Promise<void>;
}

/** Plants a fault before the server at `url`, or none. */
export async function plant(name: string | undefined, url: string, signal: AbortSignal): Promise<Control> {
  if (name === 'slow') return plantSlowness(url, signal);
  if (name === 'starved') return new Starvation(url);
  if (name === undefined) return NOTHING(url);
  throw new RangeError(`"name" expected one of ${CONTROLS.join(', ')}, got "${name}"`);
}

const NOTHING = (url: string): Control => {
  return { url, begin: ignore, end: ignore, judge: ignore, stop: async () => undefined };
};

function ignore(): void {}

async function plantSlowness(server: string, signal: AbortSignal): Promise<Control> {
  const argv = [server, String(LIMITS.controlSlowEvery), String(LIMITS.controlSlowMs)];
  const proxy: ChildProcess = fork(ENTRY, argv, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
  const child = new Child(proxy, 'the slow proxy', 'BENCH_CHILD');
  const stop = async (): Promise<void> => {
    await child.stop(() => proxy.connected && proxy.disconnect(), LIMITS.childStopMsMax);
  };
  const said = new Promise<string>((resolve) => {
    proxy.once('message', (message: { readonly url: string }) => resolve(message.url));
  });
  try {
    const late = (): Error => new BenchError('BENCH_CHILD', 'the slow proxy does not start');
    const url = await within(Promise.race([said, child.gone]), LIMITS.serverStartMsMax, late, signal);
    return { url, begin: ignore, end: ignore, judge: judgeSlowness, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * What is held for 50 ms holds what comes behind it, for less; so more than one in a hundred is late, and by half of it at least
 * at p99. At p999 it is nearly all of it: histograms have three digits.
 */
export function judgeSlowness(recorder: Recorder, delivery: LatencyHistogram): void {
  const [p50, p99, p999] = [50, 99, 99.9].map((percent) => delivery.percentileMs(percent) ?? 0);
  const delayMs = LIMITS.controlSlowMs;
  const isSeen = p50! < delayMs / 2 && p99! >= delayMs / 2 && p999! >= delayMs * 0.98;
  const figures = `p50 ${p50!.toFixed(1)}, p99 ${p99!.toFixed(1)}, p99.9 ${p999!.toFixed(1)} ms`;
  const fault = `one message in ${LIMITS.controlSlowEvery} took ${delayMs} ms longer`;
  // Where every message waits as long for something else, one in a hundred that waits longer proves nothing.
  const hidden =
    p50! < delayMs / 2 ? '' : '; all of them were slow: run it again on a machine that has nothing else to do';
  if (!isSeen) throw new BenchError('BENCH_CONTROL', `${fault}, and these were ${figures}${hidden}`);
  recorder.note(`control: ${fault}, and it was seen: ${figures}`);
}

/** Stops the generators by a signal, as a machine does that has no processor for them. */
export class Starvation implements Control {
  readonly url: string;
  readonly #clock: Clock;
  readonly #signal: (pid: number, signal: NodeJS.Signals) => void;
  #pids: readonly number[] = [];
  #cancels: Cancel[] = [];

  constructor(url: string, clock: Clock = systemClock, signal: (pid: number, name: NodeJS.Signals) => void = kill) {
    this.url = url;
    this.#clock = clock;
    this.#signal = signal;
  }

  begin(generators: readonly number[]): void {
    this.#pids = generators;
    const { controlStarvedEveryMs: everyMs } = LIMITS;
    // The first in the middle of a second, so that a window of one second has one.
    this.#cancels[0] = this.#clock.after(everyMs / 2, () => {
      this.#starve();
      this.#cancels[0] = this.#clock.every(everyMs, () => this.#starve());
    });
  }

  #starve(): void {
    this.#tell('SIGSTOP');
    this.#cancels[1] = this.#clock.after(LIMITS.controlStarvedMs, () => this.#tell('SIGCONT'));
  }

  #tell(signal: NodeJS.Signals): void {
    for (const pid of this.#pids) this.#signal(pid, signal);
  }

  end(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
    this.#tell('SIGCONT');
    this.#pids = [];
  }

  judge(recorder: Recorder): void {
    const fault = `the generator stood still for ${LIMITS.controlStarvedMs} ms in ${LIMITS.controlStarvedEveryMs}`;
    if (recorder.distrusted.length === 0) throw new BenchError('BENCH_CONTROL', `${fault}, and nobody noticed`);
    recorder.note(`control: ${fault}, and it was noticed`);
  }

  async stop(): Promise<void> {
    this.end();
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended: who waits for it says why.
  }
}
