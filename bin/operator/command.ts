/**
 * A verb of the node as a command of the shell: `actor.inspect` is `blindbeam actor inspect PID`. Flags, bounds and help
 * come from the specification of the verb; how an answer looks to a person is the command's own.
 *
 * Exit codes: 0 done, 1 failed (also: no node answers), 2 wrong usage.
 */

import { parseArgs } from 'node:util';
import { checkParameters, type Parameter } from '../../actors/admin/parameters.ts';
import { adminSocketPath } from '../../actors/admin/socket-path.ts';
import type { VerbSpec } from '../../actors/admin/verb.ts';
import { problemOf } from '../../actors/config/usage.ts';
import { AdminClient, OperatorError } from './client.ts';
import { harmless, harmlessJson } from './text.ts';

export interface OperatorCommand {
  readonly spec: VerbSpec;
  /** More for `--help`. */
  readonly details?: string;
  /** Milliseconds to wait unless told otherwise. Default 5,000. */
  readonly timeoutMs?: number;
  /** The answer for a person, ending without a line feed. */
  readonly print?: (result: never) => string;
  /** For verbs that answer again and again: takes over once connected. Resolves to the exit code. */
  readonly live?: (client: AdminClient, parameters: object, options: LiveOptions) => Promise<number>;
}

export interface LiveOptions {
  readonly json: boolean;
  readonly timeoutMs: number;
}

/** Where a command writes; the process's own by default. */
export interface Output {
  out(text: string): void;
  error(text: string): void;
}

const CONSOLE: Output = {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
};

const TIMEOUT_MS = 5_000;

interface Flags {
  readonly help: boolean;
  readonly json: boolean;
  readonly timeoutMs: number;
  readonly socket: string;
  readonly parameters: object;
}

/** Runs a command. Resolves to the exit code. */
export async function runCommand(
  command: OperatorCommand,
  argv: readonly string[],
  output: Output = CONSOLE,
): Promise<number> {
  let flags: Flags;
  try {
    flags = readFlags(command, argv);
  } catch (error) {
    output.error(`blindbeam: ${asFlags(problemOf(error))}.\nblindbeam ${wordsOf(command)} --help tells more.\n`);
    return 2;
  }
  if (flags.help) {
    output.out(helpOf(command));
    return 0;
  }
  return ask(command, flags, output);
}

async function ask(command: OperatorCommand, flags: Flags, output: Output): Promise<number> {
  let client: AdminClient | undefined;
  try {
    client = await AdminClient.connect(flags.socket, flags.timeoutMs);
    if (command.live !== undefined) return await command.live(client, flags.parameters, flags);
    const result = await client.request<object>(command.spec.name, flags.parameters, flags.timeoutMs);
    output.out(
      flags.json || command.print === undefined ? toJson(result) : `${harmless(command.print(result as never))}\n`,
    );
    return 0;
  } catch (error) {
    return fail(error, flags, output);
  } finally {
    client?.close();
  }
}

function fail(error: unknown, { json }: Flags, output: Output): number {
  if (!(error instanceof OperatorError)) throw error;
  if (json) output.out(toJson({ error: { code: error.code, message: error.message } }));
  else output.error(`${error.code}: ${harmless(error.message)}\n`);
  return error.code === 'ADM_BAD_PARAMETER' ? 2 : 1;
}

function toJson(value: object): string {
  return `${harmlessJson(value, 2)}\n`;
}

function readFlags(command: OperatorCommand, argv: readonly string[]): Flags {
  const { parameters } = command.spec;
  const own = Object.entries(parameters).map(([name, { kind }]) => {
    const type = kind === 'flag' ? ('boolean' as const) : ('string' as const);
    return [kebab(name), { type }] as const;
  });
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      timeout: { type: 'string' },
      data: { type: 'string' },
      socket: { type: 'string' },
      ...Object.fromEntries(own),
    },
  });
  const given = values as Record<string, string | boolean | undefined>;
  const help = given['help'] === true;
  return {
    help,
    json: given['json'] === true,
    // A verb may have a parameter of this name, and is then waited for as its command says.
    timeoutMs: readTimeout('timeout' in parameters ? undefined : given['timeout'], command.timeoutMs ?? TIMEOUT_MS),
    socket: socketOf(given),
    parameters: help ? {} : readParameters(parameters, given, positionals),
  };
}

