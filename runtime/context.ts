/**
 * An actor's context: the methods of `Context` over its process and the kernel. 40 bytes an actor, no closures.
 */

import type { Behavior, Context, RegisterResult, SpawnOptions, StartResult } from './behavior.ts';
import { awaitExit, call, reply } from './call.ts';
import type { Clock, Logger, Random } from './contracts.ts';
import { type From, KIND, type SendResult, type Target } from './envelope.ts';
import { RuntimeError } from './errors.ts';
import type { ExitReason, ExitRequest } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { LIMITS } from './limits.ts';
import type { Pid } from './pid.ts';
import { FLAG, type Process } from './process.ts';
import type { Ref } from './ref.ts';
import { demonitor, exit, link, monitor, unlink } from './relations.ts';
import { route } from './routing.ts';
import { spawn, startLink } from './spawn.ts';
import { Timer } from './timers.ts';

export class ActorContext implements Context {
  readonly #kernel: Kernel;
  readonly #process: Process;

  constructor(kernel: Kernel, process: Process) {
    this.#kernel = kernel;
    this.#process = process;
  }

  get self(): Pid {
    return this.#process.pid;
  }
  get clock(): Clock {
    return this.#kernel.clock;
  }
  get random(): Random {
    return this.#kernel.random;
  }
  get log(): Logger {
    return this.#kernel.log;
  }
  get worker(): number {
    return this.#kernel.worker;
  }

  send(to: Target, message: unknown): SendResult {
    this.#checkAlive();
    return route(this.#kernel, to, KIND.info, message);
  }

  cast<M>(to: Target<M>, message: M): SendResult {
    this.#checkAlive();
    return route(this.#kernel, to, KIND.cast, message);
  }

  call<Reply = unknown>(to: Target, request: unknown, timeoutMs: number): Promise<Reply> {
    this.#checkAlive();
    return call(this.#kernel, this.#process, to, request, timeoutMs) as Promise<Reply>;
  }

  reply(from: From, value: unknown): SendResult {
    this.#checkAlive();
    return reply(this.#kernel, from, value);
  }

  spawn<S, A, C, Q, R>(behavior: Behavior<S, A, C, Q, R>, args: A, options?: SpawnOptions): Pid<C> {
    this.#checkAlive();
    return spawn(this.#kernel, this.#process, behavior, args, options);
  }

  startLink<S, A, C, Q, R>(
    behavior: Behavior<S, A, C, Q, R>,
    args: A,
    options?: SpawnOptions,
  ): StartResult<C> | Promise<StartResult<C>> {
    this.#checkAlive();
    return startLink(this.#kernel, this.#process, behavior, args, options) as StartResult<C>;
  }

  link(pid: Pid): void {
    this.#checkAlive();
    link(this.#kernel, this.#process, pid);
  }

  unlink(pid: Pid): void {
    this.#checkAlive();
    unlink(this.#kernel, this.#process, pid);
  }

  monitor(pid: Pid): Ref {
    this.#checkAlive();
    return monitor(this.#kernel, this.#process, pid, null);
  }

  demonitor(ref: Ref): boolean {
    return demonitor(this.#kernel, ref);
  }

  exit(pid: Pid, reason: ExitRequest): void {
    this.#checkAlive();
    exit(this.#kernel, this.#process.pid, pid, reason);
  }

  trapExit(flag: boolean): boolean {
    const process = this.#process;
    const before = process.has(FLAG.trapExit);
    if (flag) process.flags |= FLAG.trapExit;
    else process.flags &= ~FLAG.trapExit;
    return before;
  }

  awaitExit(pid: Pid, timeoutMs: number | 'infinity'): Promise<ExitReason | 'timeout'> {
    this.#checkAlive();
    return awaitExit(this.#kernel, this.#process, pid, timeoutMs);
  }

  sendAfter(delayMs: number, message: unknown, to: Target = this.#process.pid): Ref {
    this.#checkAlive();
    if (!(delayMs >= 0 && delayMs <= LIMITS.timerDelayMsMax)) {
      throw new RangeError(`"delayMs" expected 0 to ${LIMITS.timerDelayMsMax}, got ${delayMs}`);
    }
    const { timers, refs } = this.#kernel;
    const timer = new Timer(refs, timers.dueTick(delayMs), this.#process, to, message, null);
    timers.add(timer);
    return timer;
  }

  cancelTimer(ref: Ref): boolean {
    return ref instanceof Timer && this.#kernel.timers.cancel(ref);
  }

  register(name: string, pid: Pid = this.#process.pid): RegisterResult {
    this.#checkAlive();
    const process = this.#kernel.processes.get(pid);
    return process === undefined ? 'noproc' : this.#kernel.registry.register(name, process);
  }

  unregister(name: string): boolean {
    return this.#kernel.registry.unregister(name);
  }

  whereis(name: string): Pid | undefined {
    return this.#kernel.registry.whereis(name)?.pid;
  }

  stop(reason: ExitReason = 'normal'): void {
    this.#checkAlive();
    this.#process.stopReason = reason;
  }

  requestTurnEnd(): void {
    this.#checkAlive();
    this.#kernel.scheduler.requestTurnEnd(this.#process);
  }

  mailboxCount(): number {
    return this.#process.mailbox.count;
  }

  // Also what stops the rest of an async handler whose actor was killed while it awaited something.
  #checkAlive(): void {
    if (this.#process.has(FLAG.dead)) throw new RuntimeError('RT_EXITED', 'the actor has ended');
  }
}
