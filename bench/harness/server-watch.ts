/**
 * What the server did and used within a window: differences of its counters between the two ends.
 */

import { systemClock } from './clock.ts';
import type { WindowWatch } from './load-process.ts';
import type { ProcessUse } from './resources.ts';
import type { ServerProcess, ServerStatistics } from './server-process.ts';

export interface ServerWindow {
  /** CPU in cores, all threads; `undefined` where /proc is not there. */
  readonly cpuCores: number | undefined;
  readonly rssBytesMax: number | undefined;
  /** Messages in a commit on average; `undefined` when there was no commit. */
  readonly messagesPerFlush: number | undefined;
}

interface Sample {
  readonly atMs: number;
  readonly use: ProcessUse | undefined;
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
    return { atMs: systemClock.nowMs(), use: this.#server.use(), statistics };
  }

  /** The differences. Call after both ends. */
  async window(): Promise<ServerWindow> {
    const [before, after] = [this.#before, this.#after];
    if (before === undefined || after === undefined) throw new TypeError('a window has two ends');
    const use =
      before.use !== undefined && after.use !== undefined ? { before: before.use, after: after.use } : undefined;
    return {
      cpuCores: use && (use.after.cpuMs - use.before.cpuMs) / (after.atMs - before.atMs),
      rssBytesMax: use?.after.rssBytesMax,
      messagesPerFlush: messagesPerFlush(await before.statistics, await after.statistics),
    };
  }
}

/** Messages in a commit on average, between two readings of the counters. */
export function messagesPerFlush(before: ServerStatistics, after: ServerStatistics): number | undefined {
  const commits = after.commits - before.commits;
  return commits > 0 ? (after.committedMessages - before.committedMessages) / commits : undefined;
}
