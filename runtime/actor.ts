/**
 * An actor: its process together with the methods of its context, so that `ctx` in a handler is the process itself; and how
 * one is made: allocate, name, link, and only then run `init`.
 *
 * One object for both saves each actor an allocation and each message a load; what an author sees of it is the interface
 * `Context`. Kept apart from `process.ts`, so that data knows nothing of what is done with it. A context spawns and a spawn
 * makes a context, so both are here.
 *
 * `spawn` returns before `init` has run; `startLink` runs it at once and tells its outcome exactly once, as its result.
 */

import { askToHibernate, continueWith, setReceiveTimeout } from './attention.ts';
import {
  type AnyBehavior,
  type Behavior,
  behaviorSlotOf,
  type Context,
  type RegisterResult,
  type SpawnOptions,
  type StartResult,
} from './behavior.ts';
import { awaitExit, call, reply, sendRequest, systemRequest } from './call.ts';
import type { Clock, Logger, Random } from './contracts.ts';
import { type From, KIND, type SendResult, type Target, type ReplyOf, type RequestOf } from './envelope.ts';
import { RuntimeError } from './errors.ts';
import { type ExitReason, type ExitRequest, fromThrown } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { LIMITS } from './limits.ts';
import { mailboxCount } from './mailbox.ts';
import type { Pid } from './pid.ts';
import { checkPolicy } from './overflow.ts';
import { annexOf, FLAG, Process } from './process.ts';
import { checkName } from './registry.ts';
import type { Ref } from './ref.ts';
import { demonitor, link, linkBoth, monitor, unlink } from './relations.ts';
import { exit } from './exit-signals.ts';
import { route } from './routing.ts';
import { runInit } from './init.ts';
import type { SystemRequest } from './sys.ts';
import { Timer } from './timers.ts';

export class Actor extends Process implements Context {
  get self(): Pid {
    return this;
  }
  get clock(): Clock {
    return this.kernel.clock;
  }
  get random(): Random {
    return this.kernel.random;
  }
  get log(): Logger {
    return this.kernel.log;
  }

  send(to: Target, message: unknown): SendResult {
    checkAlive(this);
    return route(this.kernel, to, KIND.info, message);
  }

  cast<M>(to: Target<M>, message: M): SendResult {
    checkAlive(this);
    return route(this.kernel, to, KIND.cast, message);
  }

  call<Reply = unknown, To extends Target = Target>(
    to: To,
    request: RequestOf<To>,
    timeoutMs: number,
  ): Promise<ReplyOf<To, Reply>> {
    checkAlive(this);
    return call(this.kernel, this, to, request, timeoutMs) as Promise<ReplyOf<To, Reply>>;
  }

  sendRequest(to: Target, request: unknown, timeoutMs: number): Ref {
    checkAlive(this);
    return sendRequest(this.kernel, this, to, request, timeoutMs);
  }

  systemRequest(to: Target, request: SystemRequest, timeoutMs: number): Promise<unknown> {
    checkAlive(this);
    return systemRequest(this.kernel, this, to, request, timeoutMs);
  }

  reply(from: From, value: unknown): SendResult {
    checkAlive(this);
    return reply(this.kernel, from, value);
  }

  spawn<S, A, C, Q, R>(behavior: Behavior<S, A, C, Q, R>, args: A, options?: SpawnOptions): Pid<C, Q, R> {
    checkAlive(this);
    return spawn(this.kernel, this, behavior, args, options);
  }

  startLink<S, A, C, Q, R>(
    behavior: Behavior<S, A, C, Q, R>,
    args: A,
    options?: SpawnOptions,
  ): StartResult<C, Q, R> | Promise<StartResult<C, Q, R>> {
    checkAlive(this);
    return startLink(this.kernel, this, behavior, args, options) as StartResult<C, Q, R>;
  }

  link(pid: Pid): void {
    checkAlive(this);
    link(this.kernel, this, pid);
  }

  unlink(pid: Pid): void {
    checkAlive(this);
    unlink(this.kernel, this, pid);
  }

  monitor(target: Target): Ref {
    checkAlive(this);
    return monitor(this.kernel, this, target, null);
  }

  demonitor(ref: Ref): boolean {
    return demonitor(this.kernel, ref);
  }

  exit(pid: Pid, reason: ExitRequest): void {
    checkAlive(this);
    exit(this.kernel, this, pid, reason);
  }

  trapExit(flag: boolean): boolean {
    const before = this.has(FLAG.trapExit);
    if (flag) this.flags |= FLAG.trapExit;
    else this.flags &= ~FLAG.trapExit;
    return before;
  }

  awaitExit(pid: Pid, timeoutMs: number | 'infinity'): Promise<ExitReason | 'timeout'> {
    checkAlive(this);
    return awaitExit(this.kernel, this, pid, timeoutMs);
  }

  sendAfter(delayMs: number, message: unknown, to: Target = this): Ref {
    checkAlive(this);
    checkDelay('delayMs', delayMs);
    const { timers, refs } = this.kernel;
    const timer = new Timer(refs, timers.dueTick(delayMs), this, to, message, null);
    timers.add(timer);
    return timer;
  }

  cancelTimer(ref: Ref): boolean {
    return ref instanceof Timer && this.kernel.timers.cancel(ref);
  }

  continue(term: unknown): void {
    checkAlive(this);
    continueWith(this.kernel, this, term);
  }

