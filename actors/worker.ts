/**
 * What one worker of a node runs: shards, media, tree and listener, opened in this order and closed in the other.
 *
 * Knows nothing of threads, so a test runs it on its own: `worker-main.ts` is the entry of a thread. The shards are
 * opened by `shards.ts`, the actors stand in `tree.ts`, and what the main thread may ask is in `run-questions.ts`.
 */

import { systemRandom, type Logger, type RuntimeNode } from '../runtime/index.ts';
import type { ReloadStep } from '../runtime/reload/index.ts';
import { castStartChild, startSupervisor } from '../supervisors/index.ts';
import { Admission } from './admission.ts';
import { workerQuestions } from './admin/questions.ts';
import { reportQuestions } from './admin/report-questions.ts';
import { storeQuestions } from './admin/store-questions.ts';
import { nonceSource } from './auth.ts';
import type { NodeConfig } from './config.ts';
import { readCrowding, watchCrowding } from './host/crowding.ts';
import { isStartupError, StartupError } from './errors.ts';
import { collectHeap, drawWait, watchRest, type RestSample } from './host/heap-rest.ts';
import { isHeapHigh } from './host/heap-watch.ts';
import { LIMITS } from './limits.ts';
import { Listener } from './listener.ts';
import { loopBusyMs } from './host/loop-use.ts';
import { moduleLogger } from './logger.ts';
import type { HttpApp } from './media/exchange.ts';
import { MediaHttp } from './media/http.ts';
import { observeWorker } from './metrics/observer.ts';
import { openMedia } from './media/open.ts';
import { WorkerShards, type ShardContext } from './shards.ts';
import { shardsOfWorker } from './partition.ts';
import { ResumeTickets } from './resume-ticket.ts';
import { openPush } from './push/settings.ts';
import { shardQuestions } from './nodes/shard-questions.ts';
import type { MemberEvent } from '../runtime/cluster/index.ts';
import { linkWorker, type WorkerLink } from './cluster/link.ts';
import { openWorkerReload, RELOAD_QUESTION } from './reload/open.ts';
import { createRoutes } from './routes.ts';
import { type StoreInfo } from './store-directory.ts';
import type { InboxStore } from './store/inbox-store.ts';
import { CONNECTIONS, workerTree } from './tree.ts';
import { collectStatistics, type WorkerStatistics } from './worker-statistics.ts';
import { admissionBounds, storeBounds, type StoreBounds } from './worker-bounds.ts';
import { runQuestions } from './run-questions.ts';
import { createLogVerifier } from './verifier.ts';
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
  /** Where traced messages are noted; absent without tracing. */
  readonly traces?: SharedArrayBuffer | undefined;
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
  const { config, store: info } = assignment;
  const link = await linkToCluster(node, assignment);
  const context = shardContext(node, assignment, link, onFatal);
  const { routes, push, bounds } = context;
  const shards = new WorkerShards(context);
  // In a cluster they come and go while the node runs.
  const parts = shards.openAll(link === undefined ? shardsOfWorker(node.worker, info.shards, config.workers) : []);
  const media = await openMedia(node, info, config.media, routes);
  const admission = createAdmission(node, config);
  const statistics = (): Promise<WorkerStatistics> => collectStatistics(node, shards.numbers, admission);
  let listener: Listener | undefined;
  const asked = { context, link, shards, admission, listener: () => listener };
  const questions = workerQuestions(node, statistics, questionsOf(asked));
  const connections = { routes, tickets: new ResumeTickets(info.secret), admission };
  const started = await startSupervisor(node, workerTree(parts, media.keeper, connections, questions));
  if ('error' in started)
    throw new StartupError('APP_STORE_UNREADABLE', `the tree did not start: ${JSON.stringify(started.error)}`);
  link?.join(shards.duties());
  const stopWatching = watchWorker(node, shards, bounds, admission);
  return {
    async listen() {
      await link?.untilServed(LIMITS.clusterReadyMsMax);
      // Not earlier: uWebSockets.js ties its handles to the thread's event loop, which then cannot just end.
      listener = createListener(node, assignment, media.http, admission);
      await listener.listen().catch((error: Error) => {
        throw new StartupError('APP_PORT_BUSY', error.message);
      });
    },
    statistics,
    applyMember: (event) => link?.apply(event),
    async stop() {
      stopWatching();
      const left = await link?.leave(LIMITS.clusterLeaveMsMax);
      if (left !== undefined && left > 0) node.log.warn('shards_not_handed_over', { count: left });
      await link?.resign();
      await stop(node, listener, () => media.settled(), shards.stores);
      push.close();
      await link?.close();
    },
  };
}

function shardContext(
  node: RuntimeNode,
  { config, store: info }: WorkerAssignment,
  link: WorkerLink | undefined,
  onFatal: (error: unknown) => void,
): ShardContext {
  return {
    node,
    info,
    routes: link?.routes ?? createRoutes(info, config.workers),
    verifier: createLogVerifier(node.log),
    push: openPush(config.push, { secret: info.secret, clock: node.clock, log: moduleLogger(node.log, 'push') }),
    bounds: storeBounds(config, info),
    onFatal,
  };
}

/** Whom operators may ask. */
interface Asked {
  readonly context: ShardContext;
  readonly link: WorkerLink | undefined;
  readonly shards: WorkerShards;
  readonly admission: Admission;
  readonly listener: () => Listener | undefined;
}

function questionsOf({ context, link, shards, admission, listener }: Asked): Parameters<typeof workerQuestions>[2] {
  const { node, info: store, routes, bounds } = context;
  const { numbers, stores } = shards;
  const reload = openWorkerReload(node);
  return {
    ...runQuestions({ node, admission, bounds, store, shards: numbers, stores, listener }),
    ...shardQuestions(link, admission),
    ...storeQuestions({ node, routes, shards: numbers, stores }),
    ...reportQuestions({ shards: numbers, stores }),
    [RELOAD_QUESTION]: (step: ReloadStep) => reload.take(step),
  };
}

/** Counts for metrics, and has the heap collected when the worker rests. Returns the end of both. */
function watchWorker(
  node: RuntimeNode,
  { numbers, stores }: WorkerShards,
  bounds: StoreBounds,
  admission: Admission,
): () => void {
  const crowding = watchCrowding(node.clock);
  const stopObserving = observeWorker({
    node,
    shards: numbers,
    stores,
    admission,
    queuedBytesMax: () => bounds.queuedBytesMax * numbers.length,
    tailBytes: () => stores.reduce((sum, { raw }) => sum + raw.tail.bytes, 0),
    isReadOnly: () => stores.some((each) => each.queuedBytesMax !== Infinity),
    isCrowded: () => crowding() > LIMITS.crowdedLoad,
  });
  const load = (): RestSample => {
    const { connections, comings } = admission.statistics();
    return { connections, comings, busyMs: loopBusyMs() };
  };
  const stopResting = watchRest(node.clock, load, collectHeap, () => drawWait(systemRandom, readCrowding()));
  return () => {
    stopObserving();
    stopResting();
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
