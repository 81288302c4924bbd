/**
 * Reports that somebody has saved, perhaps with an earlier version: read, and checked as far as they are used.
 */

import { readFileSync } from 'node:fs';
import { BenchError } from '../errors.ts';
import type { Report } from '../harness/report.ts';

/** Reads a report. @throws {BenchError} BENCH_REPORT for a file that is missing or is none. */
function readReport(path: string): Report {
  const text = readText(path);
  try {
    const report: unknown = JSON.parse(text);
    if (isReport(report)) return report;
  } catch {
    // No JSON: said below.
  }
  throw new BenchError('BENCH_REPORT', `${path} is no report of bench; --json writes one`);
}

/** The same of a run that came to its end. @throws {BenchError} BENCH_REPORT also for one that did not: what it lacks would look like no difference. */
export function readWholeReport(path: string): Report {
  const report = readReport(path);
  const { failed } = report.params;
  if (failed === undefined) return report;
  throw new BenchError('BENCH_REPORT', `${path} is of a run that ended early (${failed}): its figures are not whole`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new BenchError('BENCH_REPORT', (error as Error).message, { cause: error });
  }
}

function isReport(value: unknown): value is Report {
  if (typeof value !== 'object' || value === null) return false;
  const { workload, commit, machine, params, metrics } = value as Record<string, unknown>;
  const areObjects = [machine, params, metrics].every((part) => typeof part === 'object' && part !== null);
  return typeof workload === 'string' && typeof commit === 'string' && areObjects;
}
