/**
 * What a strategy decides and on what: the vocabulary between the pure strategies and the actor that carries them out.
 *
 * A strategy sees children as `{ id, restart, pid }` and time as a number. It never starts or stops anything: it returns
 * the new state and a list of actions, and the outcome of an action comes back to it as the next event.
 *
 *   event ──▶ strategy (pure) ──▶ actions ──▶ supervisor.ts ──▶ runtime
 *     ▲                                            │
 *     └────────── start_failed, exited ────────────┘
 */

import { type ExitReason, isAbnormal, type Pid } from '../runtime/index.ts';
import type { FullChildSpec, Restart } from './child-spec.ts';
import type { RestartLimits, RestartWindow } from './restart-window.ts';

/** One child as a strategy sees it. `pid` is undefined while it does not run. */
export interface Child {
  readonly spec: FullChildSpec;
  readonly pid: Pid | undefined;
  /** It ended and its restart has not succeeded yet. */
  readonly restarting: boolean;
}

export interface SupervisorState {
  /** In order of start. */
  readonly children: readonly Child[];
  readonly window: RestartWindow;
  readonly limits: RestartLimits;
}

export type SupervisorEvent =
  /** A child ended by itself. */
  | { readonly type: 'exited'; readonly pid: Pid; readonly reason: ExitReason; readonly nowMs: number }
  /** A restart that an action asked for has failed in `init`. */
  | { readonly type: 'restart_failed'; readonly id: string; readonly reason: ExitReason; readonly nowMs: number };

export type SupervisorAction =
  /** Start the child again. */
  | { readonly type: 'restart'; readonly id: string }
  /** Write a report on `child`. */
  | { readonly type: 'report'; readonly context: ReportContext; readonly child: Child; readonly reason: ExitReason }
  /** Stop all children and exit with `'shutdown'`: the restart limits are exceeded. */
  | { readonly type: 'give_up' };

/** Where in a child's life an error was met. OTP's words. */
export type ReportContext = 'start_error' | 'child_terminated' | 'shutdown_error' | 'shutdown';

export interface Decision {
  readonly state: SupervisorState;
  readonly actions: readonly SupervisorAction[];
}

/** One strategy: whom to restart when a child ends. */
export interface Strategy {
  readonly name: 'one_for_one';
  decide(state: SupervisorState, event: SupervisorEvent): Decision;
}

/** Whether a child is started again after it ended for `reason`. The whole table of restart types. */
export function needsRestart(restart: Restart, reason: ExitReason): boolean {
  return restart === 'permanent' || (restart === 'transient' && isAbnormal(reason));
}

/** Whether the end of a child is worth a report: any abnormal one, and any other of a child meant to run forever. */
export function needsReport(restart: Restart, reason: ExitReason): boolean {
  return isAbnormal(reason) || restart === 'permanent';
}
