/**
 * What a workload is, and the list of them. A workload is one file in `workloads/`; it is entered in `WORKLOADS` of
 * `../workloads/index.ts` and then listed, described and run by `../run.ts`.
 */

import type { Recorder, Threshold } from './report.ts';

/** A setting of a workload: an integer with bounds. */
export interface WorkloadOption {
  readonly default: number;
  /** In place of `default` with `--quick`. */
  readonly quick?: number;
  readonly min: number;
  readonly max: number;
  readonly help: string;
}

export type OptionValues<Name extends string = string> = Readonly<Record<Name, number>>;

/** What a run gives its workload. */
export interface WorkloadContext<Name extends string = string> {
  readonly options: OptionValues<Name>;
  /** Short windows, as `--quick` asks for. */
  readonly isQuick: boolean;
  /** The only part that is to be measured; `undefined` for all. */
  readonly part: string | undefined;
  /** The fault to plant, of the workload's `controls`. */
  readonly control?: string | undefined;
  readonly recorder: Recorder;
  /** Tells a person what is going on, in a few words. */
  readonly progress: (text: string) => void;
  /** Writes to a terminal, for a workload that shows more than a line; missing where there is none. */
  readonly panel?: ((text: string) => void) | undefined;
  /** Columns of that terminal, which may change. */
  readonly columns?: (() => number) | undefined;
  /** Aborts when the run is to end early: stop the children, throw BENCH_INTERRUPTED. */
  readonly signal: AbortSignal;
  /** Leave data directories for inspection. */
  readonly keepData: boolean;
}

export interface Workload<Name extends string = string> {
  readonly name: string;
  /** The question that it answers, in one line. */
  readonly question: string;
  readonly options: Readonly<Record<Name, WorkloadOption>>;
  /** What `--only` may name, of a workload that consists of independent parts. */
  readonly parts?: readonly string[];
  /** What `--control` may name: faults that the workload can plant, to show that it would see them. */
  readonly controls?: readonly string[];
  readonly thresholds: readonly Threshold[];
  /**
   * Measures and records. Children are stopped when it settles.
   *
   * @throws {BenchError} When the run is void; what was recorded before stands in the report.
   */
  run(context: WorkloadContext<Name>): Promise<void>;
}

/** Finds a workload by its name. */
export function findWorkload(workloads: readonly Workload[], name: string): Workload | undefined {
  return workloads.find((workload) => workload.name === name);
}

/** A line for each workload. */
export function listWorkloads(workloads: readonly Workload[]): string {
  const width = Math.max(...workloads.map(({ name }) => name.length));
  return workloads.map(({ name, question }) => `  ${name.padEnd(width)}  ${question}\n`).join('');
}
