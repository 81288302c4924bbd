/**
 * Several rounds of one run put together: the whole workload again, with a server of its own each time. What varies from round
 * to round is what varies from run to run, so that two reports can be compared by their rounds. Pure.
 */

import { medianOf } from './median.ts';
import {
  isWithin,
  kindOfUnit,
  ratioTo,
  type Metric,
  type Recorder,
  type Series,
  type Threshold,
  type ThresholdOutcome,
} from './report.ts';

/** What a run has measured, in one round or in many. */
export interface Measured {
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Of the last round that has any. */
  readonly series: Readonly<Record<string, Series>> | undefined;
  readonly notes: readonly string[];
  readonly distrusted: readonly string[];
  readonly outcomes: readonly ThresholdOutcome[];
}

/**
 * Puts rounds together. A figure is the median of its rounds, and so is a peer's. A threshold is met by the median; one of a
 * count (messages lost, connections ended) must be met in every round.
 *
 * @param rounds - At least one; the last may have ended early.
 */
export function mergeRounds(rounds: readonly Recorder[], thresholds: readonly Threshold[]): Measured {
  const [only, ...more] = rounds;
  if (only === undefined) throw new RangeError('"rounds" expected at least one');
  if (more.length === 0) {
    const { metrics, series, notes, distrusted } = only;
    return { metrics, series, notes, distrusted, outcomes: only.check(thresholds) };
  }
  const metrics = mergeMetrics(rounds);
  return {
    metrics,
    series: rounds.reduce<Measured['series']>((last, { series }) => series ?? last, undefined),
    notes: byRound(rounds.map(({ notes }) => notes)),
    distrusted: byRound(rounds.map(({ distrusted }) => distrusted)),
    outcomes: checkRounds(rounds, metrics, thresholds),
  };
}

function mergeMetrics(rounds: readonly Recorder[]): Record<string, Metric> {
  const names = new Set(rounds.flatMap(({ metrics }) => Object.keys(metrics)));
  return Object.fromEntries(
    [...names].map((name) => [name, mergeMetric(rounds.flatMap(({ metrics }) => metrics[name] ?? []))]),
  );
}

function mergeMetric(found: readonly Metric[]): Metric {
  const { unit } = found[0]!;
  const values = found.map(({ value }) => value);
  const value = medianOf(values);
  const names = new Set(found.flatMap(({ peers }) => Object.keys(peers)));
  const peers = [...names].map((name) => {
    const theirs = medianOf(found.flatMap((metric) => metric.peers[name]?.value ?? []));
    return [name, { value: theirs, ratio: ratioTo(value, theirs, unit) }] as const;
  });
  return { value, unit, peers: Object.fromEntries(peers), rounds: values };
}

function checkRounds(
  rounds: readonly Recorder[],
  metrics: Readonly<Record<string, Metric>>,
  thresholds: readonly Threshold[],
): ThresholdOutcome[] {
  const each = rounds.map((round) => round.check(thresholds));
  // A threshold that is due in one round is due: which are, each round says by itself.
  const due = thresholds.filter((threshold) => each.some((outcomes) => outcomes.some((one) => isOf(one, threshold))));
  return due.map((threshold) => {
    const unit = metrics[threshold.metric]?.unit;
    const isCount = unit !== undefined && kindOfUnit(unit) === 'size';
    const found = each.flatMap((outcomes) => outcomes.filter((one) => isOf(one, threshold)));
    const measured = found.flatMap((one) => one.measured ?? []);
    const worst = found.find(({ isMet }) => !isMet) ?? found[0]!;
    if (isCount || measured.length === 0) return worst;
    const median = medianOf(measured);
    return { ...threshold, measured: median, isMet: isWithin(median, threshold) };
  });
}

function isOf(outcome: ThresholdOutcome, { metric, peer, bound, value }: Threshold): boolean {
  return outcome.metric === metric && outcome.peer === peer && outcome.bound === bound && outcome.value === value;
}

/** What every round says is said once. */
function byRound(said: readonly (readonly string[])[]): string[] {
  const [first = [], ...rest] = said;
  const common = first.filter((text) => rest.every((texts) => texts.includes(text)));
  const own = said.flatMap((texts, index) =>
    texts.filter((text) => !common.includes(text)).map((text) => `round ${index + 1}: ${text}`),
  );
  return [...common, ...own];
}
