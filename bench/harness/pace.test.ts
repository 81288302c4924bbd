import t from 'tap';
import { Pace } from './pace.ts';

function takeAll(pace: Pace, nowMs: number): number[] {
  const times: number[] = [];
  for (let atMs = pace.take(nowMs); atMs !== undefined; atMs = pace.take(nowMs)) times.push(atMs);
  return times;
}

t.test('messages are due at their intended times and not before', async (t) => {
  const pace = new Pace({ ratePerSecond: 100, startMs: 1000 });
  t.same(takeAll(pace, 999.9), []);
  t.same(takeAll(pace, 1000), [1000]);
  t.same(takeAll(pace, 1025), [1010, 1020]);
  t.equal(pace.nextMs, 1030);
});

t.test('after a stall every missed message keeps the time at which it was meant', async (t) => {
  const pace = new Pace({ ratePerSecond: 1000, startMs: 0 });
  takeAll(pace, 0);
  const missed = takeAll(pace, 500);
  t.equal(missed.length, 500, 'none is left out');
  t.equal(missed[0], 1, 'the first waited the whole stall, and is counted so');
  t.equal(missed.at(-1), 500);
});

t.test('rounding errors do not add up over an hour', async (t) => {
  const pace = new Pace({ ratePerSecond: 3, startMs: 0 });
  const { length } = takeAll(pace, 3_600_000);
  t.equal(length, 3 * 3600 + 1);
});

t.test('generators that share a rate interleave and together make it', async (t) => {
  const shares = [0, 1, 2].map((index) => new Pace({ ratePerSecond: 300, startMs: 0, index, count: 3 }));
  const times = shares.flatMap((pace) => takeAll(pace, 99.99)).sort((a, b) => a - b);
  t.equal(times.length, 30);
  for (const [index, atMs] of times.entries()) t.ok(Math.abs(atMs - (index * 10) / 3) < 1e-6, `message ${index}`);
});

t.test('a rate that is none and a share that does not exist are refused', async (t) => {
  for (const ratePerSecond of [0, -1, Number.NaN]) t.throws(() => new Pace({ ratePerSecond, startMs: 0 }), RangeError);
  t.throws(() => new Pace({ ratePerSecond: 1, startMs: 0, index: 2, count: 2 }), RangeError);
});
