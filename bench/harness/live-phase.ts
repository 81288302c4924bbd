/**
 * A phase while it runs, second by second: a line on the terminal (rate, percentiles, processors and memory of server and
 * generators), and points for the charts of the page.
 */

import { systemClock } from './clock.ts';
import type { LoadPlan, WatchSecond } from './load-process.ts';
import type { WorkloadContext } from './registry.ts';
import { readProcessUse } from './resources.ts';
import type { SecondSum } from './second-counts.ts';

/** CPU time and memory of some processes together; `undefined` where there is no /proc. */
interface Use {
  readonly cpuMs: number;
  readonly bytes: number;
}

interface Look {
  readonly atMs: number;
  readonly server: Use | undefined;
  readonly generators: Use | undefined;
}

/** All phases of a run, one behind the other in the same charts. */
export class LivePhases {
  readonly #context: Pick<WorkloadContext, 'recorder' | 'progress'>;
  readonly #sinceMs: number = systemClock.nowMs();

  constructor(context: Pick<WorkloadContext, 'recorder' | 'progress'>) {
    this.#context = context;
  }

  /** Begins to show a phase. Returns what is to be told of each second. */
  phase(name: string, plan: LoadPlan, servers: readonly number[], generators: readonly number[]): WatchSecond {
    const phase = new LivePhase(name, plan, this.#context, { servers, generators, sinceMs: this.#sinceMs });
    return (index, sum) => phase.second(index, sum);
  }
}

interface Watched {
  readonly servers: readonly number[];
  readonly generators: readonly number[];
  readonly sinceMs: number;
}

class LivePhase {
  readonly #name: string;
  readonly #seconds: number;
  readonly #context: Pick<WorkloadContext, 'recorder' | 'progress'>;
  readonly #watched: Watched;
  #before: Look;

  constructor(
    name: string,
    { warmUpMs, windowMs }: LoadPlan,
    context: Pick<WorkloadContext, 'recorder' | 'progress'>,
    watched: Watched,
  ) {
    this.#name = name;
    this.#seconds = Math.round((warmUpMs + windowMs) / 1000);
    this.#context = context;
    this.#watched = watched;
    this.#before = this.#look();
    context.progress(`${name}, ${this.#seconds} s`);
  }

  #look(): Look {
    const { servers, generators } = this.#watched;
    return { atMs: systemClock.nowMs(), server: sumOfUse(servers), generators: sumOfUse(generators) };
  }

  /** A second is over, for all generators. */
  second(index: number, sum: SecondSum): void {
    const [before, now] = [this.#before, this.#look()];
    this.#before = now;
    const cores = [coresOf(before, now, 'server'), coresOf(before, now, 'generators')] as const;
    const latencies = ([50, 99, 99.9] as const).map((percent) => sum.percentileMs(percent));
    this.#chart(now, sum, latencies, cores);
    const rate = `${Math.round(sum.arrived).toLocaleString('en')}/s`;
    const [p50, p99, p999] = latencies.map(ms);
    const use = `server ${inCores(cores[0])} ${mib(now.server)}, generators ${inCores(cores[1])} ${mib(now.generators)}`;
    const time = `${index + 1} of ${this.#seconds} s`;
    this.#context.progress(`${this.#name}: ${time}, ${rate}, p50 ${p50} p99 ${p99} p99.9 ${p999} ms; ${use}`);
  }

  #chart(
    { atMs, server, generators }: Look,
    { arrived }: SecondSum,
    [p50, p99, p999]: readonly (number | undefined)[],
    [serverCores, generatorCores]: readonly [number | undefined, number | undefined],
  ): void {
    const { recorder } = this.#context;
    const seconds = (atMs - this.#watched.sinceMs) / 1000;
    recorder.point('Rate', 'arrived', 'msg/s', seconds, arrived);
    recorder.point('Latency', 'p50', 'ms', seconds, p50);
    recorder.point('Latency', 'p99', 'ms', seconds, p99);
    recorder.point('Latency', 'p99.9', 'ms', seconds, p999);
    recorder.point('CPU', 'server (cores)', 'cores', seconds, serverCores);
    recorder.point('CPU', 'generators (cores)', 'cores', seconds, generatorCores);
    recorder.point('Memory', 'server', 'bytes', seconds, server?.bytes);
    recorder.point('Memory', 'generators', 'bytes', seconds, generators?.bytes);
  }
}

function coresOf(before: Look, now: Look, who: 'server' | 'generators'): number | undefined {
  const [then, after] = [before[who], now[who]];
  if (then === undefined || after === undefined) return undefined;
  return (after.cpuMs - then.cpuMs) / (now.atMs - before.atMs);
}

function sumOfUse(pids: readonly number[]): Use | undefined {
  let [cpuMs, bytes] = [0, 0];
  for (const pid of pids) {
    const use = readProcessUse(pid);
    if (use === undefined) return undefined;
    cpuMs += use.cpuMs;
    bytes += use.rssBytes;
  }
  return { cpuMs, bytes };
}

function ms(value: number | undefined): string {
  if (value === undefined) return '–';
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}

function inCores(value: number | undefined): string {
  return value === undefined ? '–' : `${value.toFixed(1)} cores`;
}

function mib(use: Use | undefined): string {
  return use === undefined ? '' : `${Math.round(use.bytes / 2 ** 20)} MiB`;
}
