/**
 * The command line of `bench`, read and described. Pure: argv in, a decision out.
 */

import { parseArgs } from 'node:util';
import { closest } from '../actors/config/settings.ts';
import { problemOf } from '../actors/config/usage.ts';
import {
  findWorkload,
  listWorkloads,
  type OptionValues,
  type Workload,
  type WorkloadOption,
} from './harness/registry.ts';

/** What a command line asks for. */
export type Invocation =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'list' }
  | { readonly kind: 'compare'; readonly argv: readonly string[] }
  | { readonly kind: 'repeat'; readonly argv: readonly string[] }
  | { readonly kind: 'usage-error'; readonly text: string }
  | RunInvocation;

/** A workload is to be run. */
export interface RunInvocation {
  readonly kind: 'run';
  readonly workload: Workload;
  readonly options: OptionValues;
  readonly isQuick: boolean;
  readonly part: string | undefined;
  readonly control: string | undefined;
  /** How often the whole workload is run. */
  readonly rounds: number;
  readonly isChecked: boolean;
  readonly keepData: boolean;
  readonly jsonFile: string | undefined;
  readonly htmlFile: string | undefined;
  /** The command line that leads to this run again. */
  readonly command: string;
}

/** Flags that every workload has. */
const COMMON = {
  quick: { type: 'boolean', help: 'short windows: most workloads end within 45 seconds' },
  check: { type: 'boolean', help: 'exit with 1 when a threshold is missed, or the figures are not the server’s' },
  rounds: { type: 'string', help: 'run it so many times; two reports of several rounds can be compared (default 1)' },
  keep: { type: 'boolean', help: 'keep the data directory of the server' },
  json: { type: 'string', help: 'write the report to this file' },
  html: { type: 'string', help: 'write the report to this file as a page with charts, that needs nothing else' },
  help: { type: 'boolean', help: 'this text' },
} as const;

/** The flag of workloads that have parts. */
const ONLY = 'only';
/** The flag of workloads that can plant a fault. */
const CONTROL = 'control';
const ROUNDS: WorkloadOption = { default: 1, min: 1, max: 100, help: 'rounds' };

/** Reads the arguments after the verb `bench`. */
export function readInvocation(argv: readonly string[], workloads: readonly Workload[]): Invocation {
  const [name, ...rest] = argv;
  if (name === '--help' || name === '-h') return { kind: 'help', text: describeBench(workloads) };
  if (name === undefined) return { kind: 'usage-error', text: describeBench(workloads) };
  if (name === 'list') return { kind: 'list' };
  if (name === 'compare') return { kind: 'compare', argv: rest };
  if (name === 'repeat') return { kind: 'repeat', argv: rest };
  const workload = findWorkload(workloads, name);
  if (workload === undefined) return unknownWorkload(name, workloads);
  return readWorkloadFlags(workload, rest);
}

function unknownWorkload(name: string, workloads: readonly Workload[]): Invocation {
  const words = [...workloads.map((workload) => workload.name), 'list', 'compare', 'repeat'];
  const near = closest(name, words);
  const hint = near === undefined ? '' : `; did you mean ${near}`;
  return usageError(`there is no workload "${name}"${hint}`, 'blindbeam bench list tells what there is.');
}

/** The help has more lines than a terminal, and would push what is wrong out of it. */
function usageError(problem: string, hint: string): Invocation {
  return { kind: 'usage-error', text: `blindbeam bench: ${problem}.\n${hint}\n` };
}

/** Names of the flags that a workload has for itself. */
export function ownFlags(workload: Workload): string[] {
  const choices = [
    ...(workload.parts === undefined ? [] : [ONLY]),
    ...(workload.controls === undefined ? [] : [CONTROL]),
  ];
  return [...Object.keys(workload.options), ...choices];
}

function readWorkloadFlags(workload: Workload, argv: readonly string[]): Invocation {
  const names = [...ownFlags(workload).map((name) => [name, { type: 'string' }]), ...Object.entries(COMMON)];
  try {
    const parsed = parseArgs({ args: [...argv], options: Object.fromEntries(names), strict: true });
    const values = parsed.values as Record<string, string | boolean | undefined>;
    if (values.help === true) return { kind: 'help', text: describeWorkload(workload) };
    return invocationOf(workload, values);
  } catch (error) {
    return usageError(problemOf(error), `blindbeam bench ${workload.name} --help tells its options.`);
  }
}

