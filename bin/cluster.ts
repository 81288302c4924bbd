/**
 * `blindbeam cluster up`: a whole cluster on this machine, for trying things. NATS servers and nodes as processes of their
 * own, started as an operator starts them, their logs on one terminal.
 *
 * It is no way to run a cluster for people: everything is on one machine and one disk. For that see deploy/.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { problemOf } from '../actors/config/usage.ts';
import { makePrivateDirectory } from '../runtime/private-directory.ts';
import { guard } from '../runtime/testing/guard.ts';
import { hasNatsServer, type NatsServers, startNatsServers } from '../runtime/testing/nats-servers.ts';

const LAUNCHER: string = fileURLToPath(new URL('../../bin/blindbeam.js', import.meta.url));
const STOP_MS_MAX = 15_000;

const HELP = `Usage: blindbeam cluster up [options] [-- options of every node]

Starts NATS servers and nodes on this machine, for trying things. Ctrl-C stops them; what they stored stays.

  --nodes N      nodes, 1 to 9 (default 3)
  --servers N    nats-server processes, 1 or 3 (default 1)
  --port N       port of the first node; the others take the next ones (default 7400)
  --data DIR     directory for the stores of nodes and servers (default data-cluster)

nats-server must be installed (Debian: apt-get install nats-server).
`;

interface Plan {
  readonly nodes: readonly string[];
  readonly servers: number;
  readonly port: number;
  readonly data: string;
  readonly nodeFlags: readonly string[];
}

/** Runs the verb until a signal ends it. Resolves to the exit code. */
export async function runCluster(argv: readonly string[]): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb === '--help' || verb === '-h' || rest.includes('--help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const plan =
    verb === 'up' ? readPlan(rest) : verb === undefined ? 'expected "cluster up"' : `there is no "cluster ${verb}"`;
  if (typeof plan === 'string') {
    process.stderr.write(`blindbeam: ${plan}.\nblindbeam cluster --help tells what it takes.\n`);
    return 2;
  }
  if (!hasNatsServer()) {
    process.stderr.write('blindbeam: nats-server is not installed (Debian: apt-get install nats-server).\n');
    return 1;
  }
  return up(plan);
}

/** What was asked for, or what is wrong with it. Pure. */
export function readPlan(argv: readonly string[]): Plan | string {
  const end = argv.indexOf('--');
  const own = end === -1 ? argv : argv.slice(0, end);
  const names = ['nodes', 'servers', 'port', 'data'] as const;
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  let given: Partial<Record<(typeof names)[number], string>>;
  try {
    given = parseArgs({ args: [...own], options, strict: true }).values as typeof given;
  } catch (error) {
    return problemOf(error);
  }
  const { nodes = '3', servers = '1', port = '7400', data = 'data-cluster' } = given;
  if (!/^[1-9]$/.test(nodes)) return `"nodes" expected 1 to 9, got "${nodes}"`;
  if (servers !== '1' && servers !== '3') return `"servers" expected 1 or 3, got "${servers}"`;
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) + Number(nodes) > 65_536)
    return `"port" expected 1 to ${65_536 - Number(nodes)}, got "${port}"`;
  return {
    nodes: Array.from({ length: Number(nodes) }, (_, index) => `node-${index + 1}`),
    servers: Number(servers),
    port: Number(port),
    data: resolve(data),
    nodeFlags: end === -1 ? [] : argv.slice(end + 1),
  };
}

