/**
 * The quotas that outlive the process: one small file for each worker, `quotas-<worker>.json` in the directory of the store.
 *
 * A worker writes its own and reads all of them, since a restart may spread the accounts over another number of workers. A file that
 * cannot be read is logged and counts as empty: a quota is a bound on disk and not worth a node that does not start.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../runtime/index.ts';
import type { SavedQuota } from './quotas.ts';

const VERSION = 1;
const NAME = /^quotas-\d+\.json$/;

export interface QuotaFileOptions {
  readonly directory: string;
  readonly worker: number;
  readonly log: Logger;
}

export class QuotaFile {
  readonly #options: QuotaFileOptions;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: QuotaFileOptions) {
    this.#options = options;
  }

  /** What all workers saved. */
  load(): SavedQuota[] {
    const { directory, log } = this.#options;
    return readdirSync(directory)
      .filter((name) => NAME.test(name))
      .flatMap((name) => {
        try {
          return parse(readFileSync(join(directory, name), 'utf8'));
        } catch (error) {
          log.warn('media_quotas_unreadable', { file: name, reason: (error as Error).name });
          return [];
        }
      });
  }

  /** Saves in place of what this worker saved before, after what is being written. */
  save(quotas: readonly SavedQuota[]): void {
    const { log } = this.#options;
    this.#writing = this.#writing
      .then(() => this.#write(quotas))
      .catch((error: NodeJS.ErrnoException) => log.warn('media_quotas_unsaved', { reason: error.code ?? error.name }));
  }

  /** Resolves when all of it is on the disk, or was given up. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** Written beside and renamed, so that a crash leaves the former file or this one. */
  async #write(quotas: readonly SavedQuota[]): Promise<void> {
    const { directory, worker } = this.#options;
    const path = join(directory, `quotas-${worker}.json`);
    const handle = await open(`${path}.new`, 'w', 0o600);
    try {
      await handle.writeFile(JSON.stringify({ version: VERSION, quotas }));
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(`${path}.new`, path);
  }
}

/** @throws {Error} what we did not write. */
function parse(text: string): SavedQuota[] {
  const { version, quotas } = JSON.parse(text) as { version?: unknown; quotas?: unknown };
  if (version !== VERSION || !Array.isArray(quotas) || !quotas.every(isSaved)) throw new TypeError('not quotas');
  return quotas;
}

function isSaved(value: unknown): value is SavedQuota {
  const { user, bytes, atMs } = (value ?? {}) as Partial<SavedQuota>;
  return typeof user === 'string' && [bytes, atMs].every((each) => Number.isSafeInteger(each) && each! >= 0);
}
