/**
 * The operators' console over HTTP: three files, an address to ask at, one to sign in at, one for live views. On the loopback
 * only; from elsewhere through a tunnel (`ssh -L`).
 *
 *   GET  /                       the page            GET /console.js, /console.css
 *   GET  /live?verb=top&…        a live view as server-sent events; open verbs only
 *   POST /ask                    { verb, parameters } → { value } or { error }; of a verb that answers more than once, the last
 *   POST /sign-in, /sign-out     { token }
 *
 * What a foreign page in the same browser could try: it cannot read (no CORS headers), cannot send (a POST needs a header that only a
 * page of the same origin may set, and an `Origin` that fits), does not carry the cookie (SameSite=Strict), cannot frame the page, and
 * cannot come under another name of this address (the name of `Host` must be the loopback's). Requests become those of the
 * desk, which keeps the audit log. Knows no verb; `verbs.ts` says which are allowed.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../../runtime/index.ts';
import type { Desk } from '../admin/desk.ts';
import type { ConsoleFiles } from './files.ts';
import { CONSOLE_LIMITS } from './limits.ts';
import type { SignIns } from './sign-in.ts';
import { judgeVerb } from './verbs.ts';

export interface ConsoleServerOptions {
  readonly host: string;
  readonly desk: Desk;
  readonly signIns: SignIns;
  readonly files: ConsoleFiles;
  readonly log: Logger;
}

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const COMMON: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** A header that makes a request one that other origins may not send without being asked first; and nobody answers them. */
const OWN_HEADER = 'x-blindbeam-console';
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** What a handler gives up with. */
class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class ConsoleServer {
  readonly #options: ConsoleServerOptions;
  readonly #server: Server;
  /** Answers that are under way, each with whether it is for somebody who has signed in. */
  readonly #views: Map<AbortController, boolean> = new Map();
  port = 0;

