import t from 'tap';
import { LIMITS } from '../limits.ts';
import { LatencyHistogram, mergeHistograms } from './histogram.ts';

function isNear(actual: number | undefined, expected: number): boolean {
  return actual !== undefined && Math.abs(actual - expected) <= expected * 0.002;
}

t.test('percentiles are exact to three digits', async (t) => {
  const histogram = new LatencyHistogram();
  for (let ms = 1; ms <= 1000; ms += 1) histogram.record(ms);
  t.ok(isNear(histogram.percentileMs(50), 500), `p50 ${histogram.percentileMs(50)}`);
  t.ok(isNear(histogram.percentileMs(99), 990), `p99 ${histogram.percentileMs(99)}`);
  t.ok(isNear(histogram.maxMs(), 1000));
  t.equal(histogram.count, 1000);
});

t.test('there is no percentile of nothing', async (t) => {
  const histogram = new LatencyHistogram();
  t.equal(histogram.percentileMs(99), undefined);
  t.equal(histogram.maxMs(), undefined);
});

t.test('a latency beyond the bounds is recorded at the bound, not lost', async (t) => {
  const histogram = new LatencyHistogram();
  histogram.record(-5);
  histogram.record(LIMITS.latencyUsMax);
  t.equal(histogram.count, 2);
  t.ok(isNear(histogram.maxMs(), LIMITS.latencyUsMax / 1000));
});

t.test('histograms of several processes merge into the one that a single process would have made', async (t) => {
  const whole = new LatencyHistogram();
  const parts = [0, 1, 2].map(() => new LatencyHistogram());
  for (let index = 0; index < 3000; index += 1) {
    // A skewed distribution: averaging the three 99th percentiles would be far off.
    const ms = index % 3 === 0 ? 100 + (index % 700) : 1 + (index % 17) / 10;
    whole.record(ms);
    parts[index % 3]!.record(ms);
  }
  const merged = mergeHistograms(parts.map((part) => part.encode()));
  t.equal(merged.count, whole.count);
  for (const percent of [1, 50, 66, 67, 90, 99, 99.9, 100]) {
    t.equal(merged.percentileMs(percent), whole.percentileMs(percent), `p${percent}`);
  }
});

t.test('an empty part adds nothing', async (t) => {
  const part = new LatencyHistogram();
  part.record(7);
  const merged = mergeHistograms([new LatencyHistogram().encode(), part.encode()]);
  t.equal(merged.count, 1);
  t.equal(mergeHistograms([]).count, 0);
});

t.test('equal latencies may be recorded together', async (t) => {
  const [one, many] = [new LatencyHistogram(), new LatencyHistogram()];
  for (let index = 0; index < 20; index += 1) one.record(3.25);
  many.record(3.25, 20);
  t.equal(many.encode(), one.encode());
});

t.test('the values that were recorded are told with their counts, from the least on', async (t) => {
  const histogram = new LatencyHistogram();
  t.same(histogram.values(), []);
  for (const ms of [3, 0.5, 3, 0.25]) histogram.record(ms);
  histogram.record(40, 7);
  const values = histogram.values();
  t.same(
    values.map(([, count]) => count),
    [1, 1, 2, 7],
  );
  for (const [index, ms] of [0.25, 0.5, 3, 40].entries()) t.ok(Math.abs(values[index]![0] - ms) <= ms / 1_000, `${ms}`);
});
