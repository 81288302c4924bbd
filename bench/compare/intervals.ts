/**
 * Whether two sets of values differ by more than chance: the ratio of their geometric means, with an interval by Welch's t
 * over the logarithms. Pure.
 *
 * Logarithms, because what a machine does to a rate or a time it does as a factor; Welch, because the two sides need not vary
 * alike. A single value beside several is taken to vary as they do. Two single values have no interval: nobody can tell how
 * much they vary.
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
  if (a.length === 1 || b.length === 1) {
    const many = a.length > b.length ? a : b;
    if (many.length === 1) return { error: 0, degrees: 0 };
    return { error: Math.sqrt(variance(many) * (1 / a.length + 1 / b.length)), degrees: many.length - 1 };
  }
  const [errorA, errorB] = [variance(a) / a.length, variance(b) / b.length];
  const error = Math.sqrt(errorA + errorB);
  if (error === 0) return { error, degrees: 1 };
  const degrees = (errorA + errorB) ** 2 / (errorA ** 2 / (a.length - 1) + errorB ** 2 / (b.length - 1));
  return { error, degrees };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}
