import { createServer, type AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { confirm, connectAs, newClient, publicKey, RawClient, register, signLogin } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const CIPHERTEXT = new Uint8Array(100).fill(0xee);

function message(to: string, id: number, device = 1, ciphertext = CIPHERTEXT) {
  return { kind: 'message', to, id, envelopes: [{ device, type: 'ratchet', ciphertext }] } as const;
}

t.test('one node, every kind of bad input', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t));
  const alice = await newClient(server, '+4915100000001');
  const bob = await newClient(server, '+4915100000002');

  t.test('a wrong signature is refused in words, and the connection closes with 4401', async (t) => {
    const client = new RawClient(server.url);
    const answer = await client.login({ ...alice.who, loginKey: bob.who.loginKey });
    t.match(answer, { kind: 'failure', code: 'APP_BAD_SIGNATURE' });
    t.same(await client.closed, { code: 4401, reason: 'APP_BAD_SIGNATURE' });
  });

  t.test('a signature over the nonce of another connection is refused', async (t) => {
    const other = new RawClient(server.url);
    const { nonce } = await other.next('stream');
    const client = new RawClient(server.url);
    await client.next('stream');
    const { user, device } = alice.who;
    client.send({ kind: 'auth', user, device, signature: signLogin(alice.who, nonce) });
    t.match(await client.next('failure'), { code: 'APP_BAD_SIGNATURE' });
    other.close();
  });

  t.test('an unknown device is refused', async (t) => {
    const client = new RawClient(server.url);
    t.match(await client.login({ ...alice.who, device: 99 }), { kind: 'failure', code: 'APP_UNKNOWN_DEVICE' });
    t.equal((await client.closed).code, 4401);
  });

  t.test('a message to an unknown user is refused and leaves the connection open', async (t) => {
    alice.client.send(message('999999999999999', 1));
    t.match(await alice.client.next('error'), { to: '999999999999999', id: 1, code: 'APP_UNKNOWN_USER' });
    t.equal(await alice.client.ask({ kind: 'contact', phone: '+4999999999999' }), 'APP_UNKNOWN_USER');
    t.equal(await alice.client.ask({ kind: 'bundle', user: '999999999999999' }), 'APP_UNKNOWN_USER');
  });

  t.test('the largest message id is taken; one above it ends the connection, and not the node', async (t) => {
    const who = await register(server, '+4915100000010');
    const client = await connectAs(server, who);
    client.send(message(alice.who.user, 2 ** 48 - 1));
    t.match(await client.next('ack'), { to: alice.who.user, id: 2 ** 48 - 1 });
    client.send(message(bob.who.user, 2 ** 48));
    t.same(await client.closed, { code: 4400, reason: 'WIRE_BAD_STANZA' });
    const again = await connectAs(server, who);
    again.send({ kind: 'ping', id: 1 });
    await again.next('pong');
    again.close();
  });

  const FRAMES: readonly (readonly [name: string, bytes: Buffer, close: number, reason: string])[] = [
    ['an empty message', Buffer.alloc(0), 4400, 'WIRE_TRUNCATED'],
    ['a frame cut short', Buffer.from('000010aa', 'hex'), 4400, 'WIRE_TRUNCATED'],
    ['a frame that is no stanza', Buffer.from('000002ffff', 'hex'), 4400, 'WIRE_'],
    ['a message over its bound', Buffer.alloc(16_385), 4413, 'WIRE_FRAME_TOO_LARGE'],
    ['a frame that claims to be over its bound', Buffer.from('ffffff00', 'hex'), 4413, 'WIRE_FRAME_TOO_LARGE'],
  ];
  for (const [name, bytes, code, reason] of FRAMES) {
    t.test(`${name} closes with ${code}`, async (t) => {
      const client = new RawClient(server.url);
      await client.next('stream');
      client.socket.send(bytes, { binary: true });
      const closed = await client.closed;
      t.equal(closed.code, code);
      t.ok(closed.reason.startsWith(reason), closed.reason);
    });
  }

  t.test('a message far over its bound is cut off', async (t) => {
    const client = new RawClient(server.url);
    await client.next('stream');
    client.socket.send(Buffer.alloc(200_000), { binary: true });
    t.ok(await client.closed);
  });

  t.test('a text message closes with 4415', async (t) => {
    const client = new RawClient(server.url);
    await client.next('stream');
    client.socket.send('hello');
    t.same(await client.closed, { code: 4415, reason: 'APP_TEXT_FRAME' });
  });

  t.test(
    'a stanza out of place closes with 4400: traffic before login, a second login, registration after it',
    async (t) => {
      const early = new RawClient(server.url);
      await early.next('stream');
      early.send(message(bob.who.user, 1));
      t.same(await early.closed, { code: 4400, reason: 'APP_PROTOCOL' });
      const who = await register(server, '+4915100000009');
      const twice = await connectAs(server, who);
      twice.send({ kind: 'auth', user: who.user, device: who.device, signature: new Uint8Array(64) });
      t.same(await twice.closed, { code: 4400, reason: 'APP_PROTOCOL' });
      const late = await connectAs(server, who);
      late.send({ kind: 'iq-set', id: 1, request: { kind: 'register', phone: '+4915100000009' } });
      t.same(await late.closed, { code: 4400, reason: 'APP_PROTOCOL' });
    },
  );

  t.test('a second login of the same device closes the first with 4409, and nothing is lost', async (t) => {
    const who = await register(server, '+4915100000003');
    const first = await connectAs(server, who);
    bob.client.send(message(who.user, 1));
    t.match(await first.next('message'), { id: 1, seq: 1 });
    const second = await connectAs(server, who);
    t.same(await first.closed, { code: 4409, reason: 'APP_REPLACED' });
    t.match(await second.next('message'), { id: 1, seq: 1 }, 'what was not acknowledged comes again');
    second.close();
  });

  t.test('registration: wrong code, no code, too many tries, too soon', async (t) => {
    const client = new RawClient(server.url);
    const phone = '+4915100000004';
    t.equal(await confirm(client, phone, '000000'), 'APP_CODE_EXPIRED', 'none was requested');
    t.match(await client.ask({ kind: 'register', phone }), { kind: 'register', expires: 300 });
    t.equal(await client.ask({ kind: 'register', phone }), 'APP_RATE_LIMITED');
    const code = await server.code(phone);
    const wrong = code === '123456' ? '654321' : '123456';
    for (let attempt = 0; attempt < 5; attempt++) t.equal(await confirm(client, phone, wrong), 'APP_BAD_CODE');
    t.equal(await confirm(client, phone, code), 'APP_CODE_EXPIRED', 'right, but after five wrong ones');
    client.close();
  });

  t.test('each one-time pre-key is handed out once, then the bundle comes without', async (t) => {
    const who = await register(server, '+4915100000005', 3);
    const bundles = await Promise.all(
      Array.from({ length: 5 }, () => alice.client.ask({ kind: 'bundle', user: who.user })),
    );
    const ids = bundles.map((bundle) =>
      typeof bundle === 'object' && bundle.kind === 'bundle' ? bundle.devices[0]!.oneTime?.id : NaN,
    );
    t.strictSame(ids.filter((id) => id !== undefined).sort(), [1, 2, 3]);
    t.equal(ids.filter((id) => id === undefined).length, 2);
    const owner = await connectAs(server, who);
    t.match(await owner.ask({ kind: 'prekey-count' }), { count: 0 });
    t.match(await owner.ask({ kind: 'prekey-upload', oneTime: [{ id: 9, key: publicKey() }] }), { count: 1 });
    const many = Array.from({ length: 100 }, (_, index) => ({ id: 100 + index, key: publicKey() }));
    t.match(await owner.ask({ kind: 'prekey-upload', oneTime: many }), { count: 101 });
    t.equal(await owner.ask({ kind: 'prekey-upload', oneTime: many }), 'APP_PREKEYS_FULL');
  });

  t.test('each KEM pre-key is handed out once, then the last-resort one, and eight fit a request', async (t) => {
    const who = await register(server, '+4915100000056');
    const owner = await connectAs(server, who);
    const kem = (id: number) => ({ id, key: new Uint8Array(1_569).fill(6), signature: new Uint8Array(64).fill(id) });
    t.match(await owner.ask({ kind: 'prekey-count' }), { count: 2, kem: 0 });
    const eight = Array.from({ length: 8 }, (_, index) => kem(index + 1));
    t.match(await owner.ask({ kind: 'prekey-upload', lastResort: kem(90), oneTime: [], kem: eight }), { kem: 8 });
    // Nine of one target are too many for one requester.
    const asked = [4, 5].flatMap((count, index) => {
      const { client } = [alice, bob][index]!;
      return Array.from({ length: count }, () => client.ask({ kind: 'bundle', user: who.user }));
    });
    const bundles = await Promise.all(asked);
    const keys = bundles.map((bundle) =>
      typeof bundle === 'object' && bundle.kind === 'bundle' ? bundle.devices[0]!.kem : undefined,
    );
    t.strictSame(
      keys.map((key) => key?.id).sort((left, right) => left! - right!),
      [1, 2, 3, 4, 5, 6, 7, 8, 90],
    );
    t.strictSame(keys.filter((key) => key?.lastResort).length, 1);
    t.match(await owner.ask({ kind: 'prekey-count' }), { count: 0, kem: 0 });
    owner.close();
    owner.close();
  });

  t.test('requests over the rate are told when to come back', async (t) => {
    const who = await register(server, '+4915100000007');
    const client = await connectAs(server, who);
    const answers = await Promise.all(Array.from({ length: 80 }, () => client.ask({ kind: 'prekey-count' })));
    t.ok(answers.filter((answer) => answer === 'APP_RATE_LIMITED').length >= 10);
    t.ok(answers.filter((answer) => typeof answer === 'object').length >= 60);
    client.close();
  });

  t.test('a client that offers no subprotocol of ours is refused at the door', async (t) => {
    const client = new RawClient(server.url, ['chat.9']);
    t.equal((await client.closed).code, 1006);
    const several = new RawClient(server.url, ['chat.9', 'blindbeam.1']);
    t.ok((await several.next('stream')).nonce.length > 0, 'one that offers ours among others is greeted in ours');
    t.equal(several.socket.protocol, 'blindbeam.1');
    several.close();
    const http = server.url.replace('ws:', 'http:');
    t.equal((await fetch(http.replace('/ws', '/livez'))).status, 200);
    t.equal((await fetch(http.replace('/ws', '/nothing'))).status, 404);
  });

  t.test('after all that, alice and bob still talk', async (t) => {
    alice.client.send(message(bob.who.user, 1));
    t.match(await alice.client.next('ack'), { to: bob.who.user, id: 1 });
    const delivered = await bob.client.next('message');
    bob.client.send({ kind: 'inbox-ack', seq: delivered.seq });
    t.match(await alice.client.next('receipt'), { type: 'delivered', id: 1 });
    alice.client.close();
    bob.client.close();
  });

  t.test('a stop is told to the clients with 4503 and ends with status 0', async (t) => {
    const who = await register(server, '+4915100000008');
    const client = await connectAs(server, who);
    const status = server.stop();
    t.same(await client.closed, { code: 4503, reason: 'APP_DRAINING' });
    t.equal(await status, 0);
  });
});

