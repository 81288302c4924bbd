/**
 * The supervisor actor: starts children in order, hears of their ends, asks its strategy, and carries the answer out.
 *
 * Everything that is decided is decided in `one-for-one.ts` and `decision.ts`; here is only what has effects. It knows
 * nothing of what its children do. Read next: `shutdown.ts`, `dynamic.ts`.
 */

import {
  type Behavior,
  type Context,
  type ExitReason,
  isExit,
  type Pid,
  type RuntimeNode,
  type StartResult,
  type Target,
} from '../runtime/index.ts';
import { type ChildSpec, type ChildType, completeSpec, completeSpecs, type FullChildSpec } from './child-spec.ts';
import type { Child, Decision, Strategy, SupervisorEvent, SupervisorState } from './decision.ts';
import type { SupervisorErrorCode } from './errors.ts';
import { oneForOne } from './one-for-one.ts';
import { reportChild } from './report.ts';
import { completeLimits, EMPTY_WINDOW } from './restart-window.ts';
import { isShutdownError, stopChild } from './shutdown.ts';

export interface SupervisorOptions {
  /** For reports; also registered unless `register` is false. */
  readonly name: string;
  readonly register?: boolean;
  /** Default, and so far only: `'one_for_one'`. */
  readonly strategy?: Strategy['name'];
  /** Restarts allowed within `periodMs`. Default 1 in 5,000 ms. */
  readonly intensity?: number;
  readonly periodMs?: number;
  /** Started in this order, stopped in the reverse one. */
  readonly children: readonly ChildSpec[];
}

/** What a request to a supervisor is answered with. */
export type ChildResult =
  { readonly ok: Pid } | { readonly error: SupervisorErrorCode; readonly reason?: ExitReason; readonly pid?: Pid };

export interface ChildInfo {
  readonly id: string;
  readonly pid: Pid | 'restarting' | undefined;
  readonly type: ChildType;
  readonly behavior: string;
}

export interface ChildCounts {
  /** Specifications; for a dynamic supervisor, 1. */
  readonly specs: number;
  /** Children that run. */
  readonly active: number;
  readonly supervisors: number;
  readonly workers: number;
}

/** Whoever can call: an actor's context, or the node. */
export type Caller = Pick<Context, 'call'>;
export type Caster = Pick<Context, 'cast'>;
/** Whoever can start: an actor's context (linked), or the node (as a root). */
export type Starter = Pick<Context, 'startLink'> | Pick<RuntimeNode, 'start'>;

/** Milliseconds that the request functions below wait by default: starting a child may open files. */
const REQUEST_MS = 30_000;

/**
 * Starts a supervisor and its children.
 *
 * If a child fails to start, those before it are stopped in reverse order and the result is
 * `{ error: { shutdown: { failed_to_start_child: id, reason } } }`. Synchronous if every child's `init` is.
 */
export function startSupervisor(
  starter: Starter,
  options: SupervisorOptions,
): StartResult<never> | Promise<StartResult<never>> {
  return startActor(starter, supervisor, options, options);
}

/** A specification for a supervisor as a child of another. */
export function supervisorSpec(options: SupervisorOptions, rest: Omit<ChildSpec, 'id' | 'start'> = {}): ChildSpec {
  const start = { behavior: supervisor, args: options, options: registration(options) };
  return { type: 'supervisor', ...rest, id: options.name, start };
}

/** Adds a child at the end of the order, and starts it. */
export function startChild(caller: Caller, target: Target, spec: ChildSpec): Promise<ChildResult> {
  return caller.call(target, { type: 'start_child', spec: completeSpec(spec) }, REQUEST_MS);
}

/** Stops a child and keeps its specification, unless it is temporary. */
export function terminateChild(caller: Caller, target: Target, id: string): Promise<ChildResult | { ok: true }> {
  return caller.call(target, { type: 'terminate_child', id }, REQUEST_MS);
}

/** Starts a child again that was terminated or has ended. */
export function restartChild(caller: Caller, target: Target, id: string): Promise<ChildResult> {
  return caller.call(target, { type: 'restart_child', id }, REQUEST_MS);
}

/** Forgets the specification of a child that does not run. */
export function deleteChild(caller: Caller, target: Target, id: string): Promise<ChildResult | { ok: true }> {
  return caller.call(target, { type: 'delete_child', id }, REQUEST_MS);
}

/** All children in order of start. Of a dynamic supervisor: all, which may be very many; mind the size. */
export function whichChildren(caller: Caller, target: Target): Promise<ChildInfo[]> {
  return caller.call(target, { type: 'which_children' }, REQUEST_MS);
}

export function countChildren(caller: Caller, target: Target): Promise<ChildCounts> {
  return caller.call(target, { type: 'count_children' }, REQUEST_MS);
}

export type SupervisorRequest =
  | { readonly type: 'start_child'; readonly spec: FullChildSpec }
  | { readonly type: 'terminate_child' | 'restart_child' | 'delete_child'; readonly id: string }
  | { readonly type: 'which_children' | 'count_children' };

