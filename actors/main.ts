/**
 * The main thread of a node: settings, store directory, port, workers; then it waits for a signal to stop.
 *
 * `runStart` is the verb `blindbeam start`. What serves is in `worker.ts`; the tree of it in `tree.ts`.
 */

import { readFileSync } from 'node:fs';
import { systemClock, type Logger } from '../runtime/index.ts';
import { openAdmin } from './admin/open.ts';
import { logVerb } from './admin/log-verb.ts';
import { runVerbs } from './admin/run-verbs.ts';
import { backUp, type BackupResult } from './backup.ts';
import { configOf, type NodeConfig, type TlsFiles } from './config.ts';
import { describeConfig } from './config-report.ts';
import { readSettings, type Environment, type Settings } from './config-sources.ts';
import { isStartupError, StartupError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { createLogger, type NodeLogger } from './logger.ts';
import { exposeMetrics } from './metrics/exposition.ts';
import { judgeLife } from './metrics/health.ts';
import { openMetrics, type MetricsServer } from './metrics/http.ts';
import { NodeControl } from './node-control.ts';
import { operateNode } from './nodes/open.ts';
import { claimPort } from './port.ts';
import { connectionsOfNode, Processes, readDescriptorLimit } from './processes.ts';
import { stopBundler } from './reload/bundle.ts';
import type { Coordinator } from './reload/coordinator.ts';
import { openCoordinator, watchSources } from './reload/open.ts';
import { reloadVerbs } from './reload/verbs.ts';
import { ServiceManager } from './service-manager.ts';
import { openStoreDirectory } from './store-directory.ts';
import { checkPair, type CertificateInfo } from './tls.ts';
import type { WorkerStatistics } from './worker.ts';
import { endAtOnce, Workers } from './workers.ts';

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

const HELP = `Usage: blindbeam start [options]

Starts one node with the embedded store and prints its address. Ctrl-C stops it; nothing that was acknowledged is lost.

  --watch                    for development: reload a behaviour when its source is saved

`;

/** Not a setting: how somebody works, not how a node is run. */
const WATCH_FLAG = '--watch';

/** Runs `blindbeam start` until a signal ends it. Resolves to the exit code. */
export async function runStart(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`${HELP}${describeConfig()}\n`);
    return 0;
  }
  const watches = argv.includes(WATCH_FLAG);
  const settings = argv.filter((word) => word !== WATCH_FLAG);
  const readAgain = (): Settings => readSettings(settings, process.env);
  try {
    const config = configOf(readAgain(), process.env);
    return await (config.processes > 1 ? runProcesses(config, argv) : runNode(readAgain, watches));
  } catch (error) {
    return reportFailure(error);
  }
}

/** Many nodes of this machine. This process watches them until a signal ends it. */
async function runProcesses(config: NodeConfig, argv: readonly string[]): Promise<number> {
  const { processes: count, port, data, connections, logFormat: format, logLevel: level } = config;
  if (port === 0 || port + count > LAST_PORT) {
    throw new StartupError('APP_CONFIG', `"port" expected the first of ${count} ports in a row, got ${port}.`);
  }
  const write = (line: string): void => void process.stdout.write(line);
  const log = createLogger({ format, level, modules: config.logModules, worker: 0, write });
  const descriptors = readDescriptorLimit();
  const each = connectionsOfNode(connections, descriptors);
  log.info('processes_starting', { processes: count, ports: `${port}-${port + count - 1}`, descriptors, each });
  const nodes = new Processes(
    { count, port, data, argv, connections },
    { log, write, command: [process.execPath, process.argv[1]!] },
  );
  nodes.start();
  for (const signal of ['SIGUSR2', 'SIGHUP'] as const) process.on(signal, () => nodes.signal(signal));
  void stopSignal().then(() => nodes.stop());
  return nodes.ended;
}

const LAST_PORT = 65_536;

