/**
 * Whether two sets of values differ by more than chance: the ratio of their geometric means, with an interval by Student's t
 * over the logarithms. Pure.
 *
 * Logarithms, because what a machine does to a rate or a time it does as a factor. The variance is one for both sides, taken from
 * both: rounds are few, and two that vary alike tell more together. (Welch's test lets them differ, and pays with degrees
 * of freedom: of three rounds a side it may leave two, and an interval of a factor of a thousand.) So a single value beside several
 * is taken to vary as they do. Two single values have no interval: nobody can tell how much they vary.
 */

import { criticalT } from './student.ts';

export interface Interval {
  /** B over A. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

/**
 * The ratio of B to A.
 *
 * @param a - Above 0, at least one; so is `b`.
 * @param confidence - Of the interval.
 * @returns With `low` and `high` NaN when neither side has more than one value.
 */
export function ratioInterval(a: readonly number[], b: readonly number[], confidence: number = 0.95): Interval {
  const [logsA, logsB] = [a.map(Math.log), b.map(Math.log)];
  const difference = mean(logsB) - mean(logsA);
  const ratio = Math.exp(difference);
  const { error, degrees } = errorOf(logsA, logsB);
  if (degrees === 0) return { ratio, low: Number.NaN, high: Number.NaN };
  if (error === 0) return { ratio, low: ratio, high: ratio };
  const reach = criticalT(confidence, degrees) * error;
  return { ratio, low: Math.exp(difference - reach), high: Math.exp(difference + reach) };
}

/** The standard error of the difference of the means, and its degrees of freedom; 0 when nothing is known. */
function errorOf(a: readonly number[], b: readonly number[]): { readonly error: number; readonly degrees: number } {
  const degrees = a.length + b.length - 2;
  if (degrees === 0) return { error: 0, degrees };
  const variance = (squares(a) + squares(b)) / degrees;
  return { error: Math.sqrt(variance * (1 / a.length + 1 / b.length)), degrees };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The squares of what values are from their mean, added up. */
function squares(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
}
