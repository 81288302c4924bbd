/**
 * Unix sockets of a node: paths that fit, and files that a killed process left behind. Knows nothing of what is said on
 * them; `../store-directory.ts` holds a directory with one, `../admin/server.ts` serves operators on another.
 */

import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { relative } from 'node:path';

/** A socket's path must fit `sockaddr_un`, 108 bytes on Linux with the closing zero; 104 elsewhere. */
export const SOCKET_PATH_BYTES_MAX = 103;

/** `path`, or what it is seen from the working directory, if that alone fits; `undefined` if neither does. */
export function fitSocketPath(path: string): string | undefined {
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
  const near = relative(process.cwd(), path);
  return Buffer.byteLength(near) <= SOCKET_PATH_BYTES_MAX ? near : undefined;
}

/**
 * Listens on `path`, which must fit. A socket file that nobody answers is left over from a process that was killed, and
 * makes room; one that answers is somebody's.
 *
 * @param isPrivate - Only the owner of the process may connect, from the first moment on.
 * @returns The listening server, or `'held'`.
 * @throws (as rejection) what the system said, if it is not that the path is taken.
 */
export async function listenUnix(
  path: string,
  onConnection: (socket: Socket) => void,
  isPrivate: boolean = false,
): Promise<Server | 'held'> {
  for (let attempt = 0; attempt < 2; attempt++) {
    const server = await listenOnce(path, onConnection, isPrivate);
    if (server !== undefined) return server;
    if (await answers(path)) return 'held';
    rmSync(path, { force: true });
  }
  return 'held';
}

function listenOnce(
  path: string,
  onConnection: (socket: Socket) => void,
  isPrivate: boolean,
): Promise<Server | undefined> {
  return new Promise((accept, reject) => {
    const server = createServer(onConnection);
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') accept(undefined);
      else reject(error);
    });
    // The file is made within `listen`: with this mask there is no moment in which somebody else may open it.
    const mask = isPrivate ? process.umask(0o177) : undefined;
    try {
      server.listen(path, () => accept(server));
    } finally {
      if (mask !== undefined) process.umask(mask);
    }
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((accept) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      accept(true);
    });
    socket.once('error', () => accept(false));
  });
}
