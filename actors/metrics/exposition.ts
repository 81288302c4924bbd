/**
 * The figures of all threads in the text format of Prometheus. The only importer of prom-client.
 *
 * Threads are summed up, number by number; only what the catalogue marks `perWorker` stands for each worker. What has never been
 * counted is told as 0, so that a rate has a beginning.
 */

import { createRequire } from 'node:module';
import { METRIC_NAMES, metricOf, type MetricName } from './catalogue.ts';
import { PLACE_COUNT, seriesOf } from './layout.ts';

const { AggregatorRegistry } = createRequire(import.meta.url)('prom-client') as typeof import('prom-client');

/** The figures of one thread. */
export interface ThreadFigures {
  /** 0 for the main thread. */
  readonly worker: number;
  readonly values: Float64Array;
}

export const CONTENT_TYPE: string = 'text/plain; version=0.0.4; charset=utf-8';

interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** Resolves to the text of a scrape. */
export function exposeMetrics(threads: readonly ThreadFigures[]): Promise<string> {
  const sums = sumOf(threads);
  const metrics = METRIC_NAMES.map((name) => {
    const { help, kind: type, perWorker } = metricOf(name);
    const values =
      perWorker === true
        ? threads.filter(({ worker }) => worker > 0).flatMap((each) => samplesOf(name, each.values, each.worker))
        : samplesOf(name, sums, undefined);
    return { name, help, type, values, aggregator: 'first' };
  });
  return AggregatorRegistry.aggregate([metrics]).metrics();
}

function sumOf(threads: readonly ThreadFigures[]): Float64Array {
  const sums = new Float64Array(PLACE_COUNT);
  for (const { values } of threads) {
    for (let place = 0; place < PLACE_COUNT; place += 1) sums[place]! += values[place]!;
  }
  return sums;
}

function samplesOf(name: MetricName, values: Float64Array, worker: number | undefined): Sample[] {
  return seriesOf(name).flatMap(({ labels: fixed, place }) => {
    const labels = worker === undefined ? fixed : { ...fixed, worker };
    return bucketsOf(name, labels, values, place) ?? [{ labels, value: values[place]! }];
  });
}

/** The running counts of a histogram; undefined for another kind. */
function bucketsOf(
  name: MetricName,
  labels: Readonly<Record<string, string | number>>,
  values: Float64Array,
  place: number,
): Sample[] | undefined {
  const metric = metricOf(name);
  if (metric.kind !== 'histogram') return undefined;
  const samples: Sample[] = [];
  let count = 0;
  const bounds: readonly (number | string)[] = [...metric.buckets, '+Inf'];
  for (const [index, le] of bounds.entries()) {
    count += values[place + index]!;
    samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count });
  }
  samples.push({ metricName: `${name}_sum`, labels, value: values[place + metric.buckets.length + 1]! });
  samples.push({ metricName: `${name}_count`, labels, value: count });
  return samples;
}
