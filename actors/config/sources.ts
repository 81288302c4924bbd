/**
 * Where settings come from, and which of them holds:
 *
 *   command line  >  environment (BLINDBEAM_X, or BLINDBEAM_X_FILE: a file with the value)  >  file (--config)  >  default
 *
 * It gathers; `schema.ts` judges. What is unknown is an error with the name that was probably meant, in the file and on the
 * command line. The environment belongs to everybody: there a name that is nearly one of ours is a warning.
 */

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readConfigFile } from './file.ts';
import { checkSettings, type SettingValues } from './schema.ts';
import { closest, environmentName, isSettingName, SETTING_NAMES, settingOf, type SettingName } from './settings.ts';
import { problemOf } from './usage.ts';
import { StartupError } from '../errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the value of a setting was found, for people: `--port`, `BLINDBEAM_PORT`, `node.yaml line 3`, `default`. */
export type Provenance = Readonly<Record<SettingName, string>>;

/** Every setting, checked. */
export interface Settings {
  readonly values: SettingValues;
  readonly provenance: Provenance;
  /** The configuration file, if there is one. */
  readonly file: string | undefined;
  /** What is odd and not wrong. */
  readonly warnings: readonly string[];
}

/** Reads a text file; throws as `readFileSync` does. */
export type ReadFile = (path: string) => string;

const CONFIG = 'config';
const DEFAULT = 'default';

interface Found {
  readonly value: unknown;
  readonly where: string;
}

/**
 * Gathers and checks the settings.
 *
 * @param argv - Arguments after the verb.
 * @throws {StartupError} APP_CONFIG; the message has a sentence for each mistake.
 */
export function readSettings(
  argv: readonly string[],
  environment: Environment,
  readFile: ReadFile = readTextFile,
): Settings {
  const flags = parseFlags(argv);
  const file = flags[CONFIG] ?? environment[environmentName(CONFIG)];
  const sources = [fromFlags(flags), fromEnvironment(environment, readFile), fromFile(file, readFile)];
  const found: Partial<Record<SettingName, Found>> = {};
  for (const source of sources.toReversed()) Object.assign(found, source);
  const given = Object.fromEntries(Object.entries(found).map(([name, { value }]) => [name, value]));
  const values = checkSettings(given);
  if (Array.isArray(values))
    throw wrong(values.map(({ name, problem }) => `"${name}" ${problem}${placeOf(found[name])}.`));
  const where = SETTING_NAMES.map((name) => [name, found[name]?.where ?? DEFAULT]);
  return { values, provenance: Object.fromEntries(where) as Provenance, file, warnings: warningsOf(environment) };
}

function wrong(sentences: readonly string[]): StartupError {
  return new StartupError('APP_CONFIG', sentences.join('\n'));
}

/** Who wrote a flag knows where it stands. */
function placeOf(found: Found | undefined): string {
  return found === undefined || found.where.startsWith('--') ? '' : ` (${found.where})`;
}

function parseFlags(argv: readonly string[]): Record<string, string | undefined> {
  const names: readonly string[] = [CONFIG, ...SETTING_NAMES];
  for (const argument of argv) refuseUnknownFlag(argument, names);
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  try {
    return parseArgs({ args: [...argv], options, strict: true }).values as Record<string, string | undefined>;
  } catch (error) {
    throw wrong([`${problemOf(error)}. See blindbeam start --help.`]);
  }
}

function refuseUnknownFlag(argument: string, names: readonly string[]): void {
  const [, name] = /^--([^=]+)/.exec(argument) ?? [];
  if (name === undefined || names.includes(name)) return;
  throw wrong([`There is no option --${name}${suggestion(closest(name, names), '--')}. See blindbeam start --help.`]);
}

function suggestion(name: string | undefined, prefix: string = ''): string {
  return name === undefined ? '' : `; did you mean ${prefix}${name}?`.replace(/\?$/, '');
}

function fromFlags(flags: Readonly<Record<string, string | undefined>>): Partial<Record<SettingName, Found>> {
  const found: Partial<Record<SettingName, Found>> = {};
  for (const [name, value] of Object.entries(flags)) {
    if (!isSettingName(name) || value === undefined) continue;
    if (settingOf(name).secret === true) {
      throw wrong([
        `"${name}" is secret, and a command line is read by every process: use ${environmentName(name)}_FILE or the file.`,
      ]);
    }
    found[name] = { value, where: `--${name}` };
  }
  return found;
}

function fromEnvironment(environment: Environment, readFile: ReadFile): Partial<Record<SettingName, Found>> {
  const found: Partial<Record<SettingName, Found>> = {};
  for (const name of SETTING_NAMES) {
    const variable = environmentName(name);
    const path = environment[`${variable}_FILE`];
    const value = environment[variable];
    if (path !== undefined && value !== undefined)
      throw wrong([`${variable} and ${variable}_FILE are both set: keep one.`]);
    if (value !== undefined) found[name] = { value, where: variable };
    if (path !== undefined)
      found[name] = { value: readValue(`${variable}_FILE`, path, readFile), where: `${variable}_FILE` };
  }
  return found;
}

/** A value in a file of its own, as secrets are handed to containers; the line break at its end is the editor's. */
function readValue(variable: string, path: string, readFile: ReadFile): string {
  try {
    return readFile(path).replace(/\r?\n$/, '');
  } catch (error) {
    throw wrong([`${variable} names ${path}, which cannot be read: ${(error as Error).message}.`]);
  }
}

function fromFile(path: string | undefined, readFile: ReadFile): Partial<Record<SettingName, Found>> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    throw wrong([`The configuration file cannot be read: ${(error as Error).message}.`]);
  }
  const read = readConfigFile(text);
  if ('problem' in read) throw wrong([`${path}: ${read.problem}.`]);
  const unknown = read.entries.filter(({ name }) => !isSettingName(name));
  if (unknown.length > 0) {
    const sentence = (name: string): string =>
      `there is no setting "${name}"${suggestion(closest(name, SETTING_NAMES))}`;
    throw wrong(unknown.map(({ name, line }) => `${path} line ${line}: ${sentence(name)}.`));
  }
  return Object.fromEntries(
    read.entries.map(({ name, value, line }) => [name, { value, where: `${path} line ${line}` }]),
  );
}

function warningsOf(environment: Environment): string[] {
  const known: readonly string[] = [CONFIG, ...SETTING_NAMES];
  return Object.keys(environment).flatMap((variable) => {
    const [, bare] = /^BLINDBEAM_(.+?)(_FILE)?$/.exec(variable) ?? [];
    if (bare === undefined) return [];
    const name = bare.toLowerCase().replaceAll('_', '-');
    const near = known.includes(name) ? undefined : closest(name, known);
    return near === undefined ? [] : [`${variable} is no setting; did you mean ${environmentName(near)}?`];
  });
}

function readTextFile(path: string): string {
  return readFileSync(path, 'utf8');
}
