/** The media routes over real sockets, on a listener of their own. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock, systemRandom, type Logger } from '../../runtime/index.ts';
import { openAdmission } from '../test-kit.ts';
import { LIMITS } from '../limits.ts';
import { Listener } from '../listener.ts';
import { claimPort } from '../host/port.ts';
import { openDiskStore, type DiskStore } from './disk-store.ts';
import { MediaHttp } from './http.ts';
import { sealTicket, ticketKey } from './ticket.ts';

const ALICE = '100000000000001';
const BOB = '100000000000002';
const KEY = ticketKey('00'.repeat(32));
const NOW = 1_700_000_000_000;
const SILENT: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface Fixture {
  readonly url: string;
  readonly port: number;
  readonly store: DiskStore;
  readonly http: MediaHttp;
}

async function serve(test: Test, reserveBytes = 0): Promise<Fixture> {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-media-http-'));
  const store = await openDiskStore({ directory, reserveBytes });
  const http = new MediaHttp({ store, ticketKey: KEY, nowMs: () => NOW, log: SILENT });
  const port = await claimPort('127.0.0.1', 0);
  const listener = new Listener({
    ...{ host: '127.0.0.1', port, log: SILENT, clock: systemClock, admission: openAdmission({ clock: systemClock }) },
    ...{ tls: undefined, behindProxy: false, drawNonce: () => systemRandom.bytes(32) },
    onOpen: () => 'ok',
    bindHttp: (app) => http.bind(app),
    cast: () => 'noproc',
  });
  await listener.listen();
  test.teardown(async () => {
    listener.close();
    await http.settled();
    rmSync(directory, { recursive: true, force: true });
  });
  return { url: `http://127.0.0.1:${port}`, port, store, http };
}

function bearer(bytes: number, options: { user?: string; id?: string; expiresAtMs?: number } = {}): string {
  const { user = ALICE, id = Buffer.from(systemRandom.bytes(16)).toString('hex'), expiresAtMs = NOW + 1_000 } = options;
  return `Bearer ${Buffer.from(sealTicket(KEY, { user, bytes, id, expiresAtMs })).toString('base64url')}`;
}

async function begin(url: string, authorization: string, bytes: number): Promise<Response> {
  return fetch(`${url}/media`, { method: 'POST', headers: { authorization, 'upload-length': String(bytes) } });
}

function patch(url: string, authorization: string, offset: number, body: Uint8Array): Promise<Response> {
  const headers = { authorization, 'upload-offset': String(offset) };
  return fetch(url, { method: 'PATCH', headers, body: body as unknown as BodyInit });
}

async function codeOf(response: Response): Promise<string> {
  return `${response.status} ${(await response.text()).trim()}`;
}

/** Uploads in one piece. */
async function put(url: string, bytes: Uint8Array): Promise<string> {
  const authorization = bearer(bytes.length);
  const created = await begin(url, authorization, bytes.length);
  const place = `${url}${created.headers.get('location')}`;
  await patch(place, authorization, 0, bytes);
  return place;
}

t.test('an upload in two requests is read back whole and in ranges', async (t) => {
  const { url } = await serve(t);
  const bytes = systemRandom.bytes(3_000_000);
  const authorization = bearer(bytes.length);
  const created = await begin(url, authorization, bytes.length);
  t.equal(created.status, 201);
  t.match(created.headers.get('location'), /^\/media\/[0-9a-f]{32}$/);
  const place = `${url}${created.headers.get('location')}`;
  const first = await patch(place, authorization, 0, bytes.subarray(0, 1_000_000));
  t.strictSame([first.status, first.headers.get('upload-offset')], [204, '1000000']);
  t.equal(await codeOf(await fetch(place)), '404 APP_UNKNOWN_MEDIA', 'not before it is whole');
  const head = await fetch(place, { method: 'HEAD', headers: { authorization } });
  t.strictSame(
    [head.status, head.headers.get('upload-offset'), head.headers.get('upload-length')],
    [...[200, '1000000', '3000000']],
  );
  const last = await patch(place, authorization, 1_000_000, bytes.subarray(1_000_000));
  t.strictSame([last.status, last.headers.get('upload-offset')], [204, '3000000']);
  const whole = await fetch(place);
  t.equal(whole.headers.get('content-length'), '3000000');
  t.equal(whole.headers.get('x-content-type-options'), 'nosniff');
  t.ok(Buffer.from(bytes).equals(Buffer.from(await whole.arrayBuffer())));
  const part = await fetch(place, { headers: { range: 'bytes=999990-2000009' } });
  t.strictSame([part.status, part.headers.get('content-range')], [206, 'bytes 999990-2000009/3000000']);
  t.ok(Buffer.from(bytes.subarray(999_990, 2_000_010)).equals(Buffer.from(await part.arrayBuffer())));
  const beyond = await fetch(place, { headers: { range: 'bytes=3000000-' } });
  t.equal(beyond.headers.get('content-range'), 'bytes */3000000');
  t.equal(await codeOf(beyond), '416 APP_BAD_RANGE');
});

