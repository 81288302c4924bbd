/**
 * `blindbeam start --watch`: reloads on save, for development.
 *
 * Whatever is saved under `actors/`, the bundles are made again, and a behaviour whose text has changed is reloaded, numbered by
 * the reload. A bundle that fails or is refused is told in the log, and the node goes on with what it has.
 *
 * Each folder is watched for itself. A recursive watch follows files on Linux, and many editors save by putting a new file into the place of
 * the old one: only the first such save would be seen (Node 20, 2026-11).
 */

import { readdirSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { Refusal } from '../../runtime/reload/index.ts';
import { bundleBehavior, type BundledVersion, type SourceRoot } from './bundle.ts';
import { DEFAULT_OPTIONS, type Coordinator } from './coordinator.ts';
import { formatReport } from './report.ts';
import { BEHAVIORS } from './shell.ts';

export interface WatchOptions {
  readonly coordinator: Coordinator;
  readonly root: SourceRoot;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An editor saves in several steps; this long after the last the files are taken. */
const QUIET_MS = 150;
/** For a person who waits: what goes wrong at once is seen, and what goes wrong later is undone by the next save. */
const OPTIONS = { ...DEFAULT_OPTIONS, canary: 0, observeMs: 200, recordMs: 50, renumber: true };

export class SourceWatch {
  readonly #options: WatchOptions;
  /** By folder. */
  readonly #watchers: Map<string, FSWatcher> = new Map();
  readonly #directory: string;
  /** What the node runs, by name: the text, or why there is none. */
  readonly #texts: Map<string, string> = new Map();
  #timer: unknown = undefined;
  #working: Promise<void>;
  #isClosed: boolean = false;

  /** Begins to watch. What is saved before the first look has been done is found by the next save. */
  constructor(options: WatchOptions) {
    this.#options = options;
    this.#directory = join(options.root.directory, 'actors');
    this.#watchFolders();
    this.#working = this.#look().then(() => options.log.info('watching', { directory: this.#directory }));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const watcher of this.#watchers.values()) watcher.close();
    if (this.#timer !== undefined) this.#options.clock.clearTimer(this.#timer);
    await this.#working;
  }

  /** Watches every folder that is not watched yet. */
  #watchFolders(): void {
    const entries = readdirSync(this.#directory, { recursive: true, withFileTypes: true });
    const folders = entries
      .filter((entry) => entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name));
    for (const folder of [this.#directory, ...folders]) {
      if (this.#watchers.has(folder)) continue;
      const watcher = watch(folder, (_event, file) => this.#changed(file));
      // A folder that goes takes its watch with it.
      watcher.on('error', () => this.#watchers.delete(folder));
      this.#watchers.set(folder, watcher);
    }
  }

  #changed(file: string | null): void {
    const { clock, root } = this.#options;
    if (this.#isClosed || file === null || !file.endsWith(root.extension) || /\.test\.\w+$/.test(file)) return;
    if (this.#timer !== undefined) clock.clearTimer(this.#timer);
    this.#timer = clock.setTimer(QUIET_MS, () => {
      this.#timer = undefined;
      this.#working = this.#working.then(() => this.#reloadChanged()).catch((error: unknown) => this.#fail(error));
    });
  }

  async #reloadChanged(): Promise<void> {
    if (!this.#isClosed) this.#watchFolders();
    for (const name of await this.#look()) {
      if (this.#isClosed) return;
      const report = await this.#options.coordinator.reload({ ...OPTIONS, name });
      if (report.outcome !== 'kept') this.#options.log.warn('reload_failed', { report: formatReport(report) });
    }
  }

  /** Bundles every behaviour. Returns those that have changed since the last look. */
  async #look(): Promise<string[]> {
    const changed: string[] = [];
    for (const { name } of BEHAVIORS) {
      const text = textOf(await bundleBehavior(this.#options.root, name));
      if (this.#texts.get(name) !== text) changed.push(name);
      this.#texts.set(name, text);
    }
    return changed;
  }

  #fail(error: unknown): void {
    this.#options.log.error('watch_failed', { reason: error instanceof Error ? error.stack : String(error) });
  }
}

/** A refusal counts as a text: it is told once, and the next save that changes anything is looked at again. */
function textOf(bundled: BundledVersion | Refusal): string {
  return 'text' in bundled ? bundled.text : `${bundled.code} ${bundled.detail}`;
}
