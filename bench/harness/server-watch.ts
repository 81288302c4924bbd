/**
 * What the server did and used within a window: differences of its counters between the two ends.
 */

import { systemClock } from './clock.ts';
import type { WindowWatch } from './load-process.ts';
import { readMachineCpuMs, type ProcessUse } from './resources.ts';
import type { ServerProcess, ServerStatistics } from './server-process.ts';

export interface ServerWindow {
  /** CPU in cores, all threads; NaN where /proc is not there. */
  readonly cpuCores: number;
  readonly rssBytesMax: number | undefined;
  /** CPU of all processes of the machine, in cores: what is neither the server's nor the generators' is somebody else's. NaN without /proc. */
  readonly machineCores: number;
  /** Messages in a commit on average; `undefined` when there was no commit. */
  readonly messagesPerFlush: number | undefined;
}

interface Sample {
  readonly atMs: number;
  readonly use: ProcessUse | undefined;
  readonly machineCpuMs: number | undefined;
  readonly statistics: Promise<ServerStatistics>;
}

export class ServerWatch implements WindowWatch {
  readonly #server: ServerProcess;
  #before: Sample | undefined = undefined;
  #after: Sample | undefined = undefined;

  constructor(server: ServerProcess) {
    this.#server = server;
  }

  readonly begun = (): void => void (this.#before = this.#sample());
  readonly ended = (): void => void (this.#after = this.#sample());

  #sample(): Sample {
    const statistics = this.#server.statistics();
    // Awaited in `window`; until then a failure is nobody's business.
    statistics.catch(() => undefined);
    return { atMs: systemClock.nowMs(), use: this.#server.use(), machineCpuMs: readMachineCpuMs(), statistics };
  }

  /** The differences. Call after both ends. */
  async window(): Promise<ServerWindow> {
    const [before, after] = [this.#before, this.#after];
    if (before === undefined || after === undefined) throw new TypeError('a window has two ends');
    const coresOf = (cpuMs: (sample: Sample) => number | undefined): number =>
      ((cpuMs(after) ?? Number.NaN) - (cpuMs(before) ?? Number.NaN)) / (after.atMs - before.atMs);
    return {
      cpuCores: coresOf(({ use }) => use?.cpuMs),
      machineCores: coresOf(({ machineCpuMs }) => machineCpuMs),
      rssBytesMax: after.use?.rssBytesMax,
      messagesPerFlush: messagesPerFlush(await before.statistics, await after.statistics),
    };
  }
}

/** Messages in a commit on average, between two readings of the counters. */
export function messagesPerFlush(before: ServerStatistics, after: ServerStatistics): number | undefined {
  const commits = after.commits - before.commits;
  return commits > 0 ? (after.committedMessages - before.committedMessages) / commits : undefined;
}
