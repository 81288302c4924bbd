/**
 * The transport over real sockets.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import t from 'tap';
import { makeSelfSigned, OPENSSL } from '../../test/certificates.ts';
import type { TransportClose } from '../close-reason.ts';
import { memoryStore } from '../memory-store.ts';
import { CODE } from '../testing/fake-server.ts';
import { createClient } from './index.ts';
import { listen } from './testing/socket-server.ts';
import type { Transport } from '../transport.ts';
import { transportUnder, wsTransport } from './ws-transport.ts';

const ALICE = '+4915100000001';
const BOB = '+4915100000002';

/** Dials and collects what the listener is told, until the close. */
async function dialled(
  url: string,
  transport: Transport = wsTransport,
): Promise<{ close: TransportClose; messageCount: number }> {
  let messageCount = 0;
  const close = await new Promise<TransportClose>((onClose) => {
    transport.dial(url, { onMessage: () => (messageCount += 1), onClose });
  });
  return { close, messageCount };
}

t.test('two clients talk over sockets, through a cut and a close code', async (t) => {
  const { url, server, close } = await listen();
  t.teardown(close);
  const join = async (phone: string): Promise<Awaited<ReturnType<typeof createClient>>> => {
    const client = await createClient({ url, store: memoryStore() });
    await client.requestCode(phone);
    await client.confirmCode(phone, CODE);
    await client.connect();
    return client;
  };
  const [alice, bob] = [await join(ALICE), await join(BOB)];
  await (
    await alice.send(BOB, 'one')
  ).delivered;
  server.dropAll();
  await (
    await alice.send(BOB, 'two')
  ).delivered;
  const items = await bob.history(alice.account!.user);
  t.same(
    items.map((item) => item.text),
    ['one', 'two'],
  );
  const stopped = new Promise((resolve) => alice.onEvent((event) => event.type === 'stopped' && resolve(event.code)));
  server.closeWith(alice.account!.user, 4410, 'APP_UNREGISTERED');
  t.equal(await stopped, 'APP_UNREGISTERED');
  await Promise.all([alice.close(), bob.close()]);
});

t.test('nobody listening, and somebody who does not speak WebSocket, are a close with 1006', async (t) => {
  const mute = createServer((socket) => socket.resume().end('HTTP/1.1 200 OK\r\n\r\n'));
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const { port } = mute.address() as { port: number };
  t.match(await dialled(`ws://127.0.0.1:${port}`), { close: { code: 1006 }, messageCount: 0 });
  await new Promise((resolve) => mute.close(resolve));
  t.match(await dialled(`ws://127.0.0.1:${port}`), { close: { code: 1006 }, messageCount: 0 });
});

t.test('a certificate that is not trusted is told apart from a server that is not there', OPENSSL, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'blindbeam-untrusted-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const made = async (name: string, host: string): Promise<{ cert: string; key: string }> => {
    const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.crt`)];
    // One name for all: it is the key that tells a renewed one from the old.
    makeSelfSigned(directory, name, { altNames: host, commonName: 'x' });
    return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  };
  const [old, renewed, foreign] = [
    await made('old', 'IP:127.0.0.1'),
    await made('new', 'IP:127.0.0.1'),
    await made('foreign', 'DNS:elsewhere.example'),
  ];
  for (const [pair, ca, isUntrusted] of [
    [renewed, renewed.cert, undefined],
    [renewed, old.cert, true],
    [renewed, undefined, true],
    [foreign, foreign.cert, true],
  ] as const) {
    const server = createTlsServer(pair, (socket) => socket.end()).on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { close } = await dialled(`wss://127.0.0.1:${port}`, transportUnder(ca));
    t.equal(close.isUntrusted, isUntrusted);
    t.equal(close.code, 1006);
    await new Promise((resolve) => server.close(resolve));
  }
});

t.test('after close() the listener hears nothing more', async (t) => {
  const { url, sockets, close } = await listen();
  t.teardown(close);
  const heard: string[] = [];
  const early = wsTransport.dial(url, { onMessage: () => heard.push('message'), onClose: () => heard.push('close') });
  early.close();
  let greeted!: () => void;
  const greeting = new Promise<void>((resolve) => (greeted = resolve));
  const late = wsTransport.dial(url, { onMessage: greeted, onClose: () => heard.push('close') });
  await greeting;
  late.close();
  while (sockets.size > 0) await new Promise((resolve) => setImmediate(resolve));
  t.same(heard, []);
});

t.test('an address that is no WebSocket address is a mistake of the caller', async (t) => {
  const listener = { onMessage: () => {}, onClose: () => {} };
  t.throws(() => wsTransport.dial('http://127.0.0.1', listener), TypeError);
});
