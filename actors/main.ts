/**
 * The main thread of a node: settings, store directory, port, workers; then it waits for a signal to stop.
 *
 * `runStart` is the verb `blindbeam start`. What serves is in `worker.ts`; the tree of it in `tree.ts`.
 */

import { readFileSync } from 'node:fs';
import { systemClock, type Logger } from '../runtime/index.ts';
import { openAdmin } from './admin/open.ts';
import { readConfig, type NodeConfig } from './config.ts';
import { describeConfig } from './config-report.ts';
import { isStartupError } from './errors.ts';
import { createLogger } from './logger.ts';
import { claimPort } from './port.ts';
import { openStoreDirectory } from './store-directory.ts';
import type { WorkerStatistics } from './worker.ts';
import { endAtOnce, Workers } from './workers.ts';

/** A running node. */
export interface RunningNode {
  readonly url: string;
  statistics(): Promise<WorkerStatistics>;
  stop(): Promise<void>;
}

const HELP = `Usage: blindbeam start [options]

Starts one node with the embedded store and prints its address. Ctrl-C stops it; nothing that was acknowledged is lost.

`;

/** Runs `blindbeam start` until a signal ends it. Resolves to the exit code. */
export async function runStart(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`${HELP}${describeConfig()}\n`);
    return 0;
  }
  try {
    const config = readConfig(argv, process.env);
    return await runNode(config);
  } catch (error) {
    return reportFailure(error);
  }
}

function reportFailure(error: unknown): never {
  if (!isStartupError(error)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  // Workers that did start would keep the process alive; they have accepted nothing.
  process.exit(error.code === 'APP_CONFIG' ? 2 : 1);
}

async function runNode(config: NodeConfig): Promise<number> {
  const log = createLogger({
    format: config.logFormat,
    level: config.logLevel,
    worker: 0,
    write: (line) => void process.stdout.write(line),
  });
  const node = await startNode(config, log);
  // Unheard, it would end the process by way of its threads, which uWebSockets.js aborts before the reason is told.
  process.on('uncaughtException', (error) => {
    log.error('main_crashed', { reason: error.stack ?? error.message });
    endAtOnce();
  });
  announce(config, node.url, log);
  process.on('SIGUSR2', () => void node.statistics().then((sums) => log.info('statistics', { ...sums })));
  const signal = await stopSignal();
  log.info('node_stopping', { signal });
  const statistics = await node.statistics();
  await node.stop();
  log.info('node_stopped', { ...statistics });
  return 0;
}

function announce(config: NodeConfig, url: string, log: Logger): void {
  const media = config.media.kind === 'disk' ? 'disk' : `s3://${config.media.bucket}`;
  log.info('node_started', { url, data: config.data, media, workers: config.workers });
  if (config.logFormat === 'json') return;
  process.stdout.write(
    `\n  Blindbeam is listening on ${url}\n  Chat: npx blindbeam chat --as +4915100000001 --url ${url}\n\n`,
  );
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}

/**
 * Starts a node. What it took is given back if it cannot start.
 *
 * @throws {StartupError} (as rejection) APP_PORT_BUSY; APP_STORE_HELD; APP_STORE_UNREADABLE; APP_MEDIA_STORE; APP_CLUSTER;
 *   APP_CONFIG.
 */
export async function startNode(config: NodeConfig, log: Logger): Promise<RunningNode> {
  const startedAtMs = systemClock.nowMs();
  const { cluster } = config;
  const store = await openStoreDirectory(config.data, cluster?.shards ?? config.workers, cluster?.secret);
  try {
    const port = await claimPort(config.host, config.port);
    const { directory, shards, secret } = store;
    const url = `ws://${config.host}:${port}/ws`;
    const life = Math.floor(startedAtMs);
    const workers = await Workers.start({ config, store: { directory, shards, secret }, port, life }, log);
    const facts = { name: workers.node.name, url, data: directory, startedAtMs, version: packageVersion() };
    const admin = await openAdmin({ workers, facts, socket: config.adminSocket, log });
    return {
      url,
      statistics: () => workers.statistics(),
      async stop() {
        await admin.close();
        await workers.stop();
        await store.release();
      },
    };
  } catch (error) {
    await store.release();
    throw error;
  }
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
