/**
 * What one worker thread of a node runs: its shards, its supervision tree, its listener. Knows no threads itself, so a
 * test can run it on the main one; `worker-main.ts` is the entry of a thread.
 */

import { getHeapStatistics } from 'node:v8';
import { systemRandom, type Logger, type Pid, type RuntimeNode } from '../runtime/index.ts';
import type { ReloadStep } from '../runtime/reload/index.ts';
import { castStartChild, startSupervisor } from '../supervisors/index.ts';
import { Admission } from './admission.ts';
import { workerQuestions } from './admin/questions.ts';
import { reportQuestions } from './admin/report-questions.ts';
import { storeQuestions } from './admin/store-questions.ts';
import { nonceSource } from './auth.ts';
import { Committer } from './committer.ts';
import type { NodeConfig } from './config.ts';
import { readCrowding, watchCrowding } from './crowding.ts';
import { isStartupError, StartupError } from './errors.ts';
import { collectHeap, drawWait, watchRest, type RestSample } from './heap-rest.ts';
import { isHeapHigh } from './heap-watch.ts';
import type { InboxStatistics } from './inbox.ts';
import { LIMITS } from './limits.ts';
import { Listener } from './listener.ts';
import { loopBusyMs } from './loop-use.ts';
import { readCredentials, type MediaAddress, type S3Address } from './media/address.ts';
import { moduleLogger } from './logger.ts';
import { openDiskStore } from './media/disk-store.ts';
import type { HttpApp } from './media/exchange.ts';
import { MediaHttp } from './media/http.ts';
import type { KeeperArgs } from './media/keeper.ts';
import type { MediaStore } from './media/media-store.ts';
import { QuotaFile } from './media/quota-file.ts';
import { isFailure } from './media/s3-client.ts';
import { openS3Store } from './media/s3-store.ts';
import { ticketKey } from './media/ticket.ts';
import type { MediaMessage, WakeupsMessage } from './messages.ts';
import { timedCommits } from './metrics/commits.ts';
import { observeWorker } from './metrics/observer.ts';
import { gauge, add } from './metrics/meter.ts';
import { shardsOfWorker } from './partition.ts';
import type { PresenceStatistics } from './presence.ts';
import { ResumeTickets } from './resume-ticket.ts';
import { openPush, type Push } from './push/settings.ts';
import { shardQuestions } from './nodes/shard-questions.ts';
import type { MemberEvent } from '../runtime/cluster/index.ts';
import { linkWorker, type WorkerLink } from './cluster/link.ts';
import { openWorkerReload, RELOAD_QUESTION } from './reload/open.ts';
import { createRoutes, inboxName, presenceName, type RemoteName, type Routes, wakeupsName } from './routes.ts';
import { withSecretFiles } from './secret-files.ts';
import {
  mediaDirectory,
  partitionOfPhone,
  shardDirectory,
  stagingDirectory,
  type StoreInfo,
} from './store-directory.ts';
import type { InboxStore } from './store/inbox-store.ts';
import { openLmdbStore, type ReplicaStore } from './store/lmdb.ts';
import { CONNECTIONS, startShard, workerTree, type ShardParts } from './tree.ts';
import type { WakeupsArgs } from './wakeups.ts';
import { admissionBounds, storeBounds, type StoreBounds } from './worker-bounds.ts';
import { runQuestions } from './run-questions.ts';
import { createLogVerifier, type Verifier } from './verifier.ts';
import { WebChat } from './web-chat.ts';

/** What a worker is told by the main thread. Plain data. */
export interface WorkerAssignment {
  readonly config: NodeConfig;
  readonly store: StoreInfo;
  /** The port that all workers share; never 0. */
  readonly port: number;
  /** Which life of this node; see `ClusterSeat`. */
  readonly life: number;
  /** Version of the program. */
  readonly release: string;
  /** Where each thread counts, by its number: 0 is the main thread. */
  readonly meters?: readonly SharedArrayBuffer[];
}

