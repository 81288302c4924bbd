/**
 * A copy of the store of a running node, and what a store needs that comes back from one.
 *
 *   <backup>/backup.json   { version, takenAtMs, shards, blindbeam, files }: written last, with what each of the others is (`backup/contents.ts`)
 *   <backup>/store.json    as in the store: with the secret of the installation, so keep the copy as you keep the store
 *   <backup>/shard-00 …    one LMDB environment each, a snapshot of a moment: whatever was acknowledged before is in it
 *
 * Each shard is consistent in itself; the snapshots of two shards are some milliseconds apart. Media are not in it: their files never change
 * once they are whole, so any copying tool will do, and a store that speaks S3 has its own ways.
 *
 * A store that comes back is behind its clients, who have been told of more than it knows. `renewStore` makes that harmless:
 * - no position of an inbox is given out twice, which a client would take for a message that it has;
 * - a conversation goes on at whatever id its sender is, and both ends are told what is missing (`store/doubt.ts`);
 * - so do the senders of a group; its places go on beyond all that were given out, and members are told that some may be missing;
 * - one-time pre-keys are gone, since some were handed out and used; devices upload new ones at their next login.
 * Devices that registered after the backup have to register again. Groups that have changed since are behind what their members
 * know: docs/operating.md says what that means.
 */

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { systemClock, type RuntimeNode } from '../runtime/index.ts';
import { askEach, type Askable } from './admin/ask.ts';
import { AdminError } from './admin/errors.ts';
import { describeContents, findDamage, isContents, type BackupFile } from './backup/contents.ts';
import { beginPartial, tellTaken } from './backup/partial.ts';
import { claimInbox } from './inbox/claim.ts';
import { Committer } from './committer.ts';
import { isStartupError, StartupError } from './errors.ts';
import { PARTITION_COUNT } from './partition.ts';
import { shardDirectory, type StoreInfo } from './store-directory.ts';
import { openLmdbStore, type RenewalCounts } from './store/lmdb.ts';

const BACKUP_VERSION = 2;
/** Of the installation; in a backup as in a store. */
const STORE_FILE = 'store.json';
const BACKUP_FILE = 'backup.json';
/** A shard of many gigabytes takes its time; the node serves meanwhile. */
const BACKUP_MS_MAX = 3_600_000;

/** What a backup says of itself. */
export interface BackupInfo {
  readonly version: number;
  readonly takenAtMs: number;
  readonly shards: number;
  readonly blindbeam: string;
  /** All of it but this. */
  readonly files: readonly BackupFile[];
}

export interface BackupResult extends Omit<BackupInfo, 'files'> {
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
  const { clock } = workers.node;
  const [takenAtMs, beganMs] = [clock.nowMs(), clock.monotonicMs()];
  if (existsSync(directory)) throw new AdminError('ADM_REFUSED', `${directory} is there already`);
  const partial = beginBackup(directory);
  try {
    const answers = await askEach<object>(workers, 'backup', { directory: partial }, BACKUP_MS_MAX);
    for (const answer of answers) if ('error' in answer) throw new Error(`worker ${answer.worker}: ${answer.error}`);
    writePrivately(join(partial, STORE_FILE), readFileSync(join(store.directory, STORE_FILE), 'utf8'));
    const head = { version: BACKUP_VERSION, takenAtMs, shards: store.shards, blindbeam };
    const files = await describeContents(partial, pathsOf(store.shards));
    writePrivately(join(partial, BACKUP_FILE), `${JSON.stringify(Object.assign({ files }, head), null, 2)}\n`);
    renameSync(partial, directory);
    return Object.assign({ directory, tookMs: Math.round(clock.monotonicMs() - beganMs) }, head);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw failed(error);
  }
}

function beginBackup(directory: string): string {
  let partial: string | undefined;
  try {
    partial = beginPartial(directory);
  } catch (error) {
    throw failed(error);
  }
  if (partial === undefined) throw new AdminError('ADM_REFUSED', tellTaken(directory, 'backup'));
  return partial;
}

