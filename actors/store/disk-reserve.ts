/**
 * Keeps the disk from becoming full: below a reserve of free bytes the store takes no new entries.
 *
 * LMDB copies the pages that it changes, also to remove an entry, so on a disk without a free byte a full inbox could not
 * be emptied; and with lmdb-js 3.5.6 the process sometimes aborted after a commit that found no space. Looked at before each
 * commit (one system call), the reserve is larger than what two commits write.
 */

import { statfsSync } from 'node:fs';

/** Kept free: two of the largest commits with the pages that they copy. */
const RESERVE_BYTES = 24 * 1024 * 1024;

export class DiskReserve {
  readonly #directory: string;
  /** What the store may hold while the disk is short; undefined while it is not. */
  #bytesMax: number | undefined = undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Looks at the disk.
   *
   * While it is short, the store may hold somewhat less than when it became so: then there are free pages within LMDB's
   * file, which never shrinks, and new entries use these.
   *
   * @param queuedBytes - What undelivered messages take now.
   * @returns What they may take; Infinity while there is room.
   */
  bytesMax(queuedBytes: number): number {
    const free = this.freeBytes();
    if (free >= 2 * RESERVE_BYTES) this.#bytesMax = undefined;
    else if (free < RESERVE_BYTES) this.#bytesMax ??= Math.max(0, queuedBytes - RESERVE_BYTES / 4);
    return this.#bytesMax ?? Infinity;
  }

  /** Whether a commit that failed may have failed for want of space. */
  get isShort(): boolean {
    return this.freeBytes() < 2 * RESERVE_BYTES;
  }

  /** Bytes that this process may still write. */
  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#directory);
    return bavail * bsize;
  }
}
