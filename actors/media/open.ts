/**
 * Opens media on a worker: the store of files, the door of uploads and downloads, and what their keeper works with.
 */

import { systemRandom, type Pid, type RuntimeNode } from '../../runtime/index.ts';
import { withSecretFiles } from '../config/secret-files.ts';
import { isStartupError, StartupError } from '../errors.ts';
import { moduleLogger } from '../logger.ts';
import type { MediaMessage } from '../messages.ts';
import type { RemoteName, Routes } from '../routes.ts';
import { mediaDirectory, stagingDirectory, type StoreInfo } from '../store-directory.ts';
import { readCredentials, type MediaAddress, type S3Address } from './address.ts';
import { openDiskStore } from './disk-store.ts';
import { MediaHttp } from './http.ts';
import type { KeeperArgs } from './keeper.ts';
import type { MediaStore } from './media-store.ts';
import { QuotaFile } from './quota-file.ts';
import { isFailure } from './s3-client.ts';
import { openS3Store } from './s3-store.ts';
import { ticketKey } from './ticket.ts';

/** Media of one worker. */
export interface WorkerMedia {
  readonly http: MediaHttp;
  readonly keeper: KeeperArgs;
  /** Resolves when nothing of it is on its way to the disk. */
  settled(): Promise<unknown>;
}

/** @throws {StartupError} (as rejection) APP_STORE_UNREADABLE; APP_MEDIA_STORE; APP_CONFIG. */
export async function openMedia(
  node: RuntimeNode,
  info: StoreInfo,
  address: MediaAddress,
  routes: Routes,
): Promise<WorkerMedia> {
  const store = await openStore(node, info, address);
  const log = moduleLogger(node.log, 'media');
  const http = new MediaHttp({ store, ticketKey: ticketKey(info.secret), nowMs: () => node.clock.nowMs(), log });
  const quotas = new QuotaFile({ directory: info.directory, worker: node.worker, log });
  return {
    http,
    keeper: keeperArgs(node, info, routes, store, quotas),
    settled: () => Promise.all([http.settled(), quotas.settled()]),
  };
}

/** Every worker uses the whole of it; the first one, before anybody listens, mends what a killed process left. */
async function openStore(node: RuntimeNode, store: StoreInfo, address: MediaAddress): Promise<MediaStore> {
  const directory = mediaDirectory(store);
  try {
    const media = await (address.kind === 'disk'
      ? openDiskStore({ directory })
      : openObjectStore(node, address, stagingDirectory(store)));
    if (node.worker <= 1) await media.clearLocks();
    return media;
  } catch (error) {
    if (isStartupError(error)) throw error;
    throw new StartupError('APP_STORE_UNREADABLE', `cannot open ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function openObjectStore(node: RuntimeNode, address: S3Address, directory: string): Promise<MediaStore> {
  const { clock, log } = node;
  const credentials = readCredentials(withSecretFiles(process.env));
  if ('problem' in credentials) throw new StartupError('APP_CONFIG', `"media" ${credentials.problem}.`);
  const opened = await openS3Store({ address, credentials, directory, clock, random: systemRandom, log });
  if (!isFailure(opened)) return opened;
  const { bucket, endpoint } = address;
  throw new StartupError('APP_MEDIA_STORE', `the bucket ${bucket} at ${endpoint} cannot be used: ${opened.code}`);
}

/** Tickets on each worker, for the accounts of its shards; the sweep, which looks at the whole of media, on one. */
function keeperArgs(
  node: RuntimeNode,
  store: StoreInfo,
  routes: Routes,
  media: MediaStore,
  quotas: QuotaFile,
): KeeperArgs {
  const tell = (self: Pid, message: MediaMessage): void => void node.cast(self, message);
  const sweep = (self: Pid): void => {
    media.sweep(node.clock.nowMs()).then(
      (report) => tell(self, { kind: 'swept', ...report }),
      (error: NodeJS.ErrnoException) => {
        node.log.error('media_sweep_failed', { reason: error.code ?? error.name });
        tell(self, { kind: 'swept', removed: 0, done: true });
      },
    );
  };
  return {
    ticketKey: ticketKey(store.secret),
    sweep: node.worker <= 1 ? sweep : undefined,
    // Of the others the keepers of other workers know better.
    loadQuotas: () => quotas.load().filter(({ user }) => isHere(routes.mediaOf(user), node)),
    saveQuotas: (saved) => quotas.save(saved),
  };
}

function isHere(address: RemoteName, node: RuntimeNode): boolean {
  return address.worker === node.worker && (address.node ?? node.name) === node.name;
}
