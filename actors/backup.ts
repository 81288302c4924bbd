/**
 * A copy of the store of a running node, and what a store needs that comes back from one.
 *
 *   <backup>/backup.json   { version, takenAtMs, shards, blindbeam }
 *   <backup>/store.json    as in the store: with the secret of the installation, so keep the copy as you keep the store
 *   <backup>/shard-00 …    one LMDB environment each, a snapshot of a moment: whatever was acknowledged before is in it
 *
 * Each shard is consistent in itself; the snapshots of two shards are some milliseconds apart. Media are not in it: their files never change
 * once they are whole, so any copying tool will do, and a store that speaks S3 has its own ways.
 *
 * A store that comes back is behind its clients, who have been told of more than it knows. `renewStore` makes that harmless:
 * - no position of an inbox is given out twice, which a client would take for a message that it has;
 * - a conversation goes on at whatever id its sender is, and both ends are told what is missing (`doubt.ts`);
 * - one-time pre-keys are gone, since some were handed out and used; devices upload new ones at their next login.
 * Devices that registered after the backup have to register again. Groups that have changed since are behind what their members
 * know: docs/operating.md says what that means.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync, cpSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { RuntimeNode } from '../runtime/index.ts';
import { askEach, type Askable } from './admin/ask.ts';
import { AdminError } from './admin/errors.ts';
import { claimInbox } from './claim-inbox.ts';
import { Committer } from './committer.ts';
import { StartupError } from './errors.ts';
import { shardDirectory, type StoreInfo } from './store-directory.ts';
import { openLmdbStore, type RenewalCounts } from './store/lmdb.ts';

const BACKUP_VERSION = 1;
/** A shard of many gigabytes takes its time; the node serves meanwhile. */
const BACKUP_MS_MAX = 3_600_000;

/** What a backup says of itself. */
export interface BackupInfo {
  readonly version: number;
  readonly takenAtMs: number;
  readonly shards: number;
  readonly blindbeam: string;
}

export interface BackupResult extends BackupInfo {
  readonly directory: string;
  readonly tookMs: number;
}

export interface BackupSource extends StoreInfo {
  /** Whether the node shares its shards with others. */
  readonly isClustered: boolean;
}

/**
 * Copies the store of a running node. The directory appears when it is whole.
 *
 * @throws {AdminError} (as rejection) ADM_REFUSED, with the reason, always on a node of a cluster; what was begun is removed.
 */
export async function backUp(
  workers: Askable,
  store: BackupSource,
  path: string,
  blindbeam: string,
): Promise<BackupResult> {
  // It owns some of the shards, copies others, and either changes hands: a directory of what happens to be here would restore to less than was there.
  if (store.isClustered)
    throw new AdminError(
      'ADM_REFUSED',
      'a node of a cluster has a part of the store only: there is no backup of a cluster yet',
    );
  // Of the node's working directory the operator knows nothing.
  if (!isAbsolute(path)) throw new AdminError('ADM_REFUSED', `"${path}" is not a whole path: begin with a slash`);
  const directory = resolve(path);
  const partial = `${directory}.partial`;
  const { clock } = workers.node;
  const [takenAtMs, beganMs] = [clock.nowMs(), clock.monotonicMs()];
  if (existsSync(directory)) throw new AdminError('ADM_REFUSED', `${directory} is there already`);
  try {
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true, mode: 0o700 });
    const answers = await askEach<object>(workers, 'backup', { directory: partial }, BACKUP_MS_MAX);
    for (const answer of answers) if ('error' in answer) throw new Error(`worker ${answer.worker}: ${answer.error}`);
    const info: BackupInfo = { version: BACKUP_VERSION, takenAtMs, shards: store.shards, blindbeam };
    writePrivately(join(partial, 'store.json'), readFileSync(join(store.directory, 'store.json'), 'utf8'));
    writePrivately(join(partial, 'backup.json'), `${JSON.stringify(info, null, 2)}\n`);
    renameSync(partial, directory);
    return Object.assign({ directory, tookMs: Math.round(clock.monotonicMs() - beganMs) }, info);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw new AdminError('ADM_REFUSED', `the backup failed: ${(error as Error).message}`);
  }
}

/** A worker's part: its shards, one after the other, so that the disk serves the node as well. */
export async function backUpShards(
  shards: readonly number[],
  stores: readonly { backup?(directory: string): Promise<void> }[],
  directory: string,
  { log }: Pick<RuntimeNode, 'log'>,
): Promise<{ readonly shards: number }> {
  for (const [index, shard] of shards.entries()) {
    const target = shardDirectory({ directory, shards: 0, secret: '' }, shard);
    mkdirSync(target, { recursive: true, mode: 0o700 });
    await stores[index]!.backup?.(target);
    log.info('shard_backed_up', { shard });
  }
  return { shards: shards.length };
}

/** What a restore did. */
export interface RestoreResult extends RenewalCounts {
  readonly directory: string;
  readonly takenAtMs: number;
  readonly shards: number;
}

/**
 * Makes a store of a backup, in a directory that is not there yet or is empty.
 *
 * @throws {StartupError} APP_STORE_UNREADABLE, with what is wrong with either directory.
 */
export async function restoreStore(backup: string, path: string): Promise<RestoreResult> {
  const directory = resolve(path);
  const partial = `${directory}.partial`;
  const info = readBackup(backup);
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw unreadable(`${directory} is not empty: a store is there, or something else; restore into a new directory`);
  refusePart(backup, info);
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(dirname(directory), { recursive: true });
  cpSync(backup, partial, { recursive: true, filter: (from) => !from.endsWith('backup.json') });
  const counts = { devices: 0, conversations: 0, preKeys: 0 };
  for (let shard = 0; shard < info.shards; shard += 1) {
    const one = await renewShard(shardDirectory({ directory: partial, shards: info.shards, secret: '' }, shard));
    counts.devices += one.devices;
    counts.conversations += one.conversations;
    counts.preKeys += one.preKeys;
  }
  rmSync(directory, { recursive: true, force: true });
  renameSync(partial, directory);
  return Object.assign({ directory, takenAtMs: info.takenAtMs, shards: info.shards }, counts);
}

function refusePart(backup: string, { shards }: BackupInfo): void {
  for (let shard = 0; shard < shards; shard += 1) {
    const directory = shardDirectory({ directory: backup, shards, secret: '' }, shard);
    if (!existsSync(join(directory, 'data.mdb')))
      throw unreadable(`${directory} has no data.mdb: the backup is not whole`);
  }
}

async function renewShard(directory: string): Promise<RenewalCounts> {
  const store = openLmdbStore({
    directory,
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    // What was on its way waits: only then the store says every position.
    await claimInbox(store, new Committer(store, () => undefined));
    return store.renew();
  } finally {
    await store.close();
  }
}

function readBackup(directory: string): BackupInfo {
  let info: Partial<BackupInfo>;
  try {
    info = JSON.parse(readFileSync(join(directory, 'backup.json'), 'utf8')) as Partial<BackupInfo>;
  } catch (error) {
    throw unreadable(`${directory} is no backup: ${(error as Error).message}`);
  }
  if (info.version !== BACKUP_VERSION || !Number.isInteger(info.shards))
    throw unreadable(`${directory} is a backup of version ${info.version}; this Blindbeam reads ${BACKUP_VERSION}`);
  return info as BackupInfo;
}

function unreadable(text: string): StartupError {
  return new StartupError('APP_STORE_UNREADABLE', text);
}

function writePrivately(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600, flush: true } as object);
}
