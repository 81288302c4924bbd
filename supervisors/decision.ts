/**
 * What a supervisor does about an event, as a pure function: the event and what is known go in, a list of actions comes
 * out. Nothing here starts or stops anything, or reads a clock.
 *
 *   exited, try_again ──▶ decide ──▶ actions ──▶ carry-out.ts ──▶ runtime
 *                           ▲                         │
 *                           └────── start_failed ─────┘
 *
 * The same function serves all four strategies (`strategy.ts`) and both kinds of supervisor: `supervisor.ts`, whose
 * children have ids and an order, and `dynamic.ts`, whose children are many.
 */

import { type ExitReason, isAbnormal, type Pid } from '../runtime/index.ts';
import type { AutoShutdown, FullChildSpec, Restart } from './child-spec.ts';
import { addRestart, type RestartLimits, type RestartWindow } from './restart-window.ts';
import { STRATEGIES, type StrategyName } from './strategy.ts';

/** One child as a decision sees it. An immutable record: a change makes a new one. */
export interface Child {
  readonly spec: FullChildSpec;
  /** Undefined while it does not run. */
  readonly pid: Pid | undefined;
  /** Its restart has failed and will be tried again. */
  readonly restarting: boolean;
}

/** What a decision depends on, besides the event. */
export interface Situation {
  readonly strategy: StrategyName;
  readonly autoShutdown: AutoShutdown;
  readonly limits: RestartLimits;
  readonly window: RestartWindow;
  /** In order of start. */
  readonly children: Iterable<Child>;
  /** Significant children that run or are about to. */
  readonly significantCount: number;
}

export type SupervisorEvent<C extends Child = Child> =
  /** A child ended by itself. `child` is the record of the life that ended. */
  | { readonly type: 'exited'; readonly child: C; readonly reason: ExitReason; readonly nowMs: number }
  /** A start within a restart has failed; the rest of that plan is void. */
  | { readonly type: 'start_failed'; readonly child: C; readonly reason: ExitReason }
  /** The time has come for what a `try_again` asked for. */
  | { readonly type: 'try_again'; readonly child: C; readonly nowMs: number };

/** Carried out one after the other, each when the one before is done. */
export type SupervisorAction<C extends Child = Child> =
  | { readonly type: 'report'; readonly errorContext: ErrorContext; readonly child: C; readonly reason: ReportReason }
  /** Its life is over: keep its specification, or nothing if it is temporary. */
  | { readonly type: 'end'; readonly child: C }
  /** Stop a living child as its specification says, then `end` it. */
  | { readonly type: 'stop'; readonly child: C }
  /** Start a child; a failure becomes the event `start_failed` and voids the actions after this one. */
  | { readonly type: 'start'; readonly child: C }
  /** Mark it as restarting, and come back with the event of this name after requests were heard. */
  | { readonly type: 'try_again'; readonly child: C }
  /** Stop all children and exit with `'shutdown'`. */
  | { readonly type: 'exit' };

/** Where in a child's life an error was met. OTP's words. */
export type ErrorContext = 'start_error' | 'child_terminated' | 'shutdown_error' | 'shutdown';

/** Why: how the child ended, or that it was restarted too often. */
export type ReportReason = ExitReason | 'reached_max_restart_intensity';

export interface Decision<C extends Child = Child> {
  readonly window: RestartWindow;
  readonly actions: readonly SupervisorAction<C>[];
}

/**
 * Decides what follows from `event`.
 *
 * Source: OTP's supervisor on restart types, strategies, intensity and automatic shutdown.
 */
export function decide<C extends Child>(
  situation: Situation & { readonly children: Iterable<C> },
  event: SupervisorEvent<C>,
): Decision<C> {
  const { child } = event;
  if (event.type === 'exited') return onExited(situation, child, event.reason, event.nowMs);
  if (event.type === 'try_again') return restart(situation, child, event.nowMs, []);
  const report = reportOf('start_error', child, event.reason);
  return { window: situation.window, actions: [report, { type: 'try_again', child }] };
}

/** Whether a child is started again after it ended for `reason`. The whole table of restart types. */
function needsRestart(restart: Restart, reason: ExitReason): boolean {
  return restart === 'permanent' || (restart === 'transient' && isAbnormal(reason));
}

/** Whether the end of a child is worth a report: any abnormal one, and any other of a child meant to run forever. */
function needsReport(restart: Restart, reason: ExitReason): boolean {
  return isAbnormal(reason) || restart === 'permanent';
}

function onExited<C extends Child>(situation: Situation, child: C, reason: ExitReason, nowMs: number): Decision<C> {
  const { restart: type } = child.spec;
  const reports = needsReport(type, reason) ? [reportOf('child_terminated', child, reason)] : [];
  if (needsRestart(type, reason)) return restart(situation, child, nowMs, reports);
  const actions: SupervisorAction<C>[] = [...reports, { type: 'end', child }];
  if (endsWith(situation, child)) actions.push({ type: 'exit' });
  return { window: situation.window, actions };
}

/** Counts a restart and plans it, or gives up. */
function restart<C extends Child>(
  situation: Situation,
  child: C,
  nowMs: number,
  before: readonly SupervisorAction<C>[],
): Decision<C> {
  const { window, allowed } = addRestart(situation.window, nowMs, situation.limits);
  if (allowed) return { window, actions: [...before, ...planRestart(situation, child)] };
  const report = reportOf('shutdown', child, 'reached_max_restart_intensity');
  return { window, actions: [...before, report, { type: 'end', child }, { type: 'exit' }] };
}

/** Stop from right to left whoever still runs of those concerned, then start from left to right. */
function planRestart<C extends Child>({ strategy, children }: Situation, child: C): SupervisorAction<C>[] {
  // A strategy returns some of the records that it was given.
  const concerned = STRATEGIES[strategy](children, child) as readonly C[];
  const actions: SupervisorAction<C>[] = [{ type: 'end', child }];
  for (const other of concerned.toReversed()) {
    if (other !== child && other.pid !== undefined) actions.push({ type: 'stop', child: other });
  }
  for (const other of concerned) {
    if (other.spec.restart !== 'temporary') actions.push({ type: 'start', child: other });
  }
  return actions;
}

/** Whether the supervisor ends because `child` did, for good and by itself. */
function endsWith({ autoShutdown, significantCount }: Situation, { spec }: Child): boolean {
  if (!spec.significant || autoShutdown === 'never') return false;
  return autoShutdown === 'any_significant' || significantCount <= 1;
}

function reportOf<C extends Child>(
  errorContext: ErrorContext,
  child: C,
  reason: ReportReason,
): Extract<SupervisorAction<C>, { type: 'report' }> {
  return { type: 'report', errorContext, child, reason };
}
