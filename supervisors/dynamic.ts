/**
 * Many children of one specification: OTP's simple_one_for_one, made for one actor a connection.
 *
 * A child costs its supervisor a Map entry and a link, no specification and no id; a temporary one that ends leaves
 * nothing. Children are known by pid. A dynamic supervisor starts with none and stops its children side by side: they do
 * not know each other. It decides with the same pure parts as the other strategies (`decision.ts`, `restart-window.ts`).
 */

import {
  type Behavior,
  type Context,
  type ExitReason,
  isExit,
  Pid,
  samePid,
  type SendResult,
  type StartResult,
  type Target,
} from '../runtime/index.ts';
import { type ChildSpec, completeSpec, type FullChildSpec } from './child-spec.ts';
import { needsReport, needsRestart } from './decision.ts';
import type { SupervisorErrorCode } from './errors.ts';
import { LIMITS } from './limits.ts';
import { reportChild } from './report.ts';
import { addRestart, completeLimits, EMPTY_WINDOW, type RestartLimits, type RestartWindow } from './restart-window.ts';
import { stopAll, stopChild } from './shutdown.ts';
import {
  type Caller,
  type Caster,
  type ChildCounts,
  type ChildInfo,
  type ChildResult,
  registration,
  startActor,
  type Starter,
} from './supervisor.ts';

export interface DynamicSupervisorOptions {
  /** For reports; also registered unless `register` is false. */
  readonly name: string;
  readonly register?: boolean;
  /**
   * What every child is. `init` gets the extra arguments of `startDynamicChild` as they are; if `start.args` is given,
   * both must be objects and `init` gets `{ ...args, ...extra }`. Default `restart` here: `'temporary'`.
   */
  readonly child: Omit<ChildSpec, 'id'> & { readonly id?: string };
  readonly intensity?: number;
  readonly periodMs?: number;
  /** Children at once. Default LIMITS.dynamicChildCountMax. */
  readonly childrenMax?: number;
}

/** Requests and casts that start a child, and further requests. */
export type DynamicRequest =
  | { readonly type: 'start_child'; readonly args: unknown }
  | { readonly type: 'terminate_child'; readonly pid: Pid }
  | { readonly type: 'which_children' | 'count_children' };

const REQUEST_MS = 30_000;

/** Starts a dynamic supervisor, without children. */
export function startDynamicSupervisor(
  starter: Starter,
  options: DynamicSupervisorOptions,
): StartResult<never> | Promise<StartResult<never>> {
  return startActor(starter, dynamicSupervisor, options, options);
}

/** A specification for a dynamic supervisor as a child of another. */
export function dynamicSupervisorSpec(
  options: DynamicSupervisorOptions,
  rest: Omit<ChildSpec, 'id' | 'start'> = {},
): ChildSpec {
  const start = { behavior: dynamicSupervisor, args: options, options: registration(options) };
  return { type: 'supervisor', ...rest, id: options.name, start };
}

/** Starts a child and waits until its `init` is done. */
export function startDynamicChild(caller: Caller, target: Target, extraArgs?: unknown): Promise<ChildResult> {
  return caller.call(target, { type: 'start_child', args: extraArgs }, REQUEST_MS);
}

/**
 * Asks for a child and does not wait: a message and no promise. A child that fails to start, or finds its supervisor at
 * `childrenMax`, is reported in the log and to nobody else; let `init` of the child announce itself if you must know.
 */
export function castStartChild(caster: Caster, target: Target, extraArgs?: unknown): SendResult {
  return caster.cast(target, { type: 'start_child', args: extraArgs });
}

/** Stops a child of a dynamic supervisor; it is not restarted. */
export function terminateDynamicChild(caller: Caller, target: Target, pid: Pid): Promise<ChildResult | { ok: true }> {
  return caller.call(target, { type: 'terminate_child', pid }, REQUEST_MS);
}

interface State {
  readonly name: string;
  readonly spec: FullChildSpec;
  readonly limits: RestartLimits;
  readonly childrenMax: number;
  window: RestartWindow;
  /** Living children with the arguments to start them again; `undefined` for temporary ones, which never are. */
  readonly children: Map<Pid, unknown>;
}

type Answer = ChildResult | { ok: true } | { error: SupervisorErrorCode } | ChildInfo[] | ChildCounts;

/** A note to itself to start a child again whose restart failed. */
interface Retry {
  readonly type: 'RETRY_RESTART';
  readonly args: unknown;
}

export const dynamicSupervisor: Behavior<
  State,
  DynamicSupervisorOptions,
  Extract<DynamicRequest, { type: 'start_child' }>,
  DynamicRequest,
  Answer
