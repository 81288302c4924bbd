/**
 * Many children of one specification: OTP's simple_one_for_one, made for one actor a connection.
 *
 * A child costs its supervisor a place in a Map and a link, no specification and no id; a temporary one that ends leaves
 * nothing. Children are known by pid. A dynamic supervisor starts with none and stops its children side by side: they do
 * not know each other. What it decides it decides by `decision.ts`, as the others do.
 */

import {
  type Behavior,
  type Context,
  type ExitReason,
  type From,
  type Pid,
  samePid,
  type SendResult,
  type StartResult,
  type Target,
} from '../runtime/index.ts';
import type { Answer, SupervisorRequest } from './administration.ts';
import {
  type Keeper,
  logRefusedChange,
  receiveInfo,
  startBy,
  type Started,
  stopOne,
  type SupervisorState,
} from './carry-out.ts';
import {
  type AutoShutdown,
  checkAutoShutdown,
  checkHeeded,
  type ChildSpec,
  completeSpec,
  type FullChildSpec,
} from './child-spec.ts';
import type { ChildCounts, ChildInfo, ChildResult } from './children.ts';
import type { Child } from './decision.ts';
import { LIMITS } from './limits.ts';
import { stopMany } from './reaper.ts';
import { reportChild } from './report.ts';
import { type Caller, type DoneResult } from './requests.ts';
import { completeLimits, EMPTY_WINDOW, type RestartLimits } from './restart-window.ts';
import { registration, startActor, type Starter } from './supervisor.ts';

/** What a dynamic supervisor is, besides its name. */
export interface DynamicSupervisorFlags {
  /**
   * What every child is. `init` gets the extra arguments of `startDynamicChild` as they are; if `start.args` is given,
   * both must be objects and `init` gets `{ ...args, ...extra }`. Default `restart` here: `'temporary'`.
   */
  readonly child: Omit<ChildSpec, 'id'> & { readonly id?: string };
  /** Restarts allowed within `periodMs`, of all children together. Default 1 in 5,000 ms. */
  readonly intensity?: number;
  readonly periodMs?: number;
  /** Default `'never'`. With `'all_significant'` it ends when its last child has ended by itself. */
  readonly autoShutdown?: AutoShutdown;
  /** Gets every `SupervisorReport` by `send`, besides the log. */
  readonly reportTo?: Target;
  /** Children at once. Default LIMITS.dynamicChildCountMax. */
  readonly childrenMax?: number;
}

export interface DynamicSupervisorOptions extends DynamicSupervisorFlags {
  /** For reports; also registered unless `register` is false. */
  readonly name: string;
  readonly register?: boolean;
  /** Starts that may wait: how many children may be asked for in one turn. Default: as for every actor. */
  readonly mailboxMax?: number;
}

/** As `SupervisorDefinition`, for a dynamic supervisor: a later version changes the specification of coming starts. */
export interface DynamicSupervisorDefinition<Args> {
  readonly name: string;
  readonly version?: number;
  /** Called at the start and at each code change; must have no effects. */
  init(args: Args, worker: number): DynamicSupervisorFlags & { readonly name?: string };
}

/** The cast that starts a child. */
export interface StartDynamicChild {
  readonly type: 'start_dynamic_child';
  readonly extra: unknown;
}

/** Requests of a dynamic supervisor: its own start, and those that both kinds know. */
export type DynamicRequest = StartDynamicChild | SupervisorRequest;

/** Whoever can cast: an actor's context, or the node. */
export type Caster = Pick<Context, 'cast'>;

export type DynamicSupervisorBehavior<Args> = Behavior<
  DynamicState<Args>,
  Args,
  StartDynamicChild,
  DynamicRequest,
  Answer
>;

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
  const start = {
    behavior: dynamicSupervisor,
    args: options,
    options: { ...registration(options), ...mailbox(options) },
  };
  return { type: 'supervisor', ...rest, id: options.name, start };
}

function mailbox({ mailboxMax }: DynamicSupervisorOptions): { readonly mailboxMax?: number } {
  return mailboxMax === undefined ? {} : { mailboxMax };
}

/**
 * Starts a child and waits until its `init` is done.
 *
 * ```ts
 * const started = await startDynamicChild(ctx, 'connections', { socket });
 * if ('error' in started) socket.close();
 * ```
 *
 * @returns Its pid; SUP_START_FAILED with `reason`, SUP_CHILDREN_MAX.
 */
export function startDynamicChild(caller: Caller, target: Target, extra?: unknown): Promise<ChildResult> {
  return caller.call(target, { type: 'start_dynamic_child', extra }, LIMITS.requestMsMax);
}

/**
 * Asks for a child and does not wait: a message and no promise. A child that fails to start, or finds its supervisor at
 * `childrenMax`, is reported in the log and to nobody else; let `init` of the child announce itself if you must know.
 */
export function castStartChild(caster: Caster, target: Target, extra?: unknown): SendResult {
  return caster.cast(target, { type: 'start_dynamic_child', extra });
}

