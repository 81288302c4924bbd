/**
 * A node as its operator runs it: scraped, drained, given other settings and another certificate, all while people write to each other.
 */

import { execFile } from 'node:child_process';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { lintMetrics, readSamples } from '../../actors/metrics/lint.ts';
import { createClient, memoryStore } from '../../client/node/index.ts';
import { makeSelfSigned, makeSigned, OPENSSL } from '../certificates.ts';
import { newPerson, openClient } from './people.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

/** An authority of our own, and a certificate under it for 127.0.0.1 for each name. */
function makeCertificates(directory: string, ...names: string[]): void {
  makeSelfSigned(directory, 'ca', { commonName: 'authority' });
  for (const name of names) makeSigned(directory, 'ca', name, { altNames: 'IP:127.0.0.1' });
}

/** Puts a pair where the node looks for it: each file is replaced as a whole. */
function install(directory: string, name: string): void {
  for (const kind of ['crt', 'key']) {
    copyFileSync(join(directory, `${name}.${kind}`), join(directory, `new.${kind}`));
    renameSync(join(directory, `new.${kind}`), join(directory, `node.${kind}`));
  }
}

/** The name in the certificate that a new handshake is shown. */
function shownName(url: string, ca: string): Promise<string> {
  const { hostname: host, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host, port: Number(port), ca }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

function read(url: string): Promise<{ readonly status: number | undefined; readonly text: string }> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode, text }));
    }).once('error', reject);
  });
}

/** Looks every 20 ms. The test's own time-out ends it. */
async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 20));
}

function blindbeam(...argv: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [join(ROOT, 'bin', 'blindbeam.js'), ...argv], (error, out) => {
      if (error === null) resolve(out);
      else reject(error);
    });
  });
}

/** The port of metrics of a running node. */
async function metricsOf(server: ServerProcess): Promise<string> {
  const started = await server.line((line) => line.event === 'node_started');
  return String(started['metrics']).replace(/\/metrics$/, '');
}

const METRICS = ['--metrics-port', '0'];

t.test('a certificate that is replaced on disk is shown to new connections, and open ones stay', OPENSSL, async (t) => {
  const directory = temporaryDirectory(t);
  makeCertificates(directory, 'first', 'second');
  install(directory, 'first');
  const ca = readFileSync(join(directory, 'ca.crt'), 'utf8');
  const flags = [
    '--tls-certificate',
    join(directory, 'node.crt'),
    '--tls-key',
    join(directory, 'node.key'),
    ...METRICS,
  ];
  const server = await ServerProcess.start(t, join(directory, 'store'), ['--workers', '2', ...flags]);
  t.match(server.url, /^wss:/);
  const join_ = async (phone: string): Promise<Awaited<ReturnType<typeof createClient>>> => {
    const client = await createClient({ url: server.url, store: memoryStore(), ca });
    t.teardown(() => client.close());
    await client.requestCode(phone);
    await client.confirmCode(phone, await server.code(phone));
    await client.connect();
    return client;
  };
  const [alice, bob] = [await join_('+4915100000001'), await join_('+4915100000002')];
  t.equal(await shownName(server.url, ca), 'first');
  const url = await metricsOf(server);
  const states: string[] = [];
  for (const client of [alice, bob]) client.onState((state) => void states.push(state));

  install(directory, 'second');
  process.kill(server.pid, 'SIGHUP');
  await server.line((line) => line.event === 'certificate_taken');
  for (let round = 0; round < 8; round += 1) t.equal(await shownName(server.url, ca), 'second', 'on every worker');
  const message = await alice.send('+4915100000002', 'over the handshake of before');
  await message.delivered;
  t.strictSame(states, [], 'nobody had to connect again');
  const carol = await join_('+4915100000003');
  await (
    await carol.send('+4915100000002', 'over the one of now')
  ).delivered;

  copyFileSync(join(directory, 'first.key'), join(directory, 'node.key'));
  process.kill(server.pid, 'SIGHUP');
  const refused = await server.line((line) => line.event === 'settings_refused');
  t.match(refused['reason'], /is not the one of the certificate/);
  t.equal(await shownName(server.url, ca), 'second', 'a pair that does not fit is not taken');
  const taken = async (): Promise<number | undefined> =>
    readSamples((await read(`${url}/metrics`)).text).find(
      (each) => each.name === 'blindbeam_certificate_reloads_total' && each.labels['outcome'] === 'taken',
    )?.value;
  await until(async () => (await taken()) === 1);
  await Promise.all([alice.close(), bob.close(), carol.close()]);
  t.equal(await server.stop(), 0);
});

