/**
 * Restart policy on top of `runtime/`: supervisors and the trees they form. It knows nothing of messaging.
 *
 *                 root (rest_for_one)
 *              ┌───────┼──────────────┐
 *            store   index      connections (dynamic)
 *                                   │ │ │ …
 *                                 one actor a connection
 *
 * A supervisor starts its children in order, restarts those that end as their specification says, and gives up, by
 * ending itself, when that happens too often; then its own supervisor decides. A tree in full:
 *
 * ```ts
 * import { type Behavior, createNode, systemClock, systemLoop, systemRandom } from 'blindbeam/runtime';
 * import { childSpec, countChildren, dynamicSupervisorSpec, startDynamicChild, startSupervisor } from 'blindbeam/supervisors';
 *
 * const store: Behavior<Map<string, string>, null, { key: string; value: string } | 'crash', string> = {
 *   name: 'store',
 *   init: () => new Map(),
 *   handleCast(message, values) {
 *     if (message === 'crash') throw new Error('out of order');
 *     values.set(message.key, message.value);
 *   },
 *   handleCall: (key, _from, values) => values.get(key),
 * };
 *
 * const greeter: Behavior<string, { name: string }, never, 'greet', string> = {
 *   name: 'greeter',
 *   init: ({ name }) => name,
 *   handleCall: (_request, _from, name) => `hello from ${name}`,
 * };
 *
 * const node = createNode({
 *   name: 'example',
 *   clock: systemClock,
 *   random: systemRandom,
 *   loop: systemLoop,
 *   log: { ...console, error: (event) => console.log('reported:', event) },
 * });
 * await startSupervisor(node, {
 *   name: 'root',
 *   strategy: 'rest_for_one',
 *   intensity: 3,
 *   periodMs: 5_000,
 *   children: [
 *     childSpec('store', store, null, { shutdown: 10_000, options: { name: 'store' } }),
 *     dynamicSupervisorSpec({ name: 'greeters', child: { start: { behavior: greeter }, restart: 'transient' } }),
 *   ],
 * });
 *
 * node.cast('store', { key: 'colour', value: 'blue' });
 * console.log(await node.call('store', 'colour', 1_000));
 * const started = await startDynamicChild(node, 'greeters', { name: 'Ada' });
 * if ('ok' in started) console.log(await node.call(started.ok!, 'greet', 1_000));
 *
 * node.cast('store', 'crash');
 * console.log(await node.call('store', 'colour', 1_000).catch((error) => error.code));
 * // A supervisor answers when it has done what was to do: the store is back, and the greeters' supervisor after it.
 * console.log(await countChildren(node, 'root'));
 * console.log('the new store has', await node.call('store', 'colour', 1_000));
 * await node.stop();
 * ```
 *
 * Read in this order: `child-spec.ts`, `decision.ts`, `strategy.ts`, `carry-out.ts`, `supervisor.ts`, `shutdown.ts`,
 * `dynamic.ts`, `partitioned.ts`. Docs: docs/internals/supervisors.md.
 */

export type { SupervisorRequest } from './administration.ts';
export {
  type AutoShutdown,
  checkChildSpecs,
  type ChildSpec,
  childSpec,
  type ChildStart,
  type ChildType,
  type FullChildSpec,
  type Restart,
  type Shutdown,
  type SpecCheck,
} from './child-spec.ts';
export type { ChildCounts, ChildInfo, ChildResult } from './children.ts';
export type { ErrorContext, ReportReason } from './decision.ts';
export {
  type Caster,
  castStartChild,
  defineDynamicSupervisor,
  dynamicSupervisor,
  type DynamicSupervisorBehavior,
  type DynamicSupervisorDefinition,
  type DynamicSupervisorFlags,
  type DynamicSupervisorOptions,
  dynamicSupervisorSpec,
  startDynamicChild,
  startDynamicSupervisor,
  terminateDynamicChild,
} from './dynamic.ts';
export { SUP_ERRORS, type SupervisorErrorCode } from './errors.ts';
export { LIMITS as SUPERVISOR_LIMITS } from './limits.ts';
export {
  partitionOf,
  type PartitionSet,
  partitionSupervisor,
  type PartitionSupervisorOptions,
  partitionSupervisorSpec,
  partitionTarget,
  partitionTargets,
  startPartitionSupervisor,
} from './partitioned.ts';
export { isSupervisorReport, type Offender, type SupervisorReport } from './report.ts';
export {
  type Caller,
  countChildren,
  deleteChild,
  type DoneResult,
  getChildSpec,
  restartChild,
  startChild,
  terminateChild,
  whichChildren,
} from './requests.ts';
export type { StrategyName } from './strategy.ts';
export {
  defineSupervisor,
  type Starter,
  startSupervisor,
  supervisor,
  type SupervisorBehavior,
  type SupervisorDefinition,
  type SupervisorFlags,
  type SupervisorOptions,
  supervisorSpec,
} from './supervisor.ts';
export { restartWorkers } from './worker-restarts.ts';
