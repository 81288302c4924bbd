import t from 'tap';
import { SecondCounts, SecondSum } from './second-counts.ts';

t.test('seconds of several generators add up to the percentiles of all their messages', async (t) => {
  const [one, other] = [new SecondCounts(), new SecondCounts()];
  for (let ms = 1; ms <= 1_000; ms += 1) (ms % 3 === 0 ? one : other).record(ms);
  const sum = new SecondSum();
  sum.add({ index: 0, buckets: one.take() });
  sum.add({ index: 0, buckets: other.take() });
  t.strictSame([sum.arrived, sum.parts], [1_000, 2]);
  for (const percent of [50, 99, 99.9]) {
    const ms = sum.percentileMs(percent)!;
    t.ok(ms >= percent * 10 && ms <= percent * 10 * 1.09, `p${percent} is ${ms}`);
  }
  t.ok(
    one.take().every((count) => count === 0),
    'the next second begins at nothing',
  );
});

t.test('nothing has no percentile, and no latency is lost at the ends', async (t) => {
  const counts = new SecondCounts();
  const sum = new SecondSum();
  t.equal(sum.percentileMs(99), undefined);
  for (const ms of [-1, 0, 0.0001, 1e9]) counts.record(ms);
  sum.add({ index: 0, buckets: counts.take() });
  t.ok(sum.percentileMs(50)! <= 0.002);
  t.ok(sum.percentileMs(100)! > 100_000);
});
