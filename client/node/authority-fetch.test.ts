import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { makeSelfSigned, OPENSSL } from '../../test/certificates.ts';
import type { TransportClose } from '../close-reason.ts';
import { memoryStore } from '../memory-store.ts';
import { fetchUnderAuthority, holdsCertificate } from './authority-fetch.ts';
import { createClient } from './index.ts';
import { transportUnder } from './ws-transport.ts';

t.test('a server under an authority of one’s own is asked, and another is not believed', OPENSSL, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-authority-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  for (const name of ['one', 'two']) makeSelfSigned(directory, name, { altNames: 'IP:127.0.0.1' });
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
  const two = readFileSync(path('two.crt'), 'utf8');
  await t.rejects(fetchUnderAuthority(two)(url, {}), /self-signed|certificate/);

  // The same of a socket: whom nobody trusted vouches for is told from one that is away.
  const dial = (ca: string | undefined): Promise<TransportClose> =>
    new Promise((onClose) => {
      transportUnder(ca).dial(url.replace('https', 'wss'), { onMessage: () => undefined, onClose });
    });
  for (const ca of [undefined, two]) t.match(await dial(ca), { code: 1006, isUntrusted: true });
  t.match(await dial(cert), { code: 1006, isUntrusted: undefined }, 'trusted, and no server of ours');
  const client = await createClient({ url: url.replace('https', 'wss'), store: memoryStore(), ca: two });
  await t.rejects(client.requestCode('+4915100000001'), { code: 'CLI_UNTRUSTED' });
  await client.close();
});

t.test('what is no certificate is refused where it is given', async (t) => {
  for (const text of ['', 'x', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
    t.equal(holdsCertificate(text), false);
    const creating = createClient({ url: 'wss://127.0.0.1:1', store: memoryStore(), ca: text });
    await t.rejects(creating, { name: 'TypeError', message: /^"ca" expected certificates in PEM$/ });
  }
});
