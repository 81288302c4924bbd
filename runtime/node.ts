/**
 * One runtime instance on one thread: puts the parts together, and is the door for code that is no actor.
 *
 * Sockets, workers and tests talk to actors through it. It owns no thread and no socket; the event loop, the clock and
 * the rest of the world come in as parameters.
 */

import { Alarm } from './attention.ts';
import type { Behavior, RegisterResult, SpawnOptions, StartResult } from './behavior.ts';
import { armWaits, awaitExit, call, expireWait, systemRequest } from './call.ts';
import type { Clock, Logger, Loop, Random } from './contracts.ts';
import { KIND, type SendResult, type Target, type ReplyOf, type RequestOf } from './envelope.ts';
import type { ExitReason, ExitRequest } from './exit-reason.ts';
import { Kernel, type KernelWork } from './kernel.ts';
import type { Pid } from './pid.ts';
import { describeProcess, type ProcessInfo } from './process-info.ts';
import { checkName } from './registry.ts';
import { exit } from './exit-signals.ts';
import { deliverAlways, route } from './routing.ts';
import type { RunQueue, TimedTurn } from './scheduler.ts';
import { spawn, startLink } from './actor.ts';
import type { SystemRequest } from './sys.ts';
import type { Timer } from './timers.ts';
import { runTurn, runTurnEnd } from './turn.ts';
import { ProcessWalk, type ProcessView } from './walk.ts';

export interface NodeOptions {
  /** 1 to LIMITS.nameCharsMax characters; the first part of every pid. */
  name: string;
  /** This thread's number in the node, 0 for main. Default 0. */
  worker?: number;
  clock: Clock;
  random: Random;
  log: Logger;
  loop: Loop;
  /** For the testing kit: which of the ready actors runs next. Default: the one that waits longest. */
  runQueue?: RunQueue;
}

/** What `RuntimeNode.info` tells. Counts. */
export interface NodeInfo {
  processCount: number;
  readyCount: number;
  timerCount: number;
  /** Messages that a full mailbox here gave back to their senders. */
  refusedCount: number;
  /** Messages lost because a mailbox here was full: by its policy, from a timer, or from another worker. */
  droppedCount: number;
  /** Messages that actors here have handled. */
  handledCount: number;
  /** Turns of the scheduler, and milliseconds spent in them; how busy the worker is, is the growth of this over time. */
  turnCount: number;
  busyMs: number;
}

/**
 * Makes a node for this thread. Nothing runs until something is spawned or sent.
 *
 * @throws {TypeError | RangeError} for a name or worker number that cannot be one.
 */
export function createNode(options: NodeOptions): RuntimeNode {
  const { name, worker = 0 } = options;
  checkName(name);
  if (!Number.isInteger(worker) || worker < 0) throw new RangeError(`"worker" expected 0 or more, got ${worker}`);
  return new RuntimeNode(new Kernel({ ...options, worker }, workOf));
}

export class RuntimeNode {
  /** For the runtime's own parts and for `supervisors/`; its shape may change at any time. */
  readonly kernel: Kernel;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  get name(): string {
    return this.kernel.name;
  }
  get worker(): number {
    return this.kernel.worker;
  }
  get clock(): Clock {
    return this.kernel.clock;
  }
  get log(): Logger {
    return this.kernel.log;
  }

  /** As `Context.spawn`, from outside: linked to nobody. */
  spawn<S, A, C, Q, R>(behavior: Behavior<S, A, C, Q, R>, args: A, options?: SpawnOptions): Pid<C, Q, R> {
    return spawn(this.kernel, null, behavior, args, options);
  }

  /**
   * Starts an actor and runs its `init` now. It has no link, and the node is its parent: `stop` ends it in order, even
   * if it traps exits. The way to start a root supervisor.
   */
  start<S, A, C, Q, R>(
    behavior: Behavior<S, A, C, Q, R>,
    args: A,
    options?: SpawnOptions,
  ): StartResult<C, Q, R> | Promise<StartResult<C, Q, R>> {
    return startLink(this.kernel, null, behavior, args, options) as StartResult<C, Q, R>;
  }

  /** As `Context.send`, from outside. */
  send(to: Target, message: unknown): SendResult {
    return route(this.kernel, to, KIND.info, message);
  }

  /** As `Context.cast`, from outside. */
  cast<M>(to: Target<M>, message: M): SendResult {
    return route(this.kernel, to, KIND.cast, message);
  }

  /** As `Context.call`, from outside. */
  call<Reply = unknown, To extends Target = Target>(
    to: To,
    request: RequestOf<To>,
    timeoutMs: number,
  ): Promise<ReplyOf<To, Reply>> {
    return call(this.kernel, null, to, request, timeoutMs) as Promise<ReplyOf<To, Reply>>;
  }

