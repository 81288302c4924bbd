/**
 * The entry of a worker thread: joins the node, serves, and stops in order. Everything else is in `worker.ts`.
 */

import { joinWorkers, systemClock } from '../runtime/index.ts';
import { isStartupError } from './errors.ts';
import { watchHeap } from './host/heap-watch.ts';
import { createLogger } from './logger.ts';
import { useMeterMemory } from './metrics/meter.ts';
import { useTraceMemory } from './tracing/message-trace.ts';
import { processMicros } from './tracing/process-clock.ts';
import type { FromWorker, ToWorker } from './worker-control.ts';
import { startServing, type Serving, type WorkerAssignment } from './worker.ts';

// Keys and values of the store are small buffers by the hundred thousand; a larger pool makes fewer of its own.
Buffer.poolSize = 256 * 1024;

const joined = joinWorkers({
  log: (worker, data) => {
    const { config, meters, traces } = data as WorkerAssignment;
    const memory = meters?.[worker];
    // First of all: what is counted before goes nowhere.
    if (memory !== undefined) useMeterMemory(memory);
    if (traces !== undefined) useTraceMemory(traces, processMicros);
    const { logFormat: format, logLevel: level, logModules: modules } = config;
    return createLogger({ format, level, modules, worker, write: (line) => void process.stdout.write(line) });
  },
});
const { node } = joined;
const tell = (message: FromWorker): void => joined.post(message);

// Unheard, it would end this thread, and uWebSockets.js would abort the process before the reason is told.
process.on('uncaughtException', (error) => tell({ kind: 'crashed', reason: error.stack ?? error.message }));

const stopWatchingHeap = watchHeap(systemClock, node.log);

try {
  const serving = await startServing(node, joined.data as WorkerAssignment, (error) => {
    tell({ kind: 'store-failed', reason: error instanceof Error ? error.message : String(error) });
  });
  joined.onMessage((message) => void receive(message as ToWorker, serving).catch(refuse));
  joined.onStop(async () => {
    await serving.stop();
    // A timer that is left would keep the thread alive until it is killed.
    stopWatchingHeap();
  });
  joined.ready();
} catch (error) {
  refuse(error);
}

async function receive(message: ToWorker, serving: Serving): Promise<void> {
  switch (message.kind) {
    case 'listen':
      await serving.listen();
      return tell({ kind: 'listening' });
    case 'member':
      return serving.applyMember(message.event);
    case 'statistics':
      return tell({ kind: 'statistics', ticket: message.ticket, statistics: await serving.statistics() });
  }
}

/** An error loses its class and code on the way to another thread, so it travels as data. */
function refuse(error: unknown): void {
  if (!isStartupError(error)) throw error;
  tell({ kind: 'start-failed', code: error.code, message: error.message });
}
