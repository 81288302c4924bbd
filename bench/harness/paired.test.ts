import t from 'tap';
import { createSeededRandom } from '../../runtime/testing/index.ts';
import { describeDifference, medianDifference } from './paired.ts';

t.test('the difference is the median, and one turn with a collection in it moves it by little', async (t) => {
  t.equal(medianDifference([3, 1, 2]).median, 2);
  t.equal(medianDifference([3, 1, 2, 400, 2]).median, 2);
  t.throws(() => medianDifference([]), RangeError);
});

t.test('the interval is as wide as so many turns make it', async (t) => {
  // Of two, the median lies between them as often as not: 1 − 2 / 2². Of five: 1 − 2 / 2⁵. The table is that of the sign test.
  t.match(medianDifference([1, 2]), { low: 1, high: 2, confidence: 0.5 });
  t.match(medianDifference([5, 1, 4, 2, 3]), { low: 1, high: 5, confidence: 0.9375 });
  t.match(medianDifference([1, 2, 3, 4, 5, 6, 7, 8]), { low: 2, high: 7, confidence: 1 - 18 / 256 });
  t.match(medianDifference([7]), { low: 7, high: 7, confidence: 0 });
  t.equal(describeDifference(medianDifference([1, 2]), 'ms', 1), '1.0 to 2.0 ms (50 %)');
});

t.test('the interval holds the true median as often as it says, of a skewed distribution too', async (t) => {
  const random = createSeededRandom(7);
  const [trueMedian, trials, turns] = [Math.LN2, 2_000, 9];
  let held = 0;
  let confidence = 0;
  for (let trial = 0; trial < trials; trial += 1) {
    const drawn = Array.from({ length: turns }, () => -Math.log(1 - random.integer(1_000_000) / 1_000_000));
    const found = medianDifference(drawn);
    confidence = found.confidence;
    if (found.low <= trueMedian && trueMedian <= found.high) held += 1;
  }
  t.ok(Math.abs(held / trials - confidence) < 0.03, `${held / trials} held, ${confidence} said`);
});
