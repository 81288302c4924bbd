import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { AdminClient } from '../../bin/operator/client.ts';
import { AdminError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { ADMIN_VERSION } from './lines.ts';
import { AdminServer } from './server.ts';
import { createDesk, temporaryDirectory, type DeskFixture } from './test-kit.ts';
import { defineVerb, type Verb } from './verb.ts';

/** Answers come at once; a machine that does much else may take its time. */
const WAIT_MS = 60_000;

const NOTHING = { summary: 'for the test', changes: false, parameters: {} };

function echo(): Verb {
  const spec = {
    ...NOTHING,
    name: 'echo',
    parameters: { text: { kind: 'text', help: 'what', required: true } },
  } as const;
  return defineVerb(spec, ({ text }) => ({ text }));
}

interface Fixture extends DeskFixture {
  readonly path: string;
  readonly server: AdminServer;
}

async function serve(t: Test, verbs: readonly Verb[]): Promise<Fixture> {
  const fixture = createDesk(t, verbs);
  const path = join(fixture.directory, 'admin.sock');
  const server = await AdminServer.open({
    path,
    desk: fixture.desk,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    greeting: { blindbeam: 'admin', version: ADMIN_VERSION, node: 'test', pid: 1 },
  });
  t.teardown(() => server.close());
  return { ...fixture, path, server };
}

async function client(t: Test, path: string): Promise<AdminClient> {
  const connected = await AdminClient.connect(path, WAIT_MS);
  t.teardown(() => connected.close());
  return connected;
}

t.test('a verb answers, a refusal has its code, and what throws is told as failed and logged', async (t) => {
  const verbs = [
    echo(),
    defineVerb({ ...NOTHING, name: 'gone' }, () => Promise.reject(new AdminError('ADM_NOT_FOUND', 'no such thing'))),
    defineVerb({ ...NOTHING, name: 'broken' }, () => {
      throw new Error('a bug with +4915100000001 in it');
    }),
  ];
  const { path, logged } = await serve(t, verbs);
  const operator = await client(t, path);
  t.strictSame(await operator.request('echo', { text: 'hello' }, WAIT_MS), { text: 'hello' });
  await t.rejects(operator.request('echo', {}, WAIT_MS), { code: 'ADM_BAD_PARAMETER' });
  await t.rejects(operator.request('gone', {}, WAIT_MS), { code: 'ADM_NOT_FOUND', message: 'no such thing' });
  await t.rejects(operator.request('nothing', {}, WAIT_MS), { code: 'ADM_UNKNOWN_VERB' });
  await t.rejects(operator.request('broken', {}, WAIT_MS), { code: 'ADM_FAILED', message: /log of the node/ });
  t.match(logged, [{ level: 'error', event: 'admin_verb_failed', fields: { verb: 'broken' } }]);
  t.strictSame(await operator.request('echo', { text: 'still here' }, WAIT_MS), { text: 'still here' });
});

t.test('the file is for the owner alone, goes with the server, and one that was left behind makes room', async (t) => {
  const fixture = await serve(t, [echo()]);
  t.equal(statSync(fixture.path).mode & 0o777, 0o600);
  await fixture.server.close();
  t.notOk(existsSync(fixture.path));

  const directory = temporaryDirectory(t);
  const path = join(directory, 'admin.sock');
  const killed = createServer().listen(path);
  await new Promise((resolve) => killed.once('listening', resolve));
  // A file that nobody listens on any more, as a killed process leaves it.
  writeFileSync(join(directory, 'kept'), '');
  const { desk } = createDesk(t, [echo()]);
  const options = {
    path,
    desk,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    greeting: { blindbeam: 'admin', version: ADMIN_VERSION, node: 'test', pid: 1 },
  } as const;
  await t.rejects(AdminServer.open(options), { code: 'APP_ADMIN_SOCKET', message: /another process answers/ });
  await new Promise<void>((resolve) => killed.close(() => resolve()));
  const leftBehind = join(directory, 'left.sock');
  writeFileSync(leftBehind, '');
  const server = await AdminServer.open({ ...options, path: leftBehind });
  t.teardown(() => server.close());
  const operator = await client(t, leftBehind);
  t.strictSame(await operator.request('echo', { text: 'x' }, WAIT_MS), { text: 'x' });
});

t.test('a path that is too long, and a directory that is not there, are refused when the node starts', async (t) => {
  const { desk } = createDesk(t, []);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const greeting = { blindbeam: 'admin', version: ADMIN_VERSION, node: 'test', pid: 1 } as const;
  const deep = join('/', 'd'.repeat(120), 'admin.sock');
  await t.rejects(AdminServer.open({ path: deep, desk, log, greeting }), { message: /more than 103 bytes/ });
  const missing = join(temporaryDirectory(t), 'missing', 'admin.sock');
  await t.rejects(AdminServer.open({ path: missing, desk, log, greeting }), { code: 'APP_ADMIN_SOCKET' });
});

t.test('a live view ends with its source, and its source with the one who looks', async (t) => {
  let left = false;
  const counting = defineVerb({ ...NOTHING, name: 'count' }, async function* (_values, { signal }) {
    try {
      for (let value = 1; value <= 3 || !signal.aborted; value++) {
        yield { value };
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      left = true;
    }
  });
  const few = defineVerb({ ...NOTHING, name: 'few' }, async function* () {
    yield { value: 1 };
    yield { value: 2 };
  });
  const { path } = await serve(t, [counting, few]);
  const operator = await client(t, path);
  const seen: object[] = [];
  for await (const value of operator.watch('few', {})) seen.push(value);
  t.strictSame(seen, [{ value: 1 }, { value: 2 }]);
  for await (const { value } of operator.watch<{ value: number }>('count', {})) if (value === 3) break;
  while (!left) await new Promise((resolve) => setImmediate(resolve));
  t.pass('the source was told');
});

t.test('a reader that does not read stops the source instead of filling the memory', async (t) => {
  let made = 0;
  const flood = defineVerb({ ...NOTHING, name: 'flood' }, async function* () {
    for (;;) {
      made += 1;
      yield { text: 'x'.repeat(65_536) };
    }
  });
  const { path } = await serve(t, [flood]);
  const socket = connect(path);
  t.teardown(() => socket.destroy());
  socket.pause();
  socket.write('{"id":1,"verb":"flood"}\n');
  let before = -1;
  while (before !== made || made === 0) {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.ok(made < 100, `${made} answers were made`);
});

t.test('a line that is too long ends the connection, and too many requests at a time are refused', async (t) => {
  const never = defineVerb({ ...NOTHING, name: 'never' }, () => new Promise<object>(() => undefined));
  const { path } = await serve(t, [never, echo()]);
  const operator = await client(t, path);
  const open = Array.from({ length: LIMITS.operatorRequestsMax }, () => operator.request('never', {}, WAIT_MS));
  for (const each of open) each.catch(() => undefined);
  await t.rejects(operator.request('echo', { text: 'x' }, WAIT_MS), { code: 'ADM_BUSY' });
  operator.close();

  const other = await client(t, path);
  const long = 'x'.repeat(LIMITS.requestLineBytesMax);
  await t.rejects(other.request('echo', { text: long }, WAIT_MS), { code: 'ADM_LINE_TOO_LONG' });
  const third = await client(t, path);
  t.strictSame(await third.request('echo', { text: 'served' }, WAIT_MS), { text: 'served' });
});

t.test('what changes something is on record, before and after; what cannot be recorded is not done', async (t) => {
  let done = 0;
  const spec = {
    name: 'change',
    summary: 'x',
    changes: true,
    parameters: { to: { kind: 'text', help: 'x' } },
  } as const;
  const change = defineVerb(spec, ({ to }) => {
    if (to === 'bad') throw new AdminError('ADM_REFUSED', 'no');
    done += 1;
    return {};
  });
  const { path, directory, audit } = await serve(t, [change, echo()]);
  const operator = await client(t, path);
  await operator.request('change', { to: 'good' }, WAIT_MS);
  await t.rejects(operator.request('change', { to: 'bad' }, WAIT_MS), { code: 'ADM_REFUSED' });
  await operator.request('echo', { text: 'reading leaves no trace' }, WAIT_MS);
  const file = join(directory, 'audit.log');
  const lines = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(lines, [
    { verb: 'change', via: 'socket', parameters: { to: 'good' }, time: /^\d{4}-\d\d-\d\dT/ },
    { entry: lines[0]!['entry'], outcome: 'done' },
    { verb: 'change', parameters: { to: 'bad' } },
    { entry: lines[2]!['entry'], outcome: 'ADM_REFUSED' },
  ]);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.strictSame(
    audit.last(2).map((line) => line['entry']),
    [lines[2]!['entry'], lines[2]!['entry']],
  );

  const blocked = await serve(t, [change]);
  mkdirSync(join(blocked.directory, 'audit.log'));
  const second = await client(t, blocked.path);
  await t.rejects(second.request('change', { to: 'good' }, WAIT_MS), {
    code: 'ADM_REFUSED',
    message: /without a record/,
  });
  t.equal(done, 1);
});

t.test('no node, another user and a node of another version are each told in a sentence', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'admin.sock');
  await t.rejects(AdminClient.connect(path, WAIT_MS), { code: 'NO_NODE', message: /blindbeam start/ });
  const later = createServer((socket) => socket.write('{"blindbeam":"admin","version":2}\n')).listen(path);
  t.teardown(() => later.close());
  await new Promise((resolve) => later.once('listening', resolve));
  await t.rejects(AdminClient.connect(path, WAIT_MS), { code: 'OTHER_VERSION', message: /version 2/ });
  await t.rejects(
    AdminClient.connect(join(path, 'below'), WAIT_MS),
    { code: 'NO_NODE' },
    'a part of the path is a file',
  );
  const other = join(directory, 'other.sock');
  const foreign = createServer((socket) => socket.write('220 mail.example ESMTP\n')).listen(other);
  t.teardown(() => foreign.close());
  await new Promise((resolve) => foreign.once('listening', resolve));
  await t.rejects(AdminClient.connect(other, WAIT_MS), { code: 'BAD_ANSWER', message: /does not speak the language/ });
  if (process.getuid?.() !== 0) {
    chmodSync(path, 0);
    await t.rejects(AdminClient.connect(path, WAIT_MS), { code: 'NO_ACCESS' });
  }
  const silent = join(directory, 'silent.sock');
  const deaf = createServer(() => undefined).listen(silent);
  t.teardown(() => deaf.close());
  await new Promise((resolve) => deaf.once('listening', resolve));
  await t.rejects(AdminClient.connect(silent, 50), { code: 'TIMEOUT' });
});