function readParameters(
  parameters: VerbSpec['parameters'],
  given: Readonly<Record<string, unknown>>,
  positionals: readonly string[],
): object {
  const placed = positioned(parameters);
  if (positionals.length > placed.length) throw new TypeError(`"${positionals[placed.length]}" is one word too many`);
  const named = Object.keys(parameters).map((name) => {
    const place = placed.indexOf(name);
    return [name, place >= 0 && positionals[place] !== undefined ? positionals[place] : given[kebab(name)]] as const;
  });
  return checkParameters(parameters, Object.fromEntries(named));
}

/** A parameter as whoever stands at a shell has to write it: `"intervalMs"` is `"interval-ms"` there. */
function asFlags(problem: string): string {
  return problem.replace(/^"([a-z]+[A-Z][A-Za-z]*)"/, (_, name: string) => `"${kebab(name)}"`);
}

/** The names of the parameters that stand without their names, in order. */
function positioned(parameters: VerbSpec['parameters']): string[] {
  const placeOf = (parameter: Parameter): number => ('position' in parameter ? (parameter.position ?? 0) : 0);
  return Object.entries(parameters)
    .filter(([, parameter]) => placeOf(parameter) > 0)
    .sort(([, one], [, other]) => placeOf(one) - placeOf(other))
    .map(([name]) => name);
}

function readTimeout(given: unknown, fallback: number): number {
  if (given === undefined) return fallback;
  const timeoutMs = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : 0;
  if (timeoutMs >= 1 && timeoutMs <= 3_600_000) return timeoutMs;
  throw new TypeError(`"timeout" expected 1 to 3600000 milliseconds, got "${String(given)}"`);
}

function socketOf(given: Readonly<Record<string, unknown>>): string {
  const { env } = process;
  const data = (given['data'] as string | undefined) ?? env['BLINDBEAM_DATA'] ?? 'data';
  const socket = (given['socket'] as string | undefined) ?? env['BLINDBEAM_ADMIN_SOCKET'] ?? 'admin.sock';
  return adminSocketPath(data, socket);
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function wordsOf({ spec }: OperatorCommand): string {
  return spec.name.replaceAll('.', ' ');
}

/** What `--help` prints. */
export function helpOf(command: OperatorCommand): string {
  const { parameters, summary, changes } = command.spec;
  const placed = positioned(parameters);
  const places = placed.map((name) => {
    const parameter = parameters[name]!;
    return 'required' in parameter && parameter.required === true ? name.toUpperCase() : `[${name.toUpperCase()}]`;
  });
  const usage = ['blindbeam', wordsOf(command), ...places, '[options]'].join(' ');
  const own = Object.entries(parameters).map(([name, parameter]) => {
    const label = placed.includes(name) ? name.toUpperCase() : `--${kebab(name)}`;
    return optionLine(label, describe(parameter));
  });
  const audited = changes ? '\nIt is written to the audit log of the node.\n' : '';
  const details = command.details === undefined ? '' : `\n${command.details}\n`;
  return `Usage: ${usage}\n\n${sentence(summary)}\n${details}${audited}\n${[...own, ...COMMON_OPTIONS].join('\n')}\n`;
}

function describe(parameter: Parameter): string {
  const { help } = parameter;
  if (parameter.kind === 'flag') return help;
  const bounds = parameter.kind === 'integer' ? `${parameter.min} to ${parameter.max}` : '';
  const choices = parameter.kind === 'choice' ? `one of ${parameter.choices.join(', ')}` : '';
  const preset = parameter.default === undefined ? '' : `default ${parameter.default}`;
  const more = [preset, bounds, choices].filter((part) => part !== '').join(', ');
  return more === '' ? help : `${help} (${more})`;
}

function optionLine(label: string, help: string): string {
  return `  ${label.padEnd(14)} ${help}`;
}

const COMMON_OPTIONS: readonly string[] = [
  optionLine('--data', 'store directory of the node (default data, or BLINDBEAM_DATA)'),
  optionLine('--socket', 'its admin socket (default admin.sock there, or BLINDBEAM_ADMIN_SOCKET)'),
  optionLine('--timeout', `milliseconds to wait for an answer`),
  optionLine('--json', 'print the answer as JSON'),
];

function sentence(summary: string): string {
  return `${summary[0]!.toUpperCase()}${summary.slice(1)}.`;
}
