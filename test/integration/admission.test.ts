/**
 * A real node under those who want too much: floods of pings, a storm from one address, logins by ticket across restarts.
 * In each case: the bound, the code, and that the others do not notice.
 */

import type { IncomingMessage } from 'node:http';
import t from 'tap';
import WebSocket from 'ws';
import type { ClientMessage, ResumeTicket } from '../../protocol/wire/index.ts';
import { connectAs, loginForTicket, newClient, RawClient, register, resumeWith } from './raw-client.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

/** Above the burst and the patience of actors/limits.ts together. */
const PINGS = 200;
const PONGS_MAX = 25;
/** Attempts to connect from one address, at once, and how many a second it may make. */
const STORM = 120;
const CONNECTS_PER_SECOND = 4;

/** What became of an attempt to connect from an address. */
type Attempt = { readonly socket: WebSocket } | { readonly status: number; readonly retryAfter: number };

function connectFrom(url: string, localAddress: string): Promise<Attempt> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ['blindbeam.1'], { localAddress, perMessageDeflate: false });
    socket.once('open', () => resolve({ socket }));
    socket.once('error', reject);
    socket.once('unexpected-response', (_request, { statusCode, headers }: IncomingMessage) => {
      resolve({ status: statusCode ?? 0, retryAfter: Number(headers['retry-after']) });
      socket.once('error', () => undefined).terminate();
    });
  });
}

/** Asks for a pong and waits for it: how a client that does nothing wrong sees the server. */
async function isServed(client: RawClient, id: number): Promise<boolean> {
  client.send({ kind: 'ping', id });
  return (await client.next('pong', (pong) => pong.id === id)).id === id;
}

t.test('floods and storms', async (t) => {
  const flags = ['--workers', '1', '--address-connects', String(CONNECTS_PER_SECOND), '--address-registrations', '2'];
  const server = await ServerProcess.start(t, temporaryDirectory(t), flags);
  const alice = await newClient(server, '+4915100000001');
  const bob = await newClient(server, '+4915100000002');

  t.test('a flood of pings is answered for a while, then closed with 4429', async (t) => {
    const pings = Array.from({ length: PINGS }, (_, at): ClientMessage => ({ kind: 'ping', id: at + 1 }));
    bob.client.send(...pings);
    t.same(await bob.client.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
    const pongs = bob.client.inbox.filter(({ kind }) => kind === 'pong').length;
    t.ok(pongs > 0 && pongs < PONGS_MAX, `${pongs} answers`);
    t.ok(await isServed(alice.client, 1), 'another connection is served');
  });

  t.test('so is a flood of WebSocket pings, before login as well', async (t) => {
    const client = new RawClient(server.url);
    await client.next('stream');
    for (let count = 0; count < PINGS; count++) client.socket.ping();
    t.same(await client.closed, { code: 4429, reason: 'APP_RATE_LIMITED' });
    t.ok(await isServed(alice.client, 2));
  });

  t.test('a storm from one address meets its bound, and another address comes in', async (t) => {
    const began = performance.now();
    const attempts = await Promise.all(Array.from({ length: STORM }, () => connectFrom(server.url, '127.0.0.9')));
    const tookS = (performance.now() - began) / 1_000;
    const admitted = attempts.filter((attempt) => 'socket' in attempt).length;
    const refused = attempts.filter((attempt) => 'status' in attempt);
    t.ok(refused.length > 0, 'some are refused');
    // Ten seconds' worth at once, and what came back to the bucket while the storm went on.
    const burst = 10 * CONNECTS_PER_SECOND;
    const admittedMax = burst + Math.ceil(CONNECTS_PER_SECOND * tookS);
    t.ok(admitted >= burst && admitted <= admittedMax, `${admitted} of ${STORM} are admitted in ${tookS} s`);
    for (const { status, retryAfter } of refused) t.same([status, retryAfter], [429, 1]);
    const other = await connectFrom(server.url, '127.0.0.10');
    t.ok('socket' in other);
    t.ok(await isServed(alice.client, 3));
    for (const each of [...attempts, other]) if ('socket' in each) each.socket.terminate();
  });

  t.test('requests before login are bounded by address, and said to be', async (t) => {
    const client = new RawClient(server.url);
    // All at once, so that the bucket gets nothing back in between, however slow the machine is.
    const phones = Array.from({ length: 40 }, (_, index) => `+49151100000${10 + index}`);
    const answers = await Promise.all(phones.map((phone) => client.ask({ kind: 'register', phone })));
    t.ok(answers.some((answer) => typeof answer !== 'string'));
    t.ok(answers.includes('APP_RATE_LIMITED'));
    t.ok(await isServed(client, 1), 'the connection stays');
    client.close();
  });
});

t.test('behind a proxy the address is the one that the proxy names last', async (t) => {
  const server = await ServerProcess.start(t, temporaryDirectory(t), ['--proxy', 'yes', '--address-connections', '1']);
  const connect = (forwarded: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { 'x-forwarded-for': forwarded };
      const socket = new WebSocket(server.url, ['blindbeam.1'], { headers });
      t.teardown(() => socket.terminate());
      socket.once('open', () => resolve(101));
      socket.once('error', reject);
      socket.once('unexpected-response', (_request, response: IncomingMessage) => {
        resolve(response.statusCode ?? 0);
        socket.once('error', () => undefined).terminate();
      });
    });
  t.equal(await connect('192.0.2.1'), 101);
  t.equal(await connect('10.9.9.9, 192.0.2.1'), 429, 'what stands before it is the client’s own word');
  t.equal(await connect('192.0.2.2'), 101);
});