/** Sums over the shards of a worker. */
export interface WorkerStatistics {
  readonly commits: number;
  readonly committedMessages: number;
  readonly queuedBytes: number;
  readonly connections: number;
  /** Logins by ticket that are taken in a second, as measured. */
  readonly loginsPerSecond: number;
  /** Connections and logins that were told to come back later. */
  readonly deferred: number;
  /** Presence and typing that were dropped, refused or put off. */
  readonly presenceShed: number;
  /** What the objects in the heap of V8 take, garbage included. */
  readonly heapBytes: number;
}

/** A worker whose shards are open and whose tree runs. */
export interface Serving {
  /** Lets clients in. @throws {StartupError} (as rejection) APP_PORT_BUSY. */
  listen(): Promise<void>;
  statistics(): Promise<WorkerStatistics>;
  /** Takes in what the main thread has heard of other nodes. */
  applyMember(event: MemberEvent): void;
  /** Closes the sockets, stops the tree, closes the store: in this order, so that nothing is accepted in between. */
  stop(): Promise<void>;
}

/**
 * Opens the shards of this worker and starts its tree. Nobody is let in before `listen`, which the main thread asks for
 * when every worker is this far: a client may need a shard of any of them.
 *
 * @param onFatal - The disk failed a commit: the process must end.
 * @throws {StartupError} (as rejection) APP_STORE_UNREADABLE; APP_MEDIA_STORE; APP_CLUSTER, APP_CLUSTER_*.
 */
export async function startServing(
  node: RuntimeNode,
  assignment: WorkerAssignment,
  onFatal: (error: unknown) => void,
): Promise<Serving> {
  const { config, store } = assignment;
  const link = await linkToCluster(node, assignment);
  const routes = link?.routes ?? createRoutes(store, config.workers);
  // In a cluster these change while the node runs: shards are given and taken.
  const shards = link === undefined ? shardsOfWorker(node.worker, store.shards, config.workers) : [];
  const stores = shards.map((shard) => openShard(store, shard, onFatal));
  const verifier = createLogVerifier(node.log);
  const push = openPush(config.push, { secret: store.secret, clock: node.clock, log: moduleLogger(node.log, 'push') });
  const bounds = storeBounds(config, store);
  const outside = { verifier, push, bounds };
  const parts = shards.map((shard, index) => shardParts(shard, stores[index]!, node, assignment, routes, outside));
  const media = await openMedia(node, store, config.media);
  const http = new MediaHttp({
    store: media,
    ticketKey: ticketKey(store.secret),
    nowMs: () => node.clock.nowMs(),
    log: moduleLogger(node.log, 'media'),
  });
  const quotas = new QuotaFile({
    directory: store.directory,
    worker: node.worker,
    log: moduleLogger(node.log, 'media'),
  });
  const keeper = keeperArgs(node, store, routes, media, quotas);
  const admission = createAdmission(node, config);
  const connections = { routes, tickets: new ResumeTickets(store.secret), admission };
  const statistics = (): Promise<WorkerStatistics> => collect(node, shards, admission);
  const reload = openWorkerReload(node);
  let listener: Listener | undefined;
  const questions = workerQuestions(node, statistics, {
    ...runQuestions({ node, admission, bounds, store, shards, stores, listener: () => listener }),
    ...shardQuestions(link, admission),
    ...storeQuestions({ node, routes, shards, stores }),
    ...reportQuestions({ shards, stores }),
    [RELOAD_QUESTION]: (step: ReloadStep) => reload.take(step),
  });
  const started = await startSupervisor(node, workerTree(parts, keeper, connections, questions));
  if ('error' in started)
    throw new StartupError('APP_STORE_UNREADABLE', `the tree did not start: ${JSON.stringify(started.error)}`);
  link?.join({
    open: (shard) => openShard(store, shard, onFatal),
    serve: async (shard, opened, isCutOff) => {
      const part = shardParts(shard, opened, node, assignment, routes, outside, isCutOff);
      const served = await startShard(node, part);
      shards.push(shard);
      stores.push(opened);
      return {
        stop() {
          shards.splice(shards.indexOf(shard), 1);
          stores.splice(stores.indexOf(opened), 1);
          return served.stop();
        },
      };
    },
  });
  const stopObserving = observeWorker({
    node,
    shards,
    stores,
    admission,
    queuedBytesMax: () => bounds.queuedBytesMax * shards.length,
    isReadOnly: () => stores.some((each) => each.queuedBytesMax !== Infinity),
  });
  const load = (): RestSample => {
    const { connections, comings } = admission.statistics();
    return { connections, comings, busyMs: loopBusyMs() };
  };
  const stopResting = watchRest(node.clock, load, collectHeap, () => drawWait(systemRandom, readCrowding()));
  return {
    async listen() {
      await link?.untilServed(LIMITS.clusterReadyMsMax);
      // Not earlier: uWebSockets.js ties its handles to the thread's event loop, which then cannot just end.
      listener = createListener(node, assignment, http, admission);
      await listener.listen().catch((error: Error) => {
        throw new StartupError('APP_PORT_BUSY', error.message);
      });
    },
    statistics,
    applyMember: (event) => link?.apply(event),
    async stop() {
      stopObserving();
      stopResting();
      const left = await link?.leave(LIMITS.clusterLeaveMsMax);
      if (left !== undefined && left > 0) node.log.warn('shards_not_handed_over', { count: left });
      await link?.resign();
      await stop(node, listener, () => Promise.all([http.settled(), quotas.settled()]), stores);
      push.close();
      await link?.close();
    },
  };
}

