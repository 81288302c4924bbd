/**
 * The worker's side: makes this thread's node and joins it to the others.
 *
 * Called once, first thing, by the entry that was given to `startWorkers`; the entry then starts its supervision tree
 * and says `ready`. Read next: `pool.ts`, the main thread's side.
 */

import { parentPort, workerData } from 'node:worker_threads';

import type { Clock, Logger, Loop, Random } from '../contracts.ts';
import { createNode, type RuntimeNode } from '../node.ts';
import { systemClock, systemLoop, systemRandom } from '../system-adapters.ts';
import type { ToMain, ToWorker, WorkerStart } from './control.ts';
import { RingTransport } from './transport.ts';

export interface JoinOptions {
  /** The thread's log, made from the thread's number and the data of the application. */
  log: (worker: number, data: unknown) => Logger;
  /** Default: the system's. */
  clock?: Clock;
  random?: Random;
  loop?: Loop;
}

/** One worker thread as its entry sees it. */
export interface JoinedWorker {
  readonly node: RuntimeNode;
  /** 1 to `workerCount`. */
  readonly worker: number;
  readonly workerCount: number;
  /** What the application gave `startWorkers`, copied. */
  readonly data: unknown;
  /** Says that this worker serves: its tree is started. `startWorkers` waits for it. */
  ready(): void;
  /** Sends a message to the pool's `onMessage`. Plain data; not for the hot path. */
  post(message: unknown): void;
  /** Takes messages from the pool's `post`. */
  onMessage(callback: (message: unknown) => void): void;
  /** Runs `callback` when the pool stops, before the actors are ended: the place to close a listening socket. */
  onStop(callback: () => void | Promise<void>): void;
}

/** @throws {TypeError} outside of a thread that `startWorkers` started. */
export function joinWorkers(options: JoinOptions): JoinedWorker {
  const start = (workerData as { blindbeam?: WorkerStart } | null)?.blindbeam;
  if (start === undefined || parentPort === null) throw new TypeError('joinWorkers expects a thread of startWorkers');
  const { clock = systemClock, random = systemRandom, loop = systemLoop, log } = options;
  const node = createNode({
    name: start.nodeName,
    worker: start.worker,
    clock,
    random,
    loop,
    log: log(start.worker, start.data),
  });
  new RingTransport(node.kernel, start.mesh);
  return new Member(node, start, parentPort);
}

class Member implements JoinedWorker {
  readonly node: RuntimeNode;
  readonly worker: number;
  readonly workerCount: number;
  readonly data: unknown;
  readonly #port: NonNullable<typeof parentPort>;
  readonly #stopCallbacks: (() => void | Promise<void>)[] = [];
  readonly #messageCallbacks: ((message: unknown) => void)[] = [];

  constructor(node: RuntimeNode, start: WorkerStart, port: NonNullable<typeof parentPort>) {
    this.node = node;
    this.worker = start.worker;
    this.workerCount = start.mesh.threadCount - 1;
    this.data = start.data;
    this.#port = port;
    // The listener also keeps the thread alive, which sleeping on a bell does not.
    port.on('message', (control: ToWorker) => this.#receive(control));
  }

  ready(): void {
    this.#tell({ type: 'ready' });
  }

  post(message: unknown): void {
    this.#tell({ type: 'message', message });
  }

  onMessage(callback: (message: unknown) => void): void {
    this.#messageCallbacks.push(callback);
  }

  onStop(callback: () => void | Promise<void>): void {
    this.#stopCallbacks.push(callback);
  }

  #receive(control: ToWorker): void {
    if (control.type === 'stop') void this.#stop(control.allowanceMs);
    else for (const callback of this.#messageCallbacks) callback(control.message);
  }

  async #stop(allowanceMs: number): Promise<void> {
    for (const callback of this.#stopCallbacks) await callback();
    const killedCount = await this.node.stop(allowanceMs);
    this.#tell({ type: 'stopped', killedCount });
    this.#port.close();
  }

  #tell(control: ToMain): void {
    this.#port.postMessage(control);
  }
}
