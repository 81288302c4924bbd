import { readFileSync, statSync } from 'node:fs';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock, systemRandom } from '../../runtime/index.ts';
import { VirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { createSeededRandom } from '../../runtime/testing/seeded-random.ts';
import { createDesk, temporaryDirectory, type DeskFixture } from '../admin/test-kit.ts';
import { AdminError } from '../admin/errors.ts';
import { defineVerb } from '../admin/verb.ts';
import { lastCrashes, noteCrash } from './crash-book.ts';
import { CONSOLE_LIMITS } from './limits.ts';
import { ConsoleServer } from './server.ts';
import { keepToken, SignIns } from './sign-in.ts';
import { consoleVerb, judgeVerb } from './verbs.ts';

const FILES = new Map([['/', { type: 'text/html; charset=utf-8', body: Buffer.from('<!doctype html>') }]]);

interface Fixture extends DeskFixture {
  readonly signIns: SignIns;
  readonly port: number;
  readonly done: string[];
  /** Events that the server has logged as faults of ours. */
  readonly faults: readonly string[];
  send(path: string, options?: Send): Promise<Answer>;
  signIn(): Promise<string>;
}

interface Send {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

const OWN = { 'x-blindbeam-console': '1', 'content-type': 'application/json' };

async function serve(t: Test): Promise<Fixture> {
  const done: string[] = [];
  const spec = { summary: 'x', changes: false, parameters: {} };
  const fixture = createDesk(t, [
    defineVerb({ ...spec, name: 'status' }, () => ({ node: 'test' })),
    defineVerb({ ...spec, name: 'top' }, async function* () {
      yield { frame: 1 };
      yield { frame: 2 };
    }),
    defineVerb({ ...spec, name: 'node.list' }, async function* (_parameters, { signal }) {
      yield {};
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    }),
    defineVerb({ ...spec, name: 'inbox.peek' }, () => ({ entries: [] })),
    defineVerb({ ...spec, name: 'resume', changes: true }, () => {
      done.push('resume');
      return {};
    }),
    defineVerb({ ...spec, name: 'drain', changes: true }, () =>
      Promise.reject(new AdminError('ADM_REFUSED', 'not now')),
    ),
    consoleVerb(() => ({ url: 'http://127.0.0.1/', token: 'the token' })),
  ]);
  const signIns = new SignIns(systemClock, systemRandom);
  const faults: string[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (event: string) => void faults.push(event) };
  const server = await ConsoleServer.listen(0, { host: '127.0.0.1', desk: fixture.desk, signIns, files: FILES, log });
  if (server === 'busy') throw new Error('a free port is never busy');
  t.teardown(() => server.close());
  const send = (path: string, options: Send = {}): Promise<Answer> => sendTo(server.port, path, options);
  return {
    ...fixture,
    signIns,
    port: server.port,
    done,
    faults,
    send,
    async signIn() {
      const { headers } = await send('/sign-in', { method: 'POST', headers: OWN, body: { token: signIns.token } });
      return String(headers['set-cookie']).split(';')[0]!;
    },
  };
}

function sendTo(port: number, path: string, { method = 'GET', headers = {}, body }: Send): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

const ask = (verb: string, cookie?: string, more: Readonly<Record<string, string>> = {}): Send => ({
  method: 'POST',
  headers: { ...OWN, ...(cookie === undefined ? {} : { cookie }), ...more },
  body: { verb },
});

t.test('whoever can reach the page looks; only who has signed in changes, and that is on record', async (t) => {
  const { send, signIn, done, audit, port } = await serve(t);
  t.strictSame(JSON.parse((await send('/ask', ask('status'))).text), { value: { node: 'test' } });
  t.match(await send('/ask', ask('resume')), { status: 401, text: /sign in/ });
  t.match(await send('/ask', ask('crash.list')), { status: 401 }, 'crash reports quote errors');
  t.match(await send('/ask', ask('inbox.peek')), { status: 403 });
  t.strictSame(done, []);
  const cookie = await signIn();
  t.match(cookie, new RegExp(`^blindbeam-console-${port}=`));
  t.strictSame(JSON.parse((await send('/ask', ask('resume', cookie))).text), { value: {} });
  t.strictSame(done, ['resume']);
  t.match(audit.last(2), [{ outcome: 'done' }, { verb: 'resume', via: 'console' }]);
  t.match(JSON.parse((await send('/ask', ask('drain', cookie))).text), {
    error: { code: 'ADM_REFUSED', message: 'not now' },
  });
  t.match(await send('/ask', ask('inbox.peek', cookie)), { status: 403 }, 'some is for the command line alone');
  t.match(await send('/ask', ask('console', cookie)), { status: 403 }, 'and the token is told nobody here');
  await send('/sign-out', { method: 'POST', headers: { ...OWN, cookie }, body: {} });
  t.match(await send('/ask', ask('resume', cookie)), { status: 401 });
});

t.test('the cookie is out of reach of other pages and of scripts', async (t) => {
  const { send, signIns } = await serve(t);
  const { headers, status } = await send('/sign-in', { method: 'POST', headers: OWN, body: { token: signIns.token } });
  t.equal(status, 200);
  t.match(String(headers['set-cookie']), /; Path=\/; HttpOnly; SameSite=Strict$/);
  t.match(await send('/sign-in', { method: 'POST', headers: OWN, body: { token: 'wrong' } }), { status: 401 });
  t.match(await send('/sign-in', { method: 'POST', headers: OWN, body: {} }), { status: 401 });
});

t.test('what a foreign page in the same browser could send is refused', async (t) => {
  const { send, signIn, port, done } = await serve(t);
  const cookie = await signIn();
  const refused: readonly (readonly [why: string, path: string, request: Send])[] = [
    ['a form', '/ask', { method: 'POST', headers: { cookie, 'content-type': 'text/plain' }, body: { verb: 'resume' } }],
    ['another origin', '/ask', ask('resume', cookie, { origin: 'https://evil.example' })],
    ['another port', '/ask', ask('resume', cookie, { origin: `http://127.0.0.1:${port + 1}` })],
    ['no origin at all', '/ask', ask('resume', cookie, { origin: 'null' })],
    ['a name of its own for our address', '/ask', ask('resume', cookie, { host: `evil.example:${port}` })],
    ['and to look', '/', { headers: { host: 'evil.example' } }],
    ['an image', `/live?verb=resume`, { headers: { cookie } }],
    ['a view from elsewhere', '/live?verb=top', { headers: { 'sec-fetch-site': 'cross-site' } }],
    ['another method', '/ask', { method: 'DELETE', headers: { ...OWN, cookie } }],
    ['a preflight', '/ask', { method: 'OPTIONS', headers: { origin: 'https://evil.example' } }],
  ];
  for (const [why, path, request] of refused) {
    const { status, headers } = await send(path, request);
    t.ok(status >= 400, `${why}: ${status}`);
    t.equal(headers['access-control-allow-origin'], undefined);
  }
  t.strictSame(done, []);
  t.match(
    await send('/ask', ask('resume', cookie, { origin: `http://localhost:${port}`, host: `localhost:${port}` })),
    {
      status: 200,
    },
  );
});

t.test('the page may load nothing but itself, and what does not fit is refused', async (t) => {
  const { send } = await serve(t);
  const { status, headers } = await send('/');
  t.equal(status, 200);
  t.match(headers['content-security-policy'], /default-src 'none'; script-src 'self'.*frame-ancestors 'none'/);
  t.match(headers, {
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
  });
  t.equal((await send('/../store.json')).status, 404);
  t.equal((await send('//')).status, 400);
  t.equal((await send('/console.token')).status, 404);
  t.equal((await send('/ask', { method: 'POST', headers: OWN, body: 'no json' })).status, 400);
  t.equal((await send('/ask', { method: 'POST', headers: OWN, body: { verb: 7 } })).status, 400);
  const long = 'x'.repeat(CONSOLE_LIMITS.bodyBytesMax);
  t.equal((await send('/ask', { method: 'POST', headers: OWN, body: { verb: long } })).status, 413);
});

t.test('who leaves in the midst of a request, or asks for no address, is no fault of ours', async (t) => {
  const { port, faults, send } = await serve(t);
  const request = httpRequest({ host: '127.0.0.1', port, path: '/ask', method: 'POST', headers: OWN, agent: false });
  request.on('error', () => undefined);
  await new Promise<void>((resolve) => request.write('{"verb":', () => resolve()));
  const left = new Promise((resolve) => request.once('close', resolve));
  request.destroy();
  await left;
  // Handled in order: by the time of this answer the other one has been seen.
  for (let count = 0; count < 3; count += 1) await send('//');
  t.strictSame(faults, []);
});

t.test('a live view is told as events', async (t) => {
  const { send } = await serve(t);
  const { text, headers } = await send('/live?verb=top');
  t.equal(headers['content-type'], 'text/event-stream');
  t.equal(text, 'event: next\ndata: {"frame":1}\n\nevent: next\ndata: {"frame":2}\n\n');
  const asked = await send('/ask', ask('top'));
  t.strictSame(JSON.parse(asked.text), { value: { frame: 2 } }, 'asked for, it is the last: not all are kept');
  t.match(await send('/live?verb=top&rows=3'), { text: /event: refused\ndata: .*ADM_BAD_PARAMETER/ });
});

t.test('views of strangers are bounded, and keep nobody out who has signed in', async (t) => {
  const { port, send, signIn } = await serve(t);
  const cookie = await signIn();
  const look = (): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const request = httpRequest({ host: '127.0.0.1', port, path: '/live?verb=node.list', agent: false }, resolve);
      request.on('error', reject).end();
    });
  const views = await Promise.all(Array.from({ length: CONSOLE_LIMITS.viewsMax }, look));
  t.equal((await send('/ask', ask('status'))).status, 503);
  t.equal((await send('/ask', ask('resume', cookie))).status, 200);
  for (const view of views) view.destroy();
});