t.test('tickets', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory);
  const who = await register(server, '+4915100000003');
  const ticket = await loginForTicket(server, who);

  const resume = async (at: ServerProcess, with_: ResumeTicket): Promise<RawClient> => {
    const client = new RawClient(at.url);
    client.send(resumeWith(who, with_, (await client.next('stream')).nonce));
    return client;
  };

  t.test('a ticket logs in, as often as it is shown, and each time over another nonce', async (t) => {
    for (let round = 0; round < 2; round++) {
      const client = await resume(server, ticket);
      t.match(await client.next('success'), { user: who.user, device: 1, preKeys: undefined, ticket: undefined });
      await client.next('offline');
      client.close();
    }
    const [first, second] = [new RawClient(server.url), new RawClient(server.url)];
    await second.greeted;
    second.send(resumeWith(who, ticket, (await first.next('stream')).nonce));
    t.match(await second.next('failure'), { code: 'APP_BAD_TICKET' }, 'a recorded login is worth nothing elsewhere');
    t.match(await second.login(who), { kind: 'success' }, 'and the signature is taken on the same connection');
    first.close();
    second.close();
  });

  t.test('an orderly stop says when to come back, and the ticket outlives it', async (t) => {
    const client = await resume(server, ticket);
    await client.next('offline');
    await server.stop();
    const { code, retryAfter } = await client.next('failure');
    t.equal(code, 'APP_DRAINING');
    t.ok(retryAfter !== undefined && retryAfter >= 1 && retryAfter <= 5, `${retryAfter} s`);
    t.same(await client.closed, { code: 4503, reason: 'APP_DRAINING' });
  });

  t.test('registering anew ends what a ticket is good for', async (t) => {
    const next = await ServerProcess.start(t, directory);
    const again = await resume(next, ticket);
    await again.next('offline');
    again.close();
    const fresh = await register(next, '+4915100000003');
    const late = await resume(next, ticket);
    t.same(await late.closed, { code: 4410, reason: 'APP_UNREGISTERED' });
    const client = await connectAs(next, fresh);
    t.ok(await isServed(client, 1));
    client.close();
  });
});
