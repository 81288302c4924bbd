/**
 * The worker's side: makes this thread's node and joins it to the others.
 *
 * Called once, first thing, by the entry that was given to `startWorkers`; the entry then starts its supervision tree
 * and says `ready`. Read next: `pool.ts`, the main thread's side.
 */

import { parentPort, workerData } from 'node:worker_threads';

import type { Clock, Logger, Loop, Random } from '../contracts.ts';
import { createNode, type RuntimeNode } from '../node.ts';
import { Pulse } from '../pulse.ts';
import { systemClock, systemLoop, systemRandom } from '../system-adapters.ts';
import type { ToMain, ToWorker, WorkerEvent, WorkerStart } from './control.ts';
import { numberOfThread } from './processor-time.ts';
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
  /**
   * Calls `listener` when another worker has ended, after the actors here were told, and when one is back and can be
   * reached. Returns its removal.
   *
   * Source: net_kernel:monitor_nodes/1. Differs: the main thread is not told of, since nothing outlives it.
   */
  watch(listener: (event: WorkerEvent) => void): () => void;
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
  node.kernel.pulse = new Pulse(start.pulse);
  node.kernel.pulse.nameThread(numberOfThread());
  const transport = new RingTransport(node.kernel, start.membership);
  node.kernel.scheduler.onTurnStart(() => node.kernel.pulse.beat());
  node.kernel.scheduler.onTurnEnd(() => node.kernel.pulse.beat());
  return new Member(node, start, transport, parentPort);
}

class Member implements JoinedWorker {
  readonly node: RuntimeNode;
  readonly worker: number;
  readonly workerCount: number;
  readonly data: unknown;
  readonly #transport: RingTransport;
  readonly #port: NonNullable<typeof parentPort>;
  readonly #listeners: Set<(event: WorkerEvent) => void> = new Set();
  readonly #stopCallbacks: (() => void | Promise<void>)[] = [];
  readonly #messageCallbacks: ((message: unknown) => void)[] = [];

  constructor(node: RuntimeNode, start: WorkerStart, transport: RingTransport, port: NonNullable<typeof parentPort>) {
    this.node = node;
    this.worker = start.worker;
    this.workerCount = start.workerCount;
    this.data = start.data;
    this.#transport = transport;
    this.#port = port;
    // The listener also keeps the thread alive, which sleeping on a bell does not.
    port.on('message', (control: ToWorker) => this.#receive(control));
    this.#tell({ type: 'joined' });
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

  watch(listener: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onStop(callback: () => void | Promise<void>): void {
    this.#stopCallbacks.push(callback);
  }

  #receive(control: ToWorker): void {
    switch (control.type) {
      case 'message':
        for (const callback of this.#messageCallbacks) callback(control.message);
        return;
      case 'peer_up':
        this.#transport.connect(control.worker, control.rings);
        return this.#emit({ type: 'up', worker: control.worker });
      case 'peer_down':
        this.#transport.disconnect(control.worker);
        return this.#emit({ type: 'down', worker: control.worker });
      case 'stop':
        return void this.#stop(control.allowanceMs);
    }
  }

  #emit(event: WorkerEvent): void {
    for (const listener of this.#listeners) listener(event);
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
