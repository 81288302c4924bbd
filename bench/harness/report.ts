/**
 * The report of a run: one JSON shape for every workload, so that results can be compared over time by a machine.
 *
 *   { workload, commit, date, machine, params, metrics: { name: { value, unit, peers: { name: { value, ratio } } } } }
 *
 * A peer is what the same machine does without us: a bare library, or another system. `ratio` says how far ahead we are:
 * ours over the peer's for rates, the peer's over ours for costs, so above 1 is always ahead. Read next: `table.ts`.
 */

import type { Environment, Machine } from './environment.ts';

export interface PeerFigure {
  readonly value: number;
  readonly ratio: number;
}

export interface Metric {
  readonly value: number;
  readonly unit: Unit;
  readonly peers: Readonly<Record<string, PeerFigure>>;
  /** What each round measured, of a run of several; `value` is their median. */
  readonly rounds?: readonly number[];
}

/** A setting of the run. */
export type Param = number | string | boolean;

export interface Report {
  readonly workload: string;
  readonly commit: string;
  /** ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  readonly params: Readonly<Record<string, Param>>;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** What moved while it was measured; missing where nothing was followed. */
  readonly series?: Readonly<Record<string, Series>>;
  /** What has to be the same to see the same; see `environment.ts`. */
  readonly environment?: Environment;
  /** What a reader is to doubt. */
  readonly notes?: readonly string[];
  /** Why the figures are not the server's; missing where nothing speaks against them. */
  readonly distrusted?: readonly string[];
  /** What gave out, the first one first, in the phases whose marks were missed; missing where none was, or nobody watched. */
  readonly gaveOut?: readonly GaveOut[];
}

/** What a machine may have too little of. */
export type Resource = 'processor' | 'memory' | 'disk' | 'descriptors' | 'generator';

/** A resource that was at its limit, or came nearest to it where none was. */
export interface GaveOut {
  /** Of the run: `connecting`, `holding`. */
  readonly phase: string;
  readonly what: Resource;
  readonly isAtLimit: boolean;
  /** Since when it was, in seconds since the run began, and with how many connections. */
  readonly sinceS: number;
  readonly connections: number;
  /** For how long, of the seconds of the phase. */
  readonly seconds: number;
  readonly ofSeconds: number;
  /** What shows it, in words, of its worst second. */
  readonly figures: string;
}

/** One finding in a sentence. */
export function describeGaveOut(found: GaveOut): string {
  const { phase, what, isAtLimit, sinceS, connections, seconds, ofSeconds, figures } = found;
  if (!isAtLimit) return `${phase}: nothing was at its limit for long; nearest to it was the ${what}: ${figures}`;
  const when = `since second ${sinceS}, with ${connections.toLocaleString('en')} connections, for ${seconds} of ${ofSeconds} s`;
  return `${phase}: ${what}, ${when}; at worst ${figures}`;
}

/** A figure over time. */
export interface Series {
  readonly unit: Unit;
  /** Seconds since the run began, and the value. */
  readonly points: readonly (readonly [seconds: number, value: number])[];
  /** The chart that shows it, with others of the same name. */
  readonly chart: string;
}

export type Unit =
  | 'msg/s'
  | 'put/s'
  | 'login/s'
  | 'op/s'
  | 'hop/s'
  | 'call/s'
  | 'actor/s'
  | 'MB/s'
  | 's'
  | 'ms'
  | 'bytes'
  | 'cores'
  | 'msg'
  | 'client'
  | 'ratio'
  | 'process'
  | 'op'
  | 'shard'
  | 'login'
  | 'version';

/** More is better of a rate, less is better of a cost; a size is neither and has no peers. */
const KIND_OF_UNIT: Readonly<Record<Unit, 'rate' | 'cost' | 'size'>> = {
  'msg/s': 'rate',
  'put/s': 'rate',
  'login/s': 'rate',
  'op/s': 'rate',
  'hop/s': 'rate',
  'call/s': 'rate',
  'actor/s': 'rate',
  'MB/s': 'rate',
  s: 'cost',
  ms: 'cost',
  bytes: 'cost',
  cores: 'cost',
  msg: 'size',
  client: 'size',
  op: 'size',
  shard: 'size',
  login: 'size',
  version: 'size',
  ratio: 'size',
  process: 'size',
};

export function kindOfUnit(unit: Unit): 'rate' | 'cost' | 'size' {
  return KIND_OF_UNIT[unit];
}

