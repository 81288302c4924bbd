/** Ports: a given one is had or refused; a free one is looked for where the kernel gives out none. */
import { createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { claimPort } from './port.ts';

const HOST = '127.0.0.1';

/** Gives out these, then zeros. */
function drawing(...draws: number[]): { integer: (bound: number) => number } {
  return { integer: () => draws.shift() ?? 0 };
}

t.test('a given port that is taken is refused with a code', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await t.rejects(claimPort(HOST, port), { code: 'APP_PORT_BUSY' });
});

t.test('a free port is below those of outgoing connections, and another one where it is taken', async (t) => {
  const first = await claimPort(HOST, 0);
  t.ok(first >= 20_000 && first < 32_000, String(first));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(first, HOST, resolve));
  t.teardown(() => server.close());
  const next = first === 20_007 ? 8 : 7;
  t.equal(await claimPort(HOST, 0, drawing(first - 20_000, next)), 20_000 + next);
});

t.test('where none is free, or the address is not ours, it says so', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(20_000, HOST, resolve));
  t.teardown(() => server.close());
  await t.rejects(claimPort(HOST, 0, drawing()), { code: 'APP_PORT_BUSY' });
  await t.rejects(claimPort('192.0.2.1', 0), { code: 'APP_CONFIG' });
});
