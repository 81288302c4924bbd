/**
 * `fetch` towards a server whose certificate is vouched for by an authority of one's own: a company's, or the one of a test. Node's
 * own takes none but by an option of the whole process (NODE_EXTRA_CA_CERTS). Serves what `../media-http.ts` asks and no more: no redirects,
 * no cookies, no cache.
 */

import { X509Certificate } from 'node:crypto';
import { request, type RequestOptions } from 'node:https';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { Fetch } from '../media-http.ts';

/** Whether `text` is PEM with a certificate. TLS itself takes whatever it is given, and then trusts nobody. */
export function holdsCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).raw.length > 0;
  } catch {
    return false;
  }
}

/** @param ca - Certificates of authorities, PEM; they are trusted in place of the platform's. */
export function fetchUnderAuthority(ca: string): Fetch {
  return (url, init) =>
    new Promise<Response>((resolve, reject) => {
      const { method = 'GET', headers, signal, body } = init;
      const options: RequestOptions = { method, headers: Object.fromEntries(new Headers(headers)), ca };
      if (signal != null) options.signal = signal;
      const outgoing = request(url, options, (incoming) => {
        const { statusCode = 502, headers: given } = incoming;
        const pairs = Object.entries(given).map(([name, value]): [string, string] => [name, String(value)]);
        const hasBody = method !== 'HEAD' && statusCode !== 204 && statusCode !== 304;
        if (!hasBody) incoming.resume();
        const stream = hasBody ? (Readable.toWeb(incoming) as ReadableStream<Uint8Array>) : null;
        resolve(new Response(stream, { status: statusCode, headers: pairs }));
      });
      outgoing.once('error', reject);
      send(body, outgoing, reject);
    });
}

function send(body: RequestInit['body'], outgoing: ReturnType<typeof request>, reject: (error: Error) => void): void {
  if (body == null) outgoing.end();
  else if (body instanceof ReadableStream) {
    Readable.fromWeb(body as NodeReadableStream)
      .once('error', reject)
      .pipe(outgoing);
  } else outgoing.end(body as Uint8Array | string);
}
