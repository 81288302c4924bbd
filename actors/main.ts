/**
 * The process of a node: settings, log, signals. It starts a node, tells that it is there, and waits for a signal to stop it.
 *
 * `runStart` is the verb `blindbeam start`. Read next: `node-start.ts`, what a node is made of on its main thread; `worker.ts`, what serves;
 * `tree.ts`, the tree of it.
 */

import { availableParallelism } from 'node:os';
import { systemClock, type Logger } from '../runtime/index.ts';
import { configOf, type NodeConfig } from './config.ts';
import { describeConfig } from './config/report.ts';
import { readSettings, type Settings } from './config/sources.ts';
import { isStartupError, StartupError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { createLogger } from './logger.ts';
import { judgeLife } from './metrics/health.ts';
import type { NodeControl } from './node-control.ts';
import { startNode, type RunningNode } from './node-start.ts';
import { connectionsOfNode, flagsOfNodes, Processes, readDescriptorLimit } from './host/processes.ts';
import { watchSources } from './reload/open.ts';
import { ServiceManager } from './host/service-manager.ts';
import { endAtOnce } from './workers.ts';

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
    { log, write, command: [process.execPath, ...flagsOfNodes(count, availableParallelism()), process.argv[1]!] },
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
