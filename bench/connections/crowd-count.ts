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

function newHistograms(): Histograms {
  return Object.fromEntries(NAMES.map((name) => [name, new LatencyHistogram()])) as Histograms;
}

export class CrowdCount {
  readonly #latest: Map<number, HolderReport> = new Map();
  /** Since `begin`: what is measured. */
  #measured: Histograms = newHistograms();
  /** Of the present second. */
  #second: Histograms = newHistograms();

  /** What each generator, and so each node, has delivered late, since `begin`. */
  #nodes: Map<number, LatencyHistogram> = new Map();

  take(part: number, report: HolderReport): void {
    this.#latest.set(part, report);
    addLatencies(report, this.#measured);
    addLatencies(report, this.#second);
    const node = this.#nodes.get(part) ?? new LatencyHistogram();
    this.#nodes.set(part, node);
    for (const [us, count] of report.latencies.get('delivery') ?? []) node.record(us / 1000, count);
  }

  /** What was recorded until now was warming up. */
  begin(): void {
    this.#measured = newHistograms();
    this.#nodes = new Map();
  }

  /** A percentile of each node by itself, in milliseconds, the smallest first: whether all are late, or one. */
  nodePercentilesMs(percent: number): number[] {
    const found = [...this.#nodes.values()].map((node) => node.percentileMs(percent));
    return found.filter((value) => value !== undefined).sort((one, other) => one - other);
  }

  /** Sum of a counter over all generators. */
  sum(name: keyof HolderCounts): number {
    let sum = 0;
    for (const { counts } of this.#latest.values()) sum += counts[name];
    return sum;
  }

  /** The largest of a counter over all generators. */
  most(name: keyof HolderCounts): number {
    let most = 0;
    for (const { counts } of this.#latest.values()) most = Math.max(most, counts[name]);
    return most;
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
