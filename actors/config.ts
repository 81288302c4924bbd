/**
 * Settings of a node: from the command line, else from the environment, else the default. Each has a unit, a default
 * and bounds in one table, from which `--help` and the checks are made.
 */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { LIMITS as RUNTIME_LIMITS } from '../runtime/index.ts';
import { StartupError } from './errors.ts';
import type { LogFormat, LogLevel } from './logger.ts';
import { readAddress, readCredentials, type MediaAddress } from './media/address.ts';

export interface NodeConfig {
  readonly host: string;
  readonly port: number;
  /** Directory of the store. */
  readonly data: string;
  readonly workers: number;
  /** Where media lie. Without credentials: each worker takes those from the environment. */
  readonly media: MediaAddress;
  /** Bytes of undelivered messages that the node may hold. */
  readonly storeBytes: number;
  /** Connections of the node. */
  readonly connections: number;
  /** Of one address at a time, new ones a second, requests before login a minute; 0 for no bound. */
  readonly addressConnections: number;
  readonly addressConnects: number;
  readonly addressRegistrations: number;
  /** Whether a proxy before the node names its client in X-Forwarded-For. */
  readonly proxy: boolean;
  readonly verifier: 'log';
  /** How silent devices are woken: `none`, `log`, or the path of a settings file. */
  readonly push: string;
  readonly logFormat: LogFormat;
  readonly logLevel: LogLevel;
  /** Milliseconds without a turn after which a worker counts as stuck and the process ends; 0 never. */
  readonly stuckMs: number;
}

type Setting =
  | { readonly kind: 'text'; readonly default: string; readonly help: string }
  | { readonly kind: 'choice'; readonly default: string; readonly choices: readonly string[]; readonly help: string }
  | {
      readonly kind: 'integer';
      readonly default: number;
      readonly min: number;
      readonly max: number;
      readonly help: string;
    };

/** One worker leaves a core for the commits, the kernel's network work and whatever else the machine does. */
const DEFAULT_WORKERS = Math.max(1, availableParallelism() - 1);

const SETTINGS = {
  host: { kind: 'text', default: '127.0.0.1', help: 'address to listen on' },
  port: { kind: 'integer', default: 7400, min: 0, max: 65_535, help: 'port to listen on; 0 takes a free one' },
  data: { kind: 'text', default: 'data', help: 'directory of the store; made if missing' },
  workers: { kind: 'integer', default: DEFAULT_WORKERS, min: 1, max: 64, help: 'worker threads' },
  'store-bytes': {
    kind: 'integer',
    default: 10 * 1024 ** 3,
    min: 65_536,
    max: 2 ** 45,
    help: 'bytes of undelivered messages to hold; beyond it senders are told to retry',
  },
  media: {
    kind: 'text',
    default: 'disk',
    help: 'where media lie: disk, or s3://bucket?endpoint=https://host&region=name with the credentials in the environment',
  },
  connections: { kind: 'integer', default: 1_000_000, min: 1, max: 10_000_000, help: 'connections to admit' },
  'address-connections': {
    kind: 'integer',
    default: 5_000,
    min: 0,
    max: 10_000_000,
    help: 'open connections of one address (IPv6: of a /64); 0 for no bound',
  },
  'address-connects': {
    kind: 'integer',
    default: 200,
    min: 0,
    max: 1_000_000,
    help: 'new connections of one address a second, ten times as many at once; 0 for no bound',
  },
  'address-registrations': {
    kind: 'integer',
    default: 30,
    min: 0,
    max: 1_000_000,
    help: 'requests before login of one address a minute, ten times as many at once; 0 for no bound',
  },
  proxy: {
    kind: 'choice',
    default: 'no',
    choices: ['no', 'yes'],
    help: 'a proxy stands before the node: take addresses from the end of X-Forwarded-For',
  },
  verifier: {
    kind: 'choice',
    default: 'log',
    choices: ['log'],
    help: 'how verification codes are sent; log prints them',
  },
  push: {
    kind: 'text',
    default: 'none',
    help: 'how silent devices are woken: none, log, or a file with settings for Web Push, APNs and FCM (docs/internals/push.md)',
  },
  'log-format': {
    kind: 'choice',
    default: 'text',
    choices: ['text', 'json'],
    help: 'log lines for people or machines',
  },
  'log-level': {
    kind: 'choice',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    help: 'least level to log',
  },
  'stuck-ms': {
    kind: 'integer',
    default: 5_000,
    min: 0,
    max: 3_600_000,
    help: 'a worker that takes no turn for so many milliseconds is named in the log and the process ends; 0 never',
  },
  'unsafe-verifier': {
    kind: 'choice',
    default: 'no',
    choices: ['no', 'yes'],
    help: 'allow the log verifier on an address that others can reach',
  },
} as const satisfies Record<string, Setting>;