t.test(
  'a busy node is scraped without a complaint of the lint, and nobody’s name is in its metrics or its log',
  async (t) => {
    const directory = temporaryDirectory(t);
    const server = await ServerProcess.start(t, directory, ['--log-level', 'debug', ...METRICS]);
    const [alice, bob] = await Promise.all([
      newPerson(t, server, '+4915100000001'),
      newPerson(t, server, '+4915100000002'),
    ]);
    for (let count = 0; count < 20; count += 1) await alice.client.send(bob.phone, `the harbour at ${count}`);
    await until(() => bob.received.length === 20);
    const url = await metricsOf(server);
    // A quiet worker tells its figures once a second, each in its own.
    const shown = async (wanted: string): Promise<number> => {
      const samples = readSamples((await read(`${url}/metrics`)).text);
      return samples.find(({ name, labels }) => name === wanted || labels['state'] === wanted)?.value ?? 0;
    };
    await until(async () => (await shown('live')) === 2);
    await until(async () => (await shown('blindbeam_messages_accepted_total')) >= 20);
    await until(async () => (await shown('blindbeam_store_commit_messages_sum')) >= 20);
    const { text } = await read(`${url}/metrics`);
    t.strictSame(lintMetrics(text), []);
    const samples = readSamples(text);
    const value = (name: string, labels: object = {}): number =>
      samples.find(
        (each) => each.name === name && Object.entries(labels).every(([key, is]) => each.labels[key] === is),
      )!.value;
    t.ok(value('blindbeam_connections_accepted_total') >= 2);
    t.ok(value('blindbeam_logins_total', { method: 'signature' }) >= 2);
    t.ok(value('blindbeam_login_duration_seconds_count') >= 2);
    t.ok(value('blindbeam_messages_accepted_total') >= 20);
    t.ok(value('blindbeam_store_commit_duration_seconds_count') > 0);
    t.ok(value('blindbeam_store_commit_messages_sum') >= 20);
    t.ok(value('blindbeam_actor_messages_total', { outcome: 'handled' }) > 100);
    t.ok(value('blindbeam_event_loop_delay_seconds_count') > 0);
    t.ok(value('blindbeam_worker_heartbeat_timestamp_seconds') > 1.7e9);
    t.ok(value('process_open_fds') > 10);

    const spoken = server.lines
      .filter(({ event }) => event !== 'verification_code')
      .map((line) => JSON.stringify(line));
    const log = spoken.join('\n');
    t.ok(spoken.length > 0);
    t.notMatch(`${text}${log}`, /4915100000/, 'no phone number');
    t.notMatch(`${text}${log}`, /harbour/);
    t.notMatch(log, /ticket=|ciphertext":"(?!\[cut\])/);
    const { user } = alice.client.account!;
    t.notOk(text.includes(user), 'no account in the metrics');
  },
);

t.test('a drain ends readiness, sends everybody away with the advice to come back, and loses nothing', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, ['--workers', '1', ...METRICS]);
  const url = await metricsOf(server);
  t.equal((await read(`${url}/readyz`)).status, 200);
  const people = await Promise.all([1, 2, 3, 4].map((digit) => newPerson(t, server, `+491510000000${digit}`)));
  const [alice, bob] = people;
  await alice!.client.send(bob!.phone, 'before');
  // Two at a time are a slow drain: half of them are there for a while yet, however fast the machine is.
  const began = server.line(({ event }) => event === 'drain_started');
  t.match(JSON.parse(await blindbeam('drain', '--rate', '2', '--data', directory, '--json')), { told: 4 });
  const [from, to] = [await began, await server.line(({ event }) => event === 'drain_finished')];
  const tookMs = Date.parse(String(to['time'])) - Date.parse(String(from['time']));
  t.ok(
    tookMs >= 1_400,
    `four clients at two a second left within ${tookMs} ms: the fourth goes after one and a half seconds`,
  );
  t.strictSame(await read(`${url}/readyz`), { status: 503, text: 'the node is draining\n' });
  t.equal((await read(`${url}/livez`)).status, 200);
  const sent = alice!.client.send(bob!.phone, 'while everybody is away');
  const deferred = async (): Promise<number> =>
    readSamples((await read(`${url}/metrics`)).text).find(({ labels }) => labels['code'] === 'APP_DRAINING')!.value;
  await until(async () => (await deferred()) > 4);
  await blindbeam('resume', '--data', directory);
  await (
    await sent
  ).delivered;
  await until(() => bob!.received.length === 2);
  t.strictSame(
    bob!.received.map(({ text }) => text),
    ['before', 'while everybody is away'],
  );
  t.equal((await read(`${url}/readyz`)).status, 200);
});

t.test('SIGTERM drains: clients are told to come back before the node ends', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, METRICS);
  await newPerson(t, server, '+4915100000001');
  t.equal(await server.stop(), 0);
  const events = server.lines.map(({ event }) => event);
  const order = ['node_stopping', 'drain_started', 'drain_finished', 'node_stopped'];
  t.strictSame(
    events.filter((event) => order.includes(event)),
    order,
  );
  t.match(
    server.lines.find(({ event }) => event === 'drain_finished'),
    { told: 1 },
  );
});

t.test('a running node takes what it can of new settings, and says what waits for a restart', async (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'node.yaml');
  writeFileSync(file, 'log-level: info\nconnections: 100\nstore-bytes: 1000000\n');
  const server = await ServerProcess.start(t, join(directory, 'store'), ['--config', file, ...METRICS]);
  await newPerson(t, server, '+4915100000001');
  writeFileSync(file, 'log-level: info\nconnections: 1\nstore-bytes: 2000000\nstuck-ms: 7000\n');
  process.kill(server.pid, 'SIGHUP');
  const taken = await server.line((line) => line.event === 'setting_taken' && line['setting'] === 'connections');
  t.match(taken, { setting: 'connections', before: '100', now: '1' });
  t.match(await server.line((line) => line.event === 'setting_waits_for_restart'), {
    setting: 'stuck-ms',
    now: '7000',
  });
  const late = await openClient(server.url);
  t.teardown(() => late.close());
  void late.requestCode('+4915100000002').catch(() => undefined);
  const url = await metricsOf(server);
  await until(async () => /refusals_total\{code="APP_OVERLOADED"\} [1-9]/.test((await read(`${url}/metrics`)).text));
  t.pass('the second connection is one too many now');
  await until(async () =>
    / 2000000$/m.test((await read(`${url}/metrics`)).text.replace(/^(?!blindbeam_store_queued_bytes_max ).*$/gm, '')),
  );
  t.pass('and the store takes as much as the file says');
  await until(async () => (await read(`${url}/readyz`)).text.includes('lets nobody in'));

  writeFileSync(file, 'conections: 5\n');
  process.kill(server.pid, 'SIGHUP');
  const refused = await server.line((line) => line.event === 'settings_refused');
  t.match(refused['reason'], /there is no setting "conections"; did you mean connections/);
});
