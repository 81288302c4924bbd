/**
 * The files of deploy/ for a cluster: NATS with TLS and a user for each node, as they stand there, on a real server; and that what they
 * set are settings.
 */

import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { environmentName, SETTING_NAMES } from '../../actors/config-settings.ts';
import { openNatsBus, subjects, type NatsAddress } from '../../runtime/cluster/index.ts';
import { freePorts, hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { createMemoryLog, type LogEntry } from '../../runtime/testing/test-node.ts';
import { pause, until } from './people.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

const DEPLOY = join(ROOT, 'deploy');
const PASSWORDS = { NODE_1_PASSWORD: 'one', NODE_2_PASSWORD: 'two', NODE_3_PASSWORD: 'three', OPERATOR_PASSWORD: 'op' };
const SKIP =
  hasNatsServer() && spawnSync('openssl', ['version']).status === 0 ? {} : { skip: 'needs nats-server and openssl' };

t.test('with TLS and the users of deploy/nats', SKIP, async (t) => {
  const directory = temporaryDirectory(t);
  makeCertificates(directory);
  const [port] = (await freePorts(1)) as [number];
  startServer(t, directory, port);
  const address: NatsAddress = { servers: [`tls://localhost:${port}`], ca: join(directory, 'ca.pem') };

  t.test('two nodes find each other and serve', async (t) => {
    const config = join(directory, 'node.yaml');
    writeFileSync(config, `cluster-secret: "${randomBytes(32).toString('hex')}"\n`, { mode: 0o600 });
    const nodes = ['node-1', 'node-2'].map((name, index) => {
      const password = join(directory, `${name}.password`);
      writeFileSync(password, ['one', 'two'][index]!);
      const flags = {
        config,
        data: join(directory, name),
        port: '0',
        'metrics-port': '0',
        workers: '1',
        node: name,
        nats: address.servers[0]!,
        'nats-ca': address.ca!,
        'nats-user': name,
        'cluster-nodes': 'node-1,node-2',
      };
      process.env['BLINDBEAM_NATS_PASSWORD_FILE'] = password;
      const node = ServerProcess.launch(
        t,
        Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
      );
      delete process.env['BLINDBEAM_NATS_PASSWORD_FILE'];
      return node;
    });
    for (const node of nodes) t.ok(await node.line(({ event }) => event === 'node_started'));
    for (const node of nodes) t.ok(await node.line(({ event }) => event === 'node_up'));
    const refused = nodes.flatMap(({ lines }) => lines.filter(({ event }) => /^bus_(error|refused)/.test(event)));
    t.strictSame(refused, [], 'nothing that a node does is forbidden to it');
  });

  t.test('a node cannot listen for another, and a stranger cannot come in', async (t) => {
    const logged: LogEntry[] = [];
    const bus = await openNatsBus({ ...address, user: 'node-1', password: 'one' }, 'spy', createMemoryLog(logged));
    t.teardown(() => bus.close());
    bus.subscribe(subjects.worker('main', 'node-1', 1), () => undefined);
    await pause(200);
    t.strictSame(logged, []);
    bus.subscribe(subjects.worker('main', 'node-2', 1), () => undefined);
    await until('the refusal', 5_000, () => logged.some(({ event }) => event.startsWith('bus_')));
    await t.rejects(openNatsBus({ ...address, user: 'node-1', password: 'wrong' }, 'x', createMemoryLog([])), {
      code: 'RT_BUS',
    });
  });
});

t.test('what compose and Kubernetes set are settings', async (t) => {
  const known = new Set(SETTING_NAMES.flatMap((name) => [environmentName(name), `${environmentName(name)}_FILE`]));
  for (const file of ['compose.yaml', 'cluster.env.example', 'kubernetes/blindbeam.yaml']) {
    const names = new Set(readFileSync(join(DEPLOY, file), 'utf8').match(/BLINDBEAM_[A-Z_]+/g));
    t.ok(names.size > 0);
    t.strictSame(
      [...names].filter((name) => !known.has(name)),
      [],
      file,
    );
  }
});

t.test('compose starts three servers and three nodes, Kubernetes one node at a time out of three', async (t) => {
  const { services } = parse(readFileSync(join(DEPLOY, 'compose.yaml'), 'utf8'), { merge: true }) as {
    services: Record<string, { environment: Record<string, string> }>;
  };
  t.strictSame(Object.keys(services).sort(), ['nats-1', 'nats-2', 'nats-3', 'node-1', 'node-2', 'node-3']);
  for (const name of ['node-1', 'node-2', 'node-3']) t.equal(services[name]!.environment['BLINDBEAM_NODE'], name);
  const documents = parseAllDocuments(readFileSync(join(DEPLOY, 'kubernetes/blindbeam.yaml'), 'utf8'));
  const objects = documents.map((document) => document.toJS() as { kind: string; spec: Record<string, unknown> });
  t.strictSame(
    documents.flatMap(({ errors }) => errors),
    [],
  );
  t.match(objects.find(({ kind }) => kind === 'PodDisruptionBudget')?.spec, { maxUnavailable: 1 });
  t.match(objects.find(({ kind }) => kind === 'StatefulSet')?.spec, { replicas: 3, serviceName: 'blindbeam-nodes' });
});

/** The server of deploy/nats, alone: without the block about the others, and with places of this test. */
function startServer(t: Test, directory: string, port: number): void {
  const text = readFileSync(join(DEPLOY, 'nats/nats.conf'), 'utf8')
    .replace(/\ncluster \{[\s\S]*?\n\}\n/, '\n')
    .replaceAll('/etc/nats/tls', directory)
    .replace('0.0.0.0:4222', `127.0.0.1:${port}`)
    .replace('http: "0.0.0.0:8222"', '')
    .replace('"/data"', JSON.stringify(join(directory, 'jetstream')));
  const path = join(directory, 'nats.conf');
  writeFileSync(path, text);
  copyFileSync(join(DEPLOY, 'nats/accounts.conf'), join(directory, 'accounts.conf'));
  const child = spawn('nats-server', ['-c', path], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...PASSWORDS, SERVER_NAME: 'nats-1' },
  });
  t.teardown(() => void child.kill('SIGKILL'));
}

function makeCertificates(directory: string): void {
  const run = (...args: string[]): void => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: directory, encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run('req', '-x509', ...key, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test CA');
  run('req', ...key, '-keyout', 'server-key.pem', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(join(directory, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const ca = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  run('x509', '-req', '-in', 'server.csr', '-out', 'server.pem', ...ca);
}
