/**
 * The adapter to the network of push services: HTTP/1.1 by the platform's `fetch`, HTTP/2 by `node:http2` with one session for
 * each service. Both follow no redirect, read a bounded answer, and give up in time.
 */

import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { LIMITS } from '../limits.ts';
import type { PushRequest, PushResponse, PushTransport } from './provider.ts';

/** Over HTTP/1.1; web push services and FCM speak it. */
export const fetchTransport: PushTransport = async ({ method, url, headers, body }) => {
  const response = await fetch(url, {
    method,
    headers,
    body: new Uint8Array(body),
    redirect: 'manual',
    signal: AbortSignal.timeout(LIMITS.pushTimeoutMs),
  });
  const text = await readBounded(response);
  return { status: response.status, headers: Object.fromEntries(response.headers), body: text };
};

async function readBounded(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = '';
  while (reader !== undefined && text.length < LIMITS.pushAnswerBytesMax) {
    const { value, done } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
  }
  await reader?.cancel();
  return text.slice(0, LIMITS.pushAnswerBytesMax);
}

/** Over HTTP/2, which APNs demands. Sessions are kept, and made anew when they have ended. */
export class Http2Transport {
  readonly #sessions = new Map<string, ClientHttp2Session>();

  /** The transport as a function. */
  readonly send: PushTransport = (request) => this.#send(request);

  close(): void {
    for (const session of this.#sessions.values()) session.destroy();
    this.#sessions.clear();
  }

  #send({ method, url, headers, body }: PushRequest): Promise<PushResponse> {
    const { origin, pathname } = new URL(url);
    return new Promise((resolve, reject) => {
      const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH } = constants;
      const head = { ...headers, [HTTP2_HEADER_METHOD]: method, [HTTP2_HEADER_PATH]: pathname };
      const stream = this.#session(origin).request(head, { signal: AbortSignal.timeout(LIMITS.pushTimeoutMs) });
      let status = 0;
      let answered: Record<string, string | undefined> = {};
      let text = '';
      stream.setEncoding('utf8');
      stream.on('response', (received) => {
        status = Number(received[constants.HTTP2_HEADER_STATUS]);
        answered = Object.fromEntries(Object.entries(received).map(([name, value]) => [name, String(value)]));
      });
      stream.on('data', (chunk: string) => (text = (text + chunk).slice(0, LIMITS.pushAnswerBytesMax)));
      stream.on('error', reject);
      stream.on('close', () => {
        if (status === 0) reject(Object.assign(new Error('no answer'), { code: 'PUSH_NO_ANSWER' }));
        else resolve({ status, headers: answered, body: text });
      });
      stream.end(body);
    });
  }

  #session(origin: string): ClientHttp2Session {
    const kept = this.#sessions.get(origin);
    if (kept !== undefined && !kept.closed && !kept.destroyed) return kept;
    const session = connect(origin);
    // Each request fails by itself; a session without a listener would end the process.
    session.on('error', () => undefined);
    session.on('goaway', () => session.close());
    // It is left open while nothing is sent, as Apple asks, and keeps no process alive.
    session.unref();
    this.#sessions.set(origin, session);
    return session;
  }
}
