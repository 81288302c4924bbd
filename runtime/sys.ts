/**
 * Looking into a running actor, OTP's `sys`: suspend and resume, read and replace its state, trace it, change its code.
 *
 * The requests travel in a lane of their own: they are heard by an actor with a full mailbox and by a suspended one, any
 * behaviour answers them (a supervisor, a state machine, an event manager) without having code for it, and they are
 * obeyed between two messages, so that they find the state whole. An actor whose handler has an open promise answers when
 * that has settled. Nothing of a state or message is ever logged; how much of it is told is bounded, and the caller's choice.
 *
 * ```ts
 * import { type Behavior, behaviorSlotOf, createNode, replaceBehavior, sys } from 'blindbeam/runtime';
 * import { systemClock, systemLoop, systemRandom } from 'blindbeam/runtime';
 *
 * const first: Behavior<{ count: number }, number> = { name: 'counter', version: 1, init: (count) => ({ count }) };
 * const second: Behavior<{ count: number; unit: string }, number> = {
 *   name: 'counter',
 *   version: 2,
 *   init: (count) => ({ count, unit: 'pieces' }),
 *   codeChange: ({ count }) => ({ count, unit: 'pieces' }),
 * };
 *
 * const node = createNode({ name: 'example', clock: systemClock, random: systemRandom, loop: systemLoop, log: console });
 * const pid = node.spawn(first, 3);
 *
 * // New code for one actor, with a look at the outcome before it goes on.
 * await sys.suspend(node, pid);
 * replaceBehavior(behaviorSlotOf(first), second);
 * console.log(await sys.changeCode(node, pid));
 * console.log(await sys.getState(node, pid));
 * await sys.resume(node, pid);
 * console.log((await sys.getStatus(node, pid)).version);
 * await node.stop();
 * ```
 *
 * It prints:
 *
 * ```text
 * ok
 * { count: 3, unit: 'pieces' }
 * 2
 * ```
 *
 * All functions reject as `Context.call` does; RT_CALL_FULL means that LIMITS.systemRequestCountMax requests wait already, RT_CALL_REFUSED
 * with the detail `'other_node'` that the actor is one of another node of a cluster: a node looks into its own actors alone.
 *
 * Source: sys of stdlib. Differs: a trace goes to an actor as messages, not to the terminal, and always has an end; what is
 * told of a state is a bounded copy; there are no debug functions to install; other nodes are not obeyed.
 */

import type { Context } from './behavior.ts';
import { checkTimeout } from './call.ts';
import type { Target } from './envelope.ts';
import { isRuntimeError } from './errors.ts';
import type { ErrorData, ExitReason } from './exit-reason.ts';
import { LIMITS } from './limits.ts';
import type { ProcessInfo } from './process-info.ts';
import type { SnapshotLimits } from './snapshot.ts';
import type { TraceOptions } from './trace.ts';

export { isTraceEvent, type TraceEvent, type TraceOptions } from './trace.ts';
export type { SnapshotLimits } from './snapshot.ts';

/** Whoever can ask: an actor's context, or the node. */
export type Caller = Pick<Context, 'systemRequest'>;

/** What `getStatus` tells. */
export interface Status extends ProcessInfo {
  readonly sysState: 'running' | 'suspended';
  readonly parent: string | undefined;
  /** Events told so far, of how many; undefined if it is not traced. */
  readonly trace: { readonly eventCount: number; readonly eventsMax: number } | undefined;
  /** What `formatStatus` of the behaviour says, or else its state; a bounded copy. */
  readonly state: unknown;
}

/** What an author's function that threw leaves behind; nothing was changed. */
export interface CallbackFailed {
  readonly error: 'callback_failed';
  readonly reason: { readonly error: ErrorData };
}

/** The requests as they travel; made by the functions below. */
export type SystemRequest =
  | { readonly type: 'suspend' | 'resume' | 'no_trace' | 'change_code' }
  | { readonly type: 'get_state' | 'get_status'; readonly limits: SnapshotLimits }
  | {
      readonly type: 'replace_state';
      readonly replace: (state: unknown) => unknown;
      readonly limits: SnapshotLimits;
    }
  | { readonly type: 'trace'; readonly options: TraceOptions }
  | { readonly type: 'terminate'; readonly reason: ExitReason };

/** Milliseconds that a request waits by default, as in OTP. */
const REQUEST_MS = 5_000;

