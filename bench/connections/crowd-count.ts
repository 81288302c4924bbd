/**
 * What all generators of a crowd have counted together, second by second. Pure: reports in, sums and a series out.
 */

import {
  addLatencies,
  HISTOGRAM_LETTERS,
  type HistogramName,
  type HolderCounts,
  type HolderReport,
} from '../generator/native-holder.ts';
import { LatencyHistogram } from '../harness/histogram.ts';

const NAMES: readonly HistogramName[] = Object.keys(HISTOGRAM_LETTERS) as HistogramName[];

export type Histograms = Readonly<Record<HistogramName, LatencyHistogram>>;

/** Codes that hold.c gives to ends that are no close frame. */
const ENDS: Readonly<Record<number, string>> = {
  1: 'end of stream',
  2: 'reset',
  3: 'a write that did not fit',
  4: 'bytes that are no frames',
};

export function newHistograms(): Histograms {
  return Object.fromEntries(NAMES.map((name) => [name, new LatencyHistogram()])) as Histograms;
}

export class CrowdCount {
  readonly #latest: Map<number, HolderReport> = new Map();
  /** Since `begin`: what is measured. */
  #measured: Histograms = newHistograms();
  /** Of the present second. */
  #second: Histograms = newHistograms();

  take(part: number, report: HolderReport): void {
    this.#latest.set(part, report);
    addLatencies(report, this.#measured);
    addLatencies(report, this.#second);
  }

  /** What was recorded until now was warming up. */
  begin(): void {
    this.#measured = newHistograms();
  }

  /** Sum of a counter over all generators. */
  sum(name: keyof HolderCounts): number {
    let sum = 0;
    for (const { counts } of this.#latest.values()) sum += counts[name];
    return sum;
  }

  get measured(): Histograms {
    return this.#measured;
  }

  /** The latencies since this was last asked for. */
  takeSecond(): Histograms {
    const second = this.#second;
    this.#second = newHistograms();
    return second;
  }

  /** Connections that ended, by cause, in words. */
  closes(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const { closes } of this.#latest.values()) {
      for (const [code, count] of closes) {
        const cause = ENDS[code] ?? `close ${code}`;
        sums[cause] = (sums[cause] ?? 0) + count;
      }
    }
    return sums;
  }
}