  /** As `Context.systemRequest`, from outside: with it the functions of `sys.ts` take a node. */
  systemRequest(to: Target, request: SystemRequest, timeoutMs: number): Promise<unknown> {
    return systemRequest(this.kernel, null, to, request, timeoutMs);
  }

  /** Sends an exit signal in the node's name. */
  exit(pid: Pid, reason: ExitRequest): void {
    exit(this.kernel, this.kernel.self, pid, reason);
  }

  /** As `Context.awaitExit`, from outside. */
  awaitExit(pid: Pid, timeoutMs: number | 'infinity'): Promise<ExitReason | 'timeout'> {
    return awaitExit(this.kernel, null, pid, timeoutMs);
  }

  register(name: string, pid: Pid): RegisterResult {
    const process = this.kernel.processes.get(pid);
    return process === undefined ? 'noproc' : this.kernel.registry.register(name, process);
  }

  unregister(name: string): boolean {
    return this.kernel.registry.unregister(name);
  }

  whereis(name: string): Pid | undefined {
    return this.kernel.registry.whereis(name);
  }

  /**
   * Calls `callback` at the end of each turn of the scheduler, after every ready actor and every `handleTurnEnd` has
   * run: the place to write gathered bytes to sockets. Must not throw. Returns its removal.
   */
  onTurnEnd(callback: () => void): () => void {
    return this.kernel.scheduler.onTurnEnd(callback);
  }

  /**
   * Calls `callback` after about one in 32 turns of actors with what it took: figures by behaviour for one addition each. One
   * callback at a time. Must not throw. Returns its removal.
   */
  onTimedTurn(callback: (turn: TimedTurn) => void): () => void {
    return this.kernel.scheduler.onTimedTurn(callback);
  }

  info(): NodeInfo {
    const { processes, scheduler, timers, refusedCount, droppedCount, handledCount } = this.kernel;
    return {
      processCount: processes.count,
      readyCount: scheduler.readyCount,
      timerCount: timers.count,
      refusedCount,
      droppedCount,
      handledCount,
      turnCount: scheduler.turnCount,
      busyMs: scheduler.busyMs,
    };
  }

  /** The pids of all living actors of this worker. Costs time and memory in proportion. */
  processes(): Pid[] {
    return [...this.kernel.processes.all()];
  }

  /** An actor of this worker as `walk` shows it; `undefined` if it does not live here. */
  view(pid: Pid): ProcessView | undefined {
    return this.kernel.processes.get(pid);
  }

  /** A way through all of them in slices, from the actor in `slot` on; see `walk.ts`. */
  walk(slot: number = 1): ProcessWalk {
    return new ProcessWalk(this.kernel, slot);
  }

  /** A snapshot of one actor of this worker; `undefined` if it does not live here. */
  processInfo(pid: Pid): ProcessInfo | undefined {
    const process = this.kernel.processes.get(pid);
    return process === undefined ? undefined : describeProcess(process);
  }

  /**
   * Ends every actor: those started by `start` in reverse order, each in its own time up to the allowance; then all
   * that are left, by kill. Nothing can be spawned afterwards.
   *
   * @param allowanceMs - For each started actor; LIMITS.callTimeoutMsMax at most.
   * @returns How many actors had to be killed.
   */
  async stop(allowanceMs: number = 5_000): Promise<number> {
    const roots = [...this.kernel.roots].reverse();
    for (const pid of roots) {
      this.exit(pid, 'shutdown');
      if ((await this.awaitExit(pid, allowanceMs)) === 'timeout')
        this.kernel.log.warn('stop_timed_out', { pid: `${pid}` });
    }
    this.kernel.stopping = true;
    const left = this.processes();
    const exits = left.map((pid) => this.awaitExit(pid, 'infinity'));
    for (const pid of left) this.exit(pid, 'kill');
    await Promise.all(exits);
    this.kernel.timers.stop();
    return left.length;
  }
}

function workOf(kernel: Kernel): KernelWork {
  return {
    run: (process) => runTurn(kernel, process),
    runTurnEnd: (process) => runTurnEnd(kernel, process),
    expire: (timer) => expire(kernel, timer),
    armWaits: () => armWaits(kernel),
  };
}

function expire(kernel: Kernel, timer: Timer): void {
  if (timer.wait !== null) return expireWait(kernel, timer.wait);
  const { owner, target, message } = timer;
  if (message instanceof Alarm) return message.onExpire(kernel, owner!);
  if (owner !== null && target === owner) return deliverAlways(kernel, owner, KIND.notice, message);
  const result = route(kernel, target!, KIND.info, message);
  if (result === 'full') kernel.droppedCount += 1;
}
