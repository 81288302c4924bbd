/**
 * A token bucket: pure arithmetic over a plain record, so that it lives in an actor's state.
 */

export interface TokenBucket {
  tokens: number;
  refilledAtMs: number;
}

export interface BucketRule {
  readonly perSecond: number;
  readonly burst: number;
}

export function fullBucket(rule: BucketRule, nowMs: number): TokenBucket {
  return { tokens: rule.burst, refilledAtMs: nowMs };
}

/**
 * Takes one token.
 *
 * @param nowMs - Monotonic milliseconds.
 * @returns 0 when there was a token; otherwise the milliseconds until there is one.
 */
export function takeToken(bucket: TokenBucket, rule: BucketRule, nowMs: number): number {
  const refilled = bucket.tokens + ((nowMs - bucket.refilledAtMs) * rule.perSecond) / 1000;
  bucket.tokens = Math.min(rule.burst, refilled);
  bucket.refilledAtMs = nowMs;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return 0;
  }
  return Math.ceil(((1 - bucket.tokens) * 1000) / rule.perSecond);
}
