/**
 * The worker threads of a node, seen from the main thread: start, ask, stop, and end the process when one of them says
 * that its disk cannot be trusted.
 */

import {
  createNode,
  startWorkers,
  systemClock,
  systemLoop,
  systemRandom,
  type Logger,
  type RuntimeNode,
  type WorkerPool,
} from '../runtime/index.ts';
import { type NodeHead, startHead } from './cluster/head.ts';
import { DICTIONARY_VERSION } from '../protocol/wire/index.ts';
import { StartupError } from './errors.ts';
import type { ThreadFigures } from './metrics/exposition.ts';
import { METER_BYTES, useMeterMemory } from './metrics/meter.ts';
import { writeCard, type NodeState } from './nodes/card.ts';
import type { FromWorker, ToWorker } from './worker-control.ts';
import type { WorkerAssignment } from './worker.ts';
import type { WorkerStatistics } from './worker-statistics.ts';

/** Time for the actors of a worker to end before they are killed. */
const STOP_MS = 5_000;

export class Workers {
  readonly #log: Logger;
  readonly #figures: readonly ThreadFigures[];
  readonly #waiting = new Map<number, (statistics: WorkerStatistics) => void>();
  /** The main thread's own, through which it calls actors of the workers. */
  readonly node: RuntimeNode;
  #pool: WorkerPool | undefined;
  #head: NodeHead | undefined;
  #announce: (state: NodeState) => void = () => undefined;
  #refuseStart: (error: StartupError) => void = () => undefined;
  #allListening: () => void = () => undefined;
  #listening = 0;
  #nextTicket = 1;

  private constructor(node: RuntimeNode, meters: readonly SharedArrayBuffer[], log: Logger) {
    this.node = node;
    this.#figures = meters.map((memory, worker) => ({ worker, values: new Float64Array(memory) }));
    this.#log = log;
  }

  get workerCount(): number {
    return this.#pool!.count;
  }

  /** @throws {StartupError} (as rejection) what a worker refused to start with. */
  static async start(given: Omit<WorkerAssignment, 'meters'>, log: Logger): Promise<Workers> {
    const meters = Array.from({ length: given.config.workers + 1 }, () => new SharedArrayBuffer(METER_BYTES));
    useMeterMemory(meters[0]!);
    const assignment: WorkerAssignment = Object.assign({ meters }, given);
    const node = createNode({
      name: assignment.config.cluster?.node ?? 'blindbeam',
      worker: 0,
      clock: systemClock,
      random: systemRandom,
      loop: systemLoop,
      log,
    });
    const workers = new Workers(node, meters, log);
    const refused = new Promise<never>((_, reject) => (workers.#refuseStart = reject));
    const started = startWorkers({
      node,
      count: assignment.config.workers,
      entry: new URL('./worker-main.js', import.meta.url),
      data: assignment,
      stuckMs: assignment.config.stuckMs === 0 ? Infinity : assignment.config.stuckMs,
      // A thread with open sockets cannot be ended alone, neither by itself nor by us; see docs/architecture.md.
      onFatal: endAtOnce,
      onUnresponsive: endAtOnce,
      onMessage: (_worker, message) => workers.#receive(message as FromWorker),
    });
    workers.#pool = await Promise.race([started, refused]);
    try {
      await workers.#enterCluster(assignment, workers.#pool);
      await Promise.race([workers.#listen(workers.#pool), refused]);
    } catch (error) {
      // Some may listen already: an exit around open sockets would be an abort, and its reason lost.
      await workers.stop();
      throw error;
    }
    return workers;
  }

  /** Every worker can be reached: lets the other nodes know of this one, and the workers of the others. */
  async #enterCluster({ config, life, release }: WorkerAssignment, pool: WorkerPool): Promise<void> {
    const { cluster } = config;
    if (cluster === undefined) return;
    const each = (message: ToWorker): void => {
      for (let worker = 1; worker <= pool.count; worker++) pool.post(worker, message);
    };
    const head = await startHead({
      node: this.node,
      config: cluster,
      seat: { cluster: cluster.name, life },
      workerCount: pool.count,
      log: this.#log,
      onEvent: (event) => each({ kind: 'member', event }),
      onSuperseded: () => {
        this.#log.error('node_superseded', { code: 'APP_CLUSTER', node: cluster.node });
        endAtOnce();
      },
    }).catch((error: Error) => {
      throw error instanceof StartupError ? error : new StartupError('APP_CLUSTER', error.message);
    });
    const { traits } = head;
    this.#announce = (state) => head.announce(writeCard({ release, wire: DICTIONARY_VERSION, traits, state }));
    this.#announce('up');
    this.#head = head;
  }

  /** Who else is in the cluster; `undefined` for a node without one. */
  get head(): NodeHead | undefined {
    return this.#head;
  }

  /** Lets the other nodes know what this one does. */
  announce(state: NodeState): void {
    this.#announce(state);
  }

  /** Every shard is open: lets clients in on all workers. */
  #listen(pool: WorkerPool): Promise<void> {
    const listening = new Promise<void>((resolve) => (this.#allListening = resolve));
    for (let worker = 1; worker <= pool.count; worker++) pool.post(worker, { kind: 'listen' } satisfies ToWorker);
    return listening;
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'start-failed':
        return this.#refuseStart(new StartupError(message.code, message.message));
      case 'listening':
        if (++this.#listening === this.#pool?.count) this.#allListening();
        return;
      case 'statistics':
        this.#waiting.get(message.ticket)?.(message.statistics);
        this.#waiting.delete(message.ticket);
        return;
      case 'crashed':
        this.#log.error('worker_crashed', { reason: message.reason });
        return endAtOnce();
      case 'store-failed':
        this.#log.error('store_failed', { code: 'APP_STORE_FAILED', reason: message.reason });
        return endAtOnce();
    }
  }

  /** What each thread has counted, as it is now; the main thread first. */
  figures(): readonly ThreadFigures[] {
    return this.#figures;
  }

  /** Sums over all workers. */
  async statistics(): Promise<WorkerStatistics> {
    const pool = this.#pool!;
    const each = await Promise.all(Array.from({ length: pool.count }, (_, index) => this.#ask(pool, index + 1)));
    return each.reduce((sum, next) => ({
      commits: sum.commits + next.commits,
      committedMessages: sum.committedMessages + next.committedMessages,
      queuedBytes: sum.queuedBytes + next.queuedBytes,
      connections: sum.connections + next.connections,
      presenceShed: sum.presenceShed + next.presenceShed,
      loginsPerSecond: sum.loginsPerSecond + next.loginsPerSecond,
      deferred: sum.deferred + next.deferred,
      heapBytes: sum.heapBytes + next.heapBytes,
    }));
  }

  #ask(pool: WorkerPool, worker: number): Promise<WorkerStatistics> {
    const ticket = this.#nextTicket++;
    return new Promise((resolve) => {
      this.#waiting.set(ticket, resolve);
      pool.post(worker, { kind: 'statistics', ticket } satisfies ToWorker);
    });
  }

  async stop(): Promise<void> {
    await this.#pool!.stop(STOP_MS);
    await this.#head?.close();
    // Its timers, of questions long answered, would keep the process alive for their time.
    await this.node.stop();
  }
}

/**
 * Ends the process without another step: after a failed flush what is visible may not be on the disk, after the death of
 * a worker its sockets hang. An exit would first unwind the other threads, which uWebSockets.js does not survive. So the
 * status is that of SIGKILL, 137 to a shell, and the log has the reason in its last lines: it is written synchronously.
 */
export function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}
