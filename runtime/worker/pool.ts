/**
 * The main thread's side: starts the worker threads of a node, joins them, watches them, brings them back, stops them.
 *
 *   starting ─ joined ─▶ starting ─ ready ─▶ serving ─ thread ends ─▶ down ─ restart? yes ─▶ starting …
 *                                                                        └─ no ─▶ onFatal
 *
 * A worker that ends is OTP's node-down on every other thread, and its next life is another node as far as pids go.
 * Whether there is a next life is not decided here: `restart` is asked, for which `supervisors/` has a rule with
 * intensity and period. What happened to the thread's sockets and files is not known here either; an application whose
 * threads cannot end one by one leaves `restart` out, and then its process ends after one report.
 */

import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';

import { RuntimeError } from '../errors.ts';
import { type ErrorData, fromThrown } from '../exit-reason.ts';
import { LIMITS } from '../limits.ts';
import type { RuntimeNode } from '../node.ts';
import { PULSE_BYTES, type PulseSample, readPulse, readThread } from '../pulse.ts';
import type { ToMain, ToWorker, WorkerEvent, WorkerStart } from './control.ts';
import { createMesh, type Mesh } from './mesh.ts';
import { processorTimes } from './processor-time.ts';
import { RingTransport } from './transport.ts';
import { type StuckReport, Watchdog } from './watchdog.ts';

/** How a worker ended. */
export interface WorkerDeath {
  readonly worker: number;
  /**
   * `'error'`: thrown outside of every actor. `'exit'`: its own doing. `'memory'`: its heap was full. `'stuck'`: ended by
   * the watchdog. `'late'`: not ready in LIMITS.workerStartMsMax.
   */
  readonly cause: 'error' | 'exit' | 'memory' | 'stuck' | 'late';
  readonly status: number;
  readonly error: ErrorData | undefined;
  /** The behaviour that ran last. */
  readonly behavior: string | undefined;
}

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
  /** Megabytes that the old objects of a worker's heap may take. Default: what V8 takes for this machine. */
  readonly heapMbMax?: number;
  /** Milliseconds without a turn after which a worker is stuck; Infinity switches the watchdog off. Default LIMITS.workerStuckMs. */
  readonly stuckMs?: number;
  readonly onMessage?: (worker: number, message: unknown) => void;
  /** Whether to start a dead worker again. Default: never. */
  readonly restart?: (death: WorkerDeath) => boolean;
  /** What to do about a worker that is not started again. Default: end the process with status 1. */
  readonly onFatal?: (death: WorkerDeath) => void;
  /**
   * What to do about a worker that does not answer, after it was reported to the log. Default: end its thread from
   * outside, which is then a death. Not every thread survives that: native handles on its event loop may end the process.
   */
  readonly onUnresponsive?: (report: UnresponsiveReport) => void;
}

export interface UnresponsiveReport {
  readonly worker: number;
  /** `'stuck'`: takes no turns. `'start'`, `'stop'`: not ready, or not ended, in the time for it. */
  readonly cause: 'stuck' | 'start' | 'stop';
  /** What the watchdog saw, if it was stuck. */
  readonly stuck: StuckReport | undefined;
}

export interface WorkerPool {
  readonly count: number;
  /** Sends a message to one worker's `onMessage`. Plain data; not for the hot path. */
  post(worker: number, message: unknown): 'ok' | 'noconnection';
  /**
   * Calls `listener` when a worker has ended, after the actors here were told, and when one that had ended is ready
   * again. Returns its removal.
   *
   * Source: net_kernel:monitor_nodes/1.
   */
  watch(listener: (event: WorkerEvent) => void): () => void;
  /** Ends one worker's thread without its consent, as the watchdog does. It is then a death as any other. */
  kill(worker: number): void;
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
 * @throws {RangeError} for a count or time out of bounds.
 * @throws {RuntimeError} (as rejection) RT_WORKER_START; the workers that did start are terminated.
 */
export async function startWorkers(options: WorkersOptions): Promise<WorkerPool> {
  const { count, stuckMs = LIMITS.workerStuckMs } = options;
  if (!Number.isInteger(count) || count < 1 || count > LIMITS.workerCountMax) {
    throw new RangeError(`"count" expected 1 to ${LIMITS.workerCountMax}, got ${count}`);
  }
  if (!(stuckMs >= LIMITS.workerStuckMsMin)) {
    throw new RangeError(`"stuckMs" expected at least ${LIMITS.workerStuckMsMin}, got ${stuckMs}`);
  }
  // Read when a heap is made, so it holds for the workers and leaves this thread's heap as it is.
  setFlagsFromString(`--initial-old-space-size=${LIMITS.workerOldGenerationMb}`);
  const pool = new Pool(options);
  await pool.start();
  return pool;
}

/** The place of one worker, whatever thread fills it. */
interface Seat {
  readonly worker: number;
  thread: Worker | null;
  status: 'starting' | 'serving' | 'down';
  /** Threads that have sat here. */
  lives: number;
  /** How many threads of the pool had begun before the present one. */
  beganAfter: number;
  /** What the present one shows, or the last one showed. */
  pulse: SharedArrayBuffer;
  startTimer: unknown;
  /** Why this thread is about to be ended by us, if it is. */
  condemned: 'stuck' | 'late' | null;
  /** What the thread threw outside of its actors. */
  thrown: unknown;
}

class Pool implements WorkerPool {
  readonly #options: WorkersOptions;
  readonly #mesh: Mesh;
  readonly #transport: RingTransport;
  readonly #seats: Map<number, Seat> = new Map();
  readonly #listeners: Set<(event: WorkerEvent) => void> = new Set();
  #watchdog: Watchdog | null = null;
  #begunCount: number = 0;
  #status: 'starting' | 'running' | 'stopping' = 'starting';
  #onReady: () => void = () => {};
  #onStartFailed: (error: RuntimeError) => void = () => {};

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#mesh = createMesh(options.count, options.ringBytes);
    this.#transport = new RingTransport(options.node.kernel, this.#mesh.membership(0));
  }

