/**
 * The audit log: who changed what, when, and what became of it. A file of JSON lines in the store directory, for the owner
 * only; it outlives the node's log, and nothing that an operator can ask for removes it.
 *
 *   {"time":"2026-11-22T03:00:00.000Z","entry":"7-1","verb":"actor.kill","via":"socket","parameters":{…}}
 *   {"time":"…","entry":"7-1","outcome":"done"}
 *
 * `entry` pairs the two lines: the process id and a count. When the file is full it becomes `audit.log.1`, in place of the
 * one before. Parameters are written as they were checked, so a verb must take nothing secret.
 */

import { appendFileSync, closeSync, existsSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Logger } from '../../runtime/index.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';

export interface AuditOptions {
  readonly directory: string;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Logger;
}

/** A line of the file, parsed. */
export type AuditLine = Readonly<Record<string, unknown>>;

export class Audit {
  readonly #options: AuditOptions;
  readonly #path: string;
  #count = 0;

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#path = join(options.directory, 'audit.log');
  }

  /**
   * Notes what is about to be done.
   *
   * @throws {AdminError} ADM_REFUSED if it cannot be written: what is not on record is not done.
   */
  begin(verb: string, parameters: object, via: string): string {
    const entry = `${process.pid}-${++this.#count}`;
    this.#options.log.info('admin_action', { entry, verb, via });
    if (!this.#append({ time: this.#time(), entry, verb, via, parameters })) {
      throw new AdminError('ADM_REFUSED', `${this.#path} cannot be written, and nothing is done without a record`);
    }
    return entry;
  }

  end(entry: string, outcome: string): void {
    this.#append({ time: this.#time(), entry, outcome });
  }

  /** The last `countMax` lines, newest first. */
  last(countMax: number): AuditLine[] {
    const lines = tailOf(this.#path, TAIL_BYTES)
      .split('\n')
      .slice(-countMax - 1)
      .reverse();
    return lines.flatMap((line) => parseLine(line)).slice(0, countMax);
  }

  #time(): string {
    return new Date(this.#options.clock.nowMs()).toISOString();
  }

  #append(line: AuditLine): boolean {
    try {
      const bytes = existsSync(this.#path) ? statSync(this.#path).size : 0;
      if (bytes > LIMITS.auditBytesMax) renameSync(this.#path, `${this.#path}.1`);
      appendFileSync(this.#path, `${JSON.stringify(line)}\n`, { mode: 0o600 });
      return true;
    } catch (error) {
      this.#options.log.error('audit_failed', { reason: (error as NodeJS.ErrnoException).code });
      return false;
    }
  }
}

/** Enough for the entries that a page shows. */
const TAIL_BYTES = 262_144;

function tailOf(path: string, bytesMax: number): string {
  if (!existsSync(path)) return '';
  const { size } = statSync(path);
  const bytes = Buffer.alloc(Math.min(size, bytesMax));
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes, 0, bytes.length, size - bytes.length);
  } finally {
    closeSync(file);
  }
  return bytes.toString('utf8');
}

/** None for what is no line: the first of a tail may be cut, the last of a killed process unfinished. */
function parseLine(line: string): AuditLine[] {
  try {
    return [JSON.parse(line) as AuditLine];
  } catch {
    return [];
  }
}