async function up(plan: Plan): Promise<number> {
  // Whoever read this may be gone first, as with `| tee` and Ctrl-C: the servers have to be stopped all the same.
  process.stdout.on('error', () => undefined);
  let configuration: string;
  let nats: NatsServers;
  try {
    makePrivateDirectory(plan.data);
    configuration = writeConfiguration(plan);
    nats = await startNatsServers(plan.servers, plan.data);
  } catch (error) {
    const { syscall, message } = error as NodeJS.ErrnoException;
    const code = syscall === undefined ? 'APP_CLUSTER: ' : `APP_STORE_UNREADABLE: cannot use ${plan.data}: `;
    process.stderr.write(`${code}${message}\n`);
    return 1;
  }
  process.stdout.write(`\n  Starting ${plan.nodes.length} nodes …\n\n`);
  const children = plan.nodes.map((name, index) =>
    startNode(plan, name, nodeFlags(plan, name, index, nats, configuration)),
  );
  let stopping = false;
  for (const { name, child, flags } of children) {
    child.once('exit', (status, signal) => {
      if (stopping) return;
      print(name, `has ended (${signal ?? status}); the others go on. To start it again, in another terminal:`);
      print(name, `  npx blindbeam start ${[...flags, ...plan.nodeFlags].map(shellWord).join(' ')}`);
    });
  }
  // Behind what the nodes log of their start, where somebody finds it.
  void Promise.all(children.map(({ started }) => started)).then(() => announce(plan, nats));
  const asked = stopSignal().then(() => 0);
  const left = Promise.all(children.map(({ child }) => ended(child))).then(() => 1);
  const status = await Promise.race([asked, left]);
  stopping = true;
  await Promise.all(children.map(({ child }) => stop(child)));
  await nats.stop();
  return status;
}

/** The secret of the installation is made once and stays in the data directory. */
function writeConfiguration({ data }: Plan): string {
  const path = join(data, 'cluster.yaml');
  if (!existsSync(path)) {
    writeFileSync(path, `cluster-secret: "${randomBytes(32).toString('hex')}"\n`, { mode: 0o600 });
  }
  return path;
}

/** As an operator would write them. */
function nodeFlags(plan: Plan, name: string, index: number, nats: NatsServers, configuration: string): string[] {
  const flags = {
    config: configuration,
    data: join(plan.data, name),
    port: String(plan.port + index),
    nats: nats.urls.join(','),
    node: name,
    'cluster-nodes': plan.nodes.join(','),
    workers: '1',
    'metrics-port': '0',
  };
  return Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
}

interface StartedNode {
  readonly name: string;
  readonly child: ChildProcess;
  readonly flags: readonly string[];
  /** Resolves when it serves; never, if it ends before. */
  readonly started: Promise<void>;
}

function startNode(plan: Plan, name: string, flags: readonly string[]): StartedNode {
  // In a process group of its own: Ctrl-C is for this process, which then stops the nodes in order.
  const child = spawn(process.execPath, [LAUNCHER, 'start', ...flags, ...plan.nodeFlags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  // Without the servers, which end with this process, it would serve nobody.
  guard(child);
  const started = new Promise<void>((done) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        show(name, line);
        if (isListening(line)) done();
      });
    }
  });
  return { name, child, flags, started };
}

/** The line is for people, and is there whatever the node logs, in whatever form. */
function isListening(line: string): boolean {
  return /^ {2}Blindbeam is listening /.test(line);
}

/** As a shell takes it for one word. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What a node says to people who start it alone would be wrong here. */
function show(name: string, line: string): void {
  if (line.trim() !== '' && !/^ {2}(Blindbeam is|Chat:|Web chat:)/.test(line)) print(name, line);
}

function print(name: string, line: string): void {
  process.stdout.write(`${name} | ${line}\n`);
}

function announce({ nodes, port, data }: Plan, { urls }: NatsServers): void {
  const url = (index: number): string => `ws://127.0.0.1:${port + (index % nodes.length)}/ws`;
  const store = `--data ${shellWord(join(data, nodes[0]!))}`;
  process.stdout.write(
    `\n  ${nodes.length} nodes: ${nodes.map((name, index) => `${name} ${url(index)}`).join(', ')}\n` +
      `  NATS: ${urls.join(', ')}; stores in ${data}\n` +
      `  Web chat: ${nodes.map((_, index) => url(index).replace(/^ws(.*)\/ws$/, 'http$1/')).join('  ')}\n` +
      `  Chat: npx blindbeam chat --as +4915100000001 --url ${url(0)}\n` +
      `        npx blindbeam chat --as +4915100000002 --to +4915100000001 --url ${url(1)}\n` +
      `  Look: npx blindbeam node list ${store}\n` +
      `        npx blindbeam top ${store}        (n: the nodes)\n` +
      `        npx blindbeam console ${store}    (the page for operators)\n\n`,
  );
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended(child);
  clearTimeout(timer);
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((done) => child.once('exit', () => done()));
}

function stopSignal(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
}
