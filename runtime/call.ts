/**
 * Waiting for another actor: a request and its reply (`call`), or its end (`awaitExit`).
 *
 * A wait is a monitor with a waiter and a timer. Whichever comes first (reply, news of the end, deadline) settles the
 * promise and removes the other two, so nothing of a wait is left behind; if the waiting actor ends, all three go and
 * the promise is never settled, which keeps code of a dead actor from running.
 */

import { CallEnvelope, type From, KIND, type SendResult, type Target } from './envelope.ts';
import { RuntimeError } from './errors.ts';
import { type ExitReason, formatExitReason } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { LIMITS } from './limits.ts';
import { Monitor, type Waiter } from './monitors.ts';
import type { Pid } from './pid.ts';
import type { Process } from './process.ts';
import { demonitor, dropMonitor, monitor } from './relations.ts';
import { deliver, locate, type Location, remoteName } from './routing.ts';
import { Timer } from './timers.ts';
import { PACKET } from './transport.ts';

/** `Context.call`; `caller` is null for a call from outside of actors. */
export function call(
  kernel: Kernel,
  caller: Process | null,
  to: Target,
  request: unknown,
  timeoutMs: number,
): Promise<unknown> {
  checkTimeout(timeoutMs);
  const location = locate(kernel, to);
  if (typeof location === 'string') return Promise.reject(refusal(location));
  if (location === caller) return Promise.reject(new RuntimeError('RT_CALL_SELF', 'an actor cannot call itself'));
  return new Promise((resolve, reject) => {
    const wait = new PendingCall(kernel, resolve, reject);
    const made = wait.start(caller, to, timeoutMs);
    const result = sendRequest(kernel, location, to, request, { pid: made.watcherPid, ref: made });
    if (result !== 'ok') wait.onRefused(result);
  });
}

/** `Context.awaitExit`; `watcher` is null for a wait from outside of actors. */
export function awaitExit(
  kernel: Kernel,
  watcher: Process | null,
  pid: Pid,
  timeoutMs: number | 'infinity',
): Promise<ExitReason | 'timeout'> {
  if (timeoutMs !== 'infinity') checkTimeout(timeoutMs);
  return new Promise((resolve) => new PendingExit(kernel, resolve).start(watcher, pid, timeoutMs));
}

/** Gives `value` to the caller behind `from`, wherever it waits. */
export function reply(kernel: Kernel, from: From, value: unknown): SendResult {
  const { ref } = from;
  const found = ref instanceof Monitor ? ref : kernel.expectedBy(ref);
  if (found !== undefined) return answer(found, value);
  if (from.pid.node !== kernel.name) return 'noconnection';
  if (from.pid.worker === kernel.worker) return 'noproc';
  if (kernel.transport?.reaches(from.pid.worker) !== true) return 'noconnection';
  return kernel.transport.send(from.pid.worker, [PACKET.reply, ref, value]);
}

/** Settles the wait behind a monitor with a reply. */
export function answer(found: Monitor, value: unknown): SendResult {
  if (!found.active || found.waiter === null) return 'noproc';
  found.waiter.onReply(value);
  return 'ok';
}

/** @throws {TypeError | RangeError} if it is no wait of 1 to LIMITS.callTimeoutMsMax. */
export function checkTimeout(timeoutMs: number): void {
  if (typeof timeoutMs !== 'number') throw new TypeError(`"timeoutMs" expected a number, got ${typeof timeoutMs}`);
  if (!(timeoutMs >= 1 && timeoutMs <= LIMITS.callTimeoutMsMax)) {
    throw new RangeError(`"timeoutMs" expected 1 to ${LIMITS.callTimeoutMsMax}, got ${timeoutMs}`);
  }
}

/** What every wait has: a monitor, perhaps a timer, and the end of both. */
abstract class Wait implements Waiter {
  protected readonly kernel: Kernel;
  #monitor: Monitor | null = null;
  #timer: Timer | null = null;
  #settled: boolean = false;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** If the target is already dead this settles before it returns. */
  start(watcher: Process | null, to: Target, timeoutMs: number | 'infinity'): Monitor {
    const made = monitor(this.kernel, watcher, to, this);
    this.#monitor = made;
    if (timeoutMs !== 'infinity' && !this.#settled) {
      const { timers, refs } = this.kernel;
      this.#timer = new Timer(refs, timers.dueTick(timeoutMs), watcher, null, undefined, made);
      timers.add(this.#timer);
    }
    return made;
  }

  protected settle(): void {
    this.#settled = true;
    this.kernel.scheduler.noteSettled();
    if (this.#monitor !== null) demonitor(this.kernel, this.#monitor);
    if (this.#timer !== null) this.kernel.timers.cancel(this.#timer);
  }

  abstract onReply(value: unknown): void;
  abstract onDown(reason: ExitReason): void;
  abstract onRefused(result: SendResult): void;
  abstract onTimeout(): void;
}

class PendingCall extends Wait {
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: RuntimeError) => void;

  constructor(kernel: Kernel, resolve: (value: unknown) => void, reject: (error: RuntimeError) => void) {
    super(kernel);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onReply(value: unknown): void {
    this.settle();
    this.#resolve(value);
  }

  onDown(reason: ExitReason): void {
    if (reason === 'noproc') return this.#fail(refusal('noproc'));
    const text = `the callee ended while it was waited for: ${formatExitReason(reason)}`;
    this.#fail(new RuntimeError('RT_CALL_EXITED', text, { detail: reason }));
  }

  onRefused(result: SendResult): void {
    this.#fail(refusal(result));
  }

  onTimeout(): void {
    this.#fail(new RuntimeError('RT_CALL_TIMEOUT', 'no reply came in time'));
  }

  #fail(error: RuntimeError): void {
    this.settle();
    this.#reject(error);
  }
}

class PendingExit extends Wait {
  readonly #resolve: (outcome: ExitReason | 'timeout') => void;

  constructor(kernel: Kernel, resolve: (outcome: ExitReason | 'timeout') => void) {
    super(kernel);
    this.#resolve = resolve;
  }

  // Nobody holds a From for this wait, so neither can come.
  onReply(): void {}
  onRefused(): void {}

  onDown(reason: ExitReason): void {
    this.settle();
    this.#resolve(reason);
  }

  onTimeout(): void {
    this.settle();
    this.#resolve('timeout');
  }
}

/** Ends the wait behind an expired timer. */
export function expireWait(kernel: Kernel, made: Monitor): void {
  if (made.active) made.waiter!.onTimeout();
  else dropMonitor(kernel, made);
}

function sendRequest(kernel: Kernel, location: Process | number, to: Target, request: unknown, from: From): SendResult {
  if (typeof location === 'object') return deliver(kernel, location, KIND.call, new CallEnvelope(from, request));
  return kernel.transport!.send(location, [PACKET.call, remoteName(to), request, from]);
}

function refusal(result: Location | SendResult): RuntimeError {
  if (result === 'noproc') return new RuntimeError('RT_CALL_NOPROC', 'the callee does not exist');
  if (result === 'full') return new RuntimeError('RT_CALL_FULL', 'the callee has no room for the request');
  return new RuntimeError('RT_CALL_REFUSED', `the request was not sent: ${String(result)}`, { detail: result });
}
