/**
 * The files of deploy/ for a cluster: NATS with TLS and a user for each node, as they stand there, on a real server; and that what they
 * set are settings.
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { environmentName, SETTING_NAMES } from '../../actors/config/settings.ts';
import { openNatsBus, subjects, type NatsAddress, type NatsBus } from '../../runtime/cluster/index.ts';
import { freePorts } from '../../runtime/testing/free-ports.ts';
import { hasNatsServer } from '../../runtime/testing/nats-servers.ts';
import { createMemoryLog, type LogEntry } from '../../runtime/testing/test-node.ts';
import { makeSelfSigned, makeSigned, OPENSSL } from '../certificates.ts';
import { pause, until, PATIENCE_MS } from './people.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

const DEPLOY = join(ROOT, 'deploy');
const PASSWORDS = { NODE_1_PASSWORD: 'one', NODE_2_PASSWORD: 'two', NODE_3_PASSWORD: 'three', OPERATOR_PASSWORD: 'op' };
const SKIP = hasNatsServer() ? OPENSSL : { skip: 'nats-server is not installed' };

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
    await until('the refusal', PATIENCE_MS, () => logged.some(({ event }) => event.startsWith('bus_')));
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

t.test('the servers of two data centres: what nodes say crosses the line, logs and buckets do not', SKIP, async (t) => {
  const directory = temporaryDirectory(t);
  makeCertificates(directory);
  const [east, west, leaf] = (await freePorts(3)) as [number, number, number];
  const LEAF_URL = `tls://west:leaf@localhost:${leaf}`;
  const LEAF_PASSWORD = 'leaf';
  const LEAF_ADVERTISE = `localhost:${leaf}`;
  startServer(
    t,
    directory,
    east,
    'centre-east',
    { LEAF_PASSWORD, LEAF_ADVERTISE, SERVED: 'bb.main.served.east' },
    leaf,
  );
  startServer(t, directory, west, 'centre-west', { LEAF_PASSWORD, SERVED: 'bb.main.served.west', LEAF_URL });
  const heard: LogEntry[] = [];
  const open = async (port: number, user: string, password: string): Promise<NatsBus> => {
    const address = { servers: [`tls://localhost:${port}`], ca: join(directory, 'ca.pem'), user, password };
    const bus = await openNatsBus(address, user, createMemoryLog(heard));
    t.teardown(() => bus.close());
    return bus;
  };
  const here = await open(east, 'node-1', 'one');
  const there = await open(west, 'node-2', 'two');
  await crosses(t, here, there, 'node-2', 'east');
  await crosses(t, there, here, 'node-1', 'west');
  const domains = [here, there].map(async ({ connection }) => {
    const manager = await connection.jetstreamManager();
    const { domain } = await manager.getAccountInfo();
    await connection.jetstream().views.kv('bb-main-table');
    return [domain, (await manager.streams.list().next()).length];
  });
  const found = await Promise.all(domains);
  t.strictSame(found, [
    ['east', 1],
    ['west', 1],
  ]);
  t.strictSame(heard, [], 'nothing was forbidden');

  here.publish('bb.main.served.west', Buffer.from('x'));
  await until('the refusal', PATIENCE_MS, () => heard.some(({ event }) => event.startsWith('bus_')));
  t.pass('no node speaks for another centre');
});

/** What a node says on all subjects that it may: what gets to a spy in the other centre, and what stays at home. */
async function crosses(t: Test, here: NatsBus, there: NatsBus, spy: string, centre: string): Promise<void> {
  const may = [subjects.beat('main'), subjects.worker('main', spy, 1), `bb.main.served.${centre}`].sort();
  const mayNot = [`bb.main.page.${spy}.1`, '_INBOX.of.somebody'];
  const listened = [...may, `bb.main.page.${spy}.1`, '_INBOX.>'];
  const got = new Set<string>();
  for (const subject of listened)
    there.connection.subscribe(subject, { callback: (_, { subject }) => got.add(subject) });
  while (may.some((subject) => !got.has(subject))) {
    // What must not cross goes first: it would be there by the time that the rest is.
    for (const subject of [...mayNot, ...may]) here.publish(subject, Buffer.from('x'));
    await pause(50);
  }
  t.strictSame(
    [...got].filter((subject) => mayNot.includes(subject)),
    [],
    'neither pages nor answers to requests',
  );
}

/**
 * A server of deploy/nats, alone: without the block about the others of its place, and with places of this test.
 *
 * @param leaf - Where it listens for other data centres.
 */
function startServer(
  t: Test,
  directory: string,
  port: number,
  file = 'nats',
  environment: Readonly<Record<string, string>> = {},
  leaf?: number,
): void {
  const text = readFileSync(join(DEPLOY, `nats/${file}.conf`), 'utf8')
    .replace(/\ncluster \{[\s\S]*?\n\}\n/, '\n')
    .replaceAll('/etc/nats/tls', directory)
    .replace('0.0.0.0:4222', `127.0.0.1:${port}`)
    .replace('0.0.0.0:7422', `127.0.0.1:${leaf}`)
    .replace('http: "0.0.0.0:8222"', '')
    .replace('"/data"', JSON.stringify(join(directory, file)));
  const path = join(directory, `${file}.conf`);
  writeFileSync(path, text);
  for (const name of ['accounts.conf', 'centre-accounts.conf'])
    copyFileSync(join(DEPLOY, 'nats', name), join(directory, name));
  const child = spawn('nats-server', ['-c', path], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...PASSWORDS, SERVER_NAME: file, ...environment },
  });
  t.teardown(() => void child.kill('SIGKILL'));
}

/** Under the names that the configuration has. */
function makeCertificates(directory: string): void {
  makeSelfSigned(directory, 'ca');
  makeSigned(directory, 'ca', 'server', { commonName: 'localhost', altNames: 'DNS:localhost,IP:127.0.0.1' });
  for (const [made, named] of [
    ['ca.crt', 'ca.pem'],
    ['server.crt', 'server.pem'],
    ['server.key', 'server-key.pem'],
  ] as const)
    renameSync(join(directory, made), join(directory, named));
}