/** Stops the actor from handling messages; they wait. Exit signals and the requests of this file still act. */
export function suspend(caller: Caller, target: Target, timeoutMs: number = REQUEST_MS): Promise<'ok'> {
  return ask(caller, target, { type: 'suspend' }, timeoutMs);
}

/** Lets a suspended actor go on. */
export function resume(caller: Caller, target: Target, timeoutMs: number = REQUEST_MS): Promise<'ok'> {
  return ask(caller, target, { type: 'resume' }, timeoutMs);
}

/** A bounded copy of the state: of a state machine `{ state, data }`, of an event manager each handler's. */
export function getState(
  caller: Caller,
  target: Target,
  limits: SnapshotLimits = {},
  timeoutMs: number = REQUEST_MS,
): Promise<unknown> {
  return ask(caller, target, { type: 'get_state', limits }, timeoutMs);
}

/**
 * Replaces the state by what `replace` returns, which runs within the actor; for the repair of a live system.
 *
 * @param target - An actor of this worker: a function does not travel (RT_CALL_REFUSED).
 * @returns The new state, as `getState` would tell it.
 */
export function replaceState<State>(
  caller: Caller,
  target: Target,
  replace: (state: State) => State,
  limits: SnapshotLimits = {},
  timeoutMs: number = REQUEST_MS,
): Promise<{ readonly ok: unknown } | CallbackFailed> {
  const request: SystemRequest = { type: 'replace_state', replace: replace as (state: unknown) => unknown, limits };
  return ask(caller, target, request, timeoutMs);
}

/** Everything that can be told of an actor. */
export function getStatus(
  caller: Caller,
  target: Target,
  limits: SnapshotLimits = {},
  timeoutMs: number = REQUEST_MS,
): Promise<Status> {
  return ask(caller, target, { type: 'get_status', limits }, timeoutMs);
}

/**
 * Tells `options.to` what the actor handles, as `TraceEvent`s, until `eventsMax` of them or `forMs` are over; the last
 * event says which. One trace an actor: another one takes its place.
 *
 * @throws {RangeError} for bounds out of LIMITS.traceEventCountMax and LIMITS.traceMsMax.
 */
export function trace(
  caller: Caller,
  target: Target,
  options: TraceOptions,
  timeoutMs: number = REQUEST_MS,
): Promise<'ok'> {
  checkBound('eventsMax', options.eventsMax, LIMITS.traceEventCountMax);
  checkBound('forMs', options.forMs, LIMITS.traceMsMax);
  return ask(caller, target, { type: 'trace', options }, timeoutMs);
}

/** Ends the trace. `'not_traced'` if it had ended by itself. */
export function noTrace(caller: Caller, target: Target, timeoutMs: number = REQUEST_MS): Promise<'ok' | 'not_traced'> {
  return ask(caller, target, { type: 'no_trace' }, timeoutMs);
}

/**
 * Converts the state of a suspended actor to the live version of its behaviour now, instead of at its next message, and
 * tells how that went. If `codeChange` throws, the state stays as it was, for another version or the old one to go on with.
 */
export function changeCode(
  caller: Caller,
  target: Target,
  timeoutMs: number = REQUEST_MS,
): Promise<'ok' | { readonly error: 'not_suspended' } | CallbackFailed> {
  return ask(caller, target, { type: 'change_code' }, timeoutMs);
}

/**
 * Ends the actor in order, after the message it is at (OTP's `sys:terminate` and `gen_server:stop`).
 *
 * @returns The reason it ended with, which is another one if its `terminate` threw.
 */
export async function terminate(
  caller: Caller,
  target: Target,
  reason: ExitReason = 'normal',
  timeoutMs: number = REQUEST_MS,
): Promise<ExitReason> {
  try {
    return await ask(caller, target, { type: 'terminate', reason }, timeoutMs);
  } catch (error) {
    if (isRuntimeError(error, 'RT_CALL_EXITED')) return error.reason as ExitReason;
    throw error;
  }
}

function ask<Answer>(caller: Caller, target: Target, request: SystemRequest, timeoutMs: number): Promise<Answer> {
  checkTimeout(timeoutMs);
  return caller.systemRequest(target, request, timeoutMs) as Promise<Answer>;
}

function checkBound(name: string, value: number, max: number): void {
  if (!(value >= 1 && value <= max)) throw new RangeError(`"${name}" expected 1 to ${max}, got ${value}`);
}
