/**
 * What something costs, from turns with and without it side by side: the median of the differences, and how sure that is. Pure.
 *
 * A machine is another one half a minute later, so only neighbours are compared; and one turn may have a collection of the heap in
 * it, so one difference decides nothing. The interval takes no distribution for granted: each difference lies below the true median as
 * likely as above it, so how many do is known before anything is measured (the sign test turned round).
 */

import { medianOf } from './median.ts';

/** A difference, and between which values it lies. */
export interface Difference {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** With what probability, 0 to 1: at least what was asked for, or what so few turns allow. */
  readonly confidence: number;
}

/** @param differences - Of neighbours, with less without; at least one. */
export function medianDifference(differences: readonly number[], confidence: number = 0.9): Difference {
  if (differences.length === 0) throw new RangeError('"differences" expected at least one');
  const sorted = [...differences].sort((left, right) => left - right);
  let [cut, found] = [0, spanOf(sorted.length, 0)];
  // From the widest inwards, as long as it is wide enough.
  for (let next = 1; next < sorted.length - next; next += 1) {
    const narrower = spanOf(sorted.length, next);
    if (narrower < confidence) break;
    [cut, found] = [next, narrower];
  }
  return { median: medianOf(sorted), low: sorted[cut]!, high: sorted.at(-1 - cut)!, confidence: found };
}

/** Probability that the median lies between the values that are left of `count` when `cut` are taken from either end. */
function spanOf(count: number, cut: number): number {
  let [ways, outside] = [1, 0];
  for (let index = 0; index <= cut; index += 1) {
    outside += ways;
    ways = (ways * (count - index)) / (index + 1);
  }
  return 1 - (2 * outside) / 2 ** count;
}

/** A difference in words, for a note. */
export function describeDifference({ low, high, confidence }: Difference, unit: string, digits: number): string {
  const percent = Math.floor(confidence * 100);
  return `${low.toFixed(digits)} to ${high.toFixed(digits)} ${unit} (${percent} %)`;
}
