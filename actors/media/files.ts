/**
 * Steps on the disk that both stores of media take: listing, locks, writing all of it, flushing a directory. Each says what a
 * missing file means, so that no caller reads error numbers.
 */

import { constants } from 'node:fs';
import { open, readdir, statfs, unlink, type FileHandle } from 'node:fs/promises';

/** The names in a directory; none where it is not there. */
export async function list(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(absent)) ?? [];
}

/** Removes a file, if it is there. */
export async function discard(path: string): Promise<void> {
  await unlink(path).catch(absent);
}

/** Takes a lock file; false where somebody has it. */
export async function take(lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx', 0o600)).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Writes the whole of `chunk` at `position`. @returns Its length. */
export async function writeAll(handle: FileHandle, chunk: Uint8Array, position: number): Promise<number> {
  let written = 0;
  while (written < chunk.length) {
    written += (await handle.write(chunk, written, chunk.length - written, position + written)).bytesWritten;
  }
  return written;
}

/** Makes the names in a directory survive a power cut. */
export async function flushDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  await handle.sync().finally(() => handle.close());
}

/** Whether `bytes` more leave `reserveBytes` of the disk free. One system call. */
export async function hasRoom(directory: string, bytes: number, reserveBytes: number): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize - bytes >= reserveBytes;
}

/** For `catch`: what is not there is no error here. */
export function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}

/** For `catch` of `rmdir`: somebody has put a file there meanwhile, or has removed it. */
export function notEmpty(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'ENOENT') throw error;
}