async function linkToCluster(node: RuntimeNode, assignment: WorkerAssignment): Promise<WorkerLink | undefined> {
  const { config, store, life } = assignment;
  const { cluster } = config;
  if (cluster === undefined) return undefined;
  return linkWorker(node, cluster, { cluster: cluster.name, life }, store, config.workers).catch((error: Error) => {
    throw isStartupError(error) ? error : new StartupError('APP_CLUSTER', error.message);
  });
}

/** Every worker uses the whole of it; the first one, before anybody listens, mends what a killed process left. */
async function openMedia(node: RuntimeNode, store: StoreInfo, address: MediaAddress): Promise<MediaStore> {
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

function openShard(store: StoreInfo, shard: number, onFatal: (error: unknown) => void): ReplicaStore {
  const directory = shardDirectory(store, shard);
  try {
    return openLmdbStore({ directory, onFatal });
  } catch (error) {
    throw new StartupError('APP_STORE_UNREADABLE', `cannot open ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** What the shards of a worker have in common. */
interface Outside {
  readonly verifier: Verifier;
  readonly push: Push;
  readonly bounds: StoreBounds;
}

/** Binds the actors of a shard to its store: the promises of the world become messages here. */
function shardParts(
  shard: number,
  store: InboxStore,
  node: RuntimeNode,
  { store: info }: WorkerAssignment,
  routes: Routes,
  { verifier, push, bounds }: Outside,
  isCutOff?: () => boolean,
): ShardParts {
  const { inboxOf, presenceOf, linksOf } = routes;
  const load = { queuedCount: 0 };
  const crowding = watchCrowding(node.clock);
  // One for each actor: what its former life has under way is of no concern to the others.
  const timed = timedCommits(store, node.clock);
  const tell: ConstructorParameters<typeof Committer>[1] = (self, message) => void node.cast(self, message);
  const committer = (): Committer => new Committer(timed, tell, isCutOff);
  return {
    shard,
    inbox: {
      store,
      load,
      inboxOf,
      groupsOf: routes.groupsOf,
      wakeups: push.providers.size > 0 ? { name: wakeupsName(shard), worker: node.worker } : undefined,
      get queuedBytesMax() {
        return bounds.queuedBytesMax;
      },
      isCrowded: () => crowding() > LIMITS.crowdedLoad,
      committer: committer(),
    },
    wakeups: wakeupsArgs(store, committer(), node, push),
    relations: {
      store,
      inboxOf,
      presenceOf,
      committer: committer(),
    },
    accounts: {
      store,
      inboxOf,
      linksOf,
      partitionOfPhone: (phone) => partitionOfPhone(info.secret, phone),
      committer: committer(),
      sendCode: (self, ticket, phone, code) => {
        const done = (ok: boolean) => (): void => void node.cast(self, { kind: 'code-sent', ticket, ok });
        verifier.send(phone, code).then(done(true), done(false));
      },
    },
    groups: {
      store,
      inboxOf,
      get queuedBytesMax() {
        return bounds.queuedBytesMax;
      },
      committer: committer(),
    },
    presence: {
      store,
      presenceOf,
      committer: committer(),
      isBusy: () => load.queuedCount > LIMITS.presenceShedQueueCount,
    },
  };
}

function wakeupsArgs(
  store: InboxStore,
  committer: Committer,
  node: RuntimeNode,
  { providers, vapidPublicKey }: Push,
): WakeupsArgs {
  const tell = (self: Pid, message: WakeupsMessage): void => void node.cast(self, message);
  return {
    store,
    vapidPublicKey,
    accepts: (registration) => providers.get(registration.platform)?.accepts(registration) ?? false,
    wake: (self, address, registration) => {
      const sent = providers.get(registration.platform)?.wake(registration);
      const refused = { kind: 'failed', reason: 'no provider' } as const;
      void (sent ?? Promise.resolve(refused)).then((outcome) => {
        add(gauge('blindbeam_wake_ups_total', { platform: registration.platform, outcome: outcome.kind }));
        tell(self, { kind: 'woken', ...address, outcome, registration });
      });
    },
    committer,
  };
}

function createAdmission(node: RuntimeNode, config: NodeConfig): Admission {
  return new Admission(
    {
      monotonicMs: () => node.clock.monotonicMs(),
      busyMs: loopBusyMs,
      isMemoryLow: isHeapHigh,
      integer: (bound) => systemRandom.integer(bound),
    },
    admissionBounds(config),
  );
}

function createListener(
  node: RuntimeNode,
  { config, port }: WorkerAssignment,
  http: MediaHttp,
  admission: Admission,
): Listener {
  const listener = new Listener({
    host: config.host,
    port,
    tls: config.tls,
    log: moduleLogger(node.log, 'listener'),
    clock: node.clock,
    admission,
    behindProxy: config.proxy,
    drawNonce: nonceSource((length) => systemRandom.bytes(length)),
    onOpen: (socket, challenge) => castStartChild(node, CONNECTIONS, { socket, challenge }),
    bindHttp(app) {
      http.bind(app);
      if (config.webChat) bindWebChat(app, node.log);
    },
    cast: (pid, message) => node.cast(pid, message),
  });
  node.onTurnEnd(() => listener.flush());
  return listener;
}

/** A node without the page is a node all the same: it says so, and goes on. */
function bindWebChat(app: HttpApp, log: Logger): void {
  const page = WebChat.load();
  if (page === undefined) log.warn('web_chat_not_built', { advice: 'npm run build' });
  else page.bind(app);
}

async function collect(node: RuntimeNode, shards: readonly number[], admission: Admission): Promise<WorkerStatistics> {
  const calls = shards.map((shard) => node.call<InboxStatistics>(inboxName(shard), 'statistics', LIMITS.callTimeoutMs));
  const presences = shards.map((shard) =>
    node.call<PresenceStatistics>(presenceName(shard), 'statistics', LIMITS.callTimeoutMs),
  );
  const { used_heap_size: heapBytes } = getHeapStatistics();
  const sum = {
    commits: 0,
    committedMessages: 0,
    queuedBytes: 0,
    presenceShed: 0,
    heapBytes,
    ...admission.statistics(),
  };
  for (const each of await Promise.all(calls)) {
    sum.commits += each.commits;
    sum.committedMessages += each.committedMessages;
    sum.queuedBytes += each.queuedBytes;
  }
  for (const { shed } of await Promise.all(presences)) sum.presenceShed += shed;
  return sum;
}

async function stop(
  node: RuntimeNode,
  listener: Listener | undefined,
  mediaSettled: () => Promise<unknown>,
  stores: readonly InboxStore[],
): Promise<void> {
  listener?.stopListening();
  await node.stop();
  listener?.close();
  await mediaSettled();
  await Promise.all(stores.map((store) => store.close()));
}
