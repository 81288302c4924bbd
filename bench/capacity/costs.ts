/**
 * What one node costs and carries, taken from reports of `bench`: the planner invents no figure of its own.
 *
 * A folder holds one report of each workload under its name (`messages.json`, `storm.json` …); bench/results/ has those of the
 * machine that its README.md names. Plan with those of your own. Read next: `plan.ts`.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import type { Report } from '../harness/report.ts';

/** A measured figure, with where it comes from. */
export interface Cost {
  readonly value: number;
  /** Workload, commit and day. */
  readonly source: string;
}

export interface Costs {
  /** Bytes of memory of a connection at rest, the kernel's share included. */
  readonly connectionBytes: Cost;
  /** Full message cycles a second that one server core carries. */
  readonly messagesPerCore: Cost;
  /** Logins a second that one server core carries when everybody returns at once. */
  readonly loginsPerCore: Cost;
  /** Messages a second that one server core gives out of inboxes to devices that return. */
  readonly drainPerCore: Cost;
}

/** A server that used less than this share of a core was not what bounded the run: the figure is not scaled up further. */
const CORES_MIN = 0.5;

/** Reads the reports of `folder`. @throws {BenchError} BENCH_REPORT, naming the command that makes what is missing. */
export function readCosts(folder: string): Costs {
  return {
    connectionBytes: readCost(folder, 'connections', 'bytes_per_connection_total'),
    messagesPerCore: perCore(folder, 'messages', 'delivered_per_s'),
    loginsPerCore: perCore(folder, 'storm', 'reconnects_per_s'),
    drainPerCore: perCore(folder, 'offline', 'drain_msgs_per_s'),
  };
}

function perCore(folder: string, workload: string, rate: string): Cost {
  const { value, source } = readCost(folder, workload, rate);
  const cores = readCost(folder, workload, 'server_cores').value;
  return { value: value / Math.max(cores, CORES_MIN), source };
}

function readCost(folder: string, workload: string, name: string): Cost {
  const { commit, date, metrics } = readReport(folder, workload);
  const metric = metrics[name];
  if (metric === undefined || !(metric.value > 0))
    throw unusable(workload, `the report of "${workload}" has no ${name}`);
  return { value: metric.value, source: `bench ${workload} at ${commit}, ${date.slice(0, 10)}` };
}

function readReport(folder: string, workload: string): Report {
  const path = join(folder, `${workload}.json`);
  let report: Partial<Report>;
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as Partial<Report>;
  } catch (error) {
    throw unusable(workload, `${path}: ${(error as Error).message}`);
  }
  const { commit, date, metrics } = report;
  const isReport = typeof commit === 'string' && typeof date === 'string' && typeof metrics === 'object';
  if (report.workload !== workload || !isReport) throw unusable(workload, `${path} is no report of "${workload}"`);
  return report as Report;
}

function unusable(workload: string, problem: string): BenchError {
  const command = `npx blindbeam bench ${workload} --quick --json FOLDER/${workload}.json`;
  return new BenchError('BENCH_REPORT', `${problem}. Make it with: ${command}`);
}