function failed(error: unknown): AdminError {
  return new AdminError('ADM_REFUSED', `the backup failed: ${(error as Error).message}`);
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
    try {
      mkdirSync(target, { recursive: true, mode: 0o700 });
      await stores[index]!.backup?.(target);
    } catch (error) {
      throw new AdminError('ADM_REFUSED', `shard ${shard} cannot be copied: ${(error as Error).message}`);
    }
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
 * Makes a store of a backup, in a directory that is not there yet or is empty. Where it cannot, nothing is left of what it began.
 *
 * @throws {StartupError} APP_STORE_UNREADABLE, with what is wrong with either directory; APP_STORE_HELD where another restore makes it.
 */
export async function restoreStore(
  backup: string,
  path: string,
  deviceOf: (path: string) => number = (each) => statSync(each).dev,
): Promise<RestoreResult> {
  const { shards, takenAtMs, files } = readBackup(backup);
  const damage = await findDamage(backup, files);
  if (damage !== undefined) throw unreadable(`the backup is damaged, restore another copy of it: ${damage}`);
  let directory = resolve(path);
  // What a refusal finds is not ours: another restore may be at work there.
  let partial: string | undefined;
  try {
    directory = placeFor(directory, deviceOf);
    partial = beginPartial(directory);
    if (partial === undefined) throw new StartupError('APP_STORE_HELD', tellTaken(directory, 'restore'));
    // Another one may have ended since the first look; from here on none begins.
    refuseFilled(directory);
    copyStore(backup, partial, files);
    const counts = await renewShards(partial, shards);
    // An empty one makes room; one that was filled meanwhile does not.
    renameSync(partial, directory);
    return Object.assign({ directory, takenAtMs, shards }, counts);
  } catch (error) {
    if (partial !== undefined) rmSync(partial, { recursive: true, force: true });
    throw isStartupError(error) ? error : unreadable(`${directory} cannot be made: ${(error as Error).message}`);
  }
}

/** Where the store is to be, behind all links: what is renamed to it has to lie on the same file system. */
function placeFor(path: string, deviceOf: (path: string) => number): string {
  if (!existsSync(path)) return path;
  const directory = realpathSync(path);
  refuseFilled(directory);
  if (deviceOf(directory) !== deviceOf(dirname(directory)))
    throw unreadable(`${directory} is a file system of its own: restore into a new directory in it`);
  return directory;
}

function refuseFilled(directory: string): void {
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw unreadable(`${directory} is not empty: a store is there, or something else; restore into a new directory`);
}

function copyStore(backup: string, directory: string, files: readonly BackupFile[]): void {
  for (const { path } of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true, mode: 0o700 });
    copyFileSync(join(backup, path), join(directory, path));
  }
}

/** The files of a store that are copied, from its directory. */
function pathsOf(shards: number): string[] {
  const info: StoreInfo = { directory: '', shards, secret: '' };
  return [STORE_FILE, ...Array.from({ length: shards }, (_, shard) => join(shardDirectory(info, shard), 'data.mdb'))];
}

async function renewShards(directory: string, shards: number): Promise<RenewalCounts> {
  const counts = { devices: 0, conversations: 0, groups: 0, preKeys: 0 };
  for (let shard = 0; shard < shards; shard += 1) {
    const one = await renewShard(shardDirectory({ directory, shards, secret: '' }, shard), systemClock.nowMs());
    counts.devices += one.devices;
    counts.conversations += one.conversations;
    counts.groups += one.groups;
    counts.preKeys += one.preKeys;
  }
  return counts;
}

async function renewShard(directory: string, nowMs: number): Promise<RenewalCounts> {
  const store = openLmdbStore({
    directory,
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    // What was on its way waits: only then the store says every position.
    await claimInbox(store, new Committer(store, () => undefined));
    return store.renew(nowMs);
  } finally {
    await store.close();
  }
}

function readBackup(directory: string): BackupInfo {
  let info: Partial<BackupInfo>;
  try {
    info = (JSON.parse(readFileSync(join(directory, BACKUP_FILE), 'utf8')) ?? {}) as Partial<BackupInfo>;
  } catch (error) {
    throw unreadable(`${directory} is no backup: ${(error as Error).message}`);
  }
  const { version, shards, takenAtMs, files } = info;
  if (version !== BACKUP_VERSION)
    throw unreadable(`${directory} is a backup of version ${version}; this Blindbeam reads ${BACKUP_VERSION}`);
  if (!isShardCount(shards) || !isTime(takenAtMs) || !isContents(files))
    throw unreadable(`${directory} is no backup: its ${BACKUP_FILE} is not what one says of itself`);
  const listed = new Set(files.map(({ path }) => path));
  const paths = pathsOf(shards);
  const missing = paths.find((path) => !listed.has(path));
  if (missing !== undefined) throw unreadable(`${directory} has no ${missing}: the backup is not whole`);
  // All are there, so a list of the same length has no path of its own choice.
  if (files.length !== paths.length)
    throw unreadable(`${directory} is no backup: its ${BACKUP_FILE} lists ${files.length} files, not ${paths.length}`);
  return info as BackupInfo;
}

/** More shards than partitions no store has: those beyond would hold nobody. */
function isShardCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= PARTITION_COUNT;
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && !Number.isNaN(new Date(value).getTime());
}

function unreadable(text: string): StartupError {
  return new StartupError('APP_STORE_UNREADABLE', text);
}

function writePrivately(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600, flush: true } as object);
}