interface State extends SupervisorState {
  readonly name: string;
  readonly strategy: Strategy['name'];
  children: readonly Child[];
  window: SupervisorState['window'];
}

type Answer = ChildResult | { ok: true } | { error: SupervisorErrorCode } | ChildInfo[] | ChildCounts;

/** A supervisor's note to itself to try a failed restart again, so that it hears requests in between. */
interface Retry {
  readonly type: 'RETRY_RESTART';
  readonly id: string;
}

export const supervisor: Behavior<State, SupervisorOptions, never, SupervisorRequest, Answer> = Object.freeze({
  name: 'supervisor',

  init(options: SupervisorOptions, ctx: Context): State | Promise<State> {
    ctx.trapExit(true);
    const { name, strategy = 'one_for_one' } = options;
    strategyOf(strategy);
    const children = completeSpecs(options.children).map((spec) => ({ spec, pid: undefined, restarting: false }));
    const state = { name, strategy, children, window: EMPTY_WINDOW, limits: completeLimits(options) };
    return startFrom(0, state, ctx);
  },

  handleCall(request: SupervisorRequest, _from: unknown, state: State, ctx: Context): Answer | Promise<Answer> {
    switch (request.type) {
      case 'start_child':
        return addChild(request.spec, state, ctx);
      case 'terminate_child':
        return stopById(request.id, state, ctx);
      case 'restart_child':
        return restartById(request.id, state, ctx);
      case 'delete_child':
        return deleteById(request.id, state);
      case 'which_children':
        return state.children.map(describeChild);
      case 'count_children':
        return countSpecs(state.children);
      default:
        return { error: 'SUP_UNKNOWN_REQUEST' };
    }
  },

  handleInfo(info: unknown, state: State, ctx: Context): void | Promise<void> {
    const nowMs = ctx.clock.monotonicMs();
    if (isExit(info)) return apply({ type: 'exited', pid: info.pid, reason: info.reason, nowMs }, state, ctx);
    if (isRetry(info)) return restart(info.id, state, ctx);
    ctx.log.warn('supervisor_unexpected_info', { supervisor: state.name });
  },

  terminate(_reason: ExitReason, state: State, ctx: Context): void | Promise<void> {
    return stopFrom(state.children.length - 1, state, ctx);
  },
});

/** Starts `behavior` through an actor's context or as a root of the node, registered if its options say so. */
export function startActor<A>(
  starter: Starter,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  behavior: Behavior<any, A, never, any, any>,
  args: A,
  options: { readonly name: string; readonly register?: boolean },
): StartResult<never> | Promise<StartResult<never>> {
  const spawnOptions = registration(options);
  return 'startLink' in starter
    ? starter.startLink(behavior, args, spawnOptions)
    : starter.start(behavior, args, spawnOptions);
}

/** The spawn options of a supervisor. */
export function registration(options: { readonly name: string; readonly register?: boolean }): { name?: string } {
  return options.register === false ? {} : { name: options.name };
}

/** Starts the children from `index` on; those that start synchronously, without a promise. */
function startFrom(index: number, state: State, ctx: Context): State | Promise<State> {
  for (let at = index; at < state.children.length; at += 1) {
    const result = startSpec(state.children[at]!.spec, ctx);
    if (!(result instanceof Promise)) {
      if (!recordStart(at, result, state)) return failStart(at, result, state, ctx);
      continue;
    }
    return result.then((settled) =>
      recordStart(at, settled, state) ? startFrom(at + 1, state, ctx) : failStart(at, settled, state, ctx),
    );
  }
  return state;
}

function recordStart(at: number, result: StartResult, state: State): boolean {
  if ('error' in result) return false;
  setChild(state, state.children[at]!, { pid: result.ok, restarting: false });
  return true;
}

async function failStart(at: number, result: StartResult, state: State, ctx: Context): Promise<State> {
  const reason = (result as { error: ExitReason }).error;
  const child = state.children[at]!;
  reportChild(ctx, state, 'start_error', reason, child);
  await stopFrom(at - 1, state, ctx);
  ctx.stop({ shutdown: { failed_to_start_child: child.spec.id, reason } });
  return state;
}

/** Stops the children from `index` down to the first, one after the other: a later child may use an earlier one. */
function stopFrom(index: number, state: State, ctx: Context): void | Promise<void> {
  if (state.children.slice(0, index + 1).every(({ pid }) => pid === undefined)) return;
  return stopEach(state.children.slice(0, index + 1).reverse(), state, ctx);
}

async function stopEach(children: readonly Child[], state: State, ctx: Context): Promise<void> {
  for (const child of children) {
    if (child.pid === undefined) continue;
    const reason = await stopChild(ctx, child.pid, child.spec.shutdown);
    if (isShutdownError(child.spec.shutdown, reason)) reportChild(ctx, state, 'shutdown_error', reason, child);
  }
}

function apply(event: SupervisorEvent, state: State, ctx: Context): void | Promise<void> {
  return carryOut(strategyOf(state.strategy).decide(state, event), state, ctx);
}