  get count(): number {
    return this.#options.count;
  }

  async start(): Promise<void> {
    const outcome = new Promise<void>((resolve, reject) => {
      this.#onReady = resolve;
      this.#onStartFailed = reject;
    });
    for (let worker = 1; worker <= this.count; worker += 1) {
      const seat: Seat = {
        worker,
        thread: null,
        status: 'down',
        lives: 0,
        beganAfter: 0,
        pulse: new SharedArrayBuffer(PULSE_BYTES),
        startTimer: undefined,
        condemned: null,
        thrown: undefined,
      };
      this.#seats.set(worker, seat);
      this.#begin(seat);
    }
    try {
      await outcome;
      this.#status = 'running';
      this.#watch();
    } catch (error) {
      this.#status = 'stopping';
      await this.#terminateAll();
      throw error;
    }
  }

  post(worker: number, message: unknown): 'ok' | 'noconnection' {
    const { thread } = this.#seat(worker);
    if (thread === null) return 'noconnection';
    thread.postMessage({ type: 'message', message } satisfies ToWorker);
    return 'ok';
  }

  watch(listener: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  kill(worker: number): void {
    void this.#seat(worker).thread?.terminate();
  }

  async stop(allowanceMs: number): Promise<void> {
    this.#status = 'stopping';
    this.#watchdog?.stop();
    const { clock, log } = this.#options.node;
    const threads = this.#threads();
    const exits = threads.map((thread) => new Promise((resolve) => thread.once('exit', resolve)));
    for (const thread of threads) thread.postMessage({ type: 'stop', allowanceMs } satisfies ToWorker);
    const timer = clock.setTimer(allowanceMs * 2, () => {
      const late = [...this.#seats.values()].filter(({ thread }) => thread !== null);
      log.warn('workers_terminated', { workers: late.map(({ worker }) => worker) });
      for (const seat of late) this.#end(seat, 'stop');
    });
    await Promise.all(exits);
    clock.clearTimer(timer);
  }

  /** Starts a thread for a seat that has none. */
  #begin(seat: Seat): void {
    const { node, entry, data, heapMbMax } = this.#options;
    const { worker } = seat;
    // The count of an earlier life may have ended odd.
    seat.pulse = new SharedArrayBuffer(PULSE_BYTES);
    this.#watchdog?.forget(worker);
    const workerStart: WorkerStart = {
      nodeName: node.name,
      worker,
      workerCount: this.count,
      membership: this.#mesh.membership(worker),
      pulse: seat.pulse,
      data,
    };
    const thread = new Worker(entry, {
      workerData: { blindbeam: workerStart },
      name: `worker ${worker}`,
      resourceLimits: {
        maxYoungGenerationSizeMb: LIMITS.workerYoungGenerationMb,
        ...(heapMbMax === undefined ? {} : { maxOldGenerationSizeMb: heapMbMax }),
      },
    });
    Object.assign(seat, { thread, status: 'starting', lives: seat.lives + 1, condemned: null, thrown: undefined });
    seat.beganAfter = this.#begunCount;
    this.#begunCount += 1;
    seat.startTimer = node.clock.setTimer(LIMITS.workerStartMsMax, () => {
      node.log.error('worker_late', { worker, startMsMax: LIMITS.workerStartMsMax });
      this.#end(seat, 'start');
    });
    thread.on('message', (control: ToMain) => this.#receive(seat, control));
    thread.on('error', (error) => (seat.thrown = error));
    thread.on('exit', (status) => this.#exited(seat, status));
  }

  #receive(seat: Seat, control: ToMain): void {
    if (control.type === 'message') this.#options.onMessage?.(seat.worker, control.message);
    else if (control.type === 'joined') this.#joined(seat);
    else if (control.type === 'ready') this.#ready(seat);
  }

  /**
   * A thread that comes back is told to those that began before it. Who began later has had its rings from the start, and
   * may have used them: to connect twice would lose what waits, and the shapes that the two agreed on.
   */
  #joined({ worker, lives, beganAfter }: Seat): void {
    if (lives === 1) return;
    this.#transport.connect(worker, this.#mesh.pair(0, worker)!);
    for (const other of this.#seats.values()) {
      if (other.beganAfter > beganAfter) continue;
      const rings = this.#mesh.pair(other.worker, worker);
      if (rings !== null) other.thread?.postMessage({ type: 'peer_up', worker, rings } satisfies ToWorker);
    }
  }

  #ready(seat: Seat): void {
    this.#options.node.clock.clearTimer(seat.startTimer);
    seat.status = 'serving';
    if (this.#status === 'starting') {
      if ([...this.#seats.values()].every(({ status }) => status === 'serving')) this.#onReady();
    } else if (seat.lives > 1) {
      this.#options.node.log.info('worker_back', { worker: seat.worker, lives: seat.lives });
      this.#emit({ type: 'up', worker: seat.worker });
    }
  }

  #exited(seat: Seat, status: number): void {
    const { clock, log } = this.#options.node;
    clock.clearTimer(seat.startTimer);
    seat.thread = null;
    seat.status = 'down';
    if (this.#status === 'stopping') return;
    const death = deathOf(seat, status, this.#sample(seat.worker).behavior);
    const { worker, cause, behavior, error } = death;
    log.error('worker_died', { worker, cause, status, behavior, error: error?.stack ?? error?.message });
    if (this.#status === 'starting') {
      return this.#onStartFailed(startError(`worker ${worker} ended before it was ready`, death));
    }
    this.#part(worker);
    this.#decide(seat, death);
  }

  /** Makes the death known on every thread: to the actors first, to the listeners then. */
  #part(worker: number): void {
    this.#mesh.remove(worker);
    this.#transport.disconnect(worker);
    for (const thread of this.#threads()) thread.postMessage({ type: 'peer_down', worker } satisfies ToWorker);
    this.#emit({ type: 'down', worker });
  }

  #decide(seat: Seat, death: WorkerDeath): void {
    const { restart, onFatal } = this.#options;
    if (restart?.(death) === true) {
      this.#mesh.add(seat.worker);
      this.#begin(seat);
    } else if (onFatal !== undefined) {
      onFatal(death);
    } else {
      process.exit(1);
    }
  }

  #watch(): void {
    const { node, stuckMs = LIMITS.workerStuckMs } = this.#options;
    if (stuckMs === Infinity) return;
    this.#watchdog = new Watchdog({
      clock: node.clock,
      stuckMs,
      workers: () => this.#serving(),
      sample: (worker) => this.#sample(worker),
      times: (worker) => processorTimes(readThread(this.#seat(worker).pulse)),
      wake: (worker) => this.#transport.wake(worker),
      onStuck: (report) => this.#stuck(report),
    });
  }

  #stuck(report: StuckReport): void {
    this.#options.node.log.error('worker_stuck', { ...report, pid: report.pid?.toString() });
    this.#end(this.#seat(report.worker), 'stuck', report);
  }

