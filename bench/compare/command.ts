/**
 * `blindbeam bench compare A B`: two sides, each of one or more reports of the same workload (`a1.json,a2.json`), each of one or
 * more rounds, metric by metric. A difference is one whose interval leaves out 1 and that is larger than the tolerance.
 *
 * The intervals hold together: twenty metrics at 95 % each would find a difference between two runs of the same in most cases,
 * so each gets its share of the 5 % (Bonferroni). Who knows before what to look at narrows them with `--only`.
 *
 * Exit codes: 0 nothing is worse; 1 something is, or the reports do not belong together; 2 wrong usage. Read next: `repeat.ts`.
 */

import { parseArgs } from 'node:util';
import { BenchError } from '../errors.ts';
import { kindOfUnit, type Metric, type Report, type Unit } from '../harness/report.ts';
import { alignColumns, formatValue } from '../harness/table.ts';
import { differencesOfEnvironment } from './differences.ts';
import { ratioInterval, type Interval } from './intervals.ts';
import { readWholeReport } from './saved-report.ts';

/** What became of one metric. */
export type Verdict = 'better' | 'worse' | 'no difference' | 'one run a side';

export interface Comparison {
  readonly metric: string;
  readonly unit: Unit;
  readonly a: number;
  readonly b: number;
  readonly interval: Interval;
  readonly verdict: Verdict;
}

const USAGE = `Usage: blindbeam bench compare A.json[,A2.json …] B.json[,B2.json …] [--tolerance PERCENT] [--only METRIC[,METRIC …]]

Compares reports of one workload, metric by metric, with intervals that hold at 95 % all together where a side has several rounds
or reports. Exits with 1 when something of B is worse than A by more than the tolerance (default 5 %).
`;

/** All intervals together. */
const CONFIDENCE = 0.95;
/** A ratio below which a difference is none, whatever the interval. */
const TOLERANCE_PERCENT = 5;

