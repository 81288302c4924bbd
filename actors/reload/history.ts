/**
 * Reloads of this store, the last ones: in memory, and as JSON lines in `reloads.jsonl` in the store directory, so that they
 * are there after a restart.
 */

import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../runtime/index.ts';
import { RELOAD_LIMITS } from '../../runtime/reload/index.ts';
import type { ReloadReport } from './report.ts';

/** A behaviour that ran another version before the node was started anew. */
export interface EndedReload {
  readonly behavior: string;
  readonly ran: number;
  readonly runs: number;
}

export class ReloadHistory {
  readonly #path: string;
  readonly #log: Logger;
  #reports: ReloadReport[];
  /** Id of the last report of a process before this one; 0 for none. */
  readonly lastIdBefore: number;

  /** @param directory - Of the store. */
  constructor(directory: string, log: Logger) {
    this.#path = join(directory, 'reloads.jsonl');
    this.#log = log;
    this.#reports = readReports(this.#path);
    this.lastIdBefore = this.nextId - 1;
  }

  get nextId(): number {
    return (this.#reports.at(-1)?.id ?? 0) + 1;
  }

  /** Newest first. */
  last(countMax: number): ReloadReport[] {
    return this.#reports.slice(-countMax).reverse();
  }

  /** The reload that a process before this one ended with; undefined if there was none, or another came in this one. */
  lastOfBefore(name: string): ReloadReport | undefined {
    const last = this.#reports.findLast((report) => report.name === name && report.outcome === 'kept');
    return last !== undefined && last.id <= this.lastIdBefore ? last : undefined;
  }

  /**
   * Behaviours whose last reload brought another version than the one in `behaviors`, which a process starts with: whoever restarts
   * a node without having built what was reloaded has the code from before, and wants to know.
   */
  endedByRestart(behaviors: readonly { readonly name: string; readonly version?: number }[]): EndedReload[] {
    return behaviors.flatMap(({ name, version = 0 }) => {
      const ran = this.lastOfBefore(name)?.to ?? version;
      return ran === version ? [] : [{ behavior: name, ran, runs: version }];
    });
  }

  /** Keeps a report. That the file cannot be written is logged: the reload has happened all the same. */
  add(report: ReloadReport): void {
    this.#reports = [...this.#reports, report].slice(-RELOAD_LIMITS.historyCountMax);
    try {
      appendFileSync(this.#path, `${JSON.stringify(report)}\n`, { mode: 0o600 });
    } catch (error) {
      this.#log.error('reload_history_failed', { reason: (error as NodeJS.ErrnoException).code });
    }
  }
}

function readReports(path: string): ReloadReport[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.slice(-RELOAD_LIMITS.historyCountMax).flatMap(parseReport);
}

/** A line that was cut by a crash is left out. */
function parseReport(line: string): ReloadReport[] {
  try {
    return [JSON.parse(line) as ReloadReport];
  } catch {
    return [];
  }
}
