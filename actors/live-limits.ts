/**
 * Limits that an operator may change while the node runs: which, within which bounds, and how they are related. A change holds on
 * this thread until the process ends; it is not written anywhere, because a limit that was moved in an emergency must not be
 * found by surprise after the next start. What is to stay belongs into `limits.ts`.
 *
 * A limit that is read where it is used needs nothing. One that a token bucket is made of is read through `liveRule`. Each
 * version of a behaviour that is loaded into a running node brings its own copy of the limits, which follows: this module is of
 * the shell, and there is one on each thread.
 */

import type { LIMITS } from './limits.ts';
import type { BucketRule } from './rate-limit.ts';

export type LimitName = keyof typeof LIMITS;
type Values = Record<LimitName, number>;

export interface LiveLimit {
  readonly min: number;
  readonly max: number;
  readonly help: string;
}

/** The limits that may change. */
export const LIVE_LIMITS: Readonly<Partial<Record<LimitName, LiveLimit>>> = {
  messagesPerSecondMax: { min: 1, max: 100_000, help: 'messages of one connection in a second' },
  messagesBurstMax: { min: 1, max: 200_000, help: 'messages of one connection at once' },
  inboundBytesPerSecondMax: { min: 16_384, max: 134_217_728, help: 'bytes that one connection says in a second' },
  inboundBytesBurstMax: { min: 16_384, max: 536_870_912, help: 'bytes that one connection says at once' },
  requestsPerSecondMax: { min: 1, max: 10_000, help: 'requests of one connection in a second' },
  requestsBurstMax: { min: 1, max: 20_000, help: 'requests of one connection at once' },
  groupMessagesPerSecondMax: { min: 1, max: 1_000, help: 'messages of one connection to groups in a second' },
  groupMessagesBurstMax: { min: 1, max: 2_000, help: 'messages of one connection to groups at once' },
  presenceSignalsPerSecondMax: { min: 1, max: 1_000, help: 'presence and typing of one connection in a second' },
  presenceSignalsBurstMax: { min: 1, max: 2_000, help: 'presence and typing of one connection at once' },
  presenceSubscriptionsMax: { min: 0, max: 1_024, help: 'people whose presence one connection follows' },
  loginsPerSecondMin: { min: 1, max: 50_000, help: 'logins in a second that a worker takes however busy it is' },
  loginsPerSecondMax: { min: 1, max: 80_000, help: 'logins in a second that a worker takes at most' },
  catchUpCountMax: { min: 1, max: 4_096, help: 'devices of a shard that are read out of the store at a time' },
  inboxCountMax: { min: 1_000, max: 1_000_000, help: 'undelivered messages of one device' },
  inboxBytesMax: { min: 16_777_216, max: 1_073_741_824, help: 'bytes of undelivered messages of one device' },
  commitOperationsMax: { min: 64, max: 16_384, help: 'operations in one commit' },
  groupOutgoingCountMax: { min: 16, max: 4_096, help: 'messages of one group on their way to its members' },
  groupOutgoingBytesMax: {
    min: 1_048_576,
    max: 1_073_741_824,
    help: 'bytes of memory for messages of all groups of a shard on their way',
  },
  outboxCountMax: { min: 1_000, max: 262_144, help: 'messages in the outbox of a shard' },
  pendingLinksMax: { min: 0, max: 20_000, help: 'devices of a worker that wait to be linked' },
};

/** One may not exceed the other. */
const ORDERED: readonly (readonly [small: LimitName, large: LimitName])[] = [
  ['messagesPerSecondMax', 'messagesBurstMax'],
  ['inboundBytesPerSecondMax', 'inboundBytesBurstMax'],
  ['requestsPerSecondMax', 'requestsBurstMax'],
  ['groupMessagesPerSecondMax', 'groupMessagesBurstMax'],
  ['presenceSignalsPerSecondMax', 'presenceSignalsBurstMax'],
  ['loginsPerSecondMin', 'loginsPerSecondMax'],
  ['commitOperationsMax', 'commitQueueMax'],
  ['inboxPruneBytes', 'inboxBytesMax'],
  ['groupOutgoingCountMax', 'groupAwayCountMax'],
];

/** The values of this thread, and what they were at the start; those of the first copy that was loaded. */
let values: Values | undefined;
let defaults: Readonly<Values> | undefined;
/** Copies of the limits, and rules made of them, as long as somebody uses them. */
let followers: WeakRef<Values>[] = [];
let rules: { readonly rule: WeakRef<MutableRule>; readonly perSecond: LimitName; readonly burst: LimitName }[] = [];

interface MutableRule {
  perSecond: number;
  burst: number;
}

/** Lets a copy of the limits follow what operators change; it takes what was changed already. For `limits.ts`. */
export function followLimits(limits: { readonly [Name in LimitName]: number }): void {
  const copy = limits as Values;
  if (values === undefined) {
    values = copy;
    defaults = Object.assign({}, copy);
  }
  for (const name of liveNames()) if (values[name] !== defaults![name]) copy[name] = values[name];
  followers = followers.filter((each) => each.deref() !== undefined);
  followers.push(new WeakRef(copy));
}

/** A rule for token buckets that follows its two limits. Made once for each, where the module loads. */
export function liveRule(perSecond: LimitName, burst: LimitName): BucketRule {
  const rule = { perSecond: current(perSecond), burst: current(burst) };
  rules = rules.filter((each) => each.rule.deref() !== undefined);
  rules.push({ rule: new WeakRef(rule), perSecond, burst });
  return rule;
}

function current(name: LimitName): number {
  if (values === undefined) throw new TypeError('limits.ts is loaded before its limits are asked for');
  return values[name];
}

function liveNames(): LimitName[] {
  return Object.keys(LIVE_LIMITS) as LimitName[];
}

/** What a limit is, was at the start, and may be. */
export interface LimitView extends LiveLimit {
  readonly name: string;
  readonly value: number;
  readonly default: number;
}

export function viewLimits(): LimitView[] {
  return liveNames().map((name) => {
    const { min, max, help } = LIVE_LIMITS[name]!;
    return { name, value: current(name), default: defaults![name], min, max, help };
  });
}

/** Why `value` cannot be taken, in words; `undefined` if it can. */
export function refuseLimit(name: string, value: number): string | undefined {
  const limit = Object.hasOwn(LIVE_LIMITS, name) ? LIVE_LIMITS[name as LimitName] : undefined;
  if (limit === undefined) return `"${name.slice(0, 64)}" is no limit that may change; "limits show" lists them`;
  const { min, max } = limit;
  if (!(Number.isInteger(value) && value >= min && value <= max)) return `"${name}" expected ${min} to ${max}`;
  const now = (each: LimitName): number => (each === name ? value : current(each));
  const broken = ORDERED.find(([small, large]) => (small === name || large === name) && now(small) > now(large));
  if (broken === undefined) return undefined;
  const [small, large] = broken;
  return `${small} (${now(small)}) must not exceed ${large} (${now(large)}): change the other one first`;
}

/** Changes a limit on this thread, in every copy. @throws {RangeError} what `refuseLimit` says. */
export function setLimit(name: string, value: number): void {
  const refusal = refuseLimit(name, value);
  if (refusal !== undefined) throw new RangeError(refusal);
  for (const follower of followers) {
    const copy = follower.deref();
    if (copy !== undefined) copy[name as LimitName] = value;
  }
  for (const { rule, perSecond, burst } of rules) {
    const live = rule.deref();
    if (live !== undefined) Object.assign(live, { perSecond: current(perSecond), burst: current(burst) });
  }
}