export interface CompareIo {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** Runs the arguments behind `bench compare`. */
export function runCompare(argv: readonly string[], io: CompareIo): number {
  try {
    const options = { tolerance: { type: 'string' }, only: { type: 'string' }, help: { type: 'boolean' } } as const;
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
    if (values.help === true) return (io.out(USAGE), 0);
    const [a, b, ...more] = positionals;
    const tolerance = readTolerance(values.tolerance);
    if (a === undefined || b === undefined || more.length > 0 || tolerance === undefined) return (io.err(USAGE), 2);
    return compareSides(readSide(a), readSide(b), { tolerance, only: values.only?.split(',') }, io);
  } catch (error) {
    io.err(`blindbeam bench compare: ${(error as Error).message}\n`);
    return error instanceof TypeError ? 2 : 1;
  }
}

/** The tolerance as a share; `undefined` for what is none. */
export function readTolerance(percent: string = String(TOLERANCE_PERCENT)): number | undefined {
  const tolerance = Number(percent) / 100;
  return tolerance >= 0 ? tolerance : undefined;
}

function readSide(list: string): Report[] {
  return list.split(',').map(readWholeReport);
}

export interface Choice {
  readonly tolerance: number;
  /** Metrics to look at; `undefined` for all. */
  readonly only: readonly string[] | undefined;
}

/**
 * Compares two sides and tells what it found. Returns the exit code.
 *
 * @throws {BenchError} BENCH_REPORT when the reports are not of one workload, or lack what is asked for.
 */
export function compareSides(
  a: readonly Report[],
  b: readonly Report[],
  { tolerance, only }: Choice,
  io: CompareIo,
): number {
  const workloads = new Set([...a, ...b].map(({ workload }) => workload));
  if (workloads.size !== 1)
    throw new BenchError('BENCH_REPORT', `these are reports of ${[...workloads].join(' and ')}`);
  const comparisons = compare(a, b, tolerance, only);
  const left = findUncompared(a, b, only);
  const asked = left.find(({ metric }) => only?.includes(metric));
  if (asked !== undefined && asked.why !== FELL_TO_ZERO)
    throw new BenchError('BENCH_REPORT', `${asked.metric} cannot be compared: ${asked.why}`);
  if (comparisons.length + left.length === 0)
    throw new BenchError('BENCH_REPORT', 'the reports have no figure in common to compare');
  if (comparisons.length > 0) io.out(formatComparisons(comparisons, [a, b]));
  for (const { metric, why } of left) io.out(`note    ${metric} is not compared: ${why}\n`);
  for (const difference of differencesOfEnvironment(a[0]!, b[0]!)) io.out(`note    ${difference}\n`);
  for (const doubt of new Set([...a, ...b].flatMap(({ distrusted = [] }) => distrusted))) io.out(`doubt   ${doubt}\n`);
  const fallen = left.filter(({ why }) => why === FELL_TO_ZERO).map(({ metric }) => `${metric} is worse (0)`);
  io.out(`${[...fallen, conclusionOf(comparisons)].join('\n').trim()}\n`);
  return fallen.length > 0 || comparisons.some(({ verdict }) => verdict === 'worse') ? 1 : 0;
}

/** Every metric that all reports of both sides have, and in which anybody can be better. */
export function compare(
  a: readonly Report[],
  b: readonly Report[],
  tolerance: number,
  only?: readonly string[],
): Comparison[] {
  const found = Object.entries(a[0]!.metrics).flatMap(([metric, { unit }]) => {
    if (kindOfUnit(unit) === 'size' || only?.includes(metric) === false) return [];
    const [valuesA, valuesB] = [a, b].map((side) => side.flatMap(({ metrics }) => valuesOf(metrics[metric])));
    return [...valuesA!, ...valuesB!].every((value) => value > 0) ? [{ metric, unit, a: valuesA!, b: valuesB! }] : [];
  });
  const confidence = 1 - (1 - CONFIDENCE) / found.length;
  return found.map(({ metric, unit, a: valuesA, b: valuesB }) => {
    const interval = ratioInterval(valuesA, valuesB, confidence);
    const [middleA, middleB] = [geometricMean(valuesA), geometricMean(valuesB)];
    return { metric, unit, a: middleA, b: middleB, interval, verdict: judge(interval, unit, tolerance) };
  });
}

/** A figure that one side has and that a ratio cannot tell of. */
export interface Uncompared {
  readonly metric: string;
  readonly why: string;
}

/** A rate that was there and is not: nothing is worse. */
const FELL_TO_ZERO = '0 in B';

/** What `compare` passes over, but for figures that are 0 in every run. A cost of 0 tells of the clock, or of a good run: that is no verdict. */
function findUncompared(a: readonly Report[], b: readonly Report[], only?: readonly string[]): Uncompared[] {
  const metrics = new Map([...a, ...b].flatMap((each) => Object.entries(each.metrics)));
  return [...metrics].flatMap(([metric, { unit }]) => {
    if (kindOfUnit(unit) === 'size' || only?.includes(metric) === false) return [];
    const [valuesA, valuesB] = [a, b].map((side) => side.flatMap(({ metrics: each }) => valuesOf(each[metric])));
    const why = whyUncompared(valuesA!, valuesB!, kindOfUnit(unit) === 'rate');
    return why === undefined ? [] : [{ metric, why }];
  });
}

function whyUncompared(a: readonly number[], b: readonly number[], isRate: boolean): string | undefined {
  if ([...a, ...b].every((value) => value > 0) || [...a, ...b].every((value) => value === 0)) return undefined;
  if (a.some(Number.isNaN)) return 'missing in A';
  if (b.some(Number.isNaN)) return 'missing in B';
  if (isRate && a.every((value) => value > 0)) return FELL_TO_ZERO;
  return 'not above 0 in every run';
}

/** A report without the figure has none that is above 0. */
function valuesOf(metric: Metric | undefined): readonly number[] {
  return metric === undefined ? [Number.NaN] : (metric.rounds ?? [metric.value]);
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** With one run a side the tolerance alone decides, and the verdict says so where it is within. */
function judge({ ratio, low, high }: Interval, unit: Unit, tolerance: number): Verdict {
  const isLarge = Math.abs(ratio - 1) > tolerance;
  const isKnown = !Number.isNaN(low);
  if (isKnown && low <= 1 && high >= 1) return 'no difference';
  if (!isLarge) return isKnown ? 'no difference' : 'one run a side';
  const isMore = ratio > 1;
  return isMore === (kindOfUnit(unit) === 'rate') ? 'better' : 'worse';
}

/** In a sentence, what a reader is to take away. */
function conclusionOf(comparisons: readonly Comparison[]): string {
  const differing = comparisons.filter(({ verdict }) => verdict === 'worse' || verdict === 'better');
  const said = differing.map(({ metric, verdict, interval: { ratio, low, high } }) => {
    const times = Number.isNaN(low) ? `${ratio.toFixed(2)}` : `${low.toFixed(2)} to ${high.toFixed(2)}`;
    return `${metric} is ${verdict} (${times} times)`;
  });
  if (comparisons.length === 0) return '';
  if (comparisons.every(({ interval }) => Number.isNaN(interval.low))) {
    said.push('one run a side has no interval, so this may be chance: run with --rounds 3 or more');
  } else if (differing.length === 0) said.push(`no difference in ${comparisons.length} figures`);
  const noisy = comparisons.filter(({ interval: { low, high } }) => high / low > NOISY ** 2);
  if (noisy.length > 0) {
    said.push(
      `${noisy.length} of them vary too much to show less than a factor of ${NOISY}: more rounds, or a quieter machine`,
    );
  }
  return said.join('\n');
}

/** An interval that reaches further than this to either side says little, and the last line says so. */
const NOISY = 2;

function formatComparisons(comparisons: readonly Comparison[], [a, b]: readonly (readonly Report[])[]): string {
  const side = (reports: readonly Report[]): string => `${countRuns(reports)} × ${reports[0]!.commit}`;
  const head = ['metric', side(a!), side(b!), 'unit', 'B / A', 'interval', 'verdict'];
  const rows = comparisons.map(({ metric, unit, a: left, b: right, interval: { ratio, low, high }, verdict }) => {
    const interval = Number.isNaN(low) ? '–' : `${formatRatio(low)} to ${formatRatio(high)}`;
    return [metric, formatValue(left, unit), formatValue(right, unit), unit, ratio.toFixed(2), interval, verdict];
  });
  return alignColumns([head, ...rows]);
}

function formatRatio(ratio: number): string {
  if (ratio >= 100) return 'more';
  return ratio < 0.01 ? 'less' : ratio.toFixed(2);
}

/** Runs of the workload behind a side. */
function countRuns(reports: readonly Report[]): number {
  return reports.reduce((sum, { params }) => sum + (typeof params.rounds === 'number' ? params.rounds : 1), 0);
}
