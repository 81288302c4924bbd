import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { freePorts } from '../runtime/testing/free-ports.ts';
import { hasNatsServer } from '../runtime/testing/nats-servers.ts';
import { isAlive, untilGone } from '../runtime/testing/until-gone.ts';
import { readPlan, runCluster } from './cluster.ts';

const run = promisify(execFile);
const LAUNCHER = fileURLToPath(new URL('../../bin/blindbeam.js', import.meta.url));

/** The first of two neighbouring ports that nobody has. */
async function freePair(): Promise<number> {
  for (;;) {
    const [port] = (await freePorts(1)) as [number];
    if (port < 65_535 && (await isFree(port + 1))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((done) => {
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

t.test('what is asked for becomes a plan, with names, ports and the options of the nodes', async (t) => {
  t.strictSame(readPlan([]), {
    nodes: ['node-1', 'node-2', 'node-3'],
    servers: 1,
    port: 7400,
    data: resolve('data-cluster'),
    nodeFlags: [],
  });
  t.match(readPlan(['--nodes', '2', '--servers', '3', '--', '--log-level', 'warn']), {
    nodes: ['node-1', 'node-2'],
    servers: 3,
    nodeFlags: ['--log-level', 'warn'],
  });
});

t.test('what is wrong is named', async (t) => {
  t.match(readPlan(['--nodes', '10']), /"nodes" expected 1 to 9, got "10"/);
  t.match(readPlan(['--servers', '2']), /"servers" expected 1 or 3/);
  t.match(readPlan(['--port', '65535']), /"port" expected 1 to 65533/);
  t.match(readPlan(['--prot', '1']), /--prot/);
  t.equal(await runCluster(['down']), 2);
});

t.test(
  'a data directory that cannot be made ends it with a line',
  { skip: !hasNatsServer() && 'no nats-server' },
  async (t) => {
    const written = t.capture(process.stderr, 'write', () => true);
    const file = fileURLToPath(import.meta.url);
    const status = await runCluster(['up', '--data', join(file, 'below')]);
    const said = written().map(({ args }) => String(args[0]));
    written.restore();
    t.equal(status, 1);
    t.match(said, [/^APP_STORE_UNREADABLE: cannot use .*: ENOTDIR/]);
  },
);

t.test(
  'it is said what to do with a cluster that is up, and how to start a node again that has ended; the others stop in order',
  hasNatsServer() ? {} : { skip: 'no nats-server' },
  async (t) => {
    const data = mkdtempSync(join(tmpdir(), 'blindbeam-up-'));
    t.teardown(() => rmSync(data, { recursive: true, force: true }));
    const port = await freePair();
    const args = [LAUNCHER, 'cluster', 'up', '--nodes', '2', '--port', String(port), '--data', data];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => void child.kill('SIGKILL'));
    const lines: string[] = [];
    const waiting: { readonly pattern: RegExp; readonly done: (line: string) => void }[] = [];
    const said = (pattern: RegExp): Promise<string> => {
      const found = lines.find((line) => pattern.test(line));
      return found !== undefined ? Promise.resolve(found) : new Promise((done) => waiting.push({ pattern, done }));
    };
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      for (const { pattern, done } of waiting) if (pattern.test(line)) done(line);
    });
    const status = new Promise<number | null>((done) => child.once('close', (code) => done(code)));

    // What to do with it is said when it can be done, below what the nodes log of their start.
    const look = await said(/^ {2}Look: /);
    t.equal(look, `  Look: npx blindbeam node list --data ${join(data, 'node-1')}`);
    t.ok(lines.findIndex((line) => line.includes(' node_started ')) < lines.indexOf(look), lines.join('\n'));
    const { stdout } = await run(process.execPath, [LAUNCHER, 'status', '--json', '--data', join(data, 'node-2')]);
    process.kill((JSON.parse(stdout) as { readonly pid: number }).pid, 'SIGKILL');
    await said(/^node-2 \| has ended \(SIGKILL\); the others go on\. To start it again/);
    const command = await said(/^node-2 \| {3}npx blindbeam start /);
    // The command is a node of that cluster, as it stands.
    const flags = command.slice(command.indexOf(' start ') + 1).split(' ');
    t.match(flags, ['start', '--config', join(data, 'cluster.yaml'), '--data', join(data, 'node-2')]);
    t.match(await run(process.execPath, [LAUNCHER, 'config', 'check', ...flags.slice(1)]), { stderr: '' });

    child.kill('SIGTERM');
    t.equal(await status, 0);
    t.equal(lines.filter((line) => /^node-1 \| .* node_stopped /.test(line)).length, 1, lines.join('\n'));
  },
);

t.test(
  'a reader of its log who goes first does not keep it from stopping in order',
  hasNatsServer() ? {} : { skip: 'no nats-server' },
  async (t) => {
    const data = mkdtempSync(join(tmpdir(), 'blindbeam-up-'));
    t.teardown(() => rmSync(data, { recursive: true, force: true }));
    const [port] = (await freePorts(1)) as [number];
    const args = [LAUNCHER, 'cluster', 'up', '--nodes', '1', '--port', String(port), '--data', data];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => void child.kill('SIGKILL'));
    const status = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
    const lines = createInterface({ input: child.stdout });
    await new Promise<void>((done) => lines.on('line', (line) => line.startsWith('  Look: ') && done()));
    child.stdout.destroy();
    child.kill('SIGTERM');
    t.equal(await status, 0);
  },
);

t.test('a node ends with it, also when it is killed', hasNatsServer() ? {} : { skip: 'no nats-server' }, async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'blindbeam-up-'));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  const [port] = (await freePorts(1)) as [number];
  const args = [LAUNCHER, 'cluster', 'up', '--nodes', '1', '--port', String(port), '--data', data];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  await new Promise<void>((done) => lines.on('line', (line) => line.startsWith('  Look: ') && done()));
  const { stdout } = await run(process.execPath, [LAUNCHER, 'status', '--json', '--data', join(data, 'node-1')]);
  const { pid } = JSON.parse(stdout) as { readonly pid: number };
  t.ok(isAlive(pid));
  child.kill('SIGKILL');
  const isGone = await untilGone(pid);
  t.ok(isGone);
  if (!isGone) process.kill(pid, 'SIGKILL');
});