t.test('without a good ticket nothing is uploaded, and nothing told of uploads', async (t) => {
  const { url } = await serve(t);
  const good = bearer(10);
  const place = `${url}${(await begin(url, good, 10)).headers.get('location')}`;
  for (const [name, ticket] of [
    ['none', ''],
    ['forged', `${good.slice(0, -3)}AAA`],
    ['expired', bearer(10, { expiresAtMs: NOW })],
  ] as const) {
    t.equal(await codeOf(await begin(url, ticket, 10)), '401 APP_BAD_TICKET', `${name}: POST`);
    t.equal(await codeOf(await patch(place, ticket, 0, new Uint8Array(5))), '401 APP_BAD_TICKET', `${name}: PATCH`);
    const head = await fetch(place, { method: 'HEAD', headers: { authorization: ticket } });
    t.strictSame([head.status, head.headers.get('blindbeam-code')], [401, 'APP_BAD_TICKET'], `${name}: HEAD`);
  }
  const bob = bearer(10, { user: BOB });
  t.equal(await codeOf(await patch(place, bob, 0, new Uint8Array(5))), '404 APP_UNKNOWN_MEDIA', "another account's");
  t.equal((await patch(place, bearer(99), 0, new Uint8Array(10))).status, 204, 'a later ticket of the account goes on');
});

t.test('each wrong request gets its code, and the connection lives on', async (t) => {
  const { url } = await serve(t);
  const ticket = bearer(10);
  t.equal(await codeOf(await begin(url, ticket, 11)), '413 APP_MEDIA_TOO_LARGE', 'not the size of the ticket');
  const bare = await fetch(`${url}/media`, { method: 'POST', headers: { authorization: ticket } });
  t.equal(await codeOf(bare), '400 APP_BAD_REQUEST');
  const place = `${url}${(await begin(url, ticket, 10)).headers.get('location')}`;
  const ahead = await patch(place, ticket, 3, new Uint8Array(5));
  t.equal(ahead.headers.get('upload-offset'), '0');
  t.equal(await codeOf(ahead), '409 APP_WRONG_OFFSET');
  t.equal(await codeOf(await patch(place, ticket, 0, new Uint8Array(11))), '413 APP_MEDIA_TOO_LARGE');
  for (const id of ['..%2f..%2fstore.json', 'x', 'AB'.repeat(16), 'ab'.repeat(16)]) {
    t.equal(await codeOf(await fetch(`${url}/media/${id}`)), '404 APP_UNKNOWN_MEDIA', id);
    t.equal(await codeOf(await patch(`${url}/media/${id}`, ticket, 0, new Uint8Array(1))), '404 APP_UNKNOWN_MEDIA');
  }
  t.equal((await patch(place, ticket, 0, new Uint8Array(10))).status, 204);
});

t.test(
  'an account with too many unfinished uploads, and a disk without room, say so and when to come back',
  async (t) => {
    const { url } = await serve(t);
    for (let count = 0; count < LIMITS.openUploadsMax; count++) await begin(url, bearer(10), 10);
    const refused = await begin(url, bearer(10), 10);
    t.equal(refused.headers.get('retry-after'), '60');
    t.equal(await codeOf(refused), '429 APP_TOO_MANY_UPLOADS');
    const full = await serve(t, Number.MAX_SAFE_INTEGER);
    const noRoom = await begin(full.url, bearer(10), 10);
    t.ok(Number(noRoom.headers.get('retry-after')) > 0);
    t.equal(await codeOf(noRoom), '507 APP_STORE_FULL');
  },
);

t.test('what came before a cut counts, and the upload goes on from there', async (t) => {
  const { url, port, store } = await serve(t);
  const bytes = systemRandom.bytes(500_000);
  const id = 'cd'.repeat(16);
  const authorization = bearer(bytes.length, { id });
  await begin(url, authorization, bytes.length);
  const socket = connect(port, '127.0.0.1');
  const lines = [`PATCH /media/${id} HTTP/1.1`, 'Host: x', `Authorization: ${authorization}`, 'Upload-Offset: 0'];
  socket.write(`${lines.join('\r\n')}\r\nContent-Length: ${bytes.length}\r\n\r\n`);
  await new Promise<void>((resolve) => socket.write(bytes.subarray(0, 300_000), () => resolve()));
  const offset = async (): Promise<number> => ((await store.find(id, ALICE)) as { offset: number }).offset;
  while ((await offset()) < 300_000) await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(
    await codeOf(await patch(`${url}/media/${id}`, authorization, 300_000, bytes.subarray(300_000))),
    '423 APP_UPLOAD_BUSY',
  );
  socket.resetAndDestroy();
  let resumed: Response;
  do {
    resumed = await patch(`${url}/media/${id}`, authorization, 300_000, bytes.subarray(300_000));
  } while (resumed.status === 423);
  t.equal(resumed.status, 204);
  t.ok(Buffer.from(bytes).equals(Buffer.from(await (await fetch(`${url}/media/${id}`)).arrayBuffer())));
});

t.test('a downloader that does not read holds one piece, not the file, and hinders nobody', async (t) => {
  const { url, port } = await serve(t);
  const bytes = systemRandom.bytes(64 * 1024 * 1024);
  const place = await put(url, bytes);
  const before = process.memoryUsage().rss;
  const idle = Array.from({ length: 10 }, () => connect(port, '127.0.0.1'));
  for (const socket of idle) {
    socket.pause();
    socket.write(`GET ${new URL(place).pathname} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  t.ok(Buffer.from(bytes).equals(Buffer.from(await (await fetch(place)).arrayBuffer())));
  const grown = process.memoryUsage().rss - before;
  // The reader above holds the file twice in this very process; ten more of them would be 640 MiB.
  t.ok(grown < 300 * 1024 * 1024, `${Math.round(grown / 1024 / 1024)} MiB`);
  for (const socket of idle) socket.destroy();
});
