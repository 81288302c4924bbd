/**
 * The port of a node, settled before its workers share it.
 *
 * uWebSockets.js listens with SO_REUSEPORT, so that several workers can have one port. The other side of that coin: a
 * second node would share the port silently and take half of the connections. So the main thread first takes the port
 * for itself alone, which fails if anybody has it, and lets it go again for the workers.
 */

import { createServer, type AddressInfo } from 'node:net';
import { StartupError } from './errors.ts';

/**
 * Resolves to `port`, or to a free one for 0.
 *
 * @throws {StartupError} APP_PORT_BUSY; APP_CONFIG for an address that is not one of this machine's.
 */
export function claimPort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen({ host, port, exclusive: true }, () => {
      const claimed = (server.address() as AddressInfo).port;
      server.close(() => resolve(claimed));
    });
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
