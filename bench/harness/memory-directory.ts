/**
 * A directory whose files lie in memory. A disk flushes slowly at times of its own, 10 to 20 ms once or twice a second on the machine of our
 * figures, and of a thousand messages a second those that wait for it are the slowest in a hundred: where something else is looked for, it hides it.
 */

import { statfsSync } from 'node:fs';

/** `f_type` of a tmpfs: statfs(2) of Linux. */
const TMPFS = 0x01021994;
/** A store of 20,000 accounts takes a tenth of it. Containers mostly have 64 MiB there. */
const ROOM_BYTES_MIN = 1_073_741_824;

/** @returns `path` if it is one with room; else `undefined`. */
export function memoryDirectory(path: string = '/dev/shm', roomBytesMin: number = ROOM_BYTES_MIN): string | undefined {
  try {
    const { type, bsize, bavail } = statfsSync(path);
    return type === TMPFS && bsize * bavail >= roomBytesMin ? path : undefined;
  } catch {
    return undefined;
  }
}