/** The one place where decisions become effects. */
function carryOut(decision: Decision, state: State, ctx: Context): void | Promise<void> {
  state.children = decision.state.children;
  state.window = decision.state.window;
  let pending: void | Promise<void> = undefined;
  for (const action of decision.actions) {
    if (action.type === 'report') reportChild(ctx, state, action.context, action.reason, action.child);
    else if (action.type === 'give_up') ctx.stop('shutdown');
    else pending = restart(action.id, state, ctx);
  }
  return pending;
}

function restart(id: string, state: State, ctx: Context): void | Promise<void> {
  const child = findChild(state, id);
  // Deleted, terminated, or restarted by request while the note was on its way.
  if (child === undefined || !child.restarting) return;
  const result = startSpec(child.spec, ctx);
  if (result instanceof Promise) return result.then((settled) => finishRestart(id, settled, state, ctx));
  finishRestart(id, result, state, ctx);
}

function finishRestart(id: string, result: StartResult, state: State, ctx: Context): void {
  if ('ok' in result) return setChild(state, findChild(state, id)!, { pid: result.ok, restarting: false });
  const event: SupervisorEvent = {
    type: 'restart_failed',
    id,
    reason: result.error,
    nowMs: ctx.clock.monotonicMs(),
  };
  const decision = strategyOf(state.strategy).decide(state, event);
  const again = decision.actions.filter(({ type }) => type === 'restart');
  void carryOut(
    { state: decision.state, actions: decision.actions.filter(({ type }) => type !== 'restart') },
    state,
    ctx,
  );
  const retry: Retry = { type: 'RETRY_RESTART', id };
  if (again.length > 0) ctx.sendAfter(0, retry);
}

function addChild(spec: FullChildSpec, state: State, ctx: Context): Answer | Promise<Answer> {
  const present = findChild(state, spec.id);
  if (present?.pid !== undefined) return { error: 'SUP_ALREADY_STARTED', pid: present.pid };
  if (present !== undefined) return { error: 'SUP_ALREADY_PRESENT' };
  const finish = (result: StartResult): Answer => {
    if ('error' in result) return { error: 'SUP_START_FAILED', reason: result.error };
    state.children = [...state.children, { spec, pid: result.ok, restarting: false }];
    return result;
  };
  const result = startSpec(spec, ctx);
  return result instanceof Promise ? result.then(finish) : finish(result);
}

async function stopById(id: string, state: State, ctx: Context): Promise<Answer> {
  const child = findChild(state, id);
  if (child === undefined) return { error: 'SUP_NOT_FOUND' };
  if (child.pid !== undefined) await stopEach([child], state, ctx);
  if (child.spec.restart === 'temporary') state.children = state.children.filter((other) => other !== child);
  else setChild(state, child, { pid: undefined, restarting: false });
  return { ok: true };
}

function restartById(id: string, state: State, ctx: Context): Answer | Promise<Answer> {
  const child = findChild(state, id);
  if (child === undefined) return { error: 'SUP_NOT_FOUND' };
  if (child.pid !== undefined || child.restarting) return { error: 'SUP_RUNNING' };
  const finish = (result: StartResult): Answer => {
    if ('error' in result) return { error: 'SUP_START_FAILED', reason: result.error };
    setChild(state, child, { pid: result.ok, restarting: false });
    return result;
  };
  const result = startSpec(child.spec, ctx);
  return result instanceof Promise ? result.then(finish) : finish(result);
}

function deleteById(id: string, state: State): Answer {
  const child = findChild(state, id);
  if (child === undefined) return { error: 'SUP_NOT_FOUND' };
  if (child.pid !== undefined || child.restarting) return { error: 'SUP_RUNNING' };
  state.children = state.children.filter((other) => other !== child);
  return { ok: true };
}

function startSpec(spec: FullChildSpec, ctx: Context): StartResult | Promise<StartResult> {
  const { behavior, args, options } = spec.start;
  return ctx.startLink(behavior, args, options);
}

function findChild(state: State, id: string): Child | undefined {
  return state.children.find(({ spec }) => spec.id === id);
}

function setChild(state: State, child: Child, change: Pick<Child, 'pid' | 'restarting'>): void {
  state.children = state.children.map((other) => (other === child ? { ...child, ...change } : other));
}

function describeChild({ spec, pid, restarting }: Child): ChildInfo {
  return { id: spec.id, pid: restarting ? 'restarting' : pid, type: spec.type, behavior: spec.start.behavior.name };
}

function countSpecs(children: readonly Child[]): ChildCounts {
  const supervisors = children.filter(({ spec }) => spec.type === 'supervisor').length;
  const active = children.filter(({ pid }) => pid !== undefined).length;
  return { specs: children.length, active, supervisors, workers: children.length - supervisors };
}

function isRetry(info: unknown): info is Retry {
  return typeof info === 'object' && info !== null && (info as Retry).type === 'RETRY_RESTART';
}

// Looked up by name at each use: state holds data only.
function strategyOf(name: Strategy['name']): Strategy {
  if (name === 'one_for_one') return oneForOne;
  throw new RangeError(`"strategy" expected one_for_one, got ${String(name)}`);
}
