/**
 * `blindbeam bench compare A B`: two sides, each of one or more reports of the same workload (`a1.json,a2.json`), metric by
 * metric. A difference is one whose interval leaves out 1 and that is larger than the tolerance.
 *
 * Exit codes: 0 nothing is worse; 1 something is, or the reports do not belong together; 2 wrong usage.
 */

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { kindOfUnit, type Report, type Unit } from '../harness/report.ts';
import { alignColumns, formatValue } from '../harness/table.ts';
import { ratioInterval, type Interval } from './intervals.ts';

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

export const USAGE = `Usage: blindbeam bench compare A.json[,A2.json …] B.json[,B2.json …] [--tolerance PERCENT] [--only METRIC[,METRIC …]]

Compares reports of one workload, metric by metric, with 95 % intervals where a side has several. Exits with 1 when something of B is worse
than A by more than the tolerance (default 5 %).
`;

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
    const tolerance = Number(values.tolerance ?? '5') / 100;
    if (a === undefined || b === undefined || more.length > 0 || !(tolerance >= 0)) return (io.err(USAGE), 2);
    return compareSides(readSide(a), readSide(b), { tolerance, only: values.only?.split(',') }, io);
  } catch (error) {
    io.err(`blindbeam bench compare: ${(error as Error).message}\n`);
    return error instanceof TypeError ? 2 : 1;
  }
}

function readSide(list: string): Report[] {
  return list.split(',').map((path) => JSON.parse(readFileSync(path, 'utf8')) as Report);
}

interface Choice {
  readonly tolerance: number;
  readonly only: readonly string[] | undefined;
}

function compareSides(a: readonly Report[], b: readonly Report[], { tolerance, only }: Choice, io: CompareIo): number {
  const workloads = new Set([...a, ...b].map(({ workload }) => workload));
  if (workloads.size !== 1) throw new Error(`these are reports of ${[...workloads].join(' and ')}`);
  const comparisons = compare(a, b, tolerance).filter(({ metric }) => only === undefined || only.includes(metric));
  io.out(formatComparisons(comparisons, [a, b]));
  for (const difference of differencesOfEnvironment(a[0]!, b[0]!)) io.out(`note    ${difference}\n`);
  return comparisons.some(({ verdict }) => verdict === 'worse') ? 1 : 0;
}

/** Every metric that all reports of both sides have, and in which anybody can be better. */
export function compare(a: readonly Report[], b: readonly Report[], tolerance: number): Comparison[] {
  return Object.entries(a[0]!.metrics).flatMap(([metric, { unit }]) => {
    const [valuesA, valuesB] = [a, b].map((side) => side.map(({ metrics }) => metrics[metric]?.value));
    const isComparable = kindOfUnit(unit) !== 'size' && [...valuesA!, ...valuesB!].every((value) => (value ?? 0) > 0);
    if (!isComparable) return [];
    const interval = ratioInterval(valuesA as number[], valuesB as number[]);
    const [middleA, middleB] = [valuesA, valuesB].map((values) => geometricMean(values as number[]));
    return [{ metric, unit, a: middleA!, b: middleB!, interval, verdict: judge(interval, unit, tolerance) }];
  });
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

function formatComparisons(comparisons: readonly Comparison[], [a, b]: readonly (readonly Report[])[]): string {
  const side = (reports: readonly Report[]): string => `${reports.length} × ${reports[0]!.commit}`;
  const head = ['metric', side(a!), side(b!), 'unit', 'B / A', '95 %', 'verdict'];
  const rows = comparisons.map(({ metric, unit, a: left, b: right, interval: { ratio, low, high }, verdict }) => {
    const interval = Number.isNaN(low) ? '–' : `${low.toFixed(2)} to ${high.toFixed(2)}`;
    return [metric, formatValue(left, unit), formatValue(right, unit), unit, ratio.toFixed(2), interval, verdict];
  });
  return alignColumns([head, ...rows]);
}

/** What makes two runs hard to compare. */
export function differencesOfEnvironment(a: Report, b: Report): string[] {
  const flatten = ({ machine, environment, params }: Report): Record<string, unknown> => ({
    ...machine,
    ...params,
    ...environment?.settings,
    descriptors: environment?.descriptors,
    NODE_OPTIONS: environment?.nodeOptions,
  });
  const [left, right] = [flatten(a), flatten(b)];
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return names
    .filter((name) => left[name] !== right[name])
    .map((name) => `${name} differs: ${String(left[name])} and ${String(right[name])}`);
}
