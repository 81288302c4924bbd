import { createServer } from 'node:net';
import t from 'tap';

import { FREE_PORTS } from '../port-places.ts';
import { freePorts } from './free-ports.ts';

t.test('ports are all different, free, and below those of outgoing connections', async (t) => {
  const ports = [...(await freePorts(6)), ...(await freePorts(6))];
  t.equal(new Set(ports).size, 12, 'also those of one call and the next');
  for (const port of ports) {
    t.ok(port >= FREE_PORTS.first && port < FREE_PORTS.first + FREE_PORTS.count, `${port}`);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    t.teardown(() => server.close());
  }
});

t.test('one that is taken is left out', async (t) => {
  const [first] = (await freePorts(1)) as [number];
  // The next ones in their order.
  const taken = [first + 1, first + 2].map((port) => createServer().listen(port, '127.0.0.1'));
  t.teardown(() => taken.forEach((server) => server.close()));
  await Promise.all(
    taken.map((server) => new Promise((resolve) => server.once('listening', resolve).once('error', resolve))),
  );
  const ports = await freePorts(2);
  t.notOk(ports.includes(first + 1) || ports.includes(first + 2), ports.join());
});
