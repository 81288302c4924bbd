/**
 * Whether a version on trial may stay: a pure decision over what was counted of it and of the version before.
 *
 * Latencies are compared with those of the version before in the same stage, not with a fixed bound: what is slow depends on
 * the machine and the load. Counting is `trial.ts`; what follows from a verdict is the coordinator's.
 */

import { RELOAD_LIMITS } from './limits.ts';

/** What was counted of one version. Plain data: it crosses threads, and sums over workers. */
export interface VersionCounts {
  /** Handled messages, continues and turn ends. */
  readonly handled: number;
  readonly busyUs: number;
  readonly slowestUs: number;
  /** Handlers that threw, or whose promise rejected; of retriable behaviours only where the version before did not. */
  readonly threw: number;
  /** Actors that ended themselves. */
  readonly ended: number;
  /** How many handlers took from 2^n to 2^(n+1) microseconds. */
  readonly buckets: readonly number[];
}

export interface ConversionCounts {
  readonly done: number;
  readonly failed: number;
  /** That took longer than RELOAD_LIMITS.conversionMsMax. */
  readonly slow: number;
  readonly busyUs: number;
  readonly slowestUs: number;
}

/** What was counted in one trial. */
export interface TrialCounts {
  readonly before: VersionCounts;
  readonly next: VersionCounts;
  readonly conversions: ConversionCounts;
  /** Messages that the version before handled after the new one had thrown. */
  readonly retried: number;
  /** The first thing that went wrong, for the report. */
  readonly firstError: string | undefined;
}

export type FaultCode =
  'code_change_threw' | 'code_change_slow' | 'handler_threw' | 'handler_stalled' | 'handlers_slow' | 'actors_end';

/** Why a version is taken back. */
export interface Fault {
  readonly code: FaultCode;
  readonly detail: string;
}

export const BUCKET_COUNT = 31;

/** The fault that `counts` show, if any; the most certain one first. */
export function findFault({ before, next, conversions, firstError = 'unknown' }: TrialCounts): Fault | undefined {
  if (conversions.failed > 0) {
    return fault('code_change_threw', `codeChange failed for ${conversions.failed} actors: ${firstError}`);
  }
  const slow = slowConversions(conversions);
  if (slow !== undefined) return fault('code_change_slow', slow);
  if (next.threw > 0) return fault('handler_threw', `handlers threw ${next.threw} times: ${firstError}`);
  if (next.slowestUs >= RELOAD_LIMITS.turnStallMs * 1_000 && next.slowestUs > before.slowestUs) {
    return fault('handler_stalled', `a handler took ${inMs(next.slowestUs)}`);
  }
  return slowHandlers(before, next) ?? slowTail(before, next) ?? manyEnds(before, next);
}

function slowConversions({ slow, slowestUs, done }: ConversionCounts): string | undefined {
  const stalled = slowestUs >= RELOAD_LIMITS.conversionStallMs * 1_000;
  if (slow < RELOAD_LIMITS.conversionSlowCount && !stalled) return undefined;
  return `codeChange took more than ${RELOAD_LIMITS.conversionMsMax} ms for ${slow} of ${done} actors, up to ${inMs(slowestUs)}`;
}

function slowHandlers(before: VersionCounts, next: VersionCounts): Fault | undefined {
  if (next.handled < RELOAD_LIMITS.turnSampleCountMin || before.handled < RELOAD_LIMITS.turnSampleCountMin) {
    return undefined;
  }
  const [was, is] = [before.busyUs / before.handled, next.busyUs / next.handled];
  if (is < RELOAD_LIMITS.turnSlowUs || is < was * RELOAD_LIMITS.turnSlowRatio) return undefined;
  return fault('handlers_slow', `handlers take ${inMs(is)} on average and took ${inMs(was)}`);
}

/** Few handlers that are slow do not show in the average, and those who wait for one feel it all the same. */
function slowTail(before: VersionCounts, next: VersionCounts): Fault | undefined {
  if (Math.min(next.handled, before.handled) < RELOAD_LIMITS.tailSampleCountMin) return undefined;
  const [was, is] = [percentileUs(before, TAIL), percentileUs(next, TAIL)];
  if (is < 2 * RELOAD_LIMITS.tailUs || is < was * RELOAD_LIMITS.tailRatio) return undefined;
  return fault('handlers_slow', `the slowest in a hundred handlers take up to ${inMs(is)} and took up to ${inMs(was)}`);
}

/** The share whose slowest is looked at. */
const TAIL = 0.99;

function manyEnds(before: VersionCounts, next: VersionCounts): Fault | undefined {
  if (next.ended < RELOAD_LIMITS.endsCountMin) return undefined;
  // One that might have happened: no end in a short while does not say that there is none.
  const was = (before.ended + 1) / Math.max(before.handled, 1);
  const is = next.ended / Math.max(next.handled, 1);
  if (is < was * RELOAD_LIMITS.endsRatio) return undefined;
  return fault('actors_end', `${next.ended} actors ended themselves in ${next.handled} messages`);
}

/** The smallest power of two that `share` of the handlers took less than, in microseconds. */
export function percentileUs({ buckets, handled }: VersionCounts, share: number): number {
  let left = handled * share;
  for (const [index, count] of buckets.entries()) {
    left -= count;
    if (left <= 0) return 2 ** (index + 1);
  }
  return 2 ** buckets.length;
}

export const NO_COUNTS: VersionCounts = Object.freeze({
  handled: 0,
  busyUs: 0,
  slowestUs: 0,
  threw: 0,
  ended: 0,
  buckets: Object.freeze(new Array<number>(BUCKET_COUNT).fill(0)),
});

export const NO_TRIAL: TrialCounts = Object.freeze({
  before: NO_COUNTS,
  next: NO_COUNTS,
  conversions: Object.freeze({ done: 0, failed: 0, slow: 0, busyUs: 0, slowestUs: 0 }),
  retried: 0,
  firstError: undefined,
});

/** The counts of two workers together. */
export function sumTrials(left: TrialCounts, right: TrialCounts): TrialCounts {
  return {
    before: sumVersions(left.before, right.before),
    next: sumVersions(left.next, right.next),
    conversions: sumConversions(left.conversions, right.conversions),
    retried: left.retried + right.retried,
    firstError: left.firstError ?? right.firstError,
  };
}

function sumVersions(left: VersionCounts, right: VersionCounts): VersionCounts {
  return {
    handled: left.handled + right.handled,
    busyUs: left.busyUs + right.busyUs,
    slowestUs: Math.max(left.slowestUs, right.slowestUs),
    threw: left.threw + right.threw,
    ended: left.ended + right.ended,
    buckets: left.buckets.map((count, index) => count + right.buckets[index]!),
  };
}

function sumConversions(left: ConversionCounts, right: ConversionCounts): ConversionCounts {
  return {
    done: left.done + right.done,
    failed: left.failed + right.failed,
    slow: left.slow + right.slow,
    busyUs: left.busyUs + right.busyUs,
    slowestUs: Math.max(left.slowestUs, right.slowestUs),
  };
}

function fault(code: FaultCode, detail: string): Fault {
  return { code, detail };
}

function inMs(us: number): string {
  return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 0)} ms`;
}
