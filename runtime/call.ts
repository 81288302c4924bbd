/**
 * Waiting for another actor: a request and its reply (`call`), or its end (`awaitExit`).
 *
 * A wait is a monitor with a promise and a deadline. Whichever comes first (reply, news of the end, deadline) settles the
 * promise and removes the other two, so nothing of a wait is left behind; if the waiting actor ends, all three go and
 * the promise is never settled, which keeps code of a dead actor from running. A call near costs the wait, its promise
 * and the request's envelope; the reply finds the wait without a table, since the ref in `From` is the wait.
 */

import { deliverSystem } from './attention.ts';
import { CallEnvelope, type From, KIND, type Response, type SendResult, type Target } from './envelope.ts';
import { RuntimeError } from './errors.ts';
import { type ExitReason, formatExitReason } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { LIMITS } from './limits.ts';
import { Monitor, type Waiter } from './monitors.ts';
import type { Pid } from './pid.ts';
import type { Process } from './process.ts';
import type { Ref } from './ref.ts';
import { demonitor, dropMonitor, enterMonitor } from './relations.ts';
import { deliver, deliverAlways } from './routing.ts';
import { locate, type Location, placeOf, remoteName } from './location.ts';
import type { SystemRequest } from './sys.ts';
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
  if (location === caller) return Promise.reject(selfCall());
  const promise = new Promise<unknown>(take);
  const wait = new PendingCall(kernel, caller, location, timeoutMs);
  enterMonitor(kernel, wait, to, location);
  expectWithin(kernel, wait);
  const result = dispatch(kernel, location, to, request, { pid: wait.watcherPid, ref: wait });
  if (result !== 'ok') wait.onRefused(result);
  return promise;
}

/** `Context.systemRequest`: as `call`, in the lane of the system, and on this node alone: no other obeys it (`inbound.ts`). */
export function systemRequest(
  kernel: Kernel,
  caller: Process | null,
  to: Target,
  request: SystemRequest,
  timeoutMs: number,
): Promise<unknown> {
  checkTimeout(timeoutMs);
  if (typeof to === 'object' && to.node !== undefined && to.node !== kernel.name) return Promise.reject(otherNode());
  const location = locate(kernel, to);
  if (typeof location === 'string') return Promise.reject(refusal(location));
  if (location === caller) return Promise.reject(selfCall());
  const promise = new Promise<unknown>(take);
  const wait = new PendingCall(kernel, caller, location, timeoutMs);
  enterMonitor(kernel, wait, to, location);
  expectWithin(kernel, wait);
  const result = dispatchSystem(kernel, location, to, request, { pid: wait.watcherPid, ref: wait });
  if (result !== 'ok') wait.onRefused(result);
  return promise;
}

/** `Context.sendRequest`. */
export function sendRequest(kernel: Kernel, caller: Process, to: Target, request: unknown, timeoutMs: number): Ref {
  checkTimeout(timeoutMs);
  const location = locate(kernel, to);
  if (typeof location === 'string' || location === caller) {
    const ref = kernel.refs.next();
    const error = typeof location === 'string' ? refusal(location) : selfCall();
    deliverAlways(kernel, caller, KIND.notice, { type: 'RESPONSE', ref, error } satisfies Response);
    return ref;
  }
  const wait = new PendingResponse(kernel, caller, location, timeoutMs);
  enterMonitor(kernel, wait, to, location);
  expectWithin(kernel, wait);
  const result = dispatch(kernel, location, to, request, { pid: wait.watcherPid, ref: wait });
  if (result !== 'ok') wait.onRefused(result);
  return wait;
}

/** `Context.awaitExit`; `watcher` is null for a wait from outside of actors. */
export function awaitExit(
  kernel: Kernel,
  watcher: Process | null,
  pid: Pid,
  timeoutMs: number | 'infinity',
): Promise<ExitReason | 'timeout'> {
  if (timeoutMs !== 'infinity') checkTimeout(timeoutMs);
  const promise = new Promise<ExitReason | 'timeout'>(take);
  const location = locate(kernel, pid);
  const wait = new PendingExit(kernel, watcher, location, timeoutMs);
  enterMonitor(kernel, wait, pid, location);
  expectWithin(kernel, wait);
  return promise;
}

