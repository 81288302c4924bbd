/**
 * The table of settings: kind, default, bounds, meaning, and whether a running node takes a new value.
 *
 * Everything else about settings is made from it: the schema (`schema.ts`), `--help`, the file that `config default`
 * prints, and the page docs/settings.md, which a test compares. To add a setting: a line here, a field in `NodeConfig`
 * (`../config.ts`), then `npx blindbeam config doc > docs/settings.md`.
 */

import { availableParallelism } from 'node:os';

interface Common {
  readonly help: string;
  /** Whether a running node takes a new value by SIGHUP; without it a changed value waits for a restart. */
  readonly live?: true;
  /** Whether the value must not be seen: not on a command line, which every process of the machine can read, nor in a report. */
  readonly secret?: true;
}

export type Setting = Common &
  (
    | {
        readonly kind: 'text';
        readonly default: string;
        /** Whether it may be empty, for none. */ readonly optional?: true;
      }
    | { readonly kind: 'choice'; readonly default: string; readonly choices: readonly string[] }
    | { readonly kind: 'integer'; readonly default: number; readonly min: number; readonly max: number }
  );

/** One worker leaves a core for the commits, the kernel's network work and whatever else the machine does. */
const DEFAULT_WORKERS: number = Math.max(1, availableParallelism() - 1);

/** Settings whose default is computed from the machine: documents say how. */
export const COMPUTED_DEFAULTS: Readonly<Record<string, string>> = { workers: 'one fewer than cores' };

