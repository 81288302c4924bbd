/** Ports for servers that tests start and start again, which nobody else takes in between. An adapter: it listens for a moment. */

import { createServer, type Server } from 'node:net';
import { FREE_PORTS, ownPlaces } from '../port-places.ts';

const HOST = '127.0.0.1';
const ATTEMPTS_MAX = 1_000;

/** Ports that nobody listens on, all different, and none of those that the kernel gives to outgoing connections. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  for (let attempt = 1; held.size < count; attempt += 1) {
    if (attempt > ATTEMPTS_MAX) throw new Error(`of ${ATTEMPTS_MAX} ports only ${held.size} were free`);
    const port = FREE_PORTS.first + ownPlaces.integer(FREE_PORTS.count);
    const server = await hold(port);
    if (server !== undefined) held.set(port, server);
  }
  await Promise.all(Array.from(held.values(), (server) => new Promise((resolve) => server.close(resolve))));
  return [...held.keys()];
}

function hold(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen({ host: HOST, port, exclusive: true }, () => resolve(server));
  });
}
