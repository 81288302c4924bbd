/** Ports: a given one is had or refused; a free one is looked for where the kernel gives out none. */
import { createServer, type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { placesOf } from '../../runtime/port-places.ts';
import { claimPort } from './port.ts';

const HOST = '127.0.0.1';

/** Gives out these. */
function drawing(...draws: number[]): { integer: (bound: number) => number } {
  return { integer: () => draws.shift()! };
}

t.test('a given port that is taken is refused with a code', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  await t.rejects(claimPort(HOST, port), { code: 'APP_PORT_BUSY' });
});

/** Listens on a free port of those that are looked through. */
async function take(t: Test): Promise<number> {
  const port = await claimPort(HOST, 0);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, HOST, resolve));
  t.teardown(() => server.close());
  return port;
}

t.test('a free port is below those of outgoing connections, and another one where it is taken', async (t) => {
  const taken = await take(t);
  t.ok(taken >= 20_000 && taken < 32_000, String(taken));
  const free = await claimPort(HOST, 0);
  t.not(free, taken);
  t.equal(await claimPort(HOST, 0, drawing(taken - 20_000, free - 20_000)), free);
});

t.test('processes look in different places: by their number, and by chance where all have the same one', (t) => {
  const firstOf = (pid: number, chance: number): number => placesOf(pid, () => chance).integer(12_000);
  t.equal(new Set(Array.from({ length: 12_000 }, (_, index) => firstOf(1_000 + index, 5))).size, 12_000);
  t.notSame(firstOf(1, 5), firstOf(1, 6), 'two containers in one network');
  const places = placesOf(1, () => 11_999);
  t.same([places.integer(12_000), places.integer(12_000)], [11_999, 0], 'one after the other from there');
  t.end();
});

t.test('where none is free, or the address is not ours, it says so', async (t) => {
  const taken = await take(t);
  await t.rejects(claimPort(HOST, 0, { integer: () => taken - 20_000 }), { code: 'APP_PORT_BUSY' });
  await t.rejects(claimPort('192.0.2.1', 0), { code: 'APP_CONFIG' });
});