> = Object.freeze({
  name: 'dynamic_supervisor',

  init(options: DynamicSupervisorOptions, ctx: Context): State {
    ctx.trapExit(true);
    const { name, child, childrenMax = LIMITS.dynamicChildCountMax } = options;
    if (!(childrenMax >= 1)) throw new RangeError(`"childrenMax" expected at least 1, got ${childrenMax}`);
    const spec = completeSpec({ restart: 'temporary', id: name, ...child });
    return { name, spec, limits: completeLimits(options), childrenMax, window: EMPTY_WINDOW, children: new Map() };
  },

  handleCall(request: DynamicRequest, _from: unknown, state: State, ctx: Context): Answer | Promise<Answer> {
    switch (request.type) {
      case 'start_child':
        return start(request.args, state, ctx);
      case 'terminate_child':
        return stopByPid(request.pid, state, ctx);
      case 'which_children':
        return Array.from(state.children.keys(), (pid) => describeChild(pid, state.spec));
      case 'count_children':
        return count(state);
      default:
        return { error: 'SUP_UNKNOWN_REQUEST' };
    }
  },

  handleCast(message: { readonly args: unknown }, state: State, ctx: Context): void | Promise<void> {
    const result = start(message.args, state, ctx);
    if (result instanceof Promise) return result.then((settled) => reportRefused(settled, state, ctx));
    reportRefused(result, state, ctx);
  },

  handleInfo(info: unknown, state: State, ctx: Context): void | Promise<void> {
    if (isExit(info)) return onExit(info.pid, info.reason, state, ctx);
    if (isRetry(info)) return restart(info.args, state, ctx);
    ctx.log.warn('supervisor_unexpected_info', { supervisor: state.name });
  },

  terminate(_reason: ExitReason, state: State, ctx: Context): void | Promise<void> {
    const { children, spec } = state;
    if (children.size === 0) return;
    return stopAll(ctx, children.keys(), spec.shutdown, (pid, reason) =>
      reportChild(ctx, state, 'shutdown_error', reason, { pid, spec }),
    );
  },
});

function start(extra: unknown, state: State, ctx: Context): ChildResult | Promise<ChildResult> {
  if (state.children.size >= state.childrenMax) return { error: 'SUP_CHILDREN_MAX' };
  const { behavior, options, args } = state.spec.start;
  const result = ctx.startLink(behavior, mergeArgs(args, extra), options);
  if (result instanceof Promise) return result.then((settled) => keep(settled, extra, state));
  return keep(result, extra, state);
}

function keep(result: StartResult, extra: unknown, state: State): ChildResult {
  if ('error' in result) return { error: 'SUP_START_FAILED', reason: result.error };
  state.children.set(result.ok, state.spec.restart === 'temporary' ? undefined : extra);
  return result;
}

function onExit(pid: Pid, reason: ExitReason, state: State, ctx: Context): void | Promise<void> {
  const { children, spec } = state;
  const extra = children.get(pid);
  if (!children.delete(pid)) return;
  if (needsReport(spec.restart, reason)) reportChild(ctx, state, 'child_terminated', reason, { pid, spec });
  if (needsRestart(spec.restart, reason)) return restartWithin(extra, state, ctx, restart);
}

/** Counts a restart, and goes on with `next` or gives up. */
function restartWithin(
  extra: unknown,
  state: State,
  ctx: Context,
  next: (extra: unknown, state: State, ctx: Context) => void | Promise<void>,
): void | Promise<void> {
  const { window, allowed } = addRestart(state.window, ctx.clock.monotonicMs(), state.limits);
  state.window = window;
  if (allowed) return next(extra, state, ctx);
  reportChild(ctx, state, 'shutdown', 'shutdown', { pid: undefined, spec: state.spec });
  ctx.stop('shutdown');
}

function restart(extra: unknown, state: State, ctx: Context): void | Promise<void> {
  const result = start(extra, state, ctx);
  if (result instanceof Promise) return result.then((settled) => finishRestart(settled, extra, state, ctx));
  return finishRestart(result, extra, state, ctx);
}

function finishRestart(result: ChildResult, extra: unknown, state: State, ctx: Context): void | Promise<void> {
  if ('ok' in result) return;
  reportRefused(result, state, ctx);
  return restartWithin(extra, state, ctx, retryLater);
}

/** By a note to itself, so that the supervisor hears requests in between. A timer message is never refused. */
function retryLater(extra: unknown, _state: State, ctx: Context): void {
  const retry: Retry = { type: 'RETRY_RESTART', args: extra };
  ctx.sendAfter(0, retry);
}

async function stopByPid(pid: Pid, state: State, ctx: Context): Promise<Answer> {
  const own = ownPid(pid, state);
  if (own === undefined) return { error: 'SUP_NOT_FOUND' };
  state.children.delete(own);
  await stopChild(ctx, own, state.spec.shutdown);
  return { ok: true };
}

// Children are keyed by their own pid objects; a pid that came from another worker is a copy and must be searched for.
function ownPid(pid: Pid, state: State): Pid | undefined {
  if (state.children.has(pid)) return pid;
  for (const own of state.children.keys()) if (samePid(own, pid)) return own;
  return undefined;
}

function reportRefused(result: ChildResult, state: State, ctx: Context): void {
  if ('ok' in result) return;
  const offender = { pid: undefined, spec: state.spec };
  if (result.reason !== undefined) return reportChild(ctx, state, 'start_error', result.reason, offender);
  ctx.log.warn('supervisor_refused_child', { supervisor: state.name, code: result.error });
}

function mergeArgs(args: unknown, extra: unknown): unknown {
  if (args === undefined) return extra;
  if (extra === undefined) return args;
  return { ...(args as object), ...(extra as object) };
}

function describeChild(pid: Pid, spec: FullChildSpec): ChildInfo {
  return { id: spec.id, pid, type: spec.type, behavior: spec.start.behavior.name };
}

function count({ children, spec }: State): ChildCounts {
  const supervisors = spec.type === 'supervisor' ? children.size : 0;
  return { specs: 1, active: children.size, supervisors, workers: children.size - supervisors };
}

function isRetry(info: unknown): info is Retry {
  return typeof info === 'object' && info !== null && (info as Retry).type === 'RETRY_RESTART';
}
