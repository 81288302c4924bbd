/**
 * What a supervisor answers to requests about its children: add, terminate, restart, delete, list, count.
 *
 * For supervisors whose children have ids; `dynamic.ts` answers for the other kind. Callers use `requests.ts`.
 */

import type { Context, Pid } from '../runtime/index.ts';
import { startBy, type Started, stopOne } from './carry-out.ts';
import { checkHeeded, type FullChildSpec } from './child-spec.ts';
import {
  type ChildCounts,
  type ChildInfo,
  type ChildResult,
  countNamed,
  describeChild,
  KEEPER,
  type NamedState,
  putEnded,
  putRunning,
  remove,
} from './children.ts';
import type { Child } from './decision.ts';
import type { SupervisorErrorCode } from './errors.ts';
import { LIMITS } from './limits.ts';

/** What `requests.ts` calls a supervisor with. */
export type SupervisorRequest =
  | { readonly type: 'start_child'; readonly spec: FullChildSpec }
  | { readonly type: 'terminate_child' | 'get_child_spec'; readonly id: string | Pid }
  | { readonly type: 'restart_child' | 'delete_child'; readonly id: string }
  | { readonly type: 'which_children' | 'count_children' };

/** What it is answered with. */
export type Answer =
  ChildResult | { ok: true } | { ok: FullChildSpec } | { error: SupervisorErrorCode } | ChildInfo[] | ChildCounts;

export function answerRequest(request: SupervisorRequest, state: NamedState, ctx: Context): Answer | Promise<Answer> {
  const { children } = state;
  switch (request.type) {
    case 'start_child':
      return addChild(request.spec, state, ctx);
    case 'terminate_child':
      return terminateById(request.id, state, ctx);
    case 'restart_child':
      return restartById(request.id, state, ctx);
    case 'delete_child':
      return deleteById(request.id, state);
    case 'get_child_spec': {
      const child = findChild(request.id, state);
      return child === undefined ? { error: 'SUP_NOT_FOUND' } : { ok: child.spec };
    }
    case 'which_children':
      return Array.from(children.byId.values(), describeChild);
    case 'count_children':
      return countNamed(children);
    default:
      return { error: 'SUP_UNKNOWN_REQUEST' };
  }
}

function addChild(spec: FullChildSpec, state: NamedState, ctx: Context): Answer | Promise<Answer> {
  const refusal = refusalOf(spec, state);
  if (refusal !== undefined) return refusal;
  const started = startBy(ctx, spec.start, spec.start.args);
  return started instanceof Promise
    ? started.then((settled) => keepStarted(spec, settled, state))
    : keepStarted(spec, started, state);
}

function refusalOf(spec: FullChildSpec, { children, autoShutdown }: NamedState): ChildResult | undefined {
  const present = children.byId.get(spec.id);
  if (present?.pid !== undefined) return { error: 'SUP_ALREADY_STARTED', pid: present.pid };
  if (present !== undefined) return { error: 'SUP_ALREADY_PRESENT' };
  if (children.byId.size >= LIMITS.childCountMax) return { error: 'SUP_CHILDREN_MAX' };
  try {
    checkHeeded(spec, autoShutdown);
  } catch (error) {
    return { error: 'SUP_BAD_SPEC', message: (error as RangeError).message };
  }
  return undefined;
}

/** Keeps a child whose start was asked for; one that has failed is not kept, or stays as it was. */
function keepStarted(spec: FullChildSpec, started: Started, { children }: NamedState): ChildResult {
  if ('error' in started) return { error: 'SUP_START_FAILED', reason: started.error };
  if (started.ok === undefined) putEnded(children, spec);
  else putRunning(children, spec, started.ok);
  return started;
}

function terminateById(id: string | Pid, state: NamedState, ctx: Context): Answer | Promise<Answer> {
  const child = findChild(id, state);
  if (child === undefined) return { error: 'SUP_NOT_FOUND' };
  if (child.pid !== undefined) return stopOne(child, state, KEEPER, ctx).then(() => ({ ok: true }));
  putEnded(state.children, child.spec);
  return { ok: true };
}

function restartById(id: string, state: NamedState, ctx: Context): Answer | Promise<Answer> {
  const child = findChild(id, state);
  if (child === undefined) return { error: 'SUP_NOT_FOUND' };
  const busy = busyWith(child);
  if (busy !== undefined) return { error: busy };
  const started = startBy(ctx, child.spec.start, child.spec.start.args);
  return started instanceof Promise
    ? started.then((settled) => keepStarted(child.spec, settled, state))
    : keepStarted(child.spec, started, state);
}

function deleteById(id: string, state: NamedState): Answer {
  const child = findChild(id, state);
  if (child === undefined) return { error: 'SUP_NOT_FOUND' };
  const busy = busyWith(child);
  if (busy !== undefined) return { error: busy };
  remove(state.children, id);
  return { ok: true };
}

function busyWith({ pid, restarting }: Child): SupervisorErrorCode | undefined {
  if (restarting) return 'SUP_RESTARTING';
  return pid === undefined ? undefined : 'SUP_RUNNING';
}

/** Children here have ids; a pid names none of them, as in OTP. */
function findChild(id: string | Pid, { children }: NamedState): Child | undefined {
  return typeof id === 'string' ? children.byId.get(id) : undefined;
}