export const SETTINGS = {
  host: { kind: 'text', default: '127.0.0.1', help: 'address to listen on' },
  port: { kind: 'integer', default: 7400, min: 0, max: 65_535, help: 'port to listen on; 0 takes a free one' },
  data: { kind: 'text', default: 'data', help: 'directory of the store; made if missing' },
  processes: {
    kind: 'integer',
    default: 1,
    min: 1,
    max: 512,
    help: 'nodes to start, each a process with descriptors of its own, on as many ports from --port on and with a directory each',
  },
  workers: { kind: 'integer', default: DEFAULT_WORKERS as number, min: 1, max: 64, help: 'worker threads' },
  'store-bytes': {
    kind: 'integer',
    default: 10_737_418_240,
    min: 65_536,
    max: 35_184_372_088_832,
    live: true,
    help: 'bytes of undelivered messages to hold; beyond it senders are told to retry',
  },
  'web-chat': {
    kind: 'choice',
    default: 'yes',
    choices: ['yes', 'no'],
    help: 'whether the node serves the web chat at its address',
  },
  media: {
    kind: 'text',
    default: 'disk',
    help: 'where media lie: disk, or s3://bucket?endpoint=https://host&region=name with the credentials in the environment',
  },
  connections: {
    kind: 'integer',
    default: 1_000_000,
    min: 1,
    max: 10_000_000,
    live: true,
    help: 'connections to admit',
  },
  'address-connections': {
    kind: 'integer',
    default: 5_000,
    min: 0,
    max: 10_000_000,
    live: true,
    help: 'open connections of one address (IPv6: of a /64); 0 for no bound',
  },
  'address-connects': {
    kind: 'integer',
    default: 200,
    min: 0,
    max: 1_000_000,
    live: true,
    help: 'new connections of one address a second, ten times as many at once; 0 for no bound',
  },
  'address-registrations': {
    kind: 'integer',
    default: 30,
    min: 0,
    max: 1_000_000,
    live: true,
    help: 'requests before login of one address a minute, ten times as many at once; 0 for no bound',
  },
  proxy: {
    kind: 'choice',
    default: 'no',
    choices: ['no', 'yes'],
    help: 'a proxy stands before the node: take addresses from the end of X-Forwarded-For',
  },
  'tls-certificate': {
    kind: 'text',
    default: '',
    optional: true,
    live: true,
    help: 'file with the certificate and its chain, PEM; a file that is replaced is taken for new connections, without a restart',
  },
  'tls-key': {
    kind: 'text',
    default: '',
    optional: true,
    live: true,
    help: 'file with the key of the certificate, PEM',
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
  'metrics-host': { kind: 'text', default: '127.0.0.1', help: 'address of /metrics and of the health checks' },
  'metrics-port': {
    kind: 'integer',
    default: 9464,
    min: 0,
    max: 65_535,
    help: 'port of /metrics, /livez, /readyz, /startupz; 0 takes a free one, and so does the default where it is taken',
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
    live: true,
    help: 'least level to log',
  },
  'log-levels': {
    kind: 'text',
    default: '',
    optional: true,
    live: true,
    help: 'levels of single modules instead, as in push=debug,media=warn',
  },
  'trace-endpoint': {
    kind: 'text',
    default: '',
    optional: true,
    help: 'collector of OpenTelemetry that traces of messages are posted to (OTLP, JSON), as in http://127.0.0.1:4318; none for no traces',
  },
  'trace-sample': {
    kind: 'integer',
    default: 1_000,
    min: 1,
    max: 1_000_000_000,
    live: true,
    help: 'one message in so many is traced',
  },
  'trace-headers': {
    kind: 'text',
    default: '',
    optional: true,
    secret: true,
    help: 'headers for the collector, as in authorization=Bearer%20abc,x-tenant=chat',
  },
  'drain-rate': {
    kind: 'integer',
    default: 5_000,
    min: 1,
    max: 1_000_000,
    live: true,
    help: 'connections that a stopping node sends away in a second',
  },
  'drain-ms': {
    kind: 'integer',
    default: 10_000,
    min: 0,
    max: 3_600_000,
    live: true,
    help: 'milliseconds that this may take; what is left is sent away at once',
  },
  'stuck-ms': {
    kind: 'integer',
    default: 5_000,
    min: 0,
    max: 3_600_000,
    help: 'a worker that works for so many milliseconds without a turn is named in the log and the process ends; one that is blocked, as by a disk, after six times as many; 0 never',
  },
  'admin-socket': {
    kind: 'text',
    default: 'admin.sock',
    help: 'Unix socket for operators, from the store directory or absolute; who may open the file may do everything; none for no socket',
  },
  nats: {
    kind: 'text',
    default: '',
    optional: true,
    help: 'servers of the cluster, as in nats://10.0.0.1:4222,nats://10.0.0.2:4222 or tls://; none for a node on its own',
  },
  cluster: {
    kind: 'text',
    default: 'main',
    help: 'name of the cluster; nodes of different ones do not see each other',
  },
  node: {
    kind: 'text',
    default: '',
    optional: true,
    help: 'name of this node in its cluster, its own and always the same: a-z, 0-9 and dashes',
  },
  'cluster-nodes': {
    kind: 'text',
    default: '',
    optional: true,
    help: 'names of the nodes that a new cluster begins with, in this data centre if there are several, as in a,b,c; others may join later',
  },
  'cluster-centres': {
    kind: 'text',
    default: '',
    optional: true,
    help: 'data centres of the cluster with the beginnings of the phone numbers of those who live there, as in east:+49+43,west:+1; others live in the first; chosen once, the same on all nodes',
  },
  'cluster-centre': {
    kind: 'text',
    default: '',
    optional: true,
    help: 'the one of them that this node is in: the JetStream domain of its NATS servers',
  },
  'cluster-shards': {
    kind: 'integer',
    default: 12,
    min: 1,
    max: 1_024,
    help: 'shards of the cluster; chosen once, the same on all nodes',
  },
  'cluster-replicas': {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 5,
    help: 'copies that the servers keep of each log, 1, 3 or 5; 0: three where nats names three servers, else one',
  },
  'cluster-durability': {
    kind: 'choice',
    default: 'replicated',
    choices: ['replicated', 'local'],
    help: 'while NATS does not answer: replicated refuses messages, local goes on with the disk of the node alone, and nobody takes over from a node that is silent',
  },
  'cluster-secret': {
    kind: 'text',
    default: '',
    optional: true,
    secret: true,
    help: 'secret of the installation, the same on all nodes: 64 hexadecimal digits',
  },
  'nats-user': { kind: 'text', default: '', optional: true, help: 'who this node is to the NATS servers' },
  'nats-password': {
    kind: 'text',
    default: '',
    optional: true,
    secret: true,
    help: 'password of that user',
  },
  'nats-credentials': {
    kind: 'text',
    default: '',
    optional: true,
    help: 'credentials file for the NATS servers, in place of user and password',
  },
  'nats-ca': {
    kind: 'text',
    default: '',
    optional: true,
    help: 'file with the certificates that those of the NATS servers are checked against, PEM',
  },
  'nats-certificate': {
    kind: 'text',
    default: '',
    optional: true,
    help: 'file with the certificate by which the NATS servers know this node, PEM',
  },
  'nats-key': { kind: 'text', default: '', optional: true, help: 'file with the key of that certificate, PEM' },
  console: {
    kind: 'choice',
    default: 'yes',
    choices: ['no', 'yes'],
    help: 'whether operators have a page, on the loopback; "blindbeam console" tells its address',
  },
  'console-port': {
    kind: 'integer',
    default: 9465,
    min: 0,
    max: 65_535,
    help: 'its port; 0 takes a free one, and so does the default where it is taken',
  },
  'unsafe-verifier': {
    kind: 'choice',
    default: 'no',
    choices: ['no', 'yes'],
    help: 'allow the log verifier on an address that others can reach',
  },
} as const;

export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS) as SettingName[];

/** What the table says of a setting, without the narrowness of its literal. */
export function settingOf(name: SettingName): Setting {
  return SETTINGS[name];
}

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** `BLINDBEAM_STORE_BYTES` for `store-bytes`. */
export function environmentName(name: string): string {
  return `BLINDBEAM_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** What a setting may be, in words. */
export function expectationOf(name: SettingName): string {
  const setting = settingOf(name);
  if (setting.kind === 'integer') return `an integer from ${setting.min} to ${setting.max}`;
  if (setting.kind === 'choice') return `one of ${setting.choices.join(', ')}`;
  return 'a value';
}

/** The name among `names` that somebody who wrote `given` most likely meant. */
export function closest(given: string, names: readonly string[]): string | undefined {
  const near = names.map((name) => ({ name, distance: editDistance(given, name) }));
  near.sort((left, right) => left.distance - right.distance);
  const [best] = near;
  return best !== undefined && best.distance <= Math.max(2, given.length / 3) ? best.name : undefined;
}

/** Insertions, deletions and replacements from one word to the other. Source: Wagner and Fischer, 1974. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