t.test('a full store refuses messages, loses none, and takes them again when it was emptied', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--store-bytes', '65536', '--workers', '1']);
  const alice = await newClient(server, '+4915100000001');
  const bob = await register(server, '+4915100000002');
  const ciphertext = new Uint8Array(10_000).fill(1);
  for (let id = 1; id <= 6; id++) alice.client.send(message(bob.user, id, 1, ciphertext));
  await alice.client.next('ack', (ack) => ack.id === 6);
  alice.client.send(message(bob.user, 7, 1, ciphertext));
  const refusal = await alice.client.next('error');
  t.match(refusal, { id: 7, code: 'APP_STORE_FULL' });
  t.ok(refusal.retryAfter! > 0);
  const client = new RawClient(server.url);
  await client.login(bob);
  for (let id = 1; id <= 6; id++) t.equal((await client.next('message')).id, id);
  client.send({ kind: 'inbox-ack', seq: 6 });
  await alice.client.next('receipt', (receipt) => receipt.id === 6);
  alice.client.send(message(bob.user, 7, 1, ciphertext));
  t.ok(await alice.client.next('ack', (ack) => ack.id === 7));
  t.match(await client.next('message'), { id: 7 });
});

t.test('a start that cannot be is refused in one line with a code', async (t) => {
  t.test('a busy port', async (t) => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    t.teardown(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const server = ServerProcess.launch(t, ['--data', temporaryDirectory(t), '--port', String(port)]);
    t.equal(await server.exited(), 1);
    t.match(server.errors, new RegExp(`^APP_PORT_BUSY: 127\\.0\\.0\\.1:${port} is taken`));
    t.equal(server.errors.trim().split('\n').length, 1);
  });

  t.test('the port of another node', async (t) => {
    const first = await ServerProcess.start(t, temporaryDirectory(t));
    const port = new URL(first.url).port;
    const second = ServerProcess.launch(t, ['--data', temporaryDirectory(t), '--port', port]);
    t.equal(await second.exited(), 1);
    t.match(second.errors, /^APP_PORT_BUSY: /);
  });

  for (const workers of ['1', '2']) {
    t.test(`the port of the page for operators, when ${workers} listen already`, async (t) => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      t.teardown(() => taken.close());
      const { port } = taken.address() as AddressInfo;
      const data = temporaryDirectory(t);
      const flags = ['--data', data, '--port', '0', '--workers', workers];
      const server = ServerProcess.launch(t, [...flags, '--console-port', String(port)]);
      t.equal(await server.exited(), 1, 'its threads with open sockets have not aborted it');
      t.equal(server.errors.trim(), `APP_PORT_BUSY: port ${port} for the console is taken`);
      const next = ServerProcess.launch(t, flags);
      await next.line(({ event }) => event === 'node_started');
    });
  }

  t.test('NATS servers that do not answer are waited for, and named', async (t) => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    t.teardown(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const data = temporaryDirectory(t);
    const file = join(data, 'node.yaml');
    writeFileSync(file, `cluster-secret: "${'ab'.repeat(32)}"\n`, { mode: 0o600 });
    const servers = `nats://127.0.0.1:${port}`;
    const flags = ['--config', file, '--nats', servers, '--node', 'a', '--cluster-nodes', 'a'];
    const server = ServerProcess.launch(t, ['--data', join(data, 'store'), '--port', '0', ...flags]);
    t.match(await server.line(({ event }) => event === 'nats_not_reached'), { servers });
    t.notOk(server.lines.some(({ event }) => event === 'node_started'));
  });

  t.test('a store directory that another node holds', async (t) => {
    const directory = temporaryDirectory(t);
    await ServerProcess.start(t, directory);
    const second = ServerProcess.launch(t, ['--data', directory, '--port', '0']);
    t.equal(await second.exited(), 1);
    t.match(second.errors, /^APP_STORE_HELD: .* is held by another process/);
  });

  t.test('a store directory that is a file', async (t) => {
    const file = join(temporaryDirectory(t), 'file');
    writeFileSync(file, '');
    const server = ServerProcess.launch(t, ['--data', file, '--port', '0']);
    t.equal(await server.exited(), 1);
    t.match(server.errors, /^APP_STORE_UNREADABLE: /);
  });

  t.test('a socket for operators that cannot be, once its workers listen', async (t) => {
    const directory = temporaryDirectory(t);
    const socket = join(directory, 'no', 'such', 'directory', 'admin.sock');
    const flags = ['--data', join(directory, 'store'), '--port', '0', '--metrics-port', '0', '--admin-socket', socket];
    const server = ServerProcess.launch(t, flags);
    t.equal(await server.exited(), 1, server.errors);
    t.match(server.errors, /^APP_ADMIN_SOCKET: cannot serve operators on .*\n$/);
    t.equal(server.errors.trim().split('\n').length, 1);
  });

  t.test('a setting out of bounds', async (t) => {
    const server = ServerProcess.launch(t, ['--port', '99999']);
    t.equal(await server.exited(), 2);
    t.match(server.errors, /^APP_CONFIG: "port" expected an integer from 0 to 65535/);
  });

  t.test('a Node.js version that is not supported', async (t) => {
    const preload = join(temporaryDirectory(t), 'version.mjs');
    writeFileSync(
      preload,
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } });",
    );
    const server = ServerProcess.launch(t, [], ['--import', preload]);
    t.equal(await server.exited(), 1);
    t.match(server.errors, /^APP_NODE_VERSION: Blindbeam runs on Node\.js 20\.19 to 25, and this is 18\.20\.4/);
  });
});
