/**
 * What the parts of one node's worker share: its tables, its scheduler and what was injected.
 *
 * A struct with a constructor and no behaviour of its own; `node.ts` is the public face, and the functions that act on
 * it are in `actor.ts`, `turn.ts`, `exit.ts`, `routing.ts`, `relations.ts`, `call.ts` and `inbound.ts`.
 */

import type { Wait } from './call.ts';
import type { Clock, Logger, Loop, Random } from './contracts.ts';
import type { Monitor } from './monitors.ts';
import { Pid } from './pid.ts';
import type { Process } from './process.ts';
import { Pulse, PULSE_BYTES } from './pulse.ts';
import { ProcessTable } from './process-table.ts';
import { type Ref, RefSource, RefTable } from './ref.ts';
import { Registry } from './registry.ts';
import { type RunQueue, Scheduler, type SchedulerWork } from './scheduler.ts';
import { type Timer, TimerWheel } from './timers.ts';
import type { Transport } from './transport.ts';

export interface KernelOptions {
  name: string;
  worker: number;
  clock: Clock;
  random: Random;
  log: Logger;
  loop: Loop;
  runQueue?: RunQueue;
}

/** What the kernel cannot do itself and `node.ts` plugs in. */
export interface KernelWork extends SchedulerWork {
  expire(timer: Timer): void;
  /** Starts the clocks of fresh waits, at the end of each turn. */
  armWaits(): void;
}

export class Kernel {
  readonly name: string;
  readonly worker: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The node itself as a sender: slot 0, where no actor lives. */
  readonly self: Pid;
  readonly refs: RefSource;
  readonly processes: ProcessTable;
  readonly registry: Registry = new Registry();
  readonly timers: TimerWheel;
  readonly scheduler: Scheduler;
  /** Monitors of this worker that news finds by id: on actors elsewhere, and those of calls. */
  readonly expected: RefTable<Monitor> = new RefTable();
  /** Monitors that actors elsewhere made on actors here, by the text of their ref. */
  readonly foreign: Map<string, Monitor> = new Map();
  /** Unlinks that were told to another worker and are not known to have arrived, by `pairOf` both ends. */
  readonly unlinking: Map<string, { readonly worker: number; readonly id: number }> = new Map();
  /** Actors that the node itself started, in order of start. */
  readonly roots: Set<Process> = new Set();
  transport: Transport | null = null;
  /** Shows which actor runs; read by nobody unless this is a thread of `startWorkers`. */
  pulse: Pulse = new Pulse(new ArrayBuffer(PULSE_BYTES));
  stopping: boolean = false;
  /** Calls whose time has not begun to run; see `call.ts`. */
  readonly freshWaits: Wait[] = [];
  /** Messages that were lost because a mailbox here was full: by its policy, or from another worker. */
  droppedCount: number = 0;
  /** Messages that a full mailbox here gave back to their senders. */
  refusedCount: number = 0;
  /** Messages that actors here have handled. */
  handledCount: number = 0;

  constructor(options: KernelOptions, work: (kernel: Kernel) => KernelWork) {
    const { name, worker, clock, random, log, loop, runQueue } = options;
    const creation = random.integer(2 ** 30);
    this.name = name;
    this.worker = worker;
    this.clock = clock;
    this.random = random;
    this.log = log;
    this.self = new Pid(name, worker, 0, creation);
    this.refs = new RefSource(name, worker, creation, this.expected);
    this.processes = new ProcessTable(name, worker, creation);
    const plugged = work(this);
    this.timers = new TimerWheel(clock, plugged.expire);
    this.scheduler = new Scheduler(loop, clock, plugged, runQueue);
    this.scheduler.onTurnEnd(plugged.armWaits);
  }

  /** Whether `pid` names an actor of this worker, living or not. */
  isHere(pid: Pid): boolean {
    return pid.worker === this.worker && pid.node === this.name;
  }

  /** The monitor of this worker behind `ref`, which may be a copy that came from elsewhere. */
  expectedBy(ref: Ref): Monitor | undefined {
    const own = ref.worker === this.worker && ref.creation === this.refs.creation && ref.node === this.name;
    return own ? this.expected.get(ref.id) : undefined;
  }
}
