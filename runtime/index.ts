/**
 * An OTP for TypeScript: actors with mailboxes, links, monitors, timers and names on one thread, and the same across
 * the worker threads of a node. It knows nothing of messaging.
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
export { type Down, type Exit, type From, isDown, isExit, type SendResult, type Target } from './envelope.ts';
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
export { createNode, type NodeInfo, type NodeOptions, type ProcessInfo, RuntimeNode } from './node.ts';
export { comparePids, formatPid, parsePid, Pid, samePid } from './pid.ts';
export { formatRef, Ref, sameRef } from './ref.ts';
export { systemClock, systemLoop, systemRandom } from './system-adapters.ts';
export { decode, encode } from './codec.ts';
export { type JoinedWorker, type JoinOptions, joinWorkers } from './worker/join.ts';
export { startWorkers, type WorkerPool, type WorkersOptions } from './worker/pool.ts';