  receiveTimeout(timeoutMs: number | 'infinity'): void {
    checkAlive(this);
    if (timeoutMs !== 'infinity') checkDelay('timeoutMs', timeoutMs);
    setReceiveTimeout(this.kernel, this, timeoutMs);
  }

  hibernate(): void {
    checkAlive(this);
    askToHibernate(this.kernel, this);
  }

  makeRef(): Ref {
    return this.kernel.refs.next();
  }

  register(name: string, pid: Pid = this): RegisterResult {
    checkAlive(this);
    const process = this.kernel.processes.get(pid);
    return process === undefined ? 'noproc' : this.kernel.registry.register(name, process);
  }

  unregister(name: string): boolean {
    return this.kernel.registry.unregister(name);
  }

  whereis(name: string): Pid | undefined {
    return this.kernel.registry.whereis(name);
  }

  stop(reason: ExitReason = 'normal'): void {
    checkAlive(this);
    this.stopReason = reason;
    this.flags |= FLAG.interrupted;
  }

  requestTurnEnd(): void {
    checkAlive(this);
    this.kernel.scheduler.requestTurnEnd(this);
  }

  mailboxCount(): number {
    return mailboxCount(this);
  }
}

// Also what stops the rest of an async handler whose actor was killed while it awaited something.
function checkAlive(process: Process): void {
  if ((process.flags & FLAG.dead) !== 0) throw new RuntimeError('RT_EXITED', 'the actor has ended');
}

function checkDelay(name: string, delayMs: number): void {
  if (delayMs >= 0 && delayMs <= LIMITS.timerDelayMsMax) return;
  throw new RangeError(`"${name}" expected 0 to ${LIMITS.timerDelayMsMax}, got ${delayMs}`);
}

const NO_OPTIONS: SpawnOptions = Object.freeze({});

/** Starts an actor whose `init` runs in its first turn. `spawner` is null for a spawn from outside of actors. */
export function spawn(
  kernel: Kernel,
  spawner: Process | null,
  behavior: AnyBehavior,
  args: unknown,
  options: SpawnOptions = NO_OPTIONS,
): Pid {
  const process = create(kernel, behavior, args, options, null);
  if (spawner !== null && options.link === true) linkBoth(spawner, process);
  if (spawner !== null && options.monitor === true) monitor(kernel, spawner, process, null);
  kernel.scheduler.schedule(process);
  return process;
}

/** Starts an actor and runs its `init` now. `starter` is null for a start by the node, which has nothing to link. */
export function startLink(
  kernel: Kernel,
  starter: Process | null,
  behavior: AnyBehavior,
  args: unknown,
  options: SpawnOptions = NO_OPTIONS,
): StartResult | Promise<StartResult> {
  const taken = options.name === undefined ? undefined : kernel.registry.whereis(options.name);
  if (taken !== undefined) return { error: fromThrown(nameTaken(options.name!)) };
  const process = create(kernel, behavior, args, options, starter ?? kernel.self);
  if (starter === null) kernel.roots.add(process);
  else linkBoth(starter, process);
  if (starter !== null && options.monitor === true) monitor(kernel, starter, process, null);
  const pending = runInit(kernel, process);
  return pending === undefined ? outcome(process) : outcomeOf(kernel, process, pending);
}

/** Waits for `init` or for the end of the actor, whichever comes first: a killed one may never settle its `init`. */
function outcomeOf(kernel: Kernel, process: Process, pending: Promise<void>): Promise<StartResult> {
  return new Promise((resolve) => {
    const finish = (): void => resolve(outcome(process));
    const none = (): void => {};
    const made = monitor(kernel, null, process, {
      onDown: finish,
      onReply: none,
      onRefused: none,
      onTimeout: none,
    });
    void pending.then(() => {
      demonitor(kernel, made);
      finish();
    });
  });
}

function outcome(process: Process): StartResult {
  return process.has(FLAG.dead) ? { error: process.stopReason! } : { ok: process };
}

function create(
  kernel: Kernel,
  behavior: AnyBehavior,
  args: unknown,
  options: SpawnOptions,
  parent: Pid | null,
): Actor {
  if (kernel.stopping) throw new RuntimeError('RT_NODE_STOPPED', 'the node is stopping and starts no actors');
  const { name, mailboxMax = LIMITS.mailboxCountMax, overflow = 'refuse' } = options;
  if (!(mailboxMax >= 1)) throw new RangeError(`"mailboxMax" expected at least 1, got ${mailboxMax}`);
  // A small integer in every actor, `Infinity` too: more messages than this no heap holds.
  const countMax = Math.min(Math.trunc(mailboxMax), 2 ** 30);
  if (overflow !== 'refuse') checkPolicy(overflow);
  if (name !== undefined) checkFree(kernel, name);
  const { processes } = kernel;
  const slot = processes.allocate();
  if (slot === 0) throw new RuntimeError('RT_PROCESS_LIMIT', 'the worker holds as many actors as it may');
  const process = new Actor(kernel, slot, behaviorSlotOf(behavior), args, countMax, parent);
  processes.insert(process);
  if (overflow !== 'refuse') annexOf(process).overflow = overflow;
  if (name !== undefined) kernel.registry.register(name, process);
  return process;
}

function checkFree(kernel: Kernel, name: string): void {
  checkName(name);
  if (kernel.registry.whereis(name) !== undefined) throw nameTaken(name);
}

function nameTaken(name: string): RuntimeError {
  return new RuntimeError('RT_NAME_TAKEN', `'${name}' is registered to another actor`);
}