/** How far a figure of ours is ahead of a peer's. @throws {RangeError} A unit in which nobody is ahead. */
export function ratioTo(ours: number, theirs: number, unit: Unit): number {
  const kind = KIND_OF_UNIT[unit];
  if (kind === 'size') throw new RangeError(`"${unit}" expected a rate or a cost`);
  return kind === 'rate' ? ours / theirs : theirs / ours;
}

/** A figure that a workload promises to reach; with `peer`, the ratio to that peer. */
export interface Threshold {
  readonly metric: string;
  readonly peer?: string;
  readonly bound: 'at-least' | 'at-most' | 'below';
  readonly value: number;
  /** A run that does not measure it promises nothing about it. */
  readonly ifMeasured?: true;
  /** In which phase it is decided, of a workload that watches what gives out. */
  readonly phase?: string;
}

/** What became of a threshold; a metric that was not measured has not reached it. */
export interface ThresholdOutcome extends Threshold {
  readonly isMet: boolean;
  readonly measured: number | undefined;
}

/** Collects figures while a workload runs. What has been collected is a valid report at any time. */
export class Recorder {
  readonly #metrics: Map<string, { value: number; unit: Unit; peers: Record<string, PeerFigure> }> = new Map();
  readonly #notes: string[] = [];
  readonly #distrusted: string[] = [];
  readonly #series: Map<string, { unit: Unit; chart: string; points: [number, number][] }> = new Map();
  readonly #gaveOut: GaveOut[] = [];

  /**
   * Records a figure. `undefined` and values that are no finite number are left out: there is nothing to report.
   *
   * @throws {RangeError} A name that was recorded before.
   */
  metric(name: string, value: number | undefined, unit: Unit): void {
    if (this.#metrics.has(name)) throw new RangeError(`metric "${name}" is recorded twice`);
    if (value !== undefined && Number.isFinite(value)) this.#metrics.set(name, { value, unit, peers: {} });
  }

  /** Puts a peer's figure, in the same unit, beside one of ours. Left out when either is missing. */
  peer(metric: string, peer: string, value: number | undefined): void {
    const ours = this.#metrics.get(metric);
    if (ours === undefined || value === undefined || !Number.isFinite(value)) return;
    ours.peers[peer] = { value, ratio: ratioTo(ours.value, value, ours.unit) };
  }

  /** Adds a point to a figure over time. What is no finite number is left out. */
  point(chart: string, name: string, unit: Unit, seconds: number, value: number | undefined): void {
    if (value === undefined || !Number.isFinite(value)) return;
    const series = this.#series.get(name) ?? { unit, chart, points: [] };
    this.#series.set(name, series);
    series.points.push([Math.round(seconds * 10) / 10, value]);
  }

  /** What was scarce in a phase, the first one first; told in the report if a mark of the phase is missed. */
  gaveOut(findings: readonly GaveOut[]): void {
    this.#gaveOut.push(...findings);
  }

  /** What was scarce in the phases that decided a missed mark; in all of them when the run ended early. */
  explain(outcomes: readonly ThresholdOutcome[], endedEarly: boolean): readonly GaveOut[] {
    const missed = outcomes.filter(({ isMet }) => !isMet).map(({ phase }) => phase);
    return this.#gaveOut.filter(({ phase }) => endedEarly || missed.includes(phase));
  }

  get series(): Readonly<Record<string, Series>> | undefined {
    return this.#series.size === 0 ? undefined : Object.fromEntries(this.#series);
  }

  /** A sentence for the reader of the table: what was left out, what to doubt. */
  note(text: string): void {
    this.#notes.push(text);
  }

  get notes(): readonly string[] {
    return this.#notes;
  }

  /** Says that the figures are somebody else's and not the server's. With `--check` such a run fails, whatever it measured. */
  distrust(text: string): void {
    this.#distrusted.push(text);
  }

  get distrusted(): readonly string[] {
    return this.#distrusted;
  }

  get metrics(): Readonly<Record<string, Metric>> {
    return Object.fromEntries(this.#metrics);
  }

  check(thresholds: readonly Threshold[]): ThresholdOutcome[] {
    const isDue = ({ metric, ifMeasured }: Threshold): boolean => ifMeasured !== true || this.#metrics.has(metric);
    return thresholds.filter(isDue).map((threshold) => {
      const metric = this.#metrics.get(threshold.metric);
      const measured = threshold.peer === undefined ? metric?.value : metric?.peers[threshold.peer]?.ratio;
      return { ...threshold, measured, isMet: measured !== undefined && isWithin(measured, threshold) };
    });
  }
}

/** Whether a figure keeps what a threshold promises. */
export function isWithin(measured: number, { bound, value }: Threshold): boolean {
  if (bound === 'at-least') return measured >= value;
  return bound === 'at-most' ? measured <= value : measured < value;
}
