/**
 * The schema of the configuration. The only importer of zod.
 *
 * Made from the table in `settings.ts`: each value by itself, then what must hold between values. It knows nothing of where a
 * value came from; `sources.ts` puts that into the message.
 */

import { z } from 'zod';
import { LIMITS as RUNTIME_LIMITS } from '../../runtime/index.ts';
import { clusterProblems } from '../cluster/config.ts';
import { expectationOf, SETTING_NAMES, settingOf, type SettingName } from './settings.ts';
import { LOG_LEVELS, LOG_MODULES, parseLevels } from '../log-levels.ts';
import { readAddress } from '../media/address.ts';
import { tracingProblems } from '../tracing/settings.ts';

/** Every setting with its value; numbers where the table says integer. */
export type SettingValues = Readonly<Record<SettingName, string | number>>;

/** What is wrong with one setting, as the end of a sentence that begins with its name. */
export interface SettingProblem {
  readonly name: SettingName;
  readonly problem: string;
}

/**
 * Checks what was given, and fills in the defaults.
 *
 * @param given - By name; strings from a command line or the environment, or what a file holds. Unknown names are the caller's affair.
 * @returns The values, or all that is wrong.
 */
export function checkSettings(
  given: Readonly<Partial<Record<SettingName, unknown>>>,
): SettingValues | SettingProblem[] {
  const parsed = SCHEMA.safeParse(given);
  if (parsed.success) return parsed.data as SettingValues;
  return parsed.error.issues.map(({ path, message }) => ({ name: String(path[0]) as SettingName, problem: message }));
}

const VALUES = Object.fromEntries(SETTING_NAMES.map((name) => [name, schemaOf(name)]));

const SCHEMA = z.strictObject(VALUES).superRefine((values, context) => {
  for (const { name, problem } of relationsOf(values as SettingValues)) {
    context.addIssue({ code: 'custom', path: [name], message: problem });
  }
});

function schemaOf(name: SettingName): z.ZodType {
  const setting = settingOf(name);
  const error = (issue: { input?: unknown }): string => explain(name, issue.input);
  switch (setting.kind) {
    case 'integer': {
      const number = z.number({ error }).int({ error }).min(setting.min, { error }).max(setting.max, { error });
      return z.preprocess(numberOf, number).default(setting.default);
    }
    case 'choice':
      return z.preprocess(wordOf, z.enum(setting.choices as [string, ...string[]], { error })).default(setting.default);
    case 'text': {
      const text = z.string({ error });
      return (setting.optional === true ? text : text.min(1, { error })).default(setting.default);
    }
  }
}

/** Digits of a command line become a number; anything else is left for the message. */
function numberOf(given: unknown): unknown {
  return typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given;
}

/** YAML knows yes and no as true and false in some of its dialects, so a file may say either. */
function wordOf(given: unknown): unknown {
  return typeof given === 'boolean' ? (given ? 'yes' : 'no') : given;
}

function explain(name: SettingName, given: unknown): string {
  if (given === '' || given === null) return `expected ${expectationOf(name)}, got nothing`;
  if (settingOf(name).secret === true) return `expected ${expectationOf(name)}`;
  return `expected ${expectationOf(name)}, got "${typeof given === 'object' ? JSON.stringify(given) : String(given)}"`;
}

// --- what must hold between settings ------------------------------------------------------------------------------

function relationsOf(values: SettingValues): SettingProblem[] {
  const problems: SettingProblem[] = [];
  const refuse = (name: SettingName, problem: string): void => void problems.push({ name, problem });
  const { workerStuckMsMin } = RUNTIME_LIMITS;
  const stuckMs = Number(values['stuck-ms']);
  if (stuckMs > 0 && stuckMs < workerStuckMsMin)
    refuse('stuck-ms', `expected 0 or at least ${workerStuckMsMin}, got "${stuckMs}"`);
  const media = readAddress(String(values.media));
  // Said without repeating the address: somebody may have put a secret into it.
  if ('problem' in media) refuse('media', media.problem);
  if ((values['tls-certificate'] === '') !== (values['tls-key'] === ''))
    refuse(values['tls-key'] === '' ? 'tls-key' : 'tls-certificate', 'is needed: TLS takes a certificate and its key');
  const levels = parseLevels(String(values['log-levels']));
  if (levels === undefined) {
    const [modules, known] = [LOG_MODULES.join(', '), LOG_LEVELS.join(', ')];
    refuse('log-levels', `expected module=level, …, with a module of ${modules} and a level of ${known}`);
  }
  for (const { name, problem } of clusterProblems(values)) refuse(name, problem);
  for (const { name, problem } of tracingProblems(values)) refuse(name, problem);
  if (!isLoopback(String(values.host)) && values['unsafe-verifier'] !== 'yes') refuse('host', exposure(values.host));
  return problems;
}

function exposure(host: string | number): string {
  const why = `is ${host}, but verification codes would be printed to the log, where they prove nothing`;
  return `${why}. Listen on 127.0.0.1, or say --unsafe-verifier yes`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
