/**
 * What one can ask of a supervisor: OTP's supervisor functions, over `call`.
 *
 * Each waits LIMITS.requestMsMax at most and rejects with the errors of `Context.call`: RT_CALL_TIMEOUT,
 * RT_CALL_NOPROC, RT_CALL_EXITED. A supervisor that waits for a child (a slow `init`, a slow end) answers when that is
 * over. Those that carry a specification work on the supervisor's own worker only: a specification holds functions.
 * A supervisor of another node answers SUP_OTHER_NODE to all of them.
 */

import type { Context, Pid, Target } from '../runtime/index.ts';
import type { SupervisorRequest } from './administration.ts';
import { type ChildSpec, completeSpec, type FullChildSpec } from './child-spec.ts';
import type { ChildCounts, ChildInfo, ChildResult } from './children.ts';
import type { SupervisorErrorCode } from './errors.ts';
import { LIMITS } from './limits.ts';

/** Whoever can call: an actor's context, or the node. */
export type Caller = Pick<Context, 'call'>;

/** What a request is answered with that has nothing to tell but that it was done. */
export type DoneResult = { readonly ok: true } | { readonly error: SupervisorErrorCode };

/**
 * Adds a child at the end of the order, and starts it.
 *
 * @returns Its pid, undefined if its `init` declined to run; SUP_ALREADY_STARTED with `pid`, SUP_ALREADY_PRESENT,
 *   SUP_START_FAILED with `reason`, SUP_BAD_SPEC with `message`, SUP_CHILDREN_MAX.
 * @throws {TypeError | RangeError} naming a field that is wrong.
 *
 * Source: supervisor:start_child/2.
 */
export function startChild(caller: Caller, target: Target, spec: ChildSpec): Promise<ChildResult> {
  return ask(caller, target, { type: 'start_child', spec: completeSpec(spec) });
}

/**
 * Stops a child as its specification says, and keeps the specification unless it is temporary. Of a child that is about
 * to be restarted, the restart is called off.
 *
 * @returns `{ ok: true }` when it is gone; SUP_NOT_FOUND, SUP_SIMPLE_ONE_FOR_ONE.
 *
 * Source: supervisor:terminate_child/2.
 */
export function terminateChild(caller: Caller, target: Target, id: string): Promise<DoneResult> {
  return ask(caller, target, { type: 'terminate_child', id });
}

/**
 * Starts a child again that was terminated or has ended. It does not count against the intensity.
 *
 * @returns As `startChild`; SUP_NOT_FOUND, SUP_RUNNING, SUP_RESTARTING, SUP_SIMPLE_ONE_FOR_ONE.
 *
 * Source: supervisor:restart_child/2.
 */
export function restartChild(caller: Caller, target: Target, id: string): Promise<ChildResult> {
  return ask(caller, target, { type: 'restart_child', id });
}

/**
 * Forgets the specification of a child that does not run.
 *
 * @returns `{ ok: true }`; SUP_NOT_FOUND, SUP_RUNNING, SUP_RESTARTING, SUP_SIMPLE_ONE_FOR_ONE.
 *
 * Source: supervisor:delete_child/2.
 */
export function deleteChild(caller: Caller, target: Target, id: string): Promise<DoneResult> {
  return ask(caller, target, { type: 'delete_child', id });
}

/**
 * The specification of a child, complete; without arguments if it is temporary. Of a dynamic supervisor: by the pid of a
 * child, the one that all have.
 *
 * Source: supervisor:get_childspec/2.
 */
export function getChildSpec(
  caller: Caller,
  target: Target,
  id: string | Pid,
): Promise<{ readonly ok: FullChildSpec } | { readonly error: 'SUP_NOT_FOUND' }> {
  return ask(caller, target, { type: 'get_child_spec', id });
}

/**
 * All children in order of start. Of a dynamic supervisor: all, which may be very many; mind the size.
 *
 * Source: supervisor:which_children/1.
 */
export function whichChildren(caller: Caller, target: Target): Promise<ChildInfo[]> {
  return ask(caller, target, { type: 'which_children' });
}

/**
 * How many there are of what. Cheap for a dynamic supervisor, whatever it holds.
 *
 * Source: supervisor:count_children/1.
 */
export function countChildren(caller: Caller, target: Target): Promise<ChildCounts> {
  return ask(caller, target, { type: 'count_children' });
}

function ask<T>(caller: Caller, target: Target, request: SupervisorRequest): Promise<T> {
  return caller.call(target, request, LIMITS.requestMsMax);
}