/**
 * Stops a child of a dynamic supervisor; it is not restarted. Of a child that is about to be restarted, by the pid that it
 * had, the restart is called off.
 *
 * Costs a search of all children if `pid` is a copy that came from another worker.
 */
export function terminateDynamicChild(caller: Caller, target: Target, pid: Pid): Promise<DoneResult> {
  return caller.call(target, { type: 'terminate_child', id: pid } satisfies SupervisorRequest, LIMITS.requestMsMax);
}

/** Makes a dynamic supervisor of a function from arguments to flags; see `defineSupervisor`. */
export function defineDynamicSupervisor<Args>(
  definition: DynamicSupervisorDefinition<Args>,
): DynamicSupervisorBehavior<Args> {
  const { name, version = 0 } = definition;
  return Object.freeze({
    name,
    version,

    init(args: Args, ctx: Context): DynamicState<Args> {
      ctx.trapExit(true);
      const flags = completeFlags(definition, args, ctx.worker);
      const { worker } = ctx;
      return {
        ...flags,
        args,
        worker,
        window: EMPTY_WINDOW,
        changeRefused: undefined,
        running: new Map(),
        restarting: new Map(),
      };
    },

    handleCall(request: DynamicRequest, { pid: { node } }: From, state: DynamicState<Args>, ctx: Context) {
      if (node !== ctx.self.node) return { error: 'SUP_OTHER_NODE' } as const;
      logRefusedChange(state, ctx);
      return answer(request, state, ctx);
    },

    handleCast({ extra }: StartDynamicChild, state: DynamicState<Args>, ctx: Context): void | Promise<void> {
      const result = add(extra, state, ctx);
      if (result instanceof Promise) return result.then((settled) => reportRefused(settled, state, ctx));
      reportRefused(result, state, ctx);
    },

    handleInfo(info: unknown, state: DynamicState<Args>, ctx: Context): void | Promise<void> {
      logRefusedChange(state, ctx);
      return receiveInfo(info, state, KEEPER, ctx);
    },

    terminate(_reason: ExitReason, state: DynamicState<Args>, ctx: Context): void | Promise<void> {
      if (state.running.size > 0) return stopAll(state, ctx);
    },

    codeChange: (state: DynamicState<Args>): DynamicState<Args> => change(definition, state),
  });
}

/** The dynamic supervisor that takes its flags as arguments. */
export const dynamicSupervisor: DynamicSupervisorBehavior<DynamicSupervisorOptions> = defineDynamicSupervisor({
  name: 'dynamic_supervisor',
  init: (options: DynamicSupervisorOptions) => options,
});

interface FullFlags {
  readonly name: string;
  readonly spec: FullChildSpec;
  readonly limits: RestartLimits;
  readonly autoShutdown: AutoShutdown;
  readonly reportTo: Target | undefined;
  readonly childrenMax: number;
}

export interface DynamicState<Args = unknown> extends SupervisorState, FullFlags {
  limits: RestartLimits;
  autoShutdown: AutoShutdown;
  readonly args: Args;
  readonly worker: number;
  /** Running children with the extra arguments to start them again; `undefined` for temporary ones, which never are. */
  readonly running: Map<Pid, unknown>;
  /** Children whose restart has failed and will be tried again, by the pid they had. */
  readonly restarting: Map<Pid, unknown>;
}

/** The record of one child, made when a decision needs one. */
interface DynamicChild extends Child {
  /** The pid that it has or had. */
  readonly former: Pid;
  readonly extra: unknown;
}

const KEEPER: Keeper<DynamicState, DynamicChild> = Object.freeze({
  situation: ({ autoShutdown, limits, window, running, restarting, spec }: DynamicState) => ({
    strategy: 'simple_one_for_one',
    autoShutdown,
    limits,
    window,
    // Nobody's end concerns anybody else here.
    children: [],
    significantCount: spec.significant ? running.size + restarting.size : 0,
  }),
  byPid({ running, spec }: DynamicState, pid: Pid) {
    const extra = running.get(pid);
    if (extra === undefined && !running.has(pid)) return undefined;
    return { spec, pid, restarting: false, former: pid, extra };
  },
  toRetry({ restarting, spec }: DynamicState, key: unknown) {
    const former = key as Pid;
    if (!restarting.has(former)) return undefined;
    return { spec, pid: undefined, restarting: true, former, extra: restarting.get(former) };
  },
  keyOf: ({ former }: DynamicChild) => former,
  start: ({ extra }: DynamicChild, { spec }: DynamicState, ctx: Context) =>
    startBy(ctx, spec.start, mergeArgs(spec.start.args, extra)),
  putRunning: ({ running, spec }: DynamicState, { extra }: DynamicChild, pid: Pid) =>
    void running.set(pid, spec.restart === 'temporary' ? undefined : extra),
  putEnded({ running, restarting }: DynamicState, { former }: DynamicChild) {
    running.delete(former);
    restarting.delete(former);
  },
  putRestarting: ({ restarting }: DynamicState, { former, extra }: DynamicChild) => void restarting.set(former, extra),
} satisfies Keeper<DynamicState, DynamicChild>);

