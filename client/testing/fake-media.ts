/**
 * The media routes of a server in memory, as docs/protocol.md has them, for clients of a `World`. Faults: `lose`, `bend`, `onRequest`.
 */

import type { Fetch } from '../media-http.ts';

/** What happens to a request in place of its answer. */
export type MediaFault = (method: string, path: string) => Response | 'cut' | undefined;

/** Files of one server. */
export class FakeMedia {
  readonly files: Map<string, Uint8Array<ArrayBuffer>> = new Map();
  onRequest: MediaFault = () => undefined;
  #count = 0;

  readonly fetch: Fetch = async (url, init) => {
    const { method = 'GET' } = init;
    const { pathname } = new URL(url);
    const fault = this.onRequest(method, pathname);
    if (fault === 'cut') throw new TypeError('fetch failed');
    return fault ?? this.#answer(method, pathname, new Headers(init.headers), init.body);
  };

  /** Forgets every file. */
  lose(): void {
    this.files.clear();
  }

  /** Changes a byte of every file. */
  bend(): void {
    for (const file of this.files.values()) file[file.length >> 1]! ^= 1;
  }

  #answer(method: string, path: string, headers: Headers, body: RequestInit['body']): Response {
    if (method === 'POST') {
      const locator = `/media/${String((this.#count += 1)).padStart(32, '0')}`;
      this.files.set(locator, new Uint8Array(0));
      return new Response(null, { status: 201, headers: { location: locator, 'upload-offset': '0' } });
    }
    const file = this.files.get(path);
    if (file === undefined) return new Response('APP_UNKNOWN_MEDIA', { status: 404 });
    if (method === 'GET') return new Response(file, { headers: { 'content-length': String(file.length) } });
    if (method === 'HEAD') return new Response(null, { headers: { 'upload-offset': String(file.length) } });
    const offset = String(file.length);
    if (headers.get('upload-offset') !== offset) {
      return new Response(null, { status: 409, headers: { 'upload-offset': offset } });
    }
    const slice = body as Uint8Array;
    const whole = new Uint8Array(file.length + slice.length);
    whole.set(file);
    whole.set(slice, file.length);
    this.files.set(path, whole);
    return new Response(null, { status: 204, headers: { 'upload-offset': String(whole.length) } });
  }
}
