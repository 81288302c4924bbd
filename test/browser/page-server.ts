/**
 * A server on the loopback for the browser under test: an empty page, the bundles, and files of the checkout to read.
 */

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';

/** Folders whose files tests read. */
const READABLE = /^\/(protocol|client|docs)\/[\w./-]+\.(json|md|ts)$/;

/** The page: it imports a test file and takes its report. Written here as text, since it runs there. */
const PAGE = `<!doctype html>
<title>tests</title>
<script>
  async function runTests({ file, leftOut, environment }) {
    globalThis.blindbeamTests = { leftOut };
    globalThis.blindbeamEnvironment = environment;
    await import(file);
    return globalThis.blindbeamTests.finish();
  }
</script>`;

export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

/** @param bundles - Scripts by path. */
export async function servePages(root: string, bundles: ReadonlyMap<string, string>): Promise<PageServer> {
  const server: Server = createServer((request, response) => {
    const path = normalize(new URL(request.url!, 'http://x').pathname);
    const script = bundles.get(path.slice(1));
    const send = (type: string, body: string | Buffer): void =>
      void response.writeHead(200, { 'content-type': type }).end(body);
    const refuse = (): void => void response.writeHead(404).end();
    if (path === '/') send('text/html', PAGE);
    else if (script !== undefined) send('text/javascript', script);
    else if (READABLE.test(path))
      readFile(join(root, path)).then((body) => send('text/plain; charset=utf-8', body), refuse);
    else refuse();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
