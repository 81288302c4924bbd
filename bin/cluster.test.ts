import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { freePorts, hasNatsServer } from '../runtime/testing/nats-servers.ts';
import { readPlan, runCluster } from './cluster.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/blindbeam.js', import.meta.url));

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
  'a node and its server come up and stop in order',
  hasNatsServer() ? {} : { skip: 'no nats-server' },
  async (t) => {
    const data = mkdtempSync(join(tmpdir(), 'blindbeam-up-'));
    t.teardown(() => rmSync(data, { recursive: true, force: true }));
    const [port] = (await freePorts(1)) as [number];
    const args = [LAUNCHER, 'cluster', 'up', '--nodes', '1', '--port', String(port), '--data', data];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => void child.kill('SIGKILL'));
    const lines: string[] = [];
    const reader = createInterface({ input: child.stdout });
    const started = new Promise<void>((done) => {
      reader.on('line', (line) => {
        lines.push(line);
        if (lines.filter((each) => each.includes(' node_started ')).length === 1) done();
      });
    });
    const status = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
    await Promise.race([started, status]);
    child.kill('SIGTERM');
    t.equal(await status, 0);
    t.equal(lines.filter((line) => /^node-1 \| .* node_stopped /.test(line)).length, 1, lines.join('\n'));
  },
);