function answer(request: DynamicRequest, state: DynamicState, ctx: Context): Answer | Promise<Answer> {
  switch (request.type) {
    case 'start_dynamic_child':
      return add(request.extra, state, ctx);
    case 'terminate_child':
      return terminate(request.id, state, ctx);
    case 'get_child_spec':
      return findPid(request.id, state) === undefined ? { error: 'SUP_NOT_FOUND' } : { ok: state.spec };
    case 'restart_child':
    case 'delete_child':
      return { error: 'SUP_SIMPLE_ONE_FOR_ONE' };
    case 'which_children':
      return list(state);
    case 'count_children':
      return count(state);
    default:
      return { error: 'SUP_UNKNOWN_REQUEST' };
  }
}

function add(extra: unknown, state: DynamicState, ctx: Context): ChildResult | Promise<ChildResult> {
  const { running, restarting, childrenMax, spec } = state;
  if (running.size + restarting.size >= childrenMax) return { error: 'SUP_CHILDREN_MAX' };
  const started = startBy(ctx, spec.start, mergeArgs(spec.start.args, extra));
  return started instanceof Promise
    ? started.then((settled) => keep(settled, extra, state))
    : keep(started, extra, state);
}

function keep(started: Started, extra: unknown, { running, spec }: DynamicState): ChildResult {
  if ('error' in started) return { error: 'SUP_START_FAILED', reason: started.error };
  if (started.ok !== undefined) running.set(started.ok, spec.restart === 'temporary' ? undefined : extra);
  return started;
}

function terminate(id: string | Pid, state: DynamicState, ctx: Context): Answer | Promise<Answer> {
  if (typeof id === 'string') return { error: 'SUP_SIMPLE_ONE_FOR_ONE' };
  const pid = findPid(id, state);
  if (pid === undefined) return { error: 'SUP_NOT_FOUND' };
  if (state.restarting.delete(pid)) return { ok: true };
  return stopOne(KEEPER.byPid(state, pid)!, state, KEEPER, ctx).then(() => ({ ok: true }));
}

async function stopAll(state: DynamicState, ctx: Context): Promise<void> {
  const { running, spec } = state;
  for (const { reason, count } of await stopMany(ctx, running, spec)) {
    reportChild(ctx, state, 'shutdown_error', reason, { spec, pid: undefined, count });
  }
}

// Children are keyed by their own pid objects; a pid that came from another worker is a copy and must be searched for.
function findPid(id: string | Pid, { running, restarting }: DynamicState): Pid | undefined {
  if (typeof id === 'string') return undefined;
  if (running.has(id) || restarting.has(id)) return id;
  for (const own of running.keys()) if (samePid(own, id)) return own;
  for (const own of restarting.keys()) if (samePid(own, id)) return own;
  return undefined;
}

function reportRefused(result: ChildResult, state: DynamicState, ctx: Context): void {
  if ('ok' in result) return;
  const { spec } = state;
  if (result.reason !== undefined)
    return reportChild(ctx, state, 'start_error', result.reason, { spec, pid: undefined });
  ctx.log.warn('supervisor_refused_child', { supervisor: state.name, code: result.error });
}

function mergeArgs(args: unknown, extra: unknown): unknown {
  if (args === undefined) return extra;
  if (extra === undefined) return args;
  return { ...(args as object), ...(extra as object) };
}

function list({ running, restarting, spec }: DynamicState): ChildInfo[] {
  const infoOf = (pid: ChildInfo['pid']): ChildInfo => ({
    id: spec.id,
    pid,
    type: spec.type,
    behavior: spec.start.behavior.name,
  });
  return [...Array.from(running.keys(), infoOf), ...Array.from(restarting.keys(), () => infoOf('restarting'))];
}

function count({ running, restarting, spec }: DynamicState): ChildCounts {
  const all = running.size + restarting.size;
  const supervisors = spec.type === 'supervisor' ? all : 0;
  return { specs: 1, active: running.size, supervisors, workers: all - supervisors };
}

/** @throws {TypeError | RangeError} naming the field. */
function completeFlags<Args>(definition: DynamicSupervisorDefinition<Args>, args: Args, worker: number): FullFlags {
  const flags = definition.init(args, worker);
  const { name = definition.name, autoShutdown = 'never', reportTo, child } = flags;
  const { childrenMax = LIMITS.dynamicChildCountMax } = flags;
  if (!(childrenMax >= 1)) throw new RangeError(`"childrenMax" expected at least 1, got ${childrenMax}`);
  const spec = completeSpec({ restart: 'temporary', id: name, ...child });
  checkHeeded(spec, checkAutoShutdown(autoShutdown));
  return { name, spec, limits: completeLimits(flags), autoShutdown, reportTo, childrenMax };
}

function change<Args>(definition: DynamicSupervisorDefinition<Args>, state: DynamicState<Args>): DynamicState<Args> {
  try {
    return { ...state, ...completeFlags(definition, state.args, state.worker) };
  } catch (error) {
    // Throwing would end the supervisor and all below it; with what it has it can go on.
    return { ...state, changeRefused: error instanceof Error ? error.message : 'init threw' };
  }
}
