/**
 * The strategy one_for_one: whoever ends is restarted alone. Pure.
 */

import { type ExitReason, samePid } from '../runtime/index.ts';
import {
  type Child,
  type Decision,
  needsReport,
  needsRestart,
  type Strategy,
  type SupervisorAction,
  type SupervisorState,
} from './decision.ts';
import { addRestart } from './restart-window.ts';

export const oneForOne: Strategy = Object.freeze({
  name: 'one_for_one',
  decide(state, event) {
    const child = state.children.find(({ spec, pid }) =>
      event.type === 'exited' ? pid !== undefined && samePid(pid, event.pid) : spec.id === event.id,
    );
    // The exit of somebody who is no child, or no longer.
    if (child === undefined) return { state, actions: [] };
    if (event.type === 'restart_failed') return onRestartFailed(state, child, event.reason, event.nowMs);
    return onExited(state, child, event.reason, event.nowMs);
  },
} satisfies Strategy);

function onExited(state: SupervisorState, child: Child, reason: ExitReason, nowMs: number): Decision {
  const { restart } = child.spec;
  const actions: SupervisorAction[] = [];
  if (needsReport(restart, reason)) actions.push({ type: 'report', context: 'child_terminated', child, reason });
  if (needsRestart(restart, reason)) return restartWithin(state, child, nowMs, actions);
  // A temporary child leaves nothing; a transient one leaves its specification for restartChild.
  const children =
    restart === 'temporary'
      ? state.children.filter((other) => other !== child)
      : replace(state.children, child, { ...child, pid: undefined });
  return { state: { ...state, children }, actions };
}

function onRestartFailed(state: SupervisorState, child: Child, reason: ExitReason, nowMs: number): Decision {
  return restartWithin(state, child, nowMs, [{ type: 'report', context: 'start_error', child, reason }]);
}

function restartWithin(state: SupervisorState, child: Child, nowMs: number, actions: SupervisorAction[]): Decision {
  const { window, allowed } = addRestart(state.window, nowMs, state.limits);
  const children = replace(state.children, child, { ...child, pid: undefined, restarting: true });
  const next = { ...state, window, children };
  if (allowed) return { state: next, actions: [...actions, { type: 'restart', id: child.spec.id }] };
  const report: SupervisorAction = { type: 'report', context: 'shutdown', child, reason: 'shutdown' };
  return { state: next, actions: [...actions, report, { type: 'give_up' }] };
}

function replace(children: readonly Child[], child: Child, next: Child): readonly Child[] {
  return children.map((other) => (other === child ? next : other));
}
