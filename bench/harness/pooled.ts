/**
 * What something adds to a percentile, from many short turns with and without it: the latencies of either sort are pooled, and the interval is
 * found by drawing the turns anew. Pure, but for the randomness that it is given.
 *
 * A percentile of a short turn hangs on a dozen messages, and the median over such turns leaves out the bad seconds that a 99th percentile is
 * about. Pooled, a bad second weighs what it weighs for those who write. What it weighs by chance the interval says: neighbouring turns are
 * drawn with replacement, as pairs, because a machine is bad for seconds and not for messages.
 *
 * Source: the percentile bootstrap over blocks (Efron and Tibshirani, "An Introduction to the Bootstrap", chapters 8 and 13).
 */

import type { Random } from '../../runtime/index.ts';
import type { LatencyHistogram } from './histogram.ts';
import type { Difference } from './paired.ts';

/** Two neighbouring turns, in whichever order they were. */
export interface TurnPair {
  readonly without: LatencyHistogram;
  readonly during: LatencyHistogram;
}

/** Draws for an interval: its ends then move by less than it is wide by a hundredth. */
const DRAWS = 1_000;

/**
 * @param pairs - At least one; every turn with a latency.
 * @param percent - Above 0, at most 100.
 * @param random - Draws turns; the same seed gives the same interval.
 * @returns In milliseconds; `median` is the difference of the pooled percentiles.
 */
export function pooledDifference(
  pairs: readonly TurnPair[],
  percent: number,
  random: Random,
  confidence: number = 0.9,
): Difference {
  if (pairs.length === 0) throw new RangeError('"pairs" expected at least one');
  const turns = pairs.map(({ without, during }) => [without.values(), during.values()] as const);
  const values = [...new Set(turns.flat().flatMap((turn) => turn.map(([ms]) => ms)))].sort((one, other) => one - other);
  const places = new Map(values.map((ms, place) => [ms, place]));
  const placed = turns.map((pair) => pair.map((turn) => placesOf(turn, places)));
  const pool = [new Uint32Array(values.length), new Uint32Array(values.length)];
  const difference = (chosen: readonly number[]): number => {
    const [without, during] = pool.map((counts, side) => {
      counts.fill(0);
      for (const index of chosen) addTo(counts, placed[index]![side]!);
      return values[percentilePlace(counts, percent)]!;
    });
    return during! - without!;
  };
  const all = pairs.map((_, index) => index);
  const drawn = Array.from({ length: DRAWS }, () => difference(all.map(() => random.integer(all.length))));
  drawn.sort((one, other) => one - other);
  const cut = Math.floor((DRAWS * (1 - confidence)) / 2);
  return { median: difference(all), low: drawn[cut]!, high: drawn.at(-1 - cut)!, confidence };
}

/** Pairs of a place and a count, one after the other. */
function placesOf(
  turn: readonly (readonly [ms: number, count: number])[],
  places: ReadonlyMap<number, number>,
): Uint32Array {
  return Uint32Array.from(turn.flatMap(([ms, count]) => [places.get(ms)!, count]));
}

function addTo(counts: Uint32Array, turn: Uint32Array): void {
  for (let at = 0; at < turn.length; at += 2) counts[turn[at]!]! += turn[at + 1]!;
}

/** Where the latency lies that `percent` of all do not exceed. */
function percentilePlace(counts: Uint32Array, percent: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let left = Math.ceil((total * percent) / 100);
  return counts.findIndex((count) => (left -= count) <= 0);
}
