/**
 * What the server did and used within a window: differences of its counters between the two ends.
 */

import { systemClock } from './clock.ts';
import type { WindowWatch } from './load-process.ts';
import { readMachineCpuMs, readRunQueueWaitMs, type ProcessUse } from './resources.ts';
import type { ServerProcess, ServerStatistics } from './server-process.ts';

export interface ServerWindow {
  /** CPU in cores, all threads; NaN where /proc is not there. */
  readonly cpuCores: number;
  readonly rssBytesMax: number | undefined;
  /** CPU of all processes of the machine, in cores: what is neither the server's nor the generators' is somebody else's. NaN without /proc. */
  readonly machineCores: number;
  /**
   * Threads of the server, and of the generators that the watch was given, that were ready to run and had no core, on average.
   * NaN where the kernel does not tell.
   */
  readonly waitingThreads: number;
  /** Messages in a commit on average; `undefined` when there was no commit. */
  readonly messagesPerFlush: number | undefined;
}

interface Sample {
  readonly atMs: number;
  readonly use: ProcessUse | undefined;
  readonly machineCpuMs: number | undefined;
  readonly waitMs: number | undefined;
  readonly statistics: Promise<ServerStatistics>;
}

export class ServerWatch implements WindowWatch {
  readonly #server: ServerProcess;
  readonly #generators: readonly number[];
  #before: Sample | undefined = undefined;
  #after: Sample | undefined = undefined;

  /** @param generators - Process ids, for `waitingThreads`. */
  constructor(server: ServerProcess, generators: readonly number[] = []) {
    this.#server = server;
    this.#generators = generators;
  }

  readonly begun = (): void => void (this.#before = this.#sample());
  readonly ended = (): void => void (this.#after = this.#sample());

  #sample(): Sample {
    const statistics = this.#server.statistics();
    // Awaited in `window`; until then a failure is nobody's business.
    statistics.catch(() => undefined);
    const waitMs = readRunQueueWaitMs([this.#server.pid, ...this.#generators]);
    return { atMs: systemClock.nowMs(), use: this.#server.use(), machineCpuMs: readMachineCpuMs(), waitMs, statistics };
  }

  /** The differences. Call after both ends. */
  async window(): Promise<ServerWindow> {
    const [before, after] = [this.#before, this.#after];
    if (before === undefined || after === undefined) throw new TypeError('a window has two ends');
    const coresOf = (ms: (sample: Sample) => number | undefined): number =>
      ((ms(after) ?? Number.NaN) - (ms(before) ?? Number.NaN)) / (after.atMs - before.atMs);
    return {
      cpuCores: coresOf(({ use }) => use?.cpuMs),
      machineCores: coresOf(({ machineCpuMs }) => machineCpuMs),
      waitingThreads: coresOf(({ waitMs }) => waitMs),
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
