/**
 * Backups as files: written beside and renamed when they are whole and flushed, so that a crash leaves no half of one.
 */

import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { restoreBackup } from '../index.ts';
import type { BackupManifest, BackupOptions, BackupSecret, Client } from '../index.ts';
import { diskStore } from './disk-store.ts';

/**
 * Writes a backup of a client's store to `path`, readable for its owner only.
 *
 * @throws {ClientError} As `Client.backup`. @throws {Error} Of the operating system, such as ENOSPC.
 */
export async function writeBackupFile(client: Client, path: string, options: BackupOptions): Promise<void> {
  const part = `${path}.part`;
  const file = await open(part, 'w', 0o600);
  try {
    for await (const piece of client.backup(options)) await file.writeFile(piece);
    await file.sync();
    await file.close();
    await rename(part, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

/**
 * Restores the backup at `path` into an empty directory.
 *
 * @param secret - The secret, or how to ask for it.
 * @throws {ClientError} As `restoreBackup`. @throws {Error} Of the operating system, such as ENOENT.
 */
export async function restoreBackupFile(
  directory: string,
  path: string,
  secret: BackupSecret | ((kind: BackupSecret['kind']) => Promise<BackupSecret>),
): Promise<BackupManifest> {
  const file = await open(path);
  try {
    const source = createReadStream(path, { fd: file, autoClose: false });
    return await restoreBackup({ store: diskStore(directory), source, secret });
  } finally {
    await file.close();
  }
}
