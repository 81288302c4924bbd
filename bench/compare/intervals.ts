/**
 * Whether two sets of values differ by more than chance: the ratio of their geometric means, with a 95 % interval by Welch's t
 * over the logarithms. Pure.
 *
 * Logarithms, because what a machine does to a rate or a time it does as a factor; Welch, because the two sides need not vary
 * alike. One value a side has no interval: nobody can tell how much that side varies.
 */

export interface Interval {
  /** B over A. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

/**
 * The ratio of B to A.
 *
 * @param a - Above 0, at least one.
 * @returns With `low` and `high` NaN when a side has one value only.
 */
export function ratioInterval(a: readonly number[], b: readonly number[]): Interval {
  const [logsA, logsB] = [a.map(Math.log), b.map(Math.log)];
  const difference = mean(logsB) - mean(logsA);
  const ratio = Math.exp(difference);
  if (a.length < 2 || b.length < 2) return { ratio, low: Number.NaN, high: Number.NaN };
  const [errorA, errorB] = [variance(logsA) / a.length, variance(logsB) / b.length];
  const error = Math.sqrt(errorA + errorB);
  if (error === 0) return { ratio, low: ratio, high: ratio };
  const degrees = (errorA + errorB) ** 2 / (errorA ** 2 / (a.length - 1) + errorB ** 2 / (b.length - 1));
  const reach = criticalT(degrees) * error;
  return { ratio, low: Math.exp(difference - reach), high: Math.exp(difference + reach) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}

/** Student's t at 97.5 % by degrees of freedom; NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2. */
const CRITICAL: readonly (readonly [degrees: number, t: number])[] = [
  [1, 12.706],
  [2, 4.303],
  [3, 3.182],
  [4, 2.776],
  [5, 2.571],
  [6, 2.447],
  [8, 2.306],
  [10, 2.228],
  [15, 2.131],
  [20, 2.086],
  [30, 2.042],
  [60, 2.0],
];
const CRITICAL_NORMAL = 1.96;

/** Between two rows the larger value: an interval that is too wide claims nothing. */
function criticalT(degrees: number): number {
  let found = CRITICAL[0]![1];
  for (const [row, t] of CRITICAL) if (degrees >= row) found = t;
  return degrees > 200 ? CRITICAL_NORMAL : found;
}
