/**
 * Who may take one-time pre-keys of whom, and how fast. Pure; `../accounts.ts` keeps the state and asks.
 *
 * Each bundle uses up a key of each kind, and a stranger who takes them all weakens the first messages of everybody else. So
 * one requester has a few bundles of one target and then waits; and all requesters together have so many of one target, beyond
 * which the bundle comes without one-time keys: the signed and last-resort ones serve, nobody is refused, and what is left
 * stays for those who come later. Own devices may be fetched freely.
 */

import { LIMITS } from '../limits.ts';
import { takeFrom, type BucketRule, type Buckets } from '../rate-limit.ts';

/** Buckets by `requester>target`, and by target. */
export interface BundleLimits {
  readonly pairs: Buckets;
  readonly targets: Buckets;
}

/** What becomes of a request: refused for a while, or granted, with one-time keys or without. */
export type BundleDecision =
  { readonly kind: 'refused'; readonly retryAfter: number } | { readonly kind: 'granted'; readonly oneTime: boolean };

const PAIR_RULE: BucketRule = {
  burst: LIMITS.bundlesOfOneTargetMax,
  perSecond: 1_000 / LIMITS.bundleOfOneTargetMs,
};

const TARGET_RULE: BucketRule = { burst: LIMITS.oneTimeKeysBurstMax, perSecond: 1_000 / LIMITS.oneTimeKeyMs };

export function newBundleLimits(): BundleLimits {
  return { pairs: new Map(), targets: new Map() };
}

/** Decides about one bundle and counts it. @param nowMs - Monotonic. */
export function decideBundle(limits: BundleLimits, requester: string, target: string, nowMs: number): BundleDecision {
  if (requester === target) return { kind: 'granted', oneTime: true };
  const { bundlePairsMax: countMax } = LIMITS;
  const waitMs = takeFrom(limits.pairs, `${requester}>${target}`, PAIR_RULE, nowMs, countMax);
  if (waitMs > 0) return { kind: 'refused', retryAfter: Math.ceil(waitMs / 1000) };
  return { kind: 'granted', oneTime: takeFrom(limits.targets, target, TARGET_RULE, nowMs, countMax) === 0 };
}
