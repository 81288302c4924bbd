/**
 * Restart policy on top of `runtime/`: supervisors and the trees they form. It knows nothing of messaging.
 *
 *                 root (one_for_one)
 *                  │        │
 *               store    connections (dynamic)
 *                          │ │ │ …
 *                        one actor a connection
 *
 * A supervisor starts its children in order, restarts those that end as their specification says, and gives up, by
 * ending itself, when that happens too often; then its own supervisor decides. Read in this order: `child-spec.ts`,
 * `decision.ts`, `one-for-one.ts`, `supervisor.ts`, `shutdown.ts`, `dynamic.ts`.
 */

export {
  type ChildSpec,
  childSpec,
  type ChildStart,
  type ChildType,
  type Restart,
  type Shutdown,
} from './child-spec.ts';
export {
  castStartChild,
  dynamicSupervisor,
  type DynamicSupervisorOptions,
  dynamicSupervisorSpec,
  startDynamicChild,
  startDynamicSupervisor,
  terminateDynamicChild,
} from './dynamic.ts';
export { SUP_ERRORS, type SupervisorErrorCode } from './errors.ts';
export { LIMITS as SUPERVISOR_LIMITS } from './limits.ts';
export {
  type ChildCounts,
  type ChildInfo,
  type ChildResult,
  countChildren,
  deleteChild,
  restartChild,
  startChild,
  startSupervisor,
  supervisor,
  type SupervisorOptions,
  supervisorSpec,
  terminateChild,
  whichChildren,
} from './supervisor.ts';
