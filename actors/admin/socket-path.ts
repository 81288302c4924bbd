/**
 * Where the admin socket of a node is: for the node and for the tools that look for it.
 */

import { isAbsolute, resolve } from 'node:path';

/** Absolute: the setting `admin-socket`, seen from the store directory. */
export function adminSocketPath(data: string, socket: string): string {
  return isAbsolute(socket) ? socket : resolve(data, socket);
}
