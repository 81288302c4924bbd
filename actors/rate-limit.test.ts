import t from 'tap';
import { fullBucket, takeToken } from './rate-limit.ts';

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
