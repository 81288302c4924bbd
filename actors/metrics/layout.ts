/**
 * Where the figures of a thread lie in its memory: one array of numbers, the same for every thread. Pure.
 *
 *   metric 1                      metric 2: a histogram with a label
 *   ┌───────────┬───────────┐     ┌──────────────────────────────┬─────┐
 *   │ label a   │ label b   │     │ a: ≤b0 ≤b1 … more │ sum      │ b … │
 *   └───────────┴───────────┘     └──────────────────────────────┴─────┘
 *
 * A place is found once, when a module loads; counting is then one addition. Buckets hold their own count each; the running sums
 * that Prometheus wants are made when it asks.
 */

import { METRIC_NAMES, metricOf, type Metric, type MetricName } from './catalogue.ts';

/** One combination of label values, in the order of the table. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** The first of its numbers. */
  readonly place: number;
}

interface Block {
  readonly series: readonly Series[];
  readonly width: number;
}

const BLOCKS: ReadonlyMap<MetricName, Block> = layOut();

/** How many numbers a thread has. */
export const PLACE_COUNT: number = countPlaces();

/** The series of a metric. */
export function seriesOf(name: MetricName): readonly Series[] {
  return BLOCKS.get(name)!.series;
}

/**
 * The place of one series.
 *
 * @throws {RangeError} for label values that the table does not have.
 */
export function placeOf(name: MetricName, labels: Readonly<Record<string, string>> = {}): number {
  const found = seriesOf(name).find((series) => sameLabels(series.labels, labels));
  if (found === undefined) throw new RangeError(`"${name}" has no series ${JSON.stringify(labels)}`);
  return found.place;
}

/** How many numbers one series takes: a histogram has its buckets, the one above them, and the sum. */
export function widthOf(metric: Metric): number {
  return metric.kind === 'histogram' ? metric.buckets.length + 2 : 1;
}

function sameLabels(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

function layOut(): ReadonlyMap<MetricName, Block> {
  const blocks = new Map<MetricName, Block>();
  let place = 0;
  for (const name of METRIC_NAMES) {
    const metric = metricOf(name);
    const width = widthOf(metric);
    const first = place;
    const series = combinations(metric.labels ?? {}).map((labels, index) => ({ labels, place: first + index * width }));
    blocks.set(name, { series, width });
    place += series.length * width;
  }
  return blocks;
}

function countPlaces(): number {
  let count = 0;
  for (const { series, width } of BLOCKS.values()) count += series.length * width;
  return count;
}

function combinations(labels: Readonly<Record<string, readonly string[]>>): Readonly<Record<string, string>>[] {
  let all: Readonly<Record<string, string>>[] = [{}];
  for (const [name, values] of Object.entries(labels)) {
    all = all.flatMap((made) => values.map((value) => Object.fromEntries([...Object.entries(made), [name, value]])));
  }
  return all;
}
