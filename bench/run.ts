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

import { closeSync, openSync, writeFileSync } from 'node:fs';
import { BenchError, isBenchError } from './errors.ts';
import { hurryChildren } from './harness/child.ts';
import { wallClockNow } from './harness/clock.ts';
import { runCompare } from './compare/command.ts';
import { runRepeat } from './compare/repeat.ts';
import { SETTINGS } from './connections/preflight.ts';
import { describeCommit, describeEnvironment, describeMachine } from './harness/environment.ts';
import { formatPage } from './harness/page.ts';
import { ProgressLine } from './harness/progress.ts';
import { findWorkload, listWorkloads, type Workload } from './harness/registry.ts';
import { Recorder, type Param, type Report } from './harness/report.ts';
import { mergeRounds, type Measured } from './harness/rounds.ts';
import { formatReport } from './harness/table.ts';
import { ownFlags, readInvocation, type RunInvocation } from './options.ts';
import { WORKLOADS } from './workloads/index.ts';

/** Where a run reads and writes. */
export interface BenchIo {
  /** Tables and lists. */
  readonly out: (text: string) => void;
  /** Failures, and the progress line if there is a terminal. */
  readonly err: (text: string) => void;
  readonly isTty: boolean;
  /** Of the terminal; missing where there is none. */
  readonly columns?: () => number;
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
    case 'repeat':
      return runRepeat(invocation.argv, io, {
        here: () => describeHere(''),
        read: (again) => readInvocation(again, workloads),
        optionsOf: (name) => {
          const workload = findWorkload(workloads, name);
          return workload === undefined ? [] : ownFlags(workload);
        },
        run: (again) => runWorkload(again, io),
      });
    case 'usage-error':
      io.err(invocation.text);
      return EXIT.usage;
    case 'run':
      return runOnce(invocation, io);
  }
}

async function runOnce(invocation: RunInvocation, io: BenchIo): Promise<number> {
  try {
    return (await runWorkload(invocation, io)).code;
  } catch (error) {
    if (!isBenchError(error)) throw error;
    io.err(`blindbeam bench ${invocation.workload.name}: ${error.message}\n`);
    return EXIT.failed;
  }
}

/** What a run has led to. */
interface Outcome {
  readonly code: number;
  readonly report: Report;
}

/** @throws {BenchError} (as rejection) BENCH_REPORT, before anything is measured. What ends the run itself stands in its report. */
async function runWorkload(invocation: RunInvocation, io: BenchIo): Promise<Outcome> {
  for (const file of [invocation.jsonFile, invocation.htmlFile]) if (file !== undefined) requireWritable(file);
  const abort = new AbortController();
  let calm = (): void => undefined;
  const release = io.onInterrupt(() => {
    abort.abort();
    calm = hurryChildren();
  });
  try {
    return await runRounds(invocation, abort.signal, io);
  } finally {
    release();
    calm();
  }
}

async function runRounds(invocation: RunInvocation, signal: AbortSignal, io: BenchIo): Promise<Outcome> {
  const date = wallClockNow();
  // Taken before the run: what is committed meanwhile was not measured.
  const here = describeHere(invocation.command);
  const { rounds, failure } = await measureRounds(invocation, signal, io);
  const measured = mergeRounds(rounds, invocation.workload.thresholds);
  const { metrics, series, notes, distrusted, outcomes } = measured;
  const gaveOut = rounds.at(-1)!.explain(outcomes, failure !== undefined);
  const head = {
    workload: invocation.workload.name,
    commit: here.commit,
    date: date.toISOString(),
    machine: here.machine,
  };
  const report: Report = {
    ...head,
    params: paramsOf(invocation, rounds.length, failure),
    metrics,
    ...(series && { series }),
    environment: here.environment,
    notes,
    ...(distrusted.length > 0 && { distrusted }),
    ...(gaveOut.length > 0 && { gaveOut }),
  };
  const isWritten = [
    writeReport(invocation.jsonFile, () => `${JSON.stringify(report, null, 2)}\n`, io),
    writeReport(invocation.htmlFile, () => formatPage(report, outcomes), io),
  ].every(Boolean);
  const isGood = conclude(report, measured, failure, invocation, io);
  return { report, code: isGood && isWritten ? EXIT.done : EXIT.failed };
}

