/**
 * What a verb takes: parameters as data, from which its check, the flags of the command line, their help and the forms of
 * the console are made. Knows no verb.
 */

import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';

interface Common {
  readonly help: string;
  /** Without it, and without a default, the parameter may be left out. */
  readonly required?: true;
  /** On the command line it stands without its name, in this order. */
  readonly position?: number;
}

export type Parameter =
  | (Common & { readonly kind: 'text'; readonly default?: string })
  | (Common & { readonly kind: 'integer'; readonly min: number; readonly max: number; readonly default?: number })
  | (Common & { readonly kind: 'choice'; readonly choices: readonly string[]; readonly default?: string })
  | { readonly kind: 'flag'; readonly help: string };

export type Parameters = Readonly<Record<string, Parameter>>;

type ValueOf<P> = P extends { kind: 'integer' }
  ? number
  : P extends { kind: 'flag' }
    ? boolean
    : P extends { kind: 'choice'; choices: readonly (infer C)[] }
      ? C
      : string;

type IsGiven<P> = P extends { required: true } | { default: unknown } | { kind: 'flag' } ? true : false;

/** The values of checked parameters. */
export type ValuesOf<P extends Parameters> = {
  readonly [Name in keyof P]: IsGiven<P[Name]> extends true ? ValueOf<P[Name]> : ValueOf<P[Name]> | undefined;
};

/**
 * Checks what was given and fills in the defaults. Numbers may come as text, as a command line has them.
 *
 * @throws {AdminError} ADM_BAD_PARAMETER, naming the parameter, what it got and what it expects.
 */
export function checkParameters<P extends Parameters>(parameters: P, given: unknown): ValuesOf<P> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw bad('parameters must be an object');
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(parameters, name)) throw bad(`there is no parameter "${name.slice(0, LIMITS.refusedCharsMax)}"`);
  }
  const values = Object.entries(parameters).map(([name, parameter]) => {
    const value = (given as Record<string, unknown>)[name];
    return [name, checkOne(name, parameter, value)] as const;
  });
  return Object.fromEntries(values) as ValuesOf<P>;
}

function checkOne(name: string, parameter: Parameter, value: unknown): unknown {
  if (parameter.kind === 'flag') return checkFlag(name, value);
  if (value === undefined || value === null) {
    if (parameter.required === true) throw bad(`"${name}" is missing: ${parameter.help}`);
    return parameter.default;
  }
  if (parameter.kind === 'integer') return checkInteger(name, parameter, value);
  if (typeof value !== 'string' || value.length > LIMITS.parameterCharsMax) {
    throw bad(`"${name}" expected a text of at most ${LIMITS.parameterCharsMax} characters`);
  }
  if (parameter.kind === 'choice' && !parameter.choices.includes(value)) {
    throw bad(`"${name}" expected one of ${parameter.choices.join(', ')}, got ${shown(value)}`);
  }
  return value;
}

function checkFlag(name: string, value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw bad(`"${name}" expected true or false, got ${shown(value)}`);
  return value;
}

function checkInteger(name: string, { min, max }: { min: number; max: number }, value: unknown): number {
  const number = typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  if (Number.isSafeInteger(number) && (number as number) >= min && (number as number) <= max) return number as number;
  throw bad(`"${name}" expected an integer from ${min} to ${max}, got ${shown(value)}`);
}

/**
 * An opaque id of a user or a group: 15 digits.
 *
 * @throws {AdminError} ADM_BAD_PARAMETER
 */
export function checkId(name: string, id: string): void {
  if (!/^\d{15}$/.test(id)) throw bad(`"${name}" expected an id of 15 digits; phone numbers are not looked up`);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? typeof value).slice(0, LIMITS.refusedCharsMax);
}

function bad(message: string): AdminError {
  return new AdminError('ADM_BAD_PARAMETER', message);
}
