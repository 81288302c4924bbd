/**
 * Token buckets: pure arithmetic over plain records, so that they live in an actor's state.
 *
 * A bucket of its own stands where its owner does (a connection); those of many users or pairs stand in a `Buckets`, which is
 * bounded. Who has which is in `quotas.ts`, `accounts/bundle-limits.ts` and `connection/rates.ts`.
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

/**
 * A bucket from which many tokens are taken at a time, as one number: when it is full again, in monotonic milliseconds. Anything
 * before now is a full one, so 0 is. A record would be three times as large, for every connection that says anything.
 *
 * @param count - Tokens to take; not above the rule's burst, or they are never there.
 * @returns When it is full again after taking them. That is the bucket's new value only if `waitForTokens` is 0 of it.
 */
export function fullAfter(fullAtMs: number, count: number, rule: BucketRule, nowMs: number): number {
  return Math.max(fullAtMs, nowMs) + (count * 1000) / rule.perSecond;
}

/** Milliseconds until a bucket that is to be full again at `fullAtMs` could have given so much; 0 if it can now. */
export function waitForTokens(fullAtMs: number, rule: BucketRule, nowMs: number): number {
  const emptyAtMs = nowMs + (rule.burst * 1000) / rule.perSecond;
  return fullAtMs > emptyAtMs ? Math.ceil(fullAtMs - emptyAtMs) : 0;
}

/** Such a bucket as a record, to look at. */
export function bucketFullAt(fullAtMs: number, rule: BucketRule, nowMs: number): TokenBucket {
  const missing = (Math.max(0, fullAtMs - nowMs) * rule.perSecond) / 1000;
  return { tokens: rule.burst - missing, refilledAtMs: nowMs };
}

/** What is in a bucket, for those who ask: whole tokens, and seconds rounded up. */
export interface BucketView {
  readonly left: number;
  readonly max: number;
  /** Seconds until it is full, if nothing is taken. */
  readonly full: number;
  /** Seconds until there is a token, where there is none. */
  readonly retryAfter?: number;
}

/** Looks without taking. */
export function viewBucket(bucket: TokenBucket, rule: BucketRule, nowMs: number): BucketView {
  const elapsedMs = nowMs - bucket.refilledAtMs;
  const tokens = Math.min(rule.burst, bucket.tokens + (elapsedMs * rule.perSecond) / 1000);
  const left = Math.floor(tokens);
  const view = { left, max: rule.burst, full: Math.ceil((rule.burst - tokens) / rule.perSecond) };
  return left > 0 ? view : { ...view, retryAfter: Math.ceil((1 - tokens) / rule.perSecond) };
}

/** Buckets by key, in the order of use. A key that is not here has a full one. */
export type Buckets = Map<string, TokenBucket>;

/**
 * Takes one token from the bucket of `key`.
 *
 * Of more than `countMax` buckets the one that was used longest ago is forgotten, which fills it: a bound on memory costs
 * exactness against whoever can use that many keys in between.
 *
 * @returns As `takeToken`.
 */
export function takeFrom(buckets: Buckets, key: string, rule: BucketRule, nowMs: number, countMax: number): number {
  const bucket = buckets.get(key) ?? fullBucket(rule, nowMs);
  buckets.delete(key);
  buckets.set(key, bucket);
  if (buckets.size > countMax) buckets.delete(buckets.keys().next().value!);
  return takeToken(bucket, rule, nowMs);
}

/** Looks at the bucket of `key` without taking or making one. */
export function viewOf(buckets: Buckets, key: string, rule: BucketRule, nowMs: number): BucketView {
  return viewBucket(buckets.get(key) ?? fullBucket(rule, nowMs), rule, nowMs);
}
