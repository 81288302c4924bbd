/**
 * An OTP for TypeScript: actors with mailboxes, links, monitors, timers and names on one thread, and the same across
 * the worker threads of a node. It knows nothing of messaging, of sockets and of restarts (those are `supervisors/`).
 *
 * A complete program:
 *
 * ```ts
 * import { type Behavior, createNode, isExit, systemClock, systemLoop, systemRandom } from 'blindbeam/runtime';
 *
 * const counter: Behavior<{ count: number }, number, 'add', 'read', number> = {
 *   name: 'counter',
 *   init: (count) => ({ count }),
 *   handleCast(_message, state) {
 *     state.count += 1;
 *   },
 *   handleCall: (_request, _from, state) => state.count,
 * };
 *
 * const watcher: Behavior<null, number> = {
 *   name: 'watcher',
 *   init(first, ctx) {
 *     ctx.trapExit(true);
 *     ctx.spawn(counter, first, { name: 'counter', link: true });
 *     return null;
 *   },
 *   handleInfo(info) {
 *     if (isExit(info)) console.log('the watcher heard', info.reason);
 *   },
 * };
 *
 * const node = createNode({
 *   name: 'example',
 *   clock: systemClock,
 *   random: systemRandom,
 *   loop: systemLoop,
 *   log: console,
 * });
 * node.start(watcher, 40);
 * node.cast('counter', 'add');
 * node.cast('counter', 'add');
 * console.log('the count is', await node.call('counter', 'read', 1_000));
 *
 * const pid = node.whereis('counter')!;
 * node.exit(pid, 'kill');
 * console.log('it ended with', await node.awaitExit(pid, 1_000));
 * await node.stop();
 * ```
 *
 * Read in this order: `behavior.ts` (what an author writes), `envelope.ts`, `process.ts` and `mailbox.ts` (what an
 * actor is), `scheduler.ts` and `turn.ts` (how it runs), `signals.ts` and `exit.ts` (how it ends), `node.ts` (the
 * whole), and for several threads `transport.ts` and `worker/`. On top of that: `gen-statem.ts`, `gen-event.ts`,
 * `process-groups.ts`, `sys.ts`; and `testing/`, for the tests of your own actors.
 */

export {
  type AnyBehavior,
  type Behavior,
  BehaviorSlot,
  behaviorSlotOf,
  type Context,
  NO_REPLY,
  type RegisterResult,
  replaceBehavior,
  type SpawnOptions,
  type StartResult,
} from './behavior.ts';
export type { Clock, Logger, Loop, Random } from './contracts.ts';
export {
  type Down,
  type Exit,
  type From,
  isDown,
  isExit,
  isResponse,
  type ReplyOf,
  type RequestOf,
  type Response,
  type SendResult,
  type Target,
} from './envelope.ts';
export { isRuntimeError, RT_ERRORS, RuntimeError, type RuntimeErrorCode } from './errors.ts';
export {
  type ErrorData,
  type ExitReason,
  type ExitRequest,
  formatExitReason,
  fromThrown,
  isAbnormal,
  isErrorReason,
  isShutdownWithData,
} from './exit-reason.ts';
export { LIMITS } from './limits.ts';
export type { TimedTurn } from './scheduler.ts';
export { createNode, type NodeInfo, type NodeOptions, RuntimeNode } from './node.ts';
export type { ProcessInfo } from './process-info.ts';
export { MAILBOX_OVERFLOW } from './overflow.ts';
export { comparePids, formatPid, parsePid, Pid, samePid } from './pid.ts';
export { formatRef, Ref, sameRef } from './ref.ts';
export { systemClock, systemLoop, systemRandom } from './system-adapters.ts';
export { decode, encode } from './codec.ts';
export { type JoinedWorker, type JoinOptions, joinWorkers } from './worker/join.ts';
export type { WorkerEvent } from './worker/control.ts';
export {
  startWorkers,
  type UnresponsiveReport,
  type WorkerDeath,
  type WorkerPool,
  type WorkersOptions,
} from './worker/pool.ts';
export type { StuckReport } from './worker/watchdog.ts';
export {
  describeProcess,
  lineageOf,
  type Lineage,
  type LineageNode,
  ProcessWalk,
  type ProcessView,
  type RankBy,
  type Ranked,
  type Ranking,
  Survey,
  type SurveyGroup,
  type SurveyResult,
} from './observe.ts';
// Modules as in OTP: `sys.suspend`, `pg.join`, `genEvent.notify`, `genStatem.behavior`.
export * as genEvent from './gen-event.ts';
export * as genStatem from './gen-statem.ts';
export * as pg from './process-groups.ts';
export * as sys from './sys.ts';
