/**
 * Starts a node, step by step, on its main thread: store directory, port, metrics, workers, and then its operators. Whatever it has taken goes
 * back in reverse order when a step fails, and when the node is stopped.
 *
 * What a node is told and by what signals it ends is `main.ts`'s; what serves is in `worker.ts`.
 */

import { readFileSync } from 'node:fs';
import { systemClock, systemRandom } from '../runtime/index.ts';
import { openAdmin, type OpenAdmin } from './admin/open.ts';
import { logVerb } from './admin/log-verb.ts';
import { runVerbs } from './admin/run-verbs.ts';
import type { NodeFacts } from './admin/status.ts';
import { backUp, type BackupResult } from './backup.ts';
import { Belongings } from './belongings.ts';
import type { NodeConfig, TlsFiles } from './config.ts';
import type { Environment, Settings } from './config/sources.ts';
import { StartupError } from './errors.ts';
import { claimPort } from './host/port.ts';
import type { NodeLogger } from './logger.ts';
import { Exposition } from './metrics/exposition.ts';
import { openMetrics, type MetricsServer } from './metrics/http.ts';
import { NodeControl } from './node-control.ts';
import { operateNode } from './nodes/open.ts';
import { stopBundler } from './reload/bundle.ts';
import type { Coordinator } from './reload/coordinator.ts';
import { openCoordinator } from './reload/open.ts';
import { reloadVerbs } from './reload/verbs.ts';
import { openStoreDirectory, type StoreDirectory } from './store-directory.ts';
import { checkPair, type CertificateInfo } from './tls.ts';
import { postTo } from './tracing/http-post.ts';
import { processMicros } from './tracing/process-clock.ts';
import { Tracer } from './tracing/tracer.ts';
import type { WorkerStatistics } from './worker-statistics.ts';
import { Workers } from './workers.ts';

/** A running node. */
export interface RunningNode {
  readonly url: string;
  /** Where metrics and health checks are: `http://127.0.0.1:9464`. */
  readonly metricsUrl: string;
  readonly control: NodeControl;
  readonly reloads: Coordinator;
  statistics(): Promise<WorkerStatistics>;
  stop(): Promise<void>;
}

/** What a node starts with. */
export interface NodeStart {
  readonly settings: Settings;
  readonly config: NodeConfig;
  readonly environment: Environment;
  /** Reads the settings again, for a reload. */
  readonly readAgain: () => Settings;
}

/**
 * Starts a node. If it cannot, what had begun ends again, the last first: the listeners before their threads, since an exit around open
 * sockets is an abort. Only workers that refused to start are left to the end of the process; they have accepted nothing.
 *
 * @throws {StartupError} (as rejection) APP_PORT_BUSY; APP_STORE_HELD; APP_STORE_UNREADABLE; APP_MEDIA_STORE; APP_CLUSTER;
 *   APP_ADMIN_SOCKET; APP_CONFIG.
 */
export async function startNode(start: NodeStart, log: NodeLogger): Promise<RunningNode> {
  const belongings = new Belongings();
  try {
    return await assemble(start, belongings, log);
  } catch (error) {
    await belongings.giveBack().catch((failure: unknown) => log.error('start_not_undone', { reason: String(failure) }));
    throw error;
  }
}