  /** Ends a thread that does not end by itself, or has it dealt with. */
  #end(seat: Seat, cause: UnresponsiveReport['cause'], stuck?: StuckReport): void {
    const { onUnresponsive } = this.#options;
    if (onUnresponsive !== undefined) return onUnresponsive({ worker: seat.worker, cause, stuck });
    if (cause !== 'stop') seat.condemned = cause === 'stuck' ? 'stuck' : 'late';
    void seat.thread?.terminate();
  }

  #sample(worker: number): PulseSample {
    return readPulse(this.#seat(worker).pulse, this.#options.node.name, worker);
  }

  *#serving(): Iterable<number> {
    for (const { worker, status } of this.#seats.values()) if (status === 'serving') yield worker;
  }

  #seat(worker: number): Seat {
    const seat = this.#seats.get(worker);
    if (seat === undefined) throw new RangeError(`"worker" expected 1 to ${this.count}, got ${worker}`);
    return seat;
  }

  #threads(): Worker[] {
    return [...this.#seats.values()].map(({ thread }) => thread).filter((thread) => thread !== null);
  }

  #emit(event: WorkerEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  async #terminateAll(): Promise<void> {
    await Promise.all(this.#threads().map((thread) => thread.terminate()));
  }
}

function deathOf(seat: Seat, status: number, behavior: string | undefined): WorkerDeath {
  const { worker, thrown, condemned } = seat;
  const full = (thrown as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
  const cause = full ? 'memory' : (condemned ?? (thrown === undefined ? 'exit' : 'error'));
  const error = thrown === undefined ? undefined : fromThrown(thrown).error;
  return { worker, cause, status, error, behavior };
}

function startError(text: string, detail: unknown): RuntimeError {
  return new RuntimeError('RT_WORKER_START', text, { detail });
}
