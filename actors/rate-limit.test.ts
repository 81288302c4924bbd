import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  bucketFullAt,
  fullAfter,
  fullBucket,
  takeFrom,
  takeToken,
  viewBucket,
  viewOf,
  waitForTokens,
  type Buckets,
} from './rate-limit.ts';

const RULE = { perSecond: 10, burst: 3 };

t.test('a full bucket gives its burst and then says how long to wait', async (t) => {
  const bucket = fullBucket(RULE, 0);
  for (let index = 0; index < 3; index++) t.equal(takeToken(bucket, RULE, 0), 0);
  t.equal(takeToken(bucket, RULE, 0), 100);
  t.equal(takeToken(bucket, RULE, 40), 60);
  t.equal(takeToken(bucket, RULE, 100), 0);
});

t.test('a bucket never holds more than its burst', async (t) => {
  const bucket = fullBucket(RULE, 0);
  for (let index = 0; index < 3; index++) t.equal(takeToken(bucket, RULE, 1_000_000), 0);
  t.not(takeToken(bucket, RULE, 1_000_000), 0);
});

t.test('looking takes nothing, and says what taking would find', async (t) => {
  const daily = { perSecond: 10 / 86_400, burst: 10 };
  const bucket = fullBucket(daily, 0);
  t.same(viewBucket(bucket, daily, 0), { left: 10, max: 10, full: 0 });
  for (let index = 0; index < 10; index++) takeToken(bucket, daily, 0);
  t.same(viewBucket(bucket, daily, 0), { left: 0, max: 10, full: 86_400, retryAfter: 8_640 });
  t.same(viewBucket(bucket, daily, 8_640_000), { left: 1, max: 10, full: 77_760 });
  t.equal(takeToken(bucket, daily, 8_640_000), 0);
  t.equal(takeToken(bucket, daily, 8_640_000), 8_640_000);
});

t.test('of too many buckets the one used longest ago is forgotten, and no other', async (t) => {
  const buckets: Buckets = new Map();
  const take = (key: string): number => takeFrom(buckets, key, RULE, 0, 2);
  for (const key of ['a', 'a', 'a', 'b', 'b', 'b']) t.equal(take(key), 0);
  t.not(take('a'), 0, 'empty, and used last');
  t.equal(take('c'), 0);
  t.equal(buckets.size, 2);
  t.not(take('a'), 0, 'still here');
  t.same(viewOf(buckets, 'b', RULE, 0), { left: 3, max: 3, full: 0 }, 'forgotten, and so full');
});

t.test('a bucket kept as the time when it is full gives and says what one kept as a record does', async (t) => {
  // A token a millisecond: then neither of the two rounds.
  const rule = { perSecond: 1_000, burst: 50 };
  const steps = fc.array(fc.record({ pauseMs: fc.nat({ max: 40 }), count: fc.integer({ min: 1, max: 50 }) }));
  fc.assert(
    fc.property(steps, (all) => {
      const record = fullBucket(rule, 0);
      let [fullAtMs, nowMs] = [0, 0];
      for (const { pauseMs, count } of all) {
        nowMs += pauseMs;
        const { left } = viewBucket(record, rule, nowMs);
        const after = fullAfter(fullAtMs, count, rule, nowMs);
        assert.equal(waitForTokens(after, rule, nowMs), Math.max(0, count - left));
        if (left < count) continue;
        fullAtMs = after;
        for (let rest = count; rest > 0; rest--) takeToken(record, rule, nowMs);
      }
      const same = bucketFullAt(fullAtMs, rule, nowMs);
      assert.deepEqual(viewBucket(same, rule, nowMs), viewBucket(record, rule, nowMs));
    }),
  );
  t.same(viewBucket(bucketFullAt(0, rule, 9_000), rule, 9_000), { left: 50, max: 50, full: 0 });
});
