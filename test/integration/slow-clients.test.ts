/**
 * Clients that do not do their half: that read slowly or not at all, never acknowledge, or stop in the middle of a request. Each meets a
 * bound, what it holds of the server is given back, and the others go on meanwhile.
 */

import { connect, type Socket } from 'node:net';
import t from 'tap';
import { LIMITS } from '../../actors/limits.ts';
import { MemoryWatch } from '../../bench/harness/memory-watch.ts';
import type { ClientMessage } from '../../protocol/wire/index.ts';
import { connectAs, newClient, type RawClient, register } from './raw-client.ts';
import { pause, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const CIPHERTEXT = new Uint8Array(100).fill(0xee);
const MIB = 1_048_576;
/** Nothing is cut off sooner. A lower bound: a machine that is held up makes it only longer. */
const STILL_MS_MIN = 1_000;

function message(to: string, id: number, ciphertext: Uint8Array = CIPHERTEXT): ClientMessage {
  return { kind: 'message', to, id, envelopes: [{ device: 1, type: 'ratchet', ciphertext }] };
}

/** Sends `count` messages, ids from `first` on, as many in a WebSocket message as fit it. */
function sendMany(client: RawClient, to: string, first: number, count: number): void {
  for (let id = first; id < first + count; id += 100) {
    const size = Math.min(100, first + count - id);
    client.send(...Array.from({ length: size }, (_, index) => message(to, id + index)));
  }
}

/** The connections that the server counts. */
async function connectionCount(server: ServerProcess): Promise<number> {
  const before = server.lines.filter(({ event }) => event === 'statistics').length;
  process.kill(server.pid, 'SIGUSR2');
  for (;;) {
    const lines = server.lines.filter(({ event }) => event === 'statistics');
    if (lines.length > before) return Number(lines.at(-1)!['connections']);
    await pause(5);
  }
}

/** Sends messages one after the other while `holds` is pending; resolves to how many were delivered and acknowledged. */
async function talkDuring(
  alice: RawClient,
  bob: RawClient,
  to: string,
  holds: Promise<unknown>,
): Promise<{ sent: number; lastId: number }> {
  let isOver = false;
  void holds.finally(() => (isOver = true)).catch(() => undefined);
  let sent = 0;
  while (!isOver || sent === 0) {
    alice.send(message(to, ++sent));
    const { id, seq } = await bob.next('message');
    if (id !== sent) throw new Error(`expected ${sent}, got ${id}`);
    bob.send({ kind: 'inbox-ack', seq });
    await alice.next('receipt', (receipt) => receipt.id === sent);
  }
  return { sent, lastId: sent };
}

t.test('who never acknowledges gets a window of messages and no more; everybody else gets theirs', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '1']);
  const alice = await newClient(server, '+4915100000001');
  const carol = await newClient(server, '+4915100000002');
  const dora = await newClient(server, '+4915100000003');
  const count = LIMITS.windowCountMax + 300;
  sendMany(alice.client, carol.who.user, 1, count);
  sendMany(alice.client, dora.who.user, 1, 10);
  await alice.client.next('ack', ({ to, id }) => to === carol.who.user && id === count);
  for (let id = 1; id <= 10; id++)
    dora.client.send({ kind: 'inbox-ack', seq: (await dora.client.next('message')).seq });
  await alice.client.next('receipt', ({ from, id }) => from === dora.who.user && id === 10);
  for (let id = 1; id <= LIMITS.windowCountMax; id++) t.equal((await carol.client.next('message')).id, id);
  carol.client.send({ kind: 'ping', id: 1 });
  await carol.client.next('pong');
  const pushed = (): number => carol.client.inbox.filter(({ kind }) => kind === 'message').length;
  t.equal(pushed(), 0, 'nothing beyond the window');
  carol.client.send({ kind: 'inbox-ack', seq: 100 });
  t.equal((await carol.client.next('message')).id, LIMITS.windowCountMax + 1, 'an acknowledgement makes room');
  for (let id = 2; id <= 100; id++) await carol.client.next('message');
  carol.client.send({ kind: 'ping', id: 2 });
  await carol.client.next('pong');
  t.equal(pushed(), 0, 'for as many as it covers');
  for (const { client } of [alice, carol, dora]) client.close();
});

t.test('who acknowledges and does not read is cut off when a megabyte waits for it, and others talk on', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '1']);
  const alice = await newClient(server, '+4915100000001');
  const bob = await newClient(server, '+4915100000002');
  const offenders: { readonly user: string; readonly client: RawClient; readonly flooder: RawClient }[] = [];
  for (let index = 0; index < 3; index++) {
    const who = await register(server, `+49151000001${index}0`);
    // Each by a flooder of its own: one alone would meet the bound on what a connection says.
    const { client: flooder } = await newClient(server, `+49151000001${index}1`);
    offenders.push({ user: who.user, client: await connectAs(server, who), flooder });
  }
  // Those that were opened to register are noticed to be closed a moment later.
  await untilSo('eight connections', async () => (await connectionCount(server)) === 8);
  const watch = new MemoryWatch(server.pid);
  // The kernel takes some megabytes before the server has to keep any.
  const large = new Uint8Array(15_000).fill(0xdd);
  const flood = (async () => {
    for (const { client } of offenders) client.socket.pause();
    for (let id = 1; id <= 1_000 && (await connectionCount(server)) > 5; id++) {
      for (const { user, client, flooder } of offenders) {
        flooder.send(message(user, id, large));
        // What it says that it has stored, it has not even read.
        client.send({ kind: 'inbox-ack', seq: id });
      }
      if (id % 10 > 0) continue;
      for (const { flooder } of offenders) await flooder.next('ack', (ack) => ack.id >= id);
    }
  })();
  const { sent } = await talkDuring(alice.client, bob.client, bob.who.user, flood);
  await flood;
  t.equal(await connectionCount(server), 5, 'the offenders are gone');
  t.ok(sent >= 10, `${sent} messages went round meanwhile`);
  for (const { client, flooder } of offenders) {
    client.socket.resume();
    t.equal((await client.closed).code, 1006, 'no close frame could reach it');
    flooder.close();
  }
  // Nothing is known of it where there is no /proc.
  const extra = watch.extraBytes() ?? 0;
  t.ok(extra < 2 * offenders.length * LIMITS.backpressureBytesMax + 64 * MIB, `${Math.round(extra / MIB)} MiB`);
  for (const { client } of [alice, bob]) client.close();
});

