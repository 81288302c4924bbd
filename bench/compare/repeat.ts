/**
 * `blindbeam bench repeat REPORT.json`: runs what a saved report was made by once more, with the same options and seed, says
 * first in what this machine differs from that one, and then whether the figures do.
 *
 * Several rounds are run, so that the repetition says itself how much a figure varies: a saved report of one run can then be
 * judged too. Exit codes as of `compare`; 1 also when the run fails.
 */

import { parseArgs } from 'node:util';
import { isBenchError } from '../errors.ts';
import type { Report } from '../harness/report.ts';
import type { Invocation, RunInvocation } from '../options.ts';
import { compareSides, readTolerance, type Choice, type CompareIo } from './command.ts';
import { differencesOfEnvironment, type Circumstances } from './differences.ts';
import { readWholeReport } from './saved-report.ts';

const USAGE = `Usage: blindbeam bench repeat REPORT.json [--rounds N] [--json FILE] [--html FILE] [--tolerance PERCENT] [--only METRIC[,METRIC …]]

Runs the workload of a saved report again, with its options; says what differs here from where it was made; compares the two.
Exits with 1 when something is worse by more than the tolerance (default 5 %), or the run fails. Three rounds at least, unless
--rounds says otherwise.
`;

/** With two the interval is too wide to tell anything. */
const ROUNDS_MIN = 3;

const OPTIONS = {
  rounds: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
  tolerance: { type: 'string' },
  only: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** What runs a workload, as `../run.ts` does. */
export interface Runner {
  /** This machine and this code. */
  readonly here: () => Circumstances;
  readonly read: (argv: readonly string[]) => Invocation;
  /** Names of the options that a workload of this version has, without those that every workload has. */
  readonly optionsOf: (workload: string) => readonly string[];
  readonly run: (invocation: RunInvocation) => Promise<{ readonly code: number; readonly report: Report }>;
}

/** Runs the arguments behind `bench repeat`. */
export async function runRepeat(argv: readonly string[], io: CompareIo, runner: Runner): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: OPTIONS,
      allowPositionals: true,
      strict: true,
    });
    if (values.help === true) return (io.out(USAGE), 0);
    const [path, ...more] = positionals;
    const tolerance = readTolerance(values.tolerance);
    if (path === undefined || more.length > 0 || tolerance === undefined) return (io.err(USAGE), 2);
    const { rounds, json, html } = values;
    return await repeat(
      readWholeReport(path),
      { rounds, json, html },
      { tolerance, only: values.only?.split(',') },
      io,
      runner,
    );
  } catch (error) {
    if (!(error instanceof TypeError) && !isBenchError(error)) throw error;
    io.err(`blindbeam bench repeat: ${error.message}\n`);
    return isBenchError(error) ? 1 : 2;
  }
}

type Flags = Readonly<Record<'rounds' | 'json' | 'html', string | undefined>>;

async function repeat(saved: Report, flags: Flags, choice: Choice, io: CompareIo, runner: Runner): Promise<number> {
  const invocation = runner.read(argvOf(saved, flags, runner.optionsOf(saved.workload)));
  if (invocation.kind !== 'run') {
    io.err(`blindbeam bench repeat: this version cannot run what the report was made by.\n`);
    if (invocation.kind === 'usage-error') io.err(invocation.text);
    return 2;
  }
  io.out(`Again: blindbeam ${invocation.command}\n`);
  io.out(formatDifferences(differencesOfEnvironment(withoutParams(saved), runner.here())));
  const { code, report } = await runner.run(invocation);
  if (code !== 0) return code;
  io.out('\n');
  return compareSides([saved], [report], choice, io);
}

function withoutParams({ params: _params, ...rest }: Report): Circumstances {
  return rest;
}

function formatDifferences(differences: readonly string[]): string {
  if (differences.length === 0) return 'Here everything is as it was there.\n\n';
  return `Here and there differ in this:\n${differences.map((line) => `  ${line}\n`).join('')}\n`;
}

/**
 * The command line of a report, from its settings: every option stands there as it was taken.
 *
 * @param known - Options that are taken from it. A report may be a stranger's: where files are written is said by who repeats it.
 */
export function argvOf(
  { workload, params }: Pick<Report, 'workload' | 'params'>,
  flags: Flags,
  known: readonly string[],
): string[] {
  const { quick, rounds: saved } = params;
  const rounds = flags.rounds ?? String(Math.max(ROUNDS_MIN, typeof saved === 'number' ? saved : 1));
  const options = Object.entries(params).filter(([name]) => known.includes(name));
  const own = options.flatMap(([name, value]) => [`--${name}`, String(value)]);
  const files = (['json', 'html'] as const).flatMap((name) =>
    flags[name] === undefined ? [] : [`--${name}`, flags[name]],
  );
  return [workload, ...(quick === true ? ['--quick'] : []), ...own, '--rounds', rounds, ...files];
}
