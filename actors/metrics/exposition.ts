/**
 * The figures of all threads in the text format of Prometheus. The only importer of prom-client.
 *
 * Threads are summed up, number by number; only what the catalogue marks `perWorker` stands for each worker. What has never been
 * counted is told as 0, so that a rate has a beginning. Which lines there are is settled when a node starts: a scrape only puts the
 * numbers in, and prom-client has the text of labels that stay the same objects.
 */

import { createRequire } from 'node:module';
import type { Metric as PromMetric, Registry } from 'prom-client';
import { METRIC_NAMES, metricOf, type MetricName } from './catalogue.ts';
import { PLACE_COUNT, seriesOf } from './layout.ts';

const prom = createRequire(import.meta.url)('prom-client') as typeof import('prom-client');

/** The figures of one thread. */
export interface ThreadFigures {
  /** 0 for the main thread. */
  readonly worker: number;
  readonly values: Float64Array;
}

export const CONTENT_TYPE: string = 'text/plain; version=0.0.4; charset=utf-8';

/** What prom-client writes a line of. */
interface Sample {
  readonly metricName: string;
  readonly sharedLabels: Readonly<Record<string, string | number>>;
  value: number;
}

/** A line, and the numbers whose sum it tells: one, or the buckets up to a bound. */
interface Line {
  readonly sample: Sample;
  readonly source: Float64Array;
  readonly first: number;
  readonly count: number;
}

/** The text of a node's scrapes. */
export class Exposition {
  readonly #threads: readonly ThreadFigures[];
  readonly #sums: Float64Array = new Float64Array(PLACE_COUNT);
  readonly #lines: Line[] = [];
  readonly #registry: Registry = new prom.Registry();

  /** @param threads - Of the node, as long as it runs; the main thread's with number 0. */
  constructor(threads: readonly ThreadFigures[]) {
    this.#threads = threads;
    for (const name of METRIC_NAMES) {
      const { help, kind: type } = metricOf(name);
      const lines = this.#linesOf(name);
      this.#lines.push(...lines);
      const told = { name, help, type, values: lines.map(({ sample }) => sample), aggregator: 'first' };
      // A metric of prom-client is whatever tells its name and, when it is asked, its samples.
      this.#registry.registerMetric({ name, get: async () => told } as unknown as PromMetric);
    }
  }

  /** Resolves to the text of a scrape. */
  render(): Promise<string> {
    this.#sums.fill(0);
    for (const { values } of this.#threads) {
      for (let place = 0; place < PLACE_COUNT; place += 1) this.#sums[place]! += values[place]!;
    }
    for (const { sample, source, first, count } of this.#lines) sample.value = sumOf(source, first, count);
    return this.#registry.metrics();
  }

  #linesOf(name: MetricName): Line[] {
    if (metricOf(name).perWorker !== true) return linesOf(name, this.#sums);
    const workers = this.#threads.filter(({ worker }) => worker > 0);
    return workers.flatMap(({ worker, values }) => linesOf(name, values, { worker }));
  }
}

function linesOf(name: MetricName, source: Float64Array, own: Readonly<Record<string, number>> = {}): Line[] {
  const metric = metricOf(name);
  return seriesOf(name).flatMap(({ labels: fixed, place }) => {
    const labels = { ...fixed, ...own };
    if (metric.kind !== 'histogram') return [lineOf(name, labels, source, place, 1)];
    const { length } = metric.buckets;
    const bounds: readonly (number | string)[] = [...metric.buckets, '+Inf'];
    return [
      ...bounds.map((le, index) => lineOf(`${name}_bucket`, { ...labels, le }, source, place, index + 1)),
      lineOf(`${name}_sum`, labels, source, place + length + 1, 1),
      lineOf(`${name}_count`, labels, source, place, length + 1),
    ];
  });
}

function lineOf(
  metricName: string,
  sharedLabels: Sample['sharedLabels'],
  source: Float64Array,
  first: number,
  count: number,
): Line {
  return { sample: { metricName, sharedLabels, value: 0 }, source, first, count };
}

function sumOf(source: Float64Array, first: number, count: number): number {
  let sum = 0;
  for (let place = first; place < first + count; place += 1) sum += source[place]!;
  return sum;
}