  private constructor(options: ConsoleServerOptions) {
    this.#options = options;
    this.#server = createServer(
      { requestTimeout: CONSOLE_LIMITS.requestMsMax, keepAlive: true },
      (request, response) => {
        void this.#handle(request, response);
      },
    );
    this.#server.maxConnections = CONSOLE_LIMITS.socketsMax;
    this.#server.unref();
  }

  /** @returns `'busy'` if another process has the port. */
  static async listen(port: number, options: ConsoleServerOptions): Promise<ConsoleServer | 'busy'> {
    const console = new ConsoleServer(options);
    const server = console.#server;
    const outcome = await new Promise<'ok' | NodeJS.ErrnoException>((resolve) => {
      server.once('error', resolve);
      server.listen(port, options.host, () => resolve('ok'));
    });
    if (outcome !== 'ok' && outcome.code === 'EADDRINUSE') return 'busy';
    if (outcome !== 'ok') throw outcome;
    console.port = (server.address() as AddressInfo).port;
    return console;
  }

  close(): Promise<void> {
    for (const view of this.#views.keys()) view.abort();
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      refuseForeignName(request);
      await this.#route(request, response);
    } catch (error) {
      // Who left within a request has nothing to be told, and it is no fault of ours.
      if (hasLeft(request, error)) return;
      if (!(error instanceof Refused)) {
        this.#options.log.error('console_failed', { reason: error instanceof Error ? error.stack : String(error) });
      }
      const { status, message } = error instanceof Refused ? error : new Refused(500, 'failed');
      if (response.headersSent) return void response.destroy();
      sendJson(response, status, { error: { code: 'CONSOLE', message } });
    }
  }

  #route(request: IncomingMessage, response: ServerResponse): Promise<void> | void {
    const url = urlOf(request);
    const { files } = this.#options;
    if (request.method === 'GET' || request.method === 'HEAD') {
      if (url.pathname === '/live') return this.#live(url, request, response);
      if (url.pathname === '/session') return sendJson(response, 200, { isSignedIn: this.#isSignedIn(request) });
      const file = files.get(url.pathname);
      if (file === undefined) throw new Refused(404, 'no such page');
      response.writeHead(200, { ...COMMON, 'content-type': file.type, 'content-length': file.body.length });
      return void response.end(request.method === 'HEAD' ? undefined : file.body);
    }
    if (request.method !== 'POST') throw new Refused(405, 'GET or POST');
    refuseForeignOrigin(request);
    switch (url.pathname) {
      case '/ask':
        return this.#ask(request, response);
      case '/sign-in':
        return this.#signIn(request, response);
      case '/sign-out':
        this.#options.signIns.signOut(this.#cookieOf(request));
        return sendJson(response, 200, {}, { 'set-cookie': `${this.#cookieName()}=; Path=/; Max-Age=0` });
    }
    throw new Refused(404, 'no such address');
  }

  async #signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { token } = await readBody(request);
    const outcome = this.#options.signIns.signIn(typeof token === 'string' ? token : '');
    if (outcome === 'later') throw new Refused(429, 'too many tries: wait a moment');
    if (outcome === 'wrong') {
      this.#options.log.warn('console_sign_in_refused');
      throw new Refused(401, 'this is not the token; "blindbeam console" tells it');
    }
    this.#options.log.info('console_signed_in');
    const cookie = `${this.#cookieName()}=${outcome.cookie}; Path=/; HttpOnly; SameSite=Strict`;
    sendJson(response, 200, {}, { 'set-cookie': cookie });
  }

  async #ask(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { verb, parameters = {} } = await readBody(request);
    if (typeof verb !== 'string' || typeof parameters !== 'object' || parameters === null) {
      throw new Refused(400, 'expected a verb and its parameters');
    }
    this.#allow(verb, request);
    await this.#during(request, response, (signal) => this.#collect(verb, parameters, response, signal));
  }

  /** The browser ends a view by leaving, and so does the node. Those of strangers take no room from those who have signed in. */
  async #during(
    request: IncomingMessage,
    response: ServerResponse,
    run: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const isSignedIn = this.#isSignedIn(request);
    const alike = [...this.#views.values()].filter((each) => each === isSignedIn);
    if (alike.length >= CONSOLE_LIMITS.viewsMax) throw new Refused(503, 'too many views are open');
    const controller = new AbortController();
    this.#views.set(controller, isSignedIn);
    response.once('close', () => controller.abort());
    try {
      await run(controller.signal);
    } finally {
      this.#views.delete(controller);
    }
  }

  async #collect(verb: string, parameters: object, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { desk } = this.#options;
    // Not all of them: `top` goes on until nobody looks, and would fill the memory of the node.
    let last: object | undefined;
    try {
      const caller = { signal, via: 'console' } as const;
      const result = await desk.answer(verb, parameters, caller, async (value) => void (last = value));
      sendJson(response, 200, { value: last ?? result ?? {} });
    } catch (error) {
      sendJson(response, 200, { error: desk.refusalOf(error, verb) });
    }
  }

  async #live(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { verb = '', ...parameters } = Object.fromEntries(url.searchParams);
    // A GET changes nothing, whoever sends it.
    if (judgeVerb(verb, false) !== 'ok') throw new Refused(403, 'this is no live view');
    if (request.headers['sec-fetch-site'] !== undefined && request.headers['sec-fetch-site'] !== 'same-origin') {
      throw new Refused(403, 'only the page itself looks');
    }
    await this.#during(request, response, (signal) => this.#stream(verb, parameters, response, signal));
  }

  async #stream(verb: string, parameters: object, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { desk } = this.#options;
    response.writeHead(200, { ...COMMON, 'content-type': 'text/event-stream' });
    const tell = (event: string, value: object): Promise<void> => {
      if (response.write(`event: ${event}\ndata: ${JSON.stringify(value)}\n\n`) || signal.aborted)
        return Promise.resolve();
      return new Promise((resolve) => {
        response.once('drain', resolve);
        response.once('close', resolve);
      });
    };
    try {
      const caller = { signal, via: 'console' } as const;
      await desk.answer(verb, parameters, caller, (value) => tell('next', value));
    } catch (error) {
      await tell('refused', desk.refusalOf(error, verb));
    }
    response.end();
  }

  #allow(verb: string, request: IncomingMessage): void {
    const judged = judgeVerb(verb, this.#isSignedIn(request));
    if (judged === 'sign-in') throw new Refused(401, 'sign in first');
    if (judged === 'never') throw new Refused(403, 'this is for the command line');
  }

  #isSignedIn(request: IncomingMessage): boolean {
    return this.#options.signIns.holds(this.#cookieOf(request));
  }

  /** Cookies know no ports: two nodes of a machine must not share one. */
  #cookieName(): string {
    return `blindbeam-console-${this.port}`;
  }

  #cookieOf(request: IncomingMessage): string | undefined {
    const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
    return pairs.find(([name]) => name === this.#cookieName())?.[1];
  }
}

function hasLeft({ destroyed }: IncomingMessage, error: unknown): boolean {
  return destroyed && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
}

/** @throws {Refused} 400: what stands behind the method may be anything, as `//`. */
function urlOf({ url = '/' }: IncomingMessage): URL {
  if (!URL.canParse(url, 'http://console')) throw new Refused(400, 'this is no address');
  return new URL(url, 'http://console');
}

function refuseForeignName({ headers }: IncomingMessage): void {
  const name = (headers.host ?? '').replace(/:\d+$/, '');
  if (!LOOPBACK_NAMES.has(name)) throw new Refused(421, 'ask for 127.0.0.1 or localhost');
}

function refuseForeignOrigin({ headers }: IncomingMessage): void {
  const isOwn = headers.origin === `http://${headers.host}` || headers.origin === undefined;
  if (isOwn && headers[OWN_HEADER] === '1') return;
  throw new Refused(403, 'only the page itself asks');
}

async function readBody(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > CONSOLE_LIMITS.bodyBytesMax) throw new Refused(413, 'the request is too long');
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below, as for every other text.
  }
  throw new Refused(400, 'expected a JSON object');
}

function sendJson(
  response: ServerResponse,
  status: number,
  value: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(JSON.stringify(value));
  const type = { 'content-type': 'application/json', 'content-length': body.length };
  response.writeHead(status, { ...COMMON, ...type, ...headers });
  response.end(body);
}