function invocationOf(workload: Workload, values: Readonly<Record<string, string | boolean | undefined>>): Invocation {
  const isQuick = values.quick === true;
  const rounds = typeof values.rounds === 'string' ? readInteger('rounds', values.rounds, ROUNDS) : ROUNDS.default;
  const part = readChoice(ONLY, values[ONLY], workload.parts);
  const control = readChoice(CONTROL, values[CONTROL], workload.controls);
  const options = Object.entries<WorkloadOption>(workload.options).map(([name, option]) => {
    const given = values[name];
    return [name, typeof given === 'string' ? readInteger(name, given, option) : defaultOf(option, isQuick)];
  });
  const chosen = { options: Object.fromEntries(options) as OptionValues, isQuick, part, control, rounds };
  return {
    kind: 'run',
    workload,
    ...chosen,
    isChecked: values.check === true,
    keepData: values.keep === true,
    jsonFile: typeof values.json === 'string' ? values.json : undefined,
    htmlFile: typeof values.html === 'string' ? values.html : undefined,
    command: commandOf(workload, chosen),
  };
}

/** With every option as it was taken, so that another default of a later version changes nothing. */
function commandOf(
  { name }: Workload,
  {
    options,
    isQuick,
    part,
    control,
    rounds,
  }: Pick<RunInvocation, 'options' | 'isQuick' | 'part' | 'control' | 'rounds'>,
): string {
  const flags = Object.entries(options).map(([flag, value]) => `--${flag} ${value}`);
  if (part !== undefined) flags.push(`--${ONLY} ${part}`);
  if (control !== undefined) flags.push(`--${CONTROL} ${control}`);
  if (rounds > 1) flags.push(`--rounds ${rounds}`);
  return ['bench', name, ...(isQuick ? ['--quick'] : []), ...flags].join(' ');
}

function defaultOf(option: WorkloadOption, isQuick: boolean): number {
  return isQuick ? (option.quick ?? option.default) : option.default;
}

function readChoice(
  flag: string,
  given: string | boolean | undefined,
  choices: readonly string[] = [],
): string | undefined {
  if (typeof given !== 'string') return undefined;
  if (choices.includes(given)) return given;
  throw new RangeError(`--${flag} expected one of ${choices.join(', ')}, got "${given}"`);
}

function readInteger(name: string, given: string, { min, max }: WorkloadOption): number {
  const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new RangeError(`--${name} expected an integer from ${min} to ${max}, got "${given}"`);
}

function describeBench(workloads: readonly Workload[]): string {
  const usage =
    'Usage: blindbeam bench list\n       blindbeam bench <workload> [options]\n       blindbeam bench compare A.json B.json\n       blindbeam bench repeat REPORT.json\n';
  return `${usage}\nWorkloads:\n${listWorkloads(workloads)}\nblindbeam bench <workload> --help tells its options.\n`;
}

function describeWorkload({ name, question, options, parts, controls }: Workload): string {
  const own = Object.entries<WorkloadOption>(options).map(([flag, option]) =>
    describeFlag(flag, describeOption(option)),
  );
  if (parts !== undefined) own.push(describeFlag(ONLY, `one of ${parts.join(', ')}`));
  if (controls !== undefined)
    own.push(describeFlag(CONTROL, `plant a fault that must be seen: ${controls.join(' or ')}`));
  const common = Object.entries(COMMON).map(([flag, { help }]) => describeFlag(flag, help));
  return `Usage: blindbeam bench ${name} [options]\n\n${question}\n\n${[...own, ...common].join('')}`;
}

function describeFlag(flag: string, help: string): string {
  return `  --${flag.padEnd(12)} ${help}\n`;
}

function describeOption(option: WorkloadOption): string {
  const quick = option.quick === undefined ? '' : `, ${option.quick} with --quick`;
  return `${option.help} (default ${option.default}${quick}; ${option.min} to ${option.max})`;
}
