/**
 * The port of a node, settled before its workers share it.
 *
 * uWebSockets.js listens with SO_REUSEPORT, so that several workers can have one port. The other side of that coin: a
 * second node would share the port silently and take half of the connections. So the main thread first takes the port
 * for itself alone, which fails if anybody has it, and lets it go again for the workers.
 */

import { createServer } from 'node:net';
import type { Random } from '../../runtime/index.ts';
import { FREE_PORTS, ownPlaces } from '../../runtime/port-places.ts';
import { isStartupError, StartupError } from '../errors.ts';

const ATTEMPTS_MAX = 32;

/**
 * Resolves to `port`, or to a free one for 0.
 *
 * @throws {StartupError} APP_PORT_BUSY; APP_CONFIG for an address that is not one of this machine's.
 */
export async function claimPort(
  host: string,
  port: number,
  random: Pick<Random, 'integer'> = ownPlaces,
): Promise<number> {
  if (port !== 0) return claim(host, port);
  for (let attempt = 1; ; attempt++) {
    try {
      return await claim(host, FREE_PORTS.first + random.integer(FREE_PORTS.count));
    } catch (error) {
      const isBusy = isStartupError(error) && error.code === 'APP_PORT_BUSY';
      if (!isBusy || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

function claim(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(port)));
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): StartupError {
  if (error.code === 'EADDRINUSE') {
    return new StartupError(
      'APP_PORT_BUSY',
      `${host}:${port} is taken; stop the process there or choose another with --port`,
    );
  }
  return new StartupError('APP_CONFIG', `cannot listen on ${host}:${port}: ${error.message}. See --host and --port.`);
}
