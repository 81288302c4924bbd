import t from 'tap';
import { createSeededRandom } from '../../runtime/testing/index.ts';
import { LatencyHistogram } from './histogram.ts';
import { pooledDifference, type TurnPair } from './pooled.ts';

const random = createSeededRandom(11);
const uniform = (): number => random.integer(1_000_000) / 1_000_000;

/** A turn of latencies about a millisecond, exponential; in a bad one all are ten times as long. */
function turnOf(count: number, badShare: number, addedMs: number = 0): LatencyHistogram {
  const turn = new LatencyHistogram();
  const factor = uniform() < badShare ? 10 : 1;
  for (let index = 0; index < count; index += 1) turn.record(addedMs - factor * Math.log(1 - uniform()));
  return turn;
}

function pairsOf(count: number, badShare: number, addedMs: number): TurnPair[] {
  return Array.from({ length: count }, () => ({
    without: turnOf(300, badShare),
    during: turnOf(300, badShare, addedMs),
  }));
}

t.test('it is the difference of the pooled percentiles, as the histograms tell them', async (t) => {
  const pairs = pairsOf(20, 0.1, 2);
  const [without, during] = [new LatencyHistogram(), new LatencyHistogram()];
  for (const pair of pairs) {
    without.add(pair.without);
    during.add(pair.during);
  }
  for (const percent of [50, 99, 100]) {
    const { median, low, high } = pooledDifference(pairs, percent, createSeededRandom(1));
    const told = during.percentileMs(percent)! - without.percentileMs(percent)!;
    // A bucket is a thousandth wide, and its ends are what differs.
    t.ok(Math.abs(median - told) <= during.percentileMs(percent)! / 500, `${percent}: ${median}, ${told}`);
    t.ok(low <= median && median <= high, `${low} to ${high}`);
  }
  t.same(
    pooledDifference(pairs, 99, createSeededRandom(1)),
    pooledDifference(pairs, 99, createSeededRandom(1)),
    'a seed gives one answer',
  );
  t.throws(() => pooledDifference([], 99, random), RangeError);
});

t.test('a cost that is there shows, and one that is not there does not', async (t) => {
  const real = pooledDifference(pairsOf(40, 0, 3), 99, random);
  t.ok(real.low > 1 && real.high < 5, `${real.low} to ${real.high}, planted 3`);
  const none = pooledDifference(pairsOf(40, 0, 0), 99, random);
  t.ok(none.low <= 0 && none.high >= 0, `${none.low} to ${none.high}, planted 0`);
});

t.test('bad seconds make the interval wide, and it holds the truth about as often as it says', async (t) => {
  // The truth is known: both sorts are drawn from one distribution, so it is 0.
  const trials = 60;
  let held = 0;
  for (let trial = 0; trial < trials; trial += 1) {
    const { low, high } = pooledDifference(pairsOf(24, 0.1, 0), 90, random);
    if (low <= 0 && high >= 0) held += 1;
  }
  t.ok(held / trials > 0.78, `${held} of ${trials} hold it; 0.9 is said`);
});
