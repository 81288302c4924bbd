/** Uploads and downloads against a server in memory that cuts, refuses and lies. */

import t from 'tap';
import { mediaCiphertextBytes } from '../protocol/signal/index.ts';
import { primitives } from '../protocol/signal/primitives.ts';
import type { Attachment } from './content-body.ts';
import { ClientError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { Media, type MediaProgress, type MediaSource } from './media.ts';
import type { Requests } from './requests.ts';
import { SeededRandom } from './testing/seeded-random.ts';

const ID = '0123456789abcdef'.repeat(2);

/** What happens to a request in place of its answer. */
type Fault = (method: string, body: Uint8Array) => Response | 'cut' | undefined;

/** The media routes, as docs/protocol.md has them. */
class MemoryServer {
  stored = new Uint8Array(0);
  declared = 0;
  readonly requests: string[] = [];
  fault: Fault = () => undefined;
  /** A download is cut after so many bytes of it. */
  cutDownloadAt = Infinity;

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const { method = 'GET' } = init;
    const headers = new Headers(init.headers);
    const body = init.body === undefined ? new Uint8Array(0) : (init.body as Uint8Array).slice();
    this.requests.push(
      `${method} ${new URL(url).pathname} ${headers.get('upload-offset') ?? headers.get('range') ?? ''}`,
    );
    const fault = this.fault(method, body);
    if (fault === 'cut') throw new TypeError('fetch failed');
    return fault ?? this.answer(method, headers, body);
  };

  answer(method: string, headers: Headers, body: Uint8Array): Response {
    if (method === 'GET') return this.#download(headers.get('range'));
    if (method === 'POST') this.declared = Number(headers.get('upload-length'));
    if (method === 'PATCH') {
      if (Number(headers.get('upload-offset')) !== this.stored.length) return this.#state(409);
      this.take(body);
    }
    return this.#state(method === 'POST' ? 201 : method === 'PATCH' ? 204 : 200);
  }

  take(body: Uint8Array): void {
    this.stored = new Uint8Array(Buffer.concat([this.stored, body]));
  }

  #state(status: number): Response {
    const headers = { location: `/media/${ID}`, 'upload-offset': String(this.stored.length) };
    return new Response(null, { status, headers });
  }

  #download(range: string | null): Response {
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const end = Math.min(this.stored.length, start + this.cutDownloadAt);
    const whole = this.stored;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(whole.slice(start, end)),
      pull: (controller) => (end < whole.length ? controller.error(new TypeError('terminated')) : controller.close()),
    });
    const headers: Record<string, string> =
      range === null ? {} : { 'content-range': `bytes ${start}-${whole.length - 1}/${whole.length}` };
    return new Response(stream, {
      status: range === null ? 200 : 206,
      headers: { ...headers, 'content-length': String(whole.length - start) },
    });
  }
}

interface Fixture {
  readonly server: MemoryServer;
  readonly media: Media;
  readonly pauses: number[];
  tickets: number;
}

function start(): Fixture {
  const server = new MemoryServer();
  const pauses: number[] = [];
  const fixture = { server, pauses, tickets: 0 } as unknown as { -readonly [K in keyof Fixture]: Fixture[K] };
  const clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    // Deadlines never pass; pauses are over at once and kept.
    setTimer: (ms: number, callback: () => void) => {
      if (ms >= LIMITS.mediaStallMs) return undefined;
      pauses.push(ms);
      return setImmediate(callback);
    },
    clearTimer: () => undefined,
  };
  const requests = {
    askUntilAnswered: async () => {
      fixture.tickets += 1;
      return { kind: 'media-ticket', ticket: new Uint8Array(64), expires: 3_600 };
    },
  } as unknown as Requests;
  const seeded = new SeededRandom(7);
  // No jitter: a pause is as long as the server asks for.
  const random = { bytes: (length: number) => seeded.bytes(length), integer: () => 0 };
  fixture.media = new Media({ url: 'ws://example:7400/ws', fetch: server.fetch, requests, clock, random });
  return fixture;
}