/** Gives `value` to the caller behind `from`, wherever it waits. */
export function reply(kernel: Kernel, from: From, value: unknown): SendResult {
  const { ref } = from;
  const found = ref instanceof Monitor ? ref : kernel.expectedBy(ref);
  if (found !== undefined) return answer(found, value);
  if (kernel.isHere(from.pid)) return 'noproc';
  const place = placeOf(kernel, from.pid);
  if (place === undefined || kernel.transport?.reaches(place) !== true) return 'noconnection';
  return kernel.transport.reply(place, ref, value);
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

/** What takes the resolve and reject of a new promise: one function for all of them instead of one for each call. */
const take = (resolve: (value: never) => void, reject: (error: RuntimeError) => void): void => {
  taken.resolve = resolve as (value: unknown) => void;
  taken.reject = reject;
};
const taken: { resolve: (value: unknown) => void; reject: (error: RuntimeError) => void } = {
  resolve: () => {},
  reject: () => {},
};

/** What every wait is: a monitor that settles a promise, and perhaps a deadline. */
export abstract class Wait extends Monitor implements Waiter {
  declare readonly kernel: Kernel;
  /** Milliseconds from the end of the turn in which it began; 0 for no deadline. */
  declare readonly timeoutMs: number;
  timer: Timer | null = null;

  constructor(kernel: Kernel, watcher: Process | null, target: Location, timeoutMs: number | 'infinity') {
    super(kernel.refs, watcher, watcher ?? kernel.self, typeof target === 'object' ? target : null, null);
    this.kernel = kernel;
    this.timeoutMs = timeoutMs === 'infinity' ? 0 : timeoutMs;
    this.waiter = this;
  }

  protected settle(): void {
    const { kernel } = this;
    kernel.scheduler.noteSettled();
    demonitor(kernel, this);
    if (this.timer !== null) kernel.timers.cancel(this.timer);
  }

  abstract onReply(value: unknown): void;
  abstract onDown(reason: ExitReason): void;
  abstract onRefused(result: SendResult): void;
  abstract onTimeout(): void;
}

/** A wait for a reply, whoever gets it. */
abstract class ReplyWait extends Wait {
  onDown(reason: ExitReason): void {
    if (reason === 'noproc') return this.fail(refusal('noproc'));
    const text = `the callee ended while it was waited for: ${formatExitReason(reason)}`;
    this.fail(new RuntimeError('RT_CALL_EXITED', text, { detail: reason }));
  }

  onRefused(result: SendResult): void {
    this.fail(refusal(result));
  }

  onTimeout(): void {
    this.fail(new RuntimeError('RT_CALL_TIMEOUT', 'no reply came in time'));
  }

  protected abstract fail(error: RuntimeError): void;
}

class PendingCall extends ReplyWait {
  readonly #resolve: (value: unknown) => void = taken.resolve;
  readonly #reject: (error: RuntimeError) => void = taken.reject;

  onReply(value: unknown): void {
    this.settle();
    this.#resolve(value);
  }

  protected fail(error: RuntimeError): void {
    this.settle();
    this.#reject(error);
  }
}

/** Its outcome is a message to the caller, whose wait it is. */
class PendingResponse extends ReplyWait {
  onReply(value: unknown): void {
    this.settle();
    this.#deliver({ type: 'RESPONSE', ref: this, ok: value });
  }

  protected fail(error: RuntimeError): void {
    this.settle();
    this.#deliver({ type: 'RESPONSE', ref: this, error });
  }

  #deliver(response: Response): void {
    deliverAlways(this.kernel, this.watcher!, KIND.notice, response);
  }
}

class PendingExit extends Wait {
  readonly #resolve: (outcome: ExitReason | 'timeout') => void = taken.resolve;

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

/** Lets the time of `wait` begin to run with the end of this turn, or of the next if none goes on. */
function expectWithin(kernel: Kernel, wait: Wait): void {
  if (!wait.active || wait.timeoutMs === 0) return;
  kernel.freshWaits.push(wait);
  if (!kernel.scheduler.running) kernel.scheduler.wake();
}

/**
 * Sets the timers of the waits that this turn began and did not end. Most calls near are answered within the turn that
 * asked, and those cost neither a timer nor a look at the clock.
 */
export function armWaits(kernel: Kernel): void {
  const { freshWaits, timers, refs } = kernel;
  if (freshWaits.length === 0) return;
  for (const wait of freshWaits) {
    if (!wait.active) continue;
    wait.timer = new Timer(refs, timers.dueTick(wait.timeoutMs), wait.watcher, null, undefined, wait);
    timers.add(wait.timer);
  }
  freshWaits.length = 0;
}

/** Ends the wait behind an expired timer. */
export function expireWait(kernel: Kernel, made: Monitor): void {
  if (made.active) made.waiter!.onTimeout();
  else dropMonitor(kernel, made);
}

function dispatch(kernel: Kernel, location: Process | number, to: Target, request: unknown, from: From): SendResult {
  if (typeof location === 'object') return deliver(kernel, location, KIND.call, new CallEnvelope(from, request));
  return kernel.transport!.send(location, [PACKET.call, remoteName(to), request, from]);
}

function dispatchSystem(
  kernel: Kernel,
  location: Process | number,
  to: Target,
  request: SystemRequest,
  from: From,
): SendResult {
  if (typeof location === 'object') return deliverSystem(kernel, location, new CallEnvelope(from, request));
  return kernel.transport!.send(location, [PACKET.system, remoteName(to), request, from]);
}

function selfCall(): RuntimeError {
  return new RuntimeError('RT_CALL_SELF', 'an actor cannot call itself');
}

function otherNode(): RuntimeError {
  return new RuntimeError('RT_CALL_REFUSED', 'a system request is for actors of its own node', {
    detail: 'other_node',
  });
}

function refusal(result: Location | SendResult): RuntimeError {
  if (result === 'noproc') return new RuntimeError('RT_CALL_NOPROC', 'the callee does not exist');
  if (result === 'full') return new RuntimeError('RT_CALL_FULL', 'the callee has no room for the request');
  return new RuntimeError('RT_CALL_REFUSED', `the request or its reply did not travel: ${String(result)}`, {
    detail: result,
  });
}