async function assemble(start: NodeStart, belongings: Belongings, log: NodeLogger): Promise<RunningNode> {
  const { config } = start;
  const startedAtMs = systemClock.nowMs();
  const release = packageVersion();
  const certificate = config.tls === undefined ? undefined : readPair(config.tls, startedAtMs);
  const store = await openStoreDirectory(config.data, config.cluster?.shards ?? config.workers, config.cluster?.secret);
  belongings.add(() => store.release());
  const port = await claimPort(config.host, config.port);
  let control: NodeControl | undefined;
  const metrics = await openMetricsOf(config, () => control);
  belongings.add(() => metrics.close());
  const tracer = startTracer(config, release, log);
  if (tracer !== undefined) belongings.add(() => tracer.close());
  const { directory, shards, secret } = store;
  const centres = config.cluster?.centres ?? [];
  const assignment = {
    config,
    store: { directory, shards, secret, centres },
    port,
    life: Math.floor(startedAtMs),
    release,
  };
  const workers = await Workers.start(Object.assign({ traces: tracer?.memory }, assignment), log);
  belongings.add(() => workers.stop());
  const running = new NodeControl(Object.assign({ workers, tracer, log }, start), certificate);
  control = running;
  belongings.add(() => running.stop());
  const reloads = openCoordinator({ workers, directory, clock: systemClock, log });
  belongings.add(() => stopBundler());
  const url = `${config.tls === undefined ? 'ws' : 'wss'}://${config.host}:${port}/ws`;
  const facts = { name: workers.node.name, url, data: directory, startedAtMs, version: release };
  const admin = await openToOperators({ config, workers, control: running, reloads, store, facts, log });
  belongings.add(() => admin.close());
  await admin.answerOthers();
  return {
    url,
    metricsUrl: metrics.url,
    control: running,
    reloads,
    statistics: () => workers.statistics(),
    stop: () => belongings.giveBack(),
  };
}

/** Scrapes and probes are answered from here on, as of a node that is starting until there is one. */
function openMetricsOf(config: NodeConfig, control: () => NodeControl | undefined): Promise<MetricsServer> {
  return openMetrics({
    host: config.metricsHost,
    port: config.metricsPort,
    isPortGiven: config.isMetricsPortGiven,
    render: () => control()?.render() ?? new Exposition([]).render(),
    view: () => control()?.view() ?? { phase: 'starting', nowMs: systemClock.nowMs(), threads: [] },
  });
}

interface OperatedParts {
  readonly config: NodeConfig;
  readonly workers: Workers;
  readonly control: NodeControl;
  readonly reloads: Coordinator;
  readonly store: StoreDirectory;
  readonly facts: NodeFacts;
  readonly log: NodeLogger;
}

/** Socket and page of the node's operators; `answerOthers`: those of the cluster are answered as well. */
async function openToOperators(
  parts: OperatedParts,
): Promise<Pick<OpenAdmin, 'close'> & { readonly answerOthers: () => Promise<void> }> {
  const { config, workers, control, reloads, store, facts, log } = parts;
  const { directory, shards, secret } = store;
  const info = { directory, shards, secret, isClustered: config.cluster !== undefined };
  const backUpTo = (path: string): Promise<BackupResult> => backUp(workers, info, path, facts.version);
  const end = (): void => void process.kill(process.pid, 'SIGTERM');
  const operated = operateNode({ workers, control, facts, config, end });
  const verbs = [
    ...runVerbs(control, backUpTo),
    logVerb(control),
    ...reloadVerbs(reloads, operated.reloads(reloads)),
    ...operated.verbs,
  ];
  const { adminSocket: socket, console } = config;
  const admin = await openAdmin({ workers, facts, socket, console, log, verbs });
  return { close: () => admin.close(), answerOthers: () => operated.answerOthers(admin.desk) };
}

/** Where nobody asked for traces, nothing of it is there. */
function startTracer({ tracing, cluster }: NodeConfig, release: string, log: NodeLogger): Tracer | undefined {
  if (tracing === undefined) return undefined;
  return new Tracer({
    sample: tracing.sample,
    post: postTo(tracing.url, tracing.headers),
    node: cluster?.node ?? 'blindbeam',
    release,
    clock: systemClock,
    nowUs: processMicros,
    random: systemRandom,
    log,
  });
}

function readPair(files: TlsFiles, nowMs: number): CertificateInfo {
  const found = checkPair(files, nowMs);
  if ('problem' in found) throw new StartupError('APP_CONFIG', `"tls-certificate": ${found.problem}.`);
  return found;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