type SettingName = keyof typeof SETTINGS;

/**
 * Reads the settings.
 *
 * @param argv - Arguments after the verb.
 * @param environment - Names are `BLINDBEAM_` and the flag in capitals: `BLINDBEAM_STORE_BYTES`.
 * @throws {StartupError} APP_CONFIG, naming the setting, what it got and what it expects.
 */
export function readConfig(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): NodeConfig {
  const given = parseFlags(argv);
  const text = (name: SettingName): string =>
    String(readSetting(name, given[name] ?? environment[environmentName(name)]));
  const config: NodeConfig = {
    host: text('host'),
    port: Number(text('port')),
    data: text('data'),
    media: readMedia(text('media'), environment),
    workers: Number(text('workers')),
    storeBytes: Number(text('store-bytes')),
    connections: Number(text('connections')),
    addressConnections: Number(text('address-connections')),
    addressConnects: Number(text('address-connects')),
    addressRegistrations: Number(text('address-registrations')),
    proxy: text('proxy') === 'yes',
    verifier: 'log',
    push: text('push'),
    logFormat: text('log-format') as LogFormat,
    logLevel: text('log-level') as LogLevel,
    stuckMs: Number(text('stuck-ms')),
  };
  if (config.stuckMs > 0 && config.stuckMs < RUNTIME_LIMITS.workerStuckMsMin) refuseShortWatch(config.stuckMs);
  if (!isLoopback(config.host) && text('unsafe-verifier') !== 'yes') refuseExposedVerifier(config.host);
  return config;
}

function parseFlags(argv: readonly string[]): Record<string, string | undefined> {
  const options = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, { type: 'string' as const }]));
  try {
    return parseArgs({ args: [...argv], options, strict: true }).values as Record<string, string | undefined>;
  } catch (error) {
    throw new StartupError('APP_CONFIG', `${(error as Error).message.split('\n')[0]} See blindbeam start --help.`);
  }
}

export function environmentName(name: string): string {
  return `BLINDBEAM_${name.toUpperCase().replaceAll('-', '_')}`;
}

function readSetting(name: SettingName, given: string | undefined): string | number {
  const setting: Setting = SETTINGS[name];
  if (given === undefined) return setting.default;
  if (setting.kind === 'integer') return readInteger(name, given, setting.min, setting.max);
  if (setting.kind === 'choice' && !setting.choices.includes(given)) {
    throw new StartupError('APP_CONFIG', `"${name}" expected one of ${setting.choices.join(', ')}, got "${given}".`);
  }
  if (given === '') throw new StartupError('APP_CONFIG', `"${name}" expected a value, got nothing.`);
  return given;
}

function readInteger(name: string, given: string, min: number, max: number): number {
  const value = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new StartupError('APP_CONFIG', `"${name}" expected an integer from ${min} to ${max}, got "${given}".`);
}

/** What is wrong is said without repeating the address: somebody may have put a secret into it. */
function readMedia(text: string, environment: Readonly<Record<string, string | undefined>>): MediaAddress {
  const address = readAddress(text);
  if ('problem' in address) throw new StartupError('APP_CONFIG', `"media" ${address.problem}.`);
  const credentials = address.kind === 's3' ? readCredentials(environment) : undefined;
  if (credentials === undefined || !('problem' in credentials)) return address;
  throw new StartupError('APP_CONFIG', `"media" ${credentials.problem}.`);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

function refuseShortWatch(stuckMs: number): never {
  const { workerStuckMsMin } = RUNTIME_LIMITS;
  throw new StartupError('APP_CONFIG', `"stuck-ms" expected 0 or at least ${workerStuckMsMin}, got "${stuckMs}".`);
}

function refuseExposedVerifier(host: string): never {
  const why = `"host" is ${host}, but verification codes would be printed to the log, where they prove nothing`;
  throw new StartupError('APP_CONFIG', `${why}. Listen on 127.0.0.1, or say --unsafe-verifier yes.`);
}

/** The settings for `--help`, a line each. */
export function describeConfig(): string {
  const lines = Object.entries(SETTINGS).map(([name, setting]: [string, Setting]) => {
    const bounds = setting.kind === 'integer' ? `, ${setting.min} to ${setting.max}` : '';
    const choices = setting.kind === 'choice' ? `, one of ${setting.choices.join(', ')}` : '';
    return `  --${name.padEnd(16)} ${setting.help} (default ${setting.default}${bounds}${choices})`;
  });
  return `${lines.join('\n')}\n\nEach may stand in the environment instead, as ${environmentName('port')} and so on.`;
}
