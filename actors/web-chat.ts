/**
 * The web chat's three files, served beside the socket, so that a node alone is enough to try things.
 *
 * It reads what the build has made once, at the start, and knows nothing of what is in it: the client is not the server's
 * business, and nothing of it is imported here. The page may load nothing but what comes from this node; whoever serves it could
 * change it, which is why SECURITY.md says what a page of the server is worth.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Exchange, type Headers, type HttpApp } from './media/exchange.ts';

/** Where the build puts the page, from the compiled form of this file. */
const WEB_CHAT_FOLDER: string = join(import.meta.dirname, '..', 'web');

const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/chat.js', 'chat.js', 'text/javascript; charset=utf-8'],
  ['/chat.css', 'chat.css', 'text/css; charset=utf-8'],
] as const;

/**
 * Nothing from elsewhere, no code within the page, no frame around it. Pictures come out of memory (`blob:`), as they are
 * decrypted in the page; the empty icon is a `data:` address. The page's own WebSocket is `'self'` as well to "scheme-part match" of
 * CSP level 3, where `ws` is as good as `http`; Safari before 15.4 does not know that, so the socket's own origin is named, too.
 */
function policyFor(host: string): string {
  const sockets = HOST.test(host) ? ` ws://${host} wss://${host}` : '';
  return (
    `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'${sockets}; img-src blob: data:; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  );
}

/** A name or an address with a port: nothing that could end a directive, or begin one. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]{0,253}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i;

function commonHeaders(host: string): Headers {
  return {
    'content-security-policy': policyFor(host),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    // Asked for each time and mostly answered with 304: a page must not be older than its node.
    'cache-control': 'no-cache',
  };
}

/** A file as it leaves. */
interface Served {
  readonly path: string;
  readonly headers: Headers;
  readonly etag: string;
  readonly body: Buffer;
  readonly compressed: Buffer;
}

/** The page, in memory, once for each worker. */
export class WebChat {
  readonly #files: readonly Served[];

  private constructor(files: readonly Served[]) {
    this.#files = files;
  }

  /** Reads the files of `folder`. @returns Undefined if the build has not made them. */
  static load(folder: string = WEB_CHAT_FOLDER): WebChat | undefined {
    if (!FILES.every(([, name]) => existsSync(join(folder, name)))) return undefined;
    return new WebChat(FILES.map(([path, name, type]) => load(path, join(folder, name), type)));
  }

  bind(app: HttpApp): void {
    for (const file of this.#files) {
      app.get(file.path, (response, request) => {
        const isKnown = request.getHeader('if-none-match') === file.etag;
        const takesGzip = /\bgzip\b/.test(request.getHeader('accept-encoding'));
        const headers = commonHeaders(request.getHeader('host'));
        const exchange = new Exchange(response);
        if (isKnown) exchange.reply('304 Not Modified', Object.assign(headers, { etag: file.etag }));
        else void send(exchange, file, headers, takesGzip);
      });
    }
  }
}

function load(path: string, file: string, type: string): Served {
  const body = readFileSync(file);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  const headers = { 'content-type': type, etag, vary: 'accept-encoding' };
  return { path, headers, etag, body, compressed: gzipSync(body, { level: 9 }) };
}

function send(
  exchange: Exchange,
  { headers, body, compressed }: Served,
  common: Headers,
  takesGzip: boolean,
): Promise<void> {
  const bytes = takesGzip ? compressed : body;
  const encoding: Headers = takesGzip ? { 'content-encoding': 'gzip' } : {};
  exchange.begin('200 OK', Object.assign({}, common, headers, encoding));
  return exchange.send(bytes, bytes.length);
}
