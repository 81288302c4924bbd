/**
 * The main thread's side: starts the worker threads of a node, joins them, watches them, stops them.
 *
 * A worker that dies takes the whole process with it, after one report: half of a node's partitions without an owner is
 * worse than a restart of the node, whose supervisor (systemd, Kubernetes) is there for that.
 */

import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';

import { RuntimeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { RuntimeNode } from '../node.ts';
import type { ToMain, ToWorker, WorkerStart } from './control.ts';
import { createMesh } from './mesh.ts';
import { RingTransport } from './transport.ts';

export interface WorkersOptions {
  /** The main thread's node, worker 0. It is joined to the workers. */
  readonly node: RuntimeNode;
  /** 1 to LIMITS.workerCountMax. */
  readonly count: number;
  /** The module that each worker runs; it calls `joinWorkers` and then `ready`. */
  readonly entry: URL;
  /** Copied to each worker. */
  readonly data?: unknown;
  /** Bytes of each ring; a power of two. Default LIMITS.workerRingBytes. */
  readonly ringBytes?: number;
  readonly onMessage?: (worker: number, message: unknown) => void;
  /** What to do after a worker died and was reported. Default: end the process with status 1. */
  readonly onDeath?: (worker: number) => void;
}

export interface WorkerPool {
  readonly count: number;
  /** Sends a message to one worker's `onMessage`. Plain data; not for the hot path. */
  post(worker: number, message: unknown): void;
  /**
   * Stops all workers side by side, each its actors in order.
   *
   * @param allowanceMs - For each root of a worker; a worker that takes twice as long as a whole is terminated.
   */
  stop(allowanceMs: number): Promise<void>;
}

/**
 * Starts the workers and resolves when all are ready.
 *
 * @throws {RangeError} for a count out of bounds.
 * @throws {RuntimeError} (as rejection) RT_WORKER_START; the workers that did start are terminated.
 */
export async function startWorkers(options: WorkersOptions): Promise<WorkerPool> {
  const { node, count, ringBytes } = options;
  if (!Number.isInteger(count) || count < 1 || count > LIMITS.workerCountMax) {
    throw new RangeError(`"count" expected 1 to ${LIMITS.workerCountMax}, got ${count}`);
  }
  // Read when a heap is made, so it holds for the workers and leaves this thread's heap as it is.
  setFlagsFromString(`--initial-old-space-size=${LIMITS.workerOldGenerationMb}`);
  const mesh = createMesh(count, ringBytes);
  new RingTransport(node.kernel, mesh);
  const pool = new Pool(options);
  for (let worker = 1; worker <= count; worker += 1) {
    pool.add({ nodeName: node.name, worker, mesh, data: options.data });
  }
  await pool.whenReady();
  return pool;
}

class Pool implements WorkerPool {
  readonly #options: WorkersOptions;
  readonly #workers: Map<number, Worker> = new Map();
  readonly #ready: Set<number> = new Set();
  #status: 'starting' | 'running' | 'stopping' = 'starting';
  #onReady: () => void = () => {};
  #onStartFailed: (error: RuntimeError) => void = () => {};

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#options.count;
  }

  add(start: WorkerStart): void {
    const thread = new Worker(this.#options.entry, {
      workerData: { blindbeam: start },
      name: `worker ${start.worker}`,
      resourceLimits: { maxYoungGenerationSizeMb: LIMITS.workerYoungGenerationMb },
    });
    this.#workers.set(start.worker, thread);
    let cause: unknown;
    thread.on('message', (control: ToMain) => this.#receive(start.worker, control));
    thread.on('error', (error) => (cause = error));
    thread.on('exit', (status) => this.#exited(start.worker, status, cause));
  }

  async whenReady(): Promise<void> {
    const { clock } = this.#options.node;
    const outcome = new Promise<void>((resolve, reject) => {
      this.#onReady = resolve;
      this.#onStartFailed = reject;
    });
    const late = (): void => this.#onStartFailed(startError('not every worker was ready in time', [...this.#ready]));
    const timer = clock.setTimer(LIMITS.workerStartMsMax, late);
    try {
      await outcome;
      this.#status = 'running';
    } catch (error) {
      this.#status = 'stopping';
      await this.#terminateAll();
      throw error;
    } finally {
      clock.clearTimer(timer);
    }
  }

  post(worker: number, message: unknown): void {
    const thread = this.#workers.get(worker);
    if (thread === undefined) throw new RangeError(`"worker" expected 1 to ${this.count}, got ${worker}`);
    thread.postMessage({ type: 'message', message } satisfies ToWorker);
  }

  async stop(allowanceMs: number): Promise<void> {
    this.#status = 'stopping';
    const { clock, log } = this.#options.node;
    const exits = [...this.#workers.values()].map((thread) => new Promise((resolve) => thread.once('exit', resolve)));
    for (const thread of this.#workers.values()) thread.postMessage({ type: 'stop', allowanceMs } satisfies ToWorker);
    const timer = clock.setTimer(allowanceMs * 2, () => {
      log.warn('workers_terminated', { workers: [...this.#workers.keys()] });
      void this.#terminateAll();
    });
    await Promise.all(exits);
    clock.clearTimer(timer);
  }

  #receive(worker: number, control: ToMain): void {
    if (control.type === 'message') return this.#options.onMessage?.(worker, control.message);
    if (control.type !== 'ready') return;
    this.#ready.add(worker);
    if (this.#ready.size === this.count) this.#onReady();
  }

  #exited(worker: number, status: number, cause: unknown): void {
    this.#workers.delete(worker);
    if (this.#status === 'stopping') return;
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : `exit status ${status}`;
    this.#options.node.log.error('worker_died', { worker, status, cause: text });
    if (this.#status === 'starting')
      this.#onStartFailed(startError(`worker ${worker} ended before it was ready`, text));
    else this.#die(worker);
  }

  #die(worker: number): void {
    this.#status = 'stopping';
    const { onDeath } = this.#options;
    if (onDeath !== undefined) onDeath(worker);
    else process.exit(1);
  }

  async #terminateAll(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((thread) => thread.terminate()));
  }
}

function startError(text: string, detail: unknown): RuntimeError {
  return new RuntimeError('RT_WORKER_START', text, { detail });
}
