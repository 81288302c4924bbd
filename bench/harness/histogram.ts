/**
 * Latencies as log-linear buckets: three significant digits from a microsecond to a minute. The only importer of
 * hdr-histogram-js.
 *
 * Percentiles of several processes cannot be averaged, so histograms travel whole and are merged. Read next: `pace.ts`,
 * which says from when a latency is counted.
 */

import { createRequire } from 'node:module';
import type { Histogram as HdrHistogram, JsHistogram } from 'hdr-histogram-js';
import { LIMITS } from '../limits.ts';

const hdr = createRequire(import.meta.url)('hdr-histogram-js') as typeof import('hdr-histogram-js');

/** A histogram on its way to another process: opaque text. */
export type EncodedHistogram = string;

const SHAPE = {
  lowestDiscernibleValue: 1,
  highestTrackableValue: LIMITS.latencyUsMax,
  numberOfSignificantValueDigits: 3,
  autoResize: false,
  // Plain JavaScript: 90 ns a value here, and no module to instantiate in each generator.
  useWebAssembly: false,
} as const;

export class LatencyHistogram {
  readonly #hdr: HdrHistogram = hdr.build(SHAPE);

  /** Values recorded. */
  get count(): number {
    return this.#hdr.totalCount;
  }

  /**
   * Records `count` equal latencies.
   *
   * @param latencyMs - Milliseconds, fractions count. Below a microsecond counts as one, above a minute as a minute.
   */
  record(latencyMs: number, count: number = 1): void {
    const us = Math.round(latencyMs * 1000);
    this.#hdr.recordValueWithCount(Math.min(Math.max(us, 1), LIMITS.latencyUsMax), count);
  }

  /**
   * The latency that `percent` of the recorded values do not exceed, in milliseconds.
   *
   * @param percent - Above 0, at most 100.
   * @returns `undefined` when nothing was recorded: there is no percentile of nothing.
   */
  percentileMs(percent: number): number | undefined {
    return this.count === 0 ? undefined : this.#hdr.getValueAtPercentile(percent) / 1000;
  }

  /** The largest recorded latency in milliseconds, to three digits; `undefined` when nothing was recorded. */
  maxMs(): number | undefined {
    return this.count === 0 ? undefined : this.#hdr.maxValue / 1000;
  }

  /** Every latency that was recorded, in milliseconds and to three digits, and how often; from the least to the largest. */
  values(): (readonly [ms: number, count: number])[] {
    const values: (readonly [ms: number, count: number])[] = [];
    const { recordedValuesIterator: each } = this.#hdr as JsHistogram;
    each.reset();
    while (each.hasNext()) {
      const { valueIteratedTo: us, countAtValueIteratedTo: count } = each.next();
      values.push([us / 1000, count]);
    }
    return values;
  }

  /** Adds everything that another histogram holds. */
  add(other: LatencyHistogram): void {
    this.#hdr.add(other.#hdr);
  }

  /** Forgets everything. */
  reset(): void {
    this.#hdr.reset();
  }

  /** The histogram as text for another process; some kilobytes. */
  encode(): EncodedHistogram {
    return hdr.encodeIntoCompressedBase64(this.#hdr);
  }

  /** Adds what `encode` made in another process. Throws on text that it did not make. */
  addEncoded(encoded: EncodedHistogram): void {
    // An empty histogram decodes into one of another shape; it adds nothing.
    const other = hdr.decodeFromCompressedBase64(encoded, 32, false);
    if (other.totalCount > 0) this.#hdr.add(other);
  }
}

/** Merges what several processes measured into one histogram. */
export function mergeHistograms(parts: Iterable<EncodedHistogram>): LatencyHistogram {
  const whole = new LatencyHistogram();
  for (const part of parts) whole.addEncoded(part);
  return whole;
}
