/**
 * The one place where decisions become effects: an event goes through `decide`, and its actions are carried out one
 * after the other.
 *
 * It stays synchronous as long as the children do: only a child that is stopped, or whose `init` returns a promise, makes
 * the supervisor wait, and while it waits it hears no requests and no exits, as in OTP. The two kinds of supervisor
 * differ in how they keep their children; that is a `Keeper`.
 */

import { type Context, type ExitReason, fromThrown, isExit, type Pid, type StartResult } from '../runtime/index.ts';
import type { AutoShutdown, ChildStart } from './child-spec.ts';
import { type Child, decide, type Situation, type SupervisorAction, type SupervisorEvent } from './decision.ts';
import { reportChild, type Reporter } from './report.ts';
import type { RestartLimits, RestartWindow } from './restart-window.ts';
import { isShutdownError, stopChild } from './shutdown.ts';

/** What the state of either kind of supervisor has. Plain data. */
export interface SupervisorState extends Reporter {
  limits: RestartLimits;
  autoShutdown: AutoShutdown;
  window: RestartWindow;
  /** Why the last code change was refused; undefined once that was logged. */
  changeRefused: string | undefined;
}

/** How one kind of supervisor keeps its children. None of it has effects outside of the state but `start`. */
export interface Keeper<S extends SupervisorState, C extends Child> {
  situation(state: S): Situation & { readonly children: Iterable<C> };
  /** The running child of this pid. */
  byPid(state: S, pid: Pid): C | undefined;
  /** The child that a `Retry` is about, if it still waits for one. */
  toRetry(state: S, key: unknown): C | undefined;
  /** What a `Retry` needs to find `child` again. */
  keyOf(child: C): unknown;
  start(child: C, state: S, ctx: Context): Started | Promise<Started>;
  putRunning(state: S, child: C, pid: Pid): void;
  putEnded(state: S, child: C): void;
  putRestarting(state: S, child: C): void;
}

/** What became of a start; `ok` is undefined for a child whose `init` declined to run. */
export type Started = { readonly ok: Pid | undefined } | { readonly error: ExitReason };

/** A note to itself to try a failed restart again, so that a supervisor hears requests in between. */
interface Retry {
  readonly type: 'RETRY_RESTART';
  readonly key: unknown;
}

/** Handles what comes to a supervisor by `send`: exits of children, its own notes, and strangers' messages. */
export function receiveInfo<S extends SupervisorState, C extends Child>(
  info: unknown,
  state: S,
  keeper: Keeper<S, C>,
  ctx: Context,
): void | Promise<void> {
  const nowMs = ctx.clock.monotonicMs();
  if (isExit(info)) {
    const child = keeper.byPid(state, info.pid);
    // Otherwise it was stopped by its supervisor, or was never a child.
    if (child !== undefined) return apply({ type: 'exited', child, reason: info.reason, nowMs }, state, keeper, ctx);
  } else if (isRetry(info)) {
    const child = keeper.toRetry(state, info.key);
    // Otherwise it was terminated while the note was on its way.
    if (child !== undefined) return apply({ type: 'try_again', child, nowMs }, state, keeper, ctx);
  } else {
    ctx.log.warn('supervisor_unexpected_info', { supervisor: state.name });
  }
}

/**
 * Starts a child by its specification.
 *
 * An `init` that stops with `'normal'` declines to run, which is no failure: OTP's `ignore`.
 */
export function startBy(ctx: Context, { behavior, options }: ChildStart, args: unknown): Started | Promise<Started> {
  try {
    const result = ctx.startLink(behavior, args, options);
    return result instanceof Promise ? result.then(startedOf) : startedOf(result);
  } catch (thrown) {
    // The worker is full, or its node is stopping.
    return { error: fromThrown(thrown) };
  }
}

/** Stops a living child, reports if it did not end as it should, and records its end. */
export async function stopOne<S extends SupervisorState, C extends Child>(
  child: C,
  state: S,
  keeper: Keeper<S, C>,
  ctx: Context,
): Promise<void> {
  const reason = await stopChild(ctx, child.pid!, child.spec);
  if (isShutdownError(child.spec, reason)) reportChild(ctx, state, 'shutdown_error', reason, child);
  keeper.putEnded(state, child);
}

/** Logs that a code change was refused, if one was: `codeChange` itself has no way to. */
export function logRefusedChange(state: SupervisorState, ctx: Context): void {
  if (state.changeRefused === undefined) return;
  ctx.log.error('supervisor_change_refused', { supervisor: state.name, message: state.changeRefused });
  state.changeRefused = undefined;
}

function apply<S extends SupervisorState, C extends Child>(
  event: SupervisorEvent<C>,
  state: S,
  keeper: Keeper<S, C>,
  ctx: Context,
): void | Promise<void> {
  const { window, actions } = decide(keeper.situation(state), event);
  state.window = window;
  return carryOut(actions, 0, state, keeper, ctx);
}

/** Carries out the actions from `at` on; those after a start that fails give way to what is decided about that. */
function carryOut<S extends SupervisorState, C extends Child>(
  actions: readonly SupervisorAction<C>[],
  at: number,
  state: S,
  keeper: Keeper<S, C>,
  ctx: Context,
): void | Promise<void> {
  for (let index = at; index < actions.length; index += 1) {
    const outcome = carryOutOne(actions[index]!, state, keeper, ctx);
    if (outcome instanceof Promise) {
      return outcome.then((event) =>
        event === undefined ? carryOut(actions, index + 1, state, keeper, ctx) : apply(event, state, keeper, ctx),
      );
    }
    if (outcome !== undefined) return apply(outcome, state, keeper, ctx);
  }
}

/** Returns the event that the action led to, if any. */
function carryOutOne<S extends SupervisorState, C extends Child>(
  action: SupervisorAction<C>,
  state: S,
  keeper: Keeper<S, C>,
  ctx: Context,
): SupervisorEvent<C> | undefined | Promise<SupervisorEvent<C> | undefined> {
  switch (action.type) {
    case 'report':
      reportChild(ctx, state, action.errorContext, action.reason, action.child);
      return undefined;
    case 'end':
      keeper.putEnded(state, action.child);
      return undefined;
    case 'stop':
      return stopOne(action.child, state, keeper, ctx).then(() => undefined);
    case 'start':
      return start(action.child, state, keeper, ctx);
    case 'try_again':
      keeper.putRestarting(state, action.child);
      // A timer message to itself is never refused.
      ctx.sendAfter(0, { type: 'RETRY_RESTART', key: keeper.keyOf(action.child) } satisfies Retry);
      return undefined;
    case 'exit':
      ctx.stop('shutdown');
      return undefined;
  }
}

function start<S extends SupervisorState, C extends Child>(
  child: C,
  state: S,
  keeper: Keeper<S, C>,
  ctx: Context,
): SupervisorEvent<C> | undefined | Promise<SupervisorEvent<C> | undefined> {
  const finish = (started: Started): SupervisorEvent<C> | undefined => {
    if ('error' in started) return { type: 'start_failed', child, reason: started.error };
    if (started.ok === undefined) keeper.putEnded(state, child);
    else keeper.putRunning(state, child, started.ok);
    return undefined;
  };
  const started = keeper.start(child, state, ctx);
  return started instanceof Promise ? started.then(finish) : finish(started);
}

function startedOf(result: StartResult): Started {
  return 'error' in result && result.error === 'normal' ? { ok: undefined } : result;
}

function isRetry(info: unknown): info is Retry {
  return typeof info === 'object' && info !== null && (info as Retry).type === 'RETRY_RESTART';
}
