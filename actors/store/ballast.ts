/**
 * A file of zeros that can be given up when the disk is full, so that there is room to delete.
 *
 * LMDB copies the pages that it changes, also to remove an entry: on a disk without a free byte a full inbox could not
 * be emptied. It is laid down again when there is room enough; until then the store holds less than it did when the disk
 * was full, so that there are free pages within LMDB's file, which never shrinks.
 */

import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Room for the copied pages of some commits that only delete. */
export const BALLAST_BYTES: number = 4 * 1024 * 1024;
/** Laid down again only when this much would be left beside it, so that it does not come and go. */
const ROOM_BYTES = 4 * BALLAST_BYTES;

export class Ballast {
  readonly #path: string;
  #isDown: boolean;

  /** Takes the file that is there, or lays it down. */
  constructor(directory: string) {
    this.#path = join(directory, 'ballast');
    this.#isDown = sizeOf(this.#path) === BALLAST_BYTES || this.#layDown();
  }

  /** Whether the room is kept. */
  get isDown(): boolean {
    return this.#isDown;
  }

  /** Gives the room up. */
  drop(): void {
    rmSync(this.#path, { force: true });
    this.#isDown = false;
  }

  /** Lays the file down again if it is missing and there is room. */
  restore(): void {
    if (!this.#isDown) this.#isDown = this.#layDown();
  }

  #layDown(): boolean {
    if (freeBytes(dirname(this.#path)) < ROOM_BYTES) return false;
    try {
      const file = openSync(this.#path, 'w');
      writeSync(file, Buffer.alloc(BALLAST_BYTES));
      fsyncSync(file);
      closeSync(file);
      return true;
    } catch {
      rmSync(this.#path, { force: true });
      return false;
    }
  }
}

/** Bytes that this process may still write to the file system of `directory`. */
export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
