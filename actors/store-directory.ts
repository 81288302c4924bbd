/**
 * The directory of a node's store: who holds it, how many shards it has, the installation's secret.
 *
 *   store.json     { version, shards, secret }, readable by the owner only
 *   holder.sock    a Unix socket on which the holder listens; the kernel closes it with the process, however that ends
 *   shard-00 …     one LMDB environment each
 *   media/         uploads and blobs (media/disk-store.ts)
 *   quotas-1.json …  what accounts have uploaded lately, a file for each worker (media/quota-file.ts)
 *   media-staged/  with an object store: what of uploads is not there yet (media/staging.ts)
 *
 * The number of shards is fixed when the directory is made, because it decides where a partition's records are.
 */

import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join, resolve } from 'node:path';
import { makePrivateDirectory } from '../runtime/private-directory.ts';
import { StartupError } from './errors.ts';
import { centreOfPhone, partitionWithin, shardsOfCentre, type Centre } from './cluster/centres.ts';
import { PARTITION_COUNT } from './partition.ts';
import { fitSocketPath, listenUnix, SOCKET_PATH_BYTES_MAX } from './host/unix-socket.ts';

const STORE_VERSION = 1;

export interface StoreInfo {
  readonly directory: string;
  readonly shards: number;
  /** Hex. Keys the partition of phone numbers; never leaves the node. All nodes of a cluster are given the same. */
  readonly secret: string;
  /** Of the cluster; none for a node on its own, and where a cluster is in one place. */
  readonly centres?: readonly Centre[];
}

export interface StoreDirectory extends StoreInfo {
  /** Lets another process have the directory. */
  release(): Promise<void>;
}

/**
 * Takes the directory for this process and reads what it is, or makes it.
 *
 * @param shards - For a new directory; an existing one keeps its own.
 * @param secret - Of the installation, for a node of a cluster: a directory that has another belongs to another one.
 * @throws {StartupError} APP_STORE_HELD; APP_STORE_UNREADABLE.
 */
export async function openStoreDirectory(path: string, shards: number, secret?: string): Promise<StoreDirectory> {
  const directory = resolve(path);
  try {
    makePrivateDirectory(directory);
  } catch (error) {
    throw unreadable(directory, error);
  }
  const holder = await hold(directory);
  try {
    return { ...readInfo(directory, shards, secret), release: () => release(holder) };
  } catch (error) {
    await release(holder);
    throw error;
  }
}

export function shardDirectory(info: StoreInfo, shard: number): string {
  return join(info.directory, `shard-${String(shard).padStart(2, '0')}`);
}

export function mediaDirectory(info: StoreInfo): string {
  return join(info.directory, 'media');
}

export function stagingDirectory(info: StoreInfo): string {
  return join(info.directory, 'media-staged');
}

/** The partition of a phone number: keyed, so that the user ids drawn to fit it tell nothing about numbers but, in a cluster of several centres, which of them it lives in. */
export function partitionOfPhone(
  { secret, shards, centres = [] }: Omit<StoreInfo, 'directory'>,
  phone: string,
): number {
  const mac = createHmac('sha256', Buffer.from(secret, 'hex')).update(`phone\0${phone}`).digest();
  if (centres.length === 0) return mac.readUInt16BE(0) & (PARTITION_COUNT - 1);
  const range = shardsOfCentre(centreOfPhone(phone, centres), centres.length, shards);
  return partitionWithin(range, shards, mac.readUInt16BE(0), mac.readUInt16BE(2));
}

function readInfo(directory: string, shards: number, given: string | undefined): StoreInfo {
  const path = join(directory, 'store.json');
  let info: { version?: unknown; shards?: unknown; secret?: unknown };
  try {
    if (!existsSync(path)) {
      writeInfo(path, { version: STORE_VERSION, shards, secret: given ?? randomBytes(32).toString('hex') });
    }
    info = JSON.parse(readFileSync(path, 'utf8')) as typeof info;
  } catch (error) {
    throw unreadable(directory, error);
  }
  const { version, shards: stored, secret } = info;
  if (version !== STORE_VERSION || !Number.isInteger(stored) || typeof secret !== 'string') {
    throw unreadable(directory, new Error(`store.json is not of version ${STORE_VERSION}`));
  }
  if (given !== undefined && (secret !== given || stored !== shards)) {
    throw unreadable(directory, new Error('it belongs to another cluster: its secret or its number of shards differs'));
  }
  return { directory, shards: stored as number, secret };
}

/** Written beside and renamed, so that a crash leaves the old file or the new one. */
function writeInfo(path: string, info: object): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(info, null, 2)}\n`, { mode: 0o600, flush: true } as object);
  renameSync(`${path}.new`, path);
}

function unreadable(directory: string, cause: unknown): StartupError {
  return new StartupError('APP_STORE_UNREADABLE', `cannot use ${directory}: ${(cause as Error).message}`, { cause });
}

// --- holding the directory --------------------------------------------------------------------------------------

/** Listening is holding. */
async function hold(directory: string): Promise<Server> {
  const path = socketPath(directory);
  const server = await listenUnix(path, (socket) => void socket.destroy()).catch((error: Error) => {
    throw unreadable(directory, error);
  });
  if (server !== 'held') return server;
  throw new StartupError(
    'APP_STORE_HELD',
    `${directory} is held by another process; stop it or choose another with --data`,
  );
}

function socketPath(directory: string): string {
  const path = fitSocketPath(join(directory, 'holder.sock'));
  if (path !== undefined) return path;
  throw unreadable(directory, new Error(`its path has more than ${SOCKET_PATH_BYTES_MAX - 12} bytes`));
}

function release(holder: Server): Promise<void> {
  return new Promise((accept) => holder.close(() => accept()));
}