/** The machine and the code, as a report has them. */
function describeHere(command: string): Pick<Report, 'commit' | 'machine'> & Required<Pick<Report, 'environment'>> {
  return {
    commit: describeCommit(),
    machine: describeMachine(),
    environment: describeEnvironment(command, SETTINGS),
  };
}

function paramsOf(
  { options, isQuick, part, control, rounds: asked }: RunInvocation,
  rounds: number,
  failure: BenchError | undefined,
): Record<string, Param> {
  const params: Record<string, Param> = { ...options, quick: isQuick };
  if (part !== undefined) params.only = part;
  if (control !== undefined) params.control = control;
  if (asked > 1) params.rounds = rounds;
  if (failure !== undefined) params.failed = failure.code;
  return params;
}

interface Rounds {
  readonly rounds: readonly Recorder[];
  /** Why the last one ended early, if it did. */
  readonly failure: BenchError | undefined;
}

/** Lets the workload measure, as often as was asked for; the first round that fails is the last. */
async function measureRounds(invocation: RunInvocation, signal: AbortSignal, io: BenchIo): Promise<Rounds> {
  const rounds: Recorder[] = [];
  let failure: BenchError | undefined = undefined;
  while (rounds.length < invocation.rounds && failure === undefined) {
    const recorder = new Recorder();
    rounds.push(recorder);
    const round = invocation.rounds === 1 ? '' : `round ${rounds.length} of ${invocation.rounds}, `;
    failure = await measure(invocation, round, recorder, signal, io);
  }
  return { rounds, failure };
}

/** One round. Returns why it ended early, if it did; what is no BenchError is a bug and passes through. */
async function measure(
  { workload, options, isQuick, part, control, keepData }: RunInvocation,
  round: string,
  recorder: Recorder,
  signal: AbortSignal,
  io: BenchIo,
): Promise<BenchError | undefined> {
  const line = new ProgressLine(io.isTty ? io.err : undefined, io.columns);
  try {
    const progress = (text: string): void => line.show(`${workload.name}: ${round}${text}`);
    const panel = io.isTty ? io.err : undefined;
    const { columns } = io;
    await workload.run({ options, isQuick, part, control, recorder, progress, panel, columns, signal, keepData });
    return undefined;
  } catch (error) {
    if (isBenchError(error)) return error;
    throw error;
  } finally {
    line.clear();
  }
}

/** Whoever has waited for a measurement shall not learn then that there is no place for it. */
function requireWritable(file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new BenchError('BENCH_REPORT', `the report cannot be written: ${(error as Error).message}`);
  }
}

function writeReport(file: string | undefined, text: () => string, io: BenchIo): boolean {
  if (file === undefined) return true;
  try {
    writeFileSync(file, text());
    return true;
  } catch (error) {
    io.err(`blindbeam bench: BENCH_REPORT: the report cannot be written: ${(error as Error).message}\n`);
    return false;
  }
}

/** Prints the table and the verdict. Returns whether the run is good. */
function conclude(
  report: Report,
  { outcomes, notes, distrusted }: Measured,
  failure: BenchError | undefined,
  { workload, isChecked }: RunInvocation,
  io: BenchIo,
): boolean {
  io.out(formatReport(report, outcomes, notes));
  if (failure !== undefined) io.err(`blindbeam bench ${workload.name}: ${failure.message}\n`);
  const isKept = distrusted.length === 0 && outcomes.every(({ isMet }) => isMet);
  return failure === undefined && (isKept || !isChecked);
}

/** The terminal, or whatever the process is connected to. */
export function processIo(): BenchIo {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTty: process.stderr.isTTY === true,
    columns: () => process.stderr.columns ?? Infinity,
    onInterrupt: hookSignals,
  };
}

/**
 * The first signal asks the run to end in order. A second Ctrl-C ends the process, and the exit hook its children; a second of the others does
 * nothing more: a closed terminal, and programs that end, send theirs to the whole group of processes.
 */
function hookSignals(stop: () => void): () => void {
  let isAsked = false;
  const take = (signal: NodeJS.Signals): void => {
    if (isAsked && signal === 'SIGINT') process.exit(EXIT.failed);
    isAsked = true;
    stop();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, take);
  return () => {
    for (const signal of signals) process.off(signal, take);
  };
}
