/**
 * The uploads under way, by their names: `<user>/<id>.<bytes>`, and `<user>/<id>.<bytes>.lock` while somebody appends.
 *
 * The names hold owner, id and declared size, so that there is no index which could disagree with them, and every worker of
 * the node may look. What is behind a name, a file or a directory, is the store's. Read next: `disk-store.ts`, `s3-store.ts`.
 */

import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../limits.ts';
import { discard, list, notEmpty } from './files.ts';

const LOCK = '.lock';

/** An upload's name. */
export interface NamedUpload {
  readonly path: string;
  /** The declared size. */
  readonly bytes: number;
}

export class OpenUploads {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes the directory. */
  async prepare(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
  }

  async find(id: string, owner: string): Promise<NamedUpload | undefined> {
    const name = (await this.#names(this.directoryOf(owner))).find((each) => each.startsWith(`${id}.`));
    return name === undefined ? undefined : this.name(id, owner, Number(name.slice(id.length + 1)));
  }

  name(id: string, owner: string, bytes: number): NamedUpload {
    return { path: join(this.directoryOf(owner), `${id}.${bytes}`), bytes };
  }

  directoryOf(owner: string): string {
    return join(this.directory, owner);
  }

  /** Whether `owner` has as many as an account may have. */
  async isFull(owner: string): Promise<boolean> {
    return (await this.#names(this.directoryOf(owner))).length >= LIMITS.openUploadsMax;
  }

  /** Removes the locks that a process left behind that was killed. */
  async clearLocks(): Promise<void> {
    for (const directory of await this.directories()) {
      for (const name of await list(directory)) if (name.endsWith(LOCK)) await discard(join(directory, name));
    }
  }

  /** One for each account that has uploads. */
  async directories(): Promise<string[]> {
    return (await list(this.directory)).map((owner) => join(this.directory, owner));
  }

  /** Paths in a directory of uploads that nobody appends to. */
  async idle(directory: string): Promise<string[]> {
    const names = await list(directory);
    return names
      .filter((name) => !name.endsWith(LOCK) && !names.includes(`${name}${LOCK}`))
      .map((name) => join(directory, name));
  }

  /** Removes an account's directory after its last upload; the kernel refuses if one has been begun meanwhile. */
  async prune(directory: string): Promise<void> {
    await rmdir(directory).catch(notEmpty);
  }

  async #names(directory: string): Promise<string[]> {
    return (await list(directory)).filter((name) => !name.endsWith(LOCK));
  }
}

/** The lock of the upload at `path`. */
export function lockOf(path: string): string {
  return `${path}${LOCK}`;
}
