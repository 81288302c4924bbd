import t from 'tap';
import { LIMITS } from './limits.ts';
import { followLimits, liveRule, LIVE_LIMITS, refuseLimit, setLimit, viewLimits } from './live-limits.ts';
import { fullBucket, takeToken } from './rate-limit.ts';

t.test('each limit that may change stands within its own bounds', async (t) => {
  for (const { name, value, min, max } of viewLimits()) {
    t.ok(value >= min && value <= max, name);
    t.equal(refuseLimit(name, value), undefined, `${name} can be set to what it is`);
    t.ok(refuseLimit(name, min - 1), `${name} below its least`);
    t.ok(refuseLimit(name, max + 1), `${name} above its most`);
  }
  t.equal(viewLimits().length, Object.keys(LIVE_LIMITS).length);
});

t.test('a change holds where the limit is read, and in buckets that are there already', async (t) => {
  const rule = liveRule('messagesPerSecondMax', 'messagesBurstMax');
  const { messagesPerSecondMax: before } = LIMITS;
  const bucket = fullBucket(rule, 0);
  setLimit('messagesPerSecondMax', 1);
  setLimit('messagesBurstMax', 2);
  t.equal(LIMITS.messagesPerSecondMax as number, 1);
  t.strictSame(
    [0, 0, 0].map(() => takeToken(bucket, rule, 0)),
    [0, 0, 1_000],
  );
  t.match(viewLimits()[0], { value: 1, default: before });
  setLimit('messagesBurstMax', 4_000);
  setLimit('messagesPerSecondMax', before);
});

t.test('what contradicts another limit, is no limit or not a live one is refused in a sentence', async (t) => {
  t.match(refuseLimit('messagesPerSecondMax', LIMITS.messagesBurstMax + 1), /must not exceed messagesBurstMax/);
  t.match(refuseLimit('loginsPerSecondMax', 1), /loginsPerSecondMin .* must not exceed/);
  t.match(refuseLimit('ciphertextBytesMax', 1), /no limit that may change/);
  t.match(refuseLimit('toString', 1), /no limit that may change/);
  t.match(refuseLimit('inboxCountMax', 1_000.5), /expected 1000 to/);
  t.throws(() => setLimit('inboxCountMax', 1), RangeError);
});

t.test('a copy that a later version brings has what was changed before it came, and follows', async (t) => {
  setLimit('pendingLinksMax', 7);
  const copy = { ...LIMITS, pendingLinksMax: 2_000, inboxCountMax: 5 };
  followLimits(copy as never);
  t.equal(copy.pendingLinksMax, 7);
  t.equal(copy.inboxCountMax, 5, 'what nobody changed is the copy’s own');
  setLimit('pendingLinksMax', 2_000);
  t.equal(copy.pendingLinksMax, 2_000);
});
