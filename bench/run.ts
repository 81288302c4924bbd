/**
 * `blindbeam bench`: lists workloads, runs one, prints and writes its report. START HERE.
 *
 *   run.ts ──▶ workloads/messages.ts ──▶ harness/server-process.ts   the server under test, a process
 *                       │      │
 *                       │      └───────▶ harness/load-process.ts     generators, processes of generator/main.ts
 *                       └──────────────▶ ceilings/ceilings.ts        the bare libraries, processes
 *
 * What is measured is known to the workloads only. Read next: `workloads/messages.ts`, README.md.
 */

import { writeFileSync } from 'node:fs';
import { isBenchError, type BenchError } from './errors.ts';
import { wallClockNow } from './harness/clock.ts';
import { runCompare } from './compare/command.ts';
import { SETTINGS } from './connections/preflight.ts';
import { describeCommit, describeEnvironment, describeMachine } from './harness/environment.ts';
import { formatPage } from './harness/page.ts';
import { ProgressLine } from './harness/progress.ts';
import { listWorkloads, type Workload } from './harness/registry.ts';
import { Recorder, type Param, type Report } from './harness/report.ts';
import { formatReport } from './harness/table.ts';
import { readInvocation, type Invocation } from './options.ts';
import { WORKLOADS } from './workloads/index.ts';

/** Where a run reads and writes. */
export interface BenchIo {
  /** Tables and lists. */
  readonly out: (text: string) => void;
  /** Failures, and the progress line if there is a terminal. */
  readonly err: (text: string) => void;
  readonly isTty: boolean;
  /** Calls `stop` on Ctrl-C or SIGTERM. Returns what takes the hook away. */
  readonly onInterrupt: (stop: () => void) => () => void;
}

/** Exit codes of `bench`. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/**
 * Runs the command line after the verb `bench`.
 *
 * @param workloads - Those to choose from; tests bring their own.
 * @returns The exit code: 0; 1 when the run failed, was interrupted, or missed a threshold with `--check`; 2 for wrong usage.
 */
export async function runBench(
  argv: readonly string[],
  io: BenchIo = processIo(),
  workloads: readonly Workload[] = WORKLOADS,
): Promise<number> {
  const invocation = readInvocation(argv, workloads);
  switch (invocation.kind) {
    case 'help':
      io.out(invocation.text);
      return EXIT.done;
    case 'list':
      io.out(listWorkloads(workloads));
      return EXIT.done;
    case 'compare':
      return runCompare(invocation.argv, io);
    case 'usage-error':
      io.err(invocation.text);
      return EXIT.usage;
    case 'run':
      return runWorkload(invocation, io);
  }
}

type RunInvocation = Extract<Invocation, { kind: 'run' }>;

async function runWorkload(invocation: RunInvocation, io: BenchIo): Promise<number> {
  const recorder = new Recorder();
  const date = wallClockNow();
  // Taken before the run: what is committed meanwhile was not measured.
  const commit = describeCommit();
  const environment = describeEnvironment(invocation.command, SETTINGS);
  const failure = await measure(invocation, recorder, io);
  const { workload, options, isQuick, part } = invocation;
  const params: Record<string, Param> = { ...options, quick: isQuick };
  if (part !== undefined) params.only = part;
  if (failure !== undefined) params.failed = failure.code;
  const { metrics, series, notes } = recorder;
  const head = { workload: workload.name, commit, date: date.toISOString(), machine: describeMachine(), params };
  const report: Report = { ...head, metrics, ...(series && { series }), environment, notes };
  const json = (): string => `${JSON.stringify(report, null, 2)}\n`;
  const outcomes = recorder.check(workload.thresholds);
  const isWritten = [
    writeReport(invocation.jsonFile, json, io),
    writeReport(invocation.htmlFile, () => formatPage(report, outcomes), io),
  ].every(Boolean);
  return conclude(report, recorder, failure, invocation, io) && isWritten ? EXIT.done : EXIT.failed;
}

/** Lets the workload measure. Returns why it ended early, if it did; what is no BenchError is a bug and passes through. */
async function measure(
  { workload, options, isQuick, part, keepData }: RunInvocation,
  recorder: Recorder,
  io: BenchIo,
): Promise<BenchError | undefined> {
  const abort = new AbortController();
  const release = io.onInterrupt(() => abort.abort());
  const line = new ProgressLine(io.isTty ? io.err : undefined);
  try {
    const progress = (text: string): void => line.show(`${workload.name}: ${text}`);
    const panel = io.isTty ? io.err : undefined;
    await workload.run({ options, isQuick, part, recorder, progress, panel, signal: abort.signal, keepData });
    return undefined;
  } catch (error) {
    if (isBenchError(error)) return error;
    throw error;
  } finally {
    line.clear();
    release();
  }
}

function writeReport(file: string | undefined, text: () => string, io: BenchIo): boolean {
  if (file === undefined) return true;
  try {
    writeFileSync(file, text());
    return true;
  } catch (error) {
    io.err(`blindbeam bench: the report cannot be written: ${(error as Error).message}\n`);
    return false;
  }
}

/** Prints the table and the verdict. Returns whether the run is good. */
function conclude(
  report: Report,
  recorder: Recorder,
  failure: BenchError | undefined,
  { workload, isChecked }: RunInvocation,
  io: BenchIo,
): boolean {
  const outcomes = recorder.check(workload.thresholds);
  io.out(formatReport(report, outcomes, recorder.notes));
  if (failure !== undefined) io.err(`blindbeam bench ${workload.name}: ${failure.message}\n`);
  return failure === undefined && !(isChecked && outcomes.some(({ isMet }) => !isMet));
}

/** The terminal, or whatever the process is connected to. */
export function processIo(): BenchIo {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTty: process.stderr.isTTY === true,
    onInterrupt: hookSignals,
  };
}

/** The first signal asks the run to end in order; the second ends the process, and the exit hook its children. */
function hookSignals(stop: () => void): () => void {
  let isAsked = false;
  const take = (): void => {
    if (isAsked) process.exit(EXIT.failed);
    isAsked = true;
    stop();
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, take);
  return () => {
    for (const signal of signals) process.off(signal, take);
  };
}
