/**
 * Replacing the code of actors that live, on one worker: versions compiled from text, checked, tried on a share of the
 * actors, switched and swept, watched, and taken back.
 *
 * It knows neither files nor bundlers nor other threads; `actors/reload/` has those. Read in this order: `trial.ts` (two
 * versions at a time), `sweep.ts` (actors that are idle), `verdict.ts` (whether it may stay), `check.ts` (what is refused
 * before), `worker-reload.ts` (the steps). The whole: docs/internals/reload.md.
 */

export type { Aside, CheckReport } from './check.ts';
export type { Bundle, Shell } from './compile.ts';
export { messageOf } from './compile.ts';
export { RELOAD_LIMITS } from './limits.ts';
export { type Refusal, type RefusalCode, refusal, REFUSALS } from './refusals.ts';
export { fieldsOfState } from './shadow.ts';
export type { Stall } from './stall-watch.ts';
export type { SweepReport } from './sweep.ts';
export {
  type Fault,
  type FaultCode,
  findFault,
  NO_TRIAL,
  percentileUs,
  sumTrials,
  type TrialCounts,
} from './verdict.ts';
export {
  type LiveBehavior,
  type ReloadAnswer,
  type ReloadMemory,
  type ReloadStep,
  WorkerReload,
  type WorkerReloadParts,
} from './worker-reload.ts';
