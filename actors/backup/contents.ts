/**
 * Of which files a backup consists, and whether they are still what they were: written down when it is taken, looked at before any of it
 * is opened.
 *
 * LMDB maps its file into memory and trusts it. A file that was cut off ends the process that opens it with a signal, and one without a byte
 * is opened as a store that nobody has used yet. So a damaged copy has to be found before. Knows nothing of shards; `../backup.ts` does.
 */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** One file, as it was when the backup was taken. */
export interface BackupFile {
  /** From the directory of the backup. */
  readonly path: string;
  readonly bytes: number;
  /** Of its contents, hexadecimal. Tells accidents, not forgers: the list lies beside the files. */
  readonly sha256: string;
}

/** Describes the files at `paths`, and flushes them to the disk: they may have been written just before. */
export async function describeContents(directory: string, paths: readonly string[]): Promise<BackupFile[]> {
  const files: BackupFile[] = [];
  for (const path of paths) files.push(await describeFile(directory, path, true));
  return files;
}

/** What is wrong with a file of `files` as it lies in `directory`, in a sentence without its full stop; `undefined` if nothing is. */
export async function findDamage(directory: string, files: readonly BackupFile[]): Promise<string | undefined> {
  for (const file of files) {
    const damage = await damageOf(directory, file);
    if (damage !== undefined) return `${join(directory, file.path)} ${damage}`;
  }
  return undefined;
}

async function damageOf(directory: string, { path, bytes, sha256 }: BackupFile): Promise<string | undefined> {
  let found: BackupFile;
  try {
    found = await describeFile(directory, path, false);
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
  if (found.bytes !== bytes) return `has ${found.bytes} bytes where the backup had ${bytes}`;
  return found.sha256 === sha256 ? undefined : 'holds other bytes than when the backup was taken';
}

/** Piece by piece: a shard may have many gigabytes, and a node serves meanwhile. */
async function describeFile(directory: string, path: string, flushes: boolean): Promise<BackupFile> {
  const file = await open(join(directory, path), flushes ? 'r+' : 'r');
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const piece of file.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
      hash.update(piece);
      bytes += piece.length;
    }
    if (flushes) await file.sync();
    return { path, bytes, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

/** Whether `value`, read from a file, is such a list. */
export function isContents(value: unknown): value is readonly BackupFile[] {
  return Array.isArray(value) && value.every(isBackupFile);
}

function isBackupFile(value: unknown): boolean {
  const { path, bytes, sha256 } = (value ?? {}) as Partial<Record<keyof BackupFile, unknown>>;
  return typeof path === 'string' && Number.isInteger(bytes) && typeof sha256 === 'string';
}
