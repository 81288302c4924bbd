/**
 * The program of the simulation tests: jobs, workers under a supervisor, a store of results, and crashes everywhere.
 *
 * Each job must leave its result in the store, whatever is killed and whenever. The workers come in two kinds: one stores
 * and then reports, and one that reports and then stores, which is the bug that is planted: it loses the result if it
 * is killed between the two.
 */

import { type Behavior, type Context, isDown, type Pid } from '../../runtime/index.ts';
import type { Simulation } from '../../runtime/testing/index.ts';
import { startSupervisor } from '../../supervisors/index.ts';

export type WorkerKind = 'sound' | 'planted';

const JOB_COUNT = 12;
const WORKER_COUNT = 3;
/** Faults stop here, so that what is left can be done. */
const QUIET_AFTER_MS = 1_000;

type QueueMessage = { type: 'ready'; worker: Pid } | { type: 'done'; job: number; worker: Pid };
interface Queue {
  readonly waiting: number[];
  /** Who has which job, by the text of the pid. */
  readonly taken: Map<string, number>;
  readonly done: Set<number>;
}

/** Hands out jobs, one to a worker at a time; the job of a worker that ends goes to another one. */
const queue: Behavior<Queue, void, QueueMessage> = {
  name: 'queue',
  init: () => ({ waiting: Array.from({ length: JOB_COUNT }, (_, job) => job), taken: new Map(), done: new Set() }),
  handleCast(message, state, ctx) {
    if (message.type === 'done') {
      state.taken.delete(String(message.worker));
      state.done.add(message.job);
    } else ctx.monitor(message.worker);
    handOut(state, ctx, message.worker);
  },
  handleInfo(info, state) {
    if (!isDown(info)) return;
    const job = state.taken.get(String(info.pid));
    state.taken.delete(String(info.pid));
    if (job !== undefined) state.waiting.push(job);
  },
};

function handOut(state: Queue, ctx: Context, worker: Pid): void {
  const job = state.waiting.shift();
  // Nothing to do now, but another worker may fail: ask again later.
  if (job === undefined) return void (state.done.size < JOB_COUNT && ctx.sendAfter(20, 'idle', worker));
  state.taken.set(String(worker), job);
  ctx.cast(worker, job);
}

function worker(kind: WorkerKind): Behavior<null, void, number> {
  const store = (job: number, ctx: Context): void => void ctx.cast('store', job);
  const report = (job: number, ctx: Context): void => void ctx.cast('queue', { type: 'done', job, worker: ctx.self });
  const [first, second] = kind === 'sound' ? [store, report] : [report, store];
  return {
    name: 'worker',
    init(_args, ctx) {
      ctx.cast('queue', { type: 'ready', worker: ctx.self });
      return null;
    },
    handleCast(job, _state, ctx) {
      first(job, ctx);
      ctx.continue(job);
    },
    handleContinue: (job, _state, ctx) => second(job as number, ctx),
    handleInfo: (_idle, _state, ctx) => void ctx.cast('queue', { type: 'ready', worker: ctx.self }),
  };
}

/** What survives: the store is never killed, and its results are looked at from outside. */
function store(results: Set<number>): Behavior<null, void, number> {
  return { name: 'store', init: () => null, handleCast: (job) => void results.add(job) };
}

/** The program: a queue and a store that are spared, workers that are not. */
export function jobQueue(kind: WorkerKind): (sim: Simulation) => void {
  return (sim) => {
    const results = new Set<number>();
    sim.node.spawn(store(results), undefined, { name: 'store' });
    const queuePid = sim.node.spawn(queue, undefined, { name: 'queue' });
    const behavior = worker(kind);
    void startSupervisor(sim.node, {
      name: 'workers',
      intensity: 1_000,
      periodMs: 1_000,
      children: Array.from({ length: WORKER_COUNT }, (_, index) => ({
        id: `worker ${index}`,
        start: { behavior, args: undefined },
      })),
    });
    sim.inject({ killOneIn: 60, untilMs: QUIET_AFTER_MS, spare: (_pid, name) => name !== 'worker' });
    sim.always('no worker holds two jobs, and no job is held twice', () => {
      const { taken } = (sim.node.kernel.processes.get(queuePid)?.state ?? { taken: new Map() }) as Queue;
      if (!(taken instanceof Map)) return true;
      return new Set(taken.values()).size === taken.size;
    });
    sim.atEnd('every job has its result', () => {
      const missing = Array.from({ length: JOB_COUNT }, (_, job) => job).filter((job) => !results.has(job));
      return missing.length === 0 || `missing ${missing.join(', ')}`;
    });
    sim.atEnd('nothing is left over', () => {
      const workers = sim.node.processes().filter((pid) => sim.node.processInfo(pid)!.behavior === 'worker');
      return workers.length === WORKER_COUNT || `${workers.length} workers`;
    });
  };
}
