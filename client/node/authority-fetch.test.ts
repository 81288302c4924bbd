import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { fetchUnderAuthority } from './authority-fetch.ts';

t.test('a server under an authority of one’s own is asked, and another is not believed', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-authority-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  for (const name of ['one', 'two']) {
    const argv = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x';
    const rest = [
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      path(`${name}.key`),
      '-out',
      path(`${name}.crt`),
    ];
    execFileSync('openssl', [...argv.split(' '), ...rest], { stdio: 'ignore' });
  }
  const [cert, key] = [readFileSync(path('one.crt'), 'utf8'), readFileSync(path('one.key'))];
  const server = createServer({ cert, key }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      response.writeHead(request.method === 'POST' ? 201 : 200, { 'x-said': `${request.headers['x-say']}` });
      response.end(`${request.method} ${body}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const ask = fetchUnderAuthority(cert);

  const plain = await ask(url, { headers: { 'x-say': 'hello' } });
  t.strictSame([plain.status, plain.ok, plain.headers.get('x-said'), await plain.text()], [200, true, 'hello', 'GET ']);
  const posted = await ask(url, { method: 'POST', body: new TextEncoder().encode('bytes') });
  t.strictSame([posted.status, await posted.text()], [201, 'POST bytes']);
  const streamed = await ask(url, { method: 'POST', body: new Blob(['a ', 'stream']).stream() });
  t.equal(await streamed.text(), 'POST a stream');
  const head = await ask(url, { method: 'HEAD' });
  t.strictSame([head.status, head.body], [200, null]);
  await t.rejects(ask(url, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  await t.rejects(fetchUnderAuthority(readFileSync(path('two.crt'), 'utf8'))(url, {}), /self-signed|certificate/);
});
