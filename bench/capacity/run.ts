/**
 * `blindbeam capacity`: reads the demand, plans, prints.
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { problemOf } from '../../actors/config/usage.ts';
import { isBenchError } from '../errors.ts';
import { readCosts } from './costs.ts';
import { INPUT_NAMES, INPUTS, readDemand, type Demand, type InputName } from './demand.ts';
import { plan, type Figure, type Plan, type PlanUnit } from './plan.ts';

/** Where the reports are that come with the project. */
const RESULTS: string = join(import.meta.dirname, '..', '..', '..', 'bench', 'results');

/** Where the command writes. */
export interface CapacityIo {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/**
 * Runs the command line after the verb `capacity`.
 *
 * @returns The exit code: 0; 1 where a report is missing; 2 for wrong usage.
 */
export function runCapacity(argv: readonly string[], io: CapacityIo = processIo()): number {
  const flags = readFlags(argv);
  if (typeof flags === 'string') return refuse(flags, io);
  if (flags.help === true) return (io.out(usage()), 0);
  const demand = readDemand(flags as Partial<Record<InputName, string>>);
  if (typeof demand === 'string') return refuse(demand, io);
  try {
    const costs = readCosts(String(flags.results ?? RESULTS));
    const made = plan(demand, costs);
    io.out(flags.json === true ? `${JSON.stringify({ demand, costs, plan: made }, null, 2)}\n` : format(demand, made));
    return 0;
  } catch (error) {
    if (!isBenchError(error)) throw error;
    io.err(`blindbeam capacity: ${error.message}\n`);
    return 1;
  }
}

type Flags = Readonly<Partial<Record<InputName | 'results', string>>> & {
  readonly json?: boolean;
  readonly help?: boolean;
};

function readFlags(argv: readonly string[]): Flags | string {
  const inputs = [...INPUT_NAMES, 'results'].map((name) => [name, { type: 'string' as const }]);
  const options = { ...Object.fromEntries(inputs), json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } };
  try {
    return parseArgs({ args: [...argv], options: options as never, strict: true }).values as Flags;
  } catch (error) {
    return problemOf(error);
  }
}

function refuse(problem: string, io: CapacityIo): number {
  io.err(`blindbeam capacity: ${problem.replace(/\.$/, '')}.\nblindbeam capacity --help tells what it takes.\n`);
  return 2;
}

function usage(): string {
  const rows = INPUT_NAMES.map((name) => [`  --${name}`, short(INPUTS[name].default), INPUTS[name].help]);
  rows.push(['  --results', 'bench/results', 'folder with reports of bench, one for each workload']);
  rows.push(['  --json', '', 'the plan, the demand and the costs as JSON']);
  return `Usage: blindbeam capacity [--users 2e9] [--messages-per-day 1e11] …\n\nNodes, memory, disk and traffic of a service, from measured costs.\n\n${formatColumns(rows)}\n`;
}

function format(demand: Demand, { sections, nodes, boundBy }: Plan): string {
  const parts = sections.map(({ title, figures }) => `${title}\n${formatColumns(figures.map(row))}`);
  const changed = INPUT_NAMES.filter((name) => demand[name] !== INPUTS[name].default);
  const inputs = changed.map((name) => `${name} ${short(demand[name])}`).join(', ');
  const head = `For ${demand.users.toLocaleString('en')} people a day${inputs === '' ? '' : ` (${inputs})`}: ${short(nodes)} nodes, bound ${boundBy}.`;
  return `${head}\n\n${parts.join('\n\n')}\n`;
}

function row({ name, value, unit, formula, source }: Figure): string[] {
  return [`  ${name}`, formatFigure(value, unit), formula + (source === undefined ? '' : `  [${source}]`)];
}

/** A figure with three digits that mean something: a plan is no measurement. */
function formatFigure(value: number, unit: PlanUnit): string {
  if (unit === 'bytes' || unit === 'bytes/s') return `${short(value)}B${unit === 'bytes/s' ? '/s' : ''}`;
  return `${short(value)} ${unit}`;
}

/** Columns under each other: texts to the left, the second column, where figures stand, to the right. */
function formatColumns(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  return rows
    .map(([name, value, ...rest]) =>
      [name!.padEnd(widths[0]!), value!.padStart(widths[1]!), ...rest].join('  ').trimEnd(),
    )
    .join('\n');
}

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E'] as const;

function short(value: number): string {
  if (value < 1_000) return String(Number(value.toPrecision(3)));
  const power = Math.min(PREFIXES.length - 1, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1_000 ** power).toPrecision(3))} ${PREFIXES[power]}`;
}

function processIo(): CapacityIo {
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  };
}