t.test('who connects and says nothing, or never ends its request, is cut off', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '1']);
  const { hostname, port } = new URL(server.url);
  const openings = {
    silent: '',
    'in the middle of a line': 'GET /ws HT',
    'in the middle of the head': 'GET /ws HTTP/1.1\r\nHost: x\r\n',
  };
  await Promise.all(
    Object.entries(openings).map(async ([name, text]) => {
      const socket = connect(Number(port), hostname);
      t.teardown(() => socket.destroy());
      socket.on('error', () => undefined);
      socket.resume();
      let isClosed = false;
      socket.once('close', () => (isClosed = true));
      socket.write(text);
      await untilSo(`${name} to be closed`, async () => isClosed);
      t.pass(name);
    }),
  );
});

/** A request as it goes over the wire. */
function begin(url: string, lines: readonly string[]): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write([...lines, `Host: ${hostname}`, '', ''].join('\r\n'));
  return socket;
}

/** Resolves when `done` says so, looking ten times a second. */
async function untilSo(what: string, done: () => Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await done()); waitedMs += 100) {
    if (waitedMs > PATIENCE_MS) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
    await pause(100);
  }
}

/** Begins an upload; resolves to its address. */
async function beginUpload(http: string, ticket: string, bytes: number): Promise<string> {
  const authorization = `Bearer ${ticket}`;
  const headers = { authorization, 'upload-length': String(bytes) };
  const created = await fetch(`${http}/media`, { method: 'POST', headers });
  return `${http}${created.headers.get('location')}`;
}

t.test('transfers in which nothing moves are cut off, and their places are free again', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--workers', '1']);
  const http = server.url.replace('ws:', 'http:').replace('/ws', '');
  const alice = await newClient(server, '+4915100000001');
  const ticketFor = async (bytes: number): Promise<string> => {
    const answer = await alice.client.ask({ kind: 'media-ticket', bytes });
    if (typeof answer === 'string' || answer.kind !== 'media-ticket') throw new Error(`no ticket: ${String(answer)}`);
    return Buffer.from(answer.ticket).toString('base64url');
  };

  const bytes = 16 * MIB;
  const ticket = await ticketFor(bytes);
  const place = await beginUpload(http, ticket, bytes);
  const headers = { authorization: `Bearer ${ticket}`, 'upload-offset': '0' };
  t.equal((await fetch(place, { method: 'PATCH', headers, body: new Uint8Array(bytes) })).status, 204);

  // The place of one transfer is left for the upload that stops; the rest go to readers that do not read.
  const stalled = await ticketFor(1_000);
  const half = await beginUpload(http, stalled, 1_000);
  const lines = [
    ...[`PATCH ${new URL(half).pathname} HTTP/1.1`, `Authorization: Bearer ${stalled}`],
    ...['Upload-Offset: 0', 'Content-Length: 1000'],
  ];
  const append = async (offset: number): Promise<number> => {
    const headers = { authorization: `Bearer ${stalled}`, 'upload-offset': String(offset) };
    return (await fetch(half, { method: 'PATCH', headers, body: new Uint8Array(1_000) })).status;
  };
  let beganMs = performance.now();
  let patch = begin(http, lines);
  await untilSo('the stalled upload to be held', async () => {
    // Whoever looks holds it for a moment as well, and may have been first; an offset beyond the end changes nothing.
    const isHeld = (await append(5)) === 423;
    if (isHeld) return true;
    patch.destroy();
    beganMs = performance.now();
    patch = begin(http, lines);
    return false;
  });
  const idle = Array.from({ length: LIMITS.mediaTransferCountMax - 1 }, () => {
    const socket = begin(http, [`GET ${new URL(place).pathname} HTTP/1.1`]);
    socket.pause();
    return socket;
  });
  t.teardown(() => [patch, ...idle].forEach((socket) => socket.destroy()));
  const range = { range: 'bytes=0-9' };
  let refused: Response;
  await untilSo('all places to be taken', async () => {
    refused = await fetch(place, { headers: range });
    return refused.status === 503;
  });
  t.match(await refused!.text(), 'APP_OVERLOADED');
  t.equal(refused!.headers.get('retry-after'), '1');

  // Messages do not wait for places of transfers.
  alice.client.send({ kind: 'ping', id: 9 });
  await alice.client.next('pong');

  const closed = new Promise<number>((resolve) => patch.once('close', () => resolve(performance.now())));
  patch.resume();
  await untilSo('a place to be free', async () => (await fetch(place, { headers: range })).status === 206);
  const heldMs = (await closed) - beganMs;
  t.ok(heldMs > STILL_MS_MIN, `it was held for ${heldMs.toFixed(0)} ms, not cut off at once`);
  await untilSo('the upload to go on', async () => (await append(0)) === 204);
  const whole = await fetch(place);
  t.equal((await whole.arrayBuffer()).byteLength, bytes, 'and a reader that reads gets all of it');
  alice.client.close();
});