function sourceOf(bytes: Uint8Array): MediaSource {
  const pieces = Array.from({ length: Math.ceil(bytes.length / 10_000) }, (_, at) =>
    bytes.subarray(at * 10_000, (at + 1) * 10_000),
  );
  return { bytes: bytes.length, pieces };
}

const FILE = new SeededRandom(1).bytes(2_500_000);

async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  // Not by way of a Response: Chromium replaces the stream's own error by one of fetch.
  const pieces: Uint8Array[] = [];
  const reader = stream.getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) pieces.push(piece.value);
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function sha(bytes: Uint8Array): string {
  const hash = primitives.createSha256();
  hash.update(bytes);
  return Array.from(hash.digest(), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

t.test(
  'a file goes up in slices and comes back; what is stored is sealed, padded and named by its digest',
  async (t) => {
    const { server, media } = start();
    const progress: number[] = [];
    const attachment = await media.upload(sourceOf(FILE), {
      ...{ name: 'a.bin', type: 'x/y', caption: 'Look' },
      onProgress: ({ transferredBytes, totalBytes }) => void progress.push(transferredBytes / totalBytes),
    });
    t.match(attachment, { locator: `/media/${ID}`, bytes: FILE.length, name: 'a.bin', type: 'x/y', caption: 'Look' });
    t.equal(server.declared, mediaCiphertextBytes(FILE.length));
    t.equal(server.stored.length, server.declared);
    t.equal(Buffer.from(attachment.digest).toString('hex'), sha(server.stored));
    t.strictSame(
      progress,
      [...progress].sort((a, b) => a - b),
    );
    t.equal(progress.at(-1), 1);
    t.ok(progress.length > 2, `${progress.length} times while it went up`);
    const down: number[] = [];
    const onProgress = ({ transferredBytes, totalBytes }: MediaProgress): void =>
      void down.push(transferredBytes / totalBytes);
    t.equal(sha(await collect(media.download(attachment, { onProgress }))), sha(FILE));
    t.ok(down.every((share, index) => share > (down[index - 1] ?? 0)) && down.at(-1) === 1, 'ever more, to the end');
  },
);

t.test('a Blob is a source, and so is an empty one', async (t) => {
  for (const bytes of [FILE.subarray(0, 100_000), new Uint8Array(0)]) {
    const { media } = start();
    const attachment = await media.upload(new Blob([bytes.slice()]), {});
    t.equal(sha(await collect(media.download(attachment, {}))), sha(bytes));
  }
});

t.test('cuts at every request, with and without what was sent arriving, change nothing of the file', async (t) => {
  const { server, media } = start();
  let count = 0;
  server.fault = (method, body) => {
    count += 1;
    if (count % 2 === 0) return undefined;
    if (method === 'PATCH') server.take(body.subarray(0, count % 4 === 1 ? Math.ceil(body.length / 2) : 0));
    return 'cut';
  };
  const attachment = await media.upload(sourceOf(FILE), {});
  server.fault = () => (count++ % 2 === 0 ? 'cut' : undefined);
  server.cutDownloadAt = 400_000;
  t.equal(sha(await collect(media.download(attachment, {}))), sha(FILE));
  t.ok(
    server.requests.some((request) => request.startsWith('HEAD')),
    'it asked how far the server was',
  );
  t.ok(server.requests.filter((request) => /GET .* bytes=/.test(request)).length >= 5, 'and read on by ranges');
});

t.test('the server is waited for as long as it says, and an expired ticket is renewed', async (t) => {
  const fixture = start();
  const { server, media, pauses } = fixture;
  const faults = [
    new Response('APP_UPLOAD_BUSY\n', { status: 423, headers: { 'retry-after': '1' } }),
    new Response('APP_BAD_TICKET\n', { status: 401 }),
  ];
  server.fault = (method) => (method === 'PATCH' ? faults.pop() : undefined);
  await media.upload(sourceOf(FILE), {});
  t.equal(fixture.tickets, 2);
  t.ok(
    pauses.some((ms) => ms >= 1_000),
    `pauses: ${pauses.join(', ')}`,
  );
});

const REFUSALS: readonly (readonly [what: string, fault: Fault, code: string])[] = [
  ['a refusal that stays', () => new Response('APP_MEDIA_TOO_LARGE\n', { status: 413 }), 'APP_MEDIA_TOO_LARGE'],
  ['a network that stays away', () => 'cut', 'CLI_UNREACHABLE'],
  ['tickets that are never good', () => new Response('APP_BAD_TICKET\n', { status: 401 }), 'APP_BAD_TICKET'],
  ['somebody else at this address', () => new Response('<html>', { status: 404 }), 'CLI_PROTOCOL'],
  [
    'a server that forgets bytes',
    (method) =>
      method === 'PATCH' ? new Response(null, { status: 204, headers: { 'upload-offset': '9999999' } }) : undefined,
    'CLI_PROTOCOL',
  ],
];

for (const [what, fault, code] of REFUSALS) {
  t.test(`${what} ends the upload with ${code}`, async (t) => {
    const { server, media } = start();
    server.fault = fault;
    await t.rejects(media.upload(sourceOf(FILE), {}), { code });
    t.ok(server.requests.length <= LIMITS.mediaSetbackCountMax + 2, `${server.requests.length} requests`);
  });
}

t.test('a source that gives more or less than it announced is not sent as a whole', async (t) => {
  for (const bytes of [FILE.length - 300_000, FILE.length + 300_000]) {
    const { media } = start();
    await t.rejects(media.upload({ ...(sourceOf(FILE) as object), bytes } as MediaSource, {}), {
      code: 'CLI_MEDIA_SOURCE',
    });
  }
});

t.test('cancelling ends a transfer in either direction', async (t) => {
  const { server, media } = start();
  const attachment = await media.upload(sourceOf(FILE), {});
  const stored = server.stored;
  server.stored = new Uint8Array(0);
  const controller = new AbortController();
  const { signal } = controller;
  const cancelled = media.upload(sourceOf(FILE), { signal, onProgress: () => controller.abort() });
  await t.rejects(cancelled, { code: 'CLI_MEDIA_CANCELLED' });
  server.stored = stored;
  await t.rejects(collect(media.download(attachment, { signal })), { code: 'CLI_MEDIA_CANCELLED' });
});

t.test('what is not the file that was sent errors the stream', async (t) => {
  const { server, media } = start();
  const attachment: Attachment = await media.upload(sourceOf(FILE), {});
  const codeFrom = async (given: Attachment): Promise<unknown> =>
    collect(media.download(given, {})).then(
      () => 'ok',
      (error: unknown) => (ClientError.is(error) ? error.code : error),
    );
  t.equal(await codeFrom(attachment), 'ok');
  for (const locator of ['https://elsewhere.example/x', '//elsewhere.example/media/x', `/media/${ID}/../x`, '/livez']) {
    const before = server.requests.length;
    t.equal(await codeFrom({ ...attachment, locator }), 'CLI_MEDIA_FOREIGN', locator);
    t.equal(server.requests.length, before, 'nothing was asked for');
  }
  t.equal(await codeFrom({ ...attachment, digest: new Uint8Array(32) }), 'SIG_STREAM_WRONG_DIGEST');
  t.equal(await codeFrom({ ...attachment, key: new Uint8Array(32) }), 'SIG_STREAM_WRONG_KEY');
  server.stored[1_000_000]! ^= 1;
  t.equal(await codeFrom(attachment), 'SIG_STREAM_DAMAGED');
  server.fault = () => new Response('APP_UNKNOWN_MEDIA\n', { status: 404 });
  t.equal(await codeFrom(attachment), 'APP_UNKNOWN_MEDIA');
});
