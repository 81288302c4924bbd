/**
 * Student's t: the value that a difference must exceed to be more than chance. Pure.
 *
 * The distribution function is a regularised incomplete beta function, taken from its continued fraction; the quantile is found
 * by halving. Source: NIST Digital Library of Mathematical Functions, 8.17.22 (fraction), and the NIST/SEMATECH e-Handbook of
 * Statistical Methods, 1.3.6.7.2 (the table that the test compares with).
 */

const STEPS_MAX = 300;
const EPSILON = 1e-14;
const TINY = 1e-300;
const HALVINGS = 200;

/**
 * The t that is not exceeded, to either side, with probability `confidence`.
 *
 * @param confidence - Above 0, below 1.
 * @param degrees - Degrees of freedom, above 0; fractions count.
 */
export function criticalT(confidence: number, degrees: number): number {
  if (!(confidence > 0 && confidence < 1)) throw new RangeError(`"confidence" expected 0 to 1, got ${confidence}`);
  if (!(degrees > 0)) throw new RangeError(`"degrees" expected a number above 0, got ${degrees}`);
  let [low, high] = [0, 1];
  while (beyond(high, degrees) > 1 - confidence) high *= 2;
  for (let step = 0; step < HALVINGS && high - low > high * EPSILON; step += 1) {
    const middle = (low + high) / 2;
    if (beyond(middle, degrees) > 1 - confidence) low = middle;
    else high = middle;
  }
  return high;
}

/** The probability of a larger |t|. */
function beyond(t: number, degrees: number): number {
  return incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast on one side of the mean only; the other side is its mirror.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log(1 - x) - logBeta(a, b)) / a;
  return front / fraction(x, a, b);
}

/** 1 + d1/(1 + d2/(1 + …)) by Lentz's method. */
function fraction(x: number, a: number, b: number): number {
  let [c, d, value] = [1, 0, 1];
  for (let step = 1; step <= STEPS_MAX; step += 1) {
    const m = Math.floor(step / 2);
    const isEven = step % 2 === 0;
    const coefficient = isEven
      ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
      : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonZero(1 + coefficient * d);
    c = nonZero(1 + coefficient / c);
    value *= c * d;
    if (Math.abs(c * d - 1) < EPSILON) break;
  }
  return value;
}

function nonZero(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/** Stirling's series, far enough out for it to be exact to a double. DLMF 5.11.1. */
function logGamma(z: number): number {
  let [shift, x] = [0, z];
  for (; x < 15; x += 1) shift += Math.log(x);
  const inverse = 1 / x;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)));
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series - shift;
}