t.test('wrong tries to sign in are limited, sign-ins end, and their number is bounded', async (t) => {
  const clock = new VirtualClock();
  const signIns = new SignIns(clock, createSeededRandom(1));
  for (let tries = 0; tries < CONSOLE_LIMITS.triesBurst; tries += 1) t.equal(signIns.signIn('wrong'), 'wrong');
  t.equal(signIns.signIn('wrong'), 'later');
  t.match(signIns.signIn(signIns.token), { cookie: /./ }, 'who has the token is not kept out by who has not');
  const cookies: string[] = [];
  for (let count = 0; count <= CONSOLE_LIMITS.signInsMax; count += 1) {
    clock.advance(1_000);
    const outcome = signIns.signIn(signIns.token);
    if (typeof outcome === 'object') cookies.push(outcome.cookie);
  }
  t.equal(new Set(cookies).size, CONSOLE_LIMITS.signInsMax + 1);
  t.notOk(signIns.holds(cookies[0]), 'the oldest made room');
  t.ok(signIns.holds(cookies[1]));
  clock.advance(CONSOLE_LIMITS.signInMs);
  t.notOk(signIns.holds(cookies.at(-1)));
  t.notOk(signIns.holds(undefined));
});

t.test('the token lies in a file for the owner alone, and goes with the node', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'console.token');
  const drop = keepToken(directory, 'first');
  keepToken(directory, 'second');
  t.equal(readFileSync(path, 'utf8'), 'second\n');
  t.equal(statSync(path).mode & 0o777, 0o600);
  drop();
  t.throws(() => statSync(path));
});

t.test('crashes are kept, the last ones, and nothing else of the log', async (t) => {
  for (let count = 0; count < CONSOLE_LIMITS.crashesMax + 5; count += 1) noteCrash('actor_crashed', { count }, count);
  noteCrash('node_started', {}, 1);
  const crashes = lastCrashes();
  t.equal(crashes.length, CONSOLE_LIMITS.crashesMax);
  t.match(crashes[0], { atMs: CONSOLE_LIMITS.crashesMax + 4, event: 'actor_crashed' });
});

t.test('of the orders to nodes the page has those that end no process, for who has signed in', async (t) => {
  const judged = (isSignedIn: boolean): string[] =>
    ['node.map', 'node.drain', 'node.join', 'node.leave'].map((verb) => judgeVerb(verb, isSignedIn));
  t.strictSame(judged(false), ['ok', 'sign-in', 'sign-in', 'never']);
  t.strictSame(judged(true), ['ok', 'ok', 'ok', 'never']);
});
