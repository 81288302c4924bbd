/**
 * The configuration of a node as the rest of the server sees it: typed, checked, complete.
 *
 * Settings come from the command line, the environment, a file, or their defaults, in this order (`config/sources.ts`); each has its
 * line in a table with unit, bounds and default (`config/settings.ts`). `npx blindbeam config` shows and checks them.
 */

import { clusterOf, type ClusterConfig } from './cluster/config.ts';
import { readSettings, type Environment, type ReadFile, type Settings } from './config/sources.ts';
import { StartupError } from './errors.ts';
import { parseLevels, type LogLevel } from './log-levels.ts';
import type { LogFormat } from './logger.ts';
import { readAddress, readCredentials, type MediaAddress } from './media/address.ts';
import { withSecretFiles } from './config/secret-files.ts';
import { tracingOf, type TracingConfig } from './tracing/settings.ts';

/** Files of the certificate and its key, PEM. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

export interface NodeConfig {
  readonly host: string;
  readonly port: number;
  /** Directory of the store. */
  readonly data: string;
  /** Nodes of this command; above 1 this one only watches them. */
  readonly processes: number;
  readonly workers: number;
  /** Whether the page of the web chat is served beside the socket. */
  readonly webChat: boolean;
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
  /** Absent: connections are not encrypted by the node. */
  readonly tls?: TlsFiles;
  readonly verifier: 'log';
  /** How silent devices are woken: `none`, `log`, or the path of a settings file. */
  readonly push: string;
  readonly metricsHost: string;
  /** 0: a free one. */
  readonly metricsPort: number;
  /** Whether the port was chosen by somebody: then it must be free. */
  readonly isMetricsPortGiven: boolean;
  readonly logFormat: LogFormat;
  readonly logLevel: LogLevel;
  /** Levels of modules that differ. */
  readonly logModules: Readonly<Record<string, LogLevel>>;
  /** Connections that a stopping node sends away in a second, and for how long; then all that are left. */
  readonly drainRate: number;
  readonly drainMs: number;
  /** Socket for operators, absolute or from the store directory; `none` for none. */
  readonly adminSocket: string;
  /** Absent: a node on its own. */
  readonly cluster?: ClusterConfig;
  /** The operators' page; absent for none. */
  readonly console: { readonly port: number; readonly isPortGiven: boolean } | undefined;
  /** Absent: no message is traced. */
  readonly tracing: TracingConfig | undefined;
  /** Milliseconds without a turn after which a worker counts as stuck and the process ends; 0 never. */
  readonly stuckMs: number;
}

/**
 * Reads the settings.
 *
 * @param argv - Arguments after the verb.
 * @param environment - Names are `BLINDBEAM_` and the flag in capitals: `BLINDBEAM_STORE_BYTES`, or with `_FILE` a file with the value.
 * @throws {StartupError} APP_CONFIG, naming the setting, what it got and what it expects.
 */
export function readConfig(argv: readonly string[], environment: Environment, readFile?: ReadFile): NodeConfig {
  return configOf(readSettings(argv, environment, readFile), environment, readFile);
}

/** What settings mean. @throws {StartupError} APP_CONFIG, if credentials for media are missing. */
export function configOf({ values, provenance }: Settings, environment: Environment, readFile?: ReadFile): NodeConfig {
  const text = (name: keyof typeof values): string => String(values[name]);
  const number = (name: keyof typeof values): number => Number(values[name]);
  const cluster = clusterOf(values);
  const tls = { certificate: text('tls-certificate'), key: text('tls-key') };
  return {
    host: text('host'),
    port: number('port'),
    data: text('data'),
    webChat: text('web-chat') === 'yes',
    media: readMedia(text('media'), environment, readFile),
    processes: number('processes'),
    workers: number('workers'),
    storeBytes: number('store-bytes'),
    connections: number('connections'),
    addressConnections: number('address-connections'),
    addressConnects: number('address-connects'),
    addressRegistrations: number('address-registrations'),
    proxy: text('proxy') === 'yes',
    ...(tls.certificate === '' ? undefined : { tls }),
    ...(cluster === undefined ? undefined : { cluster }),
    verifier: 'log',
    push: text('push'),
    metricsHost: text('metrics-host'),
    metricsPort: number('metrics-port'),
    isMetricsPortGiven: provenance['metrics-port'] !== 'default',
    logFormat: text('log-format') as LogFormat,
    logLevel: text('log-level') as LogLevel,
    logModules: parseLevels(text('log-levels')) ?? {},
    drainRate: number('drain-rate'),
    drainMs: number('drain-ms'),
    adminSocket: text('admin-socket'),
    console:
      text('console') === 'yes'
        ? { port: number('console-port'), isPortGiven: provenance['console-port'] !== 'default' }
        : undefined,
    tracing: tracingOf(values),
    stuckMs: number('stuck-ms'),
  };
}

/** What is wrong is said without repeating the address: somebody may have put a secret into it. */
function readMedia(text: string, environment: Environment, readFile: ReadFile | undefined): MediaAddress {
  const address = readAddress(text);
  if ('problem' in address) throw refusal(address.problem);
  if (address.kind !== 's3') return address;
  const credentials = readCredentials(credentialsIn(environment, readFile));
  if ('problem' in credentials) throw refusal(credentials.problem);
  return address;
}

function credentialsIn(environment: Environment, readFile: ReadFile | undefined): Environment {
  try {
    return withSecretFiles(environment, readFile);
  } catch (error) {
    throw refusal(`cannot read the file of its credentials: ${(error as Error).message}`);
  }
}

function refusal(problem: string): StartupError {
  return new StartupError('APP_CONFIG', `"media" ${problem}.`);
}
