/**
 * The port of a node, settled before its workers share it.
 *
 * uWebSockets.js listens with SO_REUSEPORT, so that several workers can have one port. The other side of that coin: a
 * second node would share the port silently and take half of the connections. So the main thread first takes the port
 * for itself alone, which fails if anybody has it, and lets it go again for the workers.
 */

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { Random } from '../../runtime/index.ts';
import { isStartupError, StartupError } from '../errors.ts';

/**
 * Where a free port is looked for: below those that kernels give to outgoing connections (from 32,768 on Linux, 49,152
 * elsewhere). One of these could be taken between the claim and the listening.
 */
const FREE_PORTS = { first: 20_000, count: 12_000 } as const;
const ATTEMPTS_MAX = 32;

/** Has no divisor in common with the count of ports, so that so many process numbers in a row lead to as many ports. */
const PLACE_STEP = 7_919;
/** The first processes of a container. Several may share one network, and all have the same numbers. */
const CONTAINER_PID_MAX = 100;

/**
 * Where a process looks, by its number. Two nodes that start at one moment might draw the same port, and each find it free while the
 * other has let it go for its workers; numbers that are near each other lead to other ports. In a container the number says nothing, and
 * chance has to do.
 */
export function placesOf(pid: number, chance: (bound: number) => number): Pick<Random, 'integer'> {
  let drawn = 0;
  let start: number | undefined;
  return {
    integer: (bound) => {
      start ??= pid < CONTAINER_PID_MAX ? chance(bound) : pid * PLACE_STEP;
      return (start + drawn++) % bound;
    },
  };
}

const ownPlaces: Pick<Random, 'integer'> = placesOf(process.pid, (bound) => randomInt(bound));

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