function reportFailure(error: unknown): never {
  if (!isStartupError(error)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  // Workers that did start would keep the process alive; they have accepted nothing.
  process.exit(error.code === 'APP_CONFIG' ? 2 : 1);
}

async function runNode(readAgain: () => Settings, watches: boolean): Promise<number> {
  const settings = readAgain();
  const config = configOf(settings, process.env);
  const log = createLogger({
    format: config.logFormat,
    level: config.logLevel,
    modules: config.logModules,
    worker: 0,
    write: (line) => void process.stdout.write(line),
  });
  for (const warning of settings.warnings) log.warn('setting_unknown', { warning });
  const node = await startNode({ settings, config, environment: process.env, readAgain }, log);
  // Unheard, it would end the process by way of its threads, which uWebSockets.js aborts before the reason is told.
  process.on('uncaughtException', (error) => {
    log.error('main_crashed', { reason: error.stack ?? error.message });
    endAtOnce();
  });
  // Before anybody is told that the node is there: whoever waits for that may send a signal at once, and unheard it would end the node.
  process.on('SIGUSR2', () => void node.statistics().then((sums) => log.info('statistics', { ...sums })));
  process.on('SIGHUP', () => void reload(node.control, log));
  const stopping = stopSignal();
  announce(config, node, log);
  const manager = new ServiceManager({
    environment: process.env,
    clock: systemClock,
    log,
    isAlive: () => judgeLife(node.control.view()).ok,
  });
  await manager.ready(`listening on ${node.url}`);
  const watch = watches ? watchSources(node.reloads, systemClock, log) : undefined;
  const signal = await stopping;
  log.info('node_stopping', { signal });
  await watch?.close();
  node.control.resolveToEnd();
  await manager.stopping();
  const { drainRate, drainMs } = node.control.config;
  await node.control.depart(drainRate, drainMs, LIMITS.clusterLeaveMsMax);
  const statistics = await node.statistics();
  await node.stop();
  log.info('node_stopped', { ...statistics });
  return 0;
}

async function reload(control: NodeControl, log: Logger): Promise<void> {
  try {
    await control.reload();
  } catch (error) {
    log.error('settings_refused', { reason: (error as Error).message });
  }
}

function announce(config: NodeConfig, { url, metricsUrl }: RunningNode, log: Logger): void {
  const media = config.media.kind === 'disk' ? 'disk' : `s3://${config.media.bucket}`;
  log.info('node_started', {
    url,
    data: config.data,
    media,
    workers: config.workers,
    metrics: `${metricsUrl}/metrics`,
  });
  if (config.logFormat === 'json') return;
  process.stdout.write(
    `\n  Blindbeam is listening on ${url}\n${webChatLine(config, url)}  Chat: npx blindbeam chat --as +4915100000001 --url ${url}\n\n`,
  );
}

/** Where the page is. A node that listens on every address is reached on this machine's own. */
function webChatLine({ webChat, tls }: NodeConfig, url: string): string {
  if (!webChat) return '';
  const { host } = new URL(url);
  return `  Web chat: ${tls === undefined ? 'http' : 'https'}://${host.replace(/^0\.0\.0\.0/, '127.0.0.1')}/\n`;
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
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
 * Starts a node. What it took is given back if it cannot start.
 *
 * @throws {StartupError} (as rejection) APP_PORT_BUSY; APP_STORE_HELD; APP_STORE_UNREADABLE; APP_MEDIA_STORE; APP_CLUSTER;
 *   APP_CONFIG.
 */
export async function startNode(start: NodeStart, log: NodeLogger): Promise<RunningNode> {
  const { config } = start;
  const startedAtMs = systemClock.nowMs();
  const { cluster } = config;
  const certificate = config.tls === undefined ? undefined : readPair(config.tls, startedAtMs);
  const store = await openStoreDirectory(config.data, cluster?.shards ?? config.workers, cluster?.secret);
  let control: NodeControl | undefined;
  let metrics: MetricsServer | undefined;
  try {
    const port = await claimPort(config.host, config.port);
    metrics = await openMetrics({
      host: config.metricsHost,
      port: config.metricsPort,
      isPortGiven: config.isMetricsPortGiven,
      render: () => control?.render() ?? exposeMetrics([]),
      view: () => control?.view() ?? { phase: 'starting', nowMs: systemClock.nowMs(), threads: [] },
    });
    const { directory, shards, secret } = store;
    const url = `${config.tls === undefined ? 'ws' : 'wss'}://${config.host}:${port}/ws`;
    const life = Math.floor(startedAtMs);
    const release = packageVersion();
    const workers = await Workers.start({ config, store: { directory, shards, secret }, port, life, release }, log);
    const running = new NodeControl(Object.assign({ workers, log }, start), certificate);
    control = running;
    const facts = { name: workers.node.name, url, data: directory, startedAtMs, version: release };
    const reloads = openCoordinator({ workers, directory, clock: systemClock, log });
    const info = { directory, shards, secret, isClustered: config.cluster !== undefined };
    const backUpTo = (path: string): Promise<BackupResult> => backUp(workers, info, path, release);
    const operated = operateNode({
      workers,
      control: running,
      facts,
      config,
      end: () => process.kill(process.pid, 'SIGTERM'),
    });
    const verbs = [
      ...runVerbs(running, backUpTo),
      logVerb(running),
      ...reloadVerbs(reloads, operated.reloads(reloads)),
      ...operated.verbs,
    ];
    const admin = await openAdmin({
      workers,
      facts,
      socket: config.adminSocket,
      console: config.console,
      log,
      verbs,
    });
    await operated.answerOthers(admin.desk);
    const { url: metricsUrl } = metrics;
    return {
      url,
      metricsUrl,
      control: running,
      reloads,
      statistics: () => workers.statistics(),
      async stop() {
        running.stop();
        await admin.close();
        await stopBundler();
        await workers.stop();
        await metrics?.close();
        await store.release();
      },
    };
  } catch (error) {
    await metrics?.close();
    await store.release();
    throw error;
  }
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
