/** The bounds of a node as one of its workers holds them; they may change while it runs. */

import type { AdmissionBounds } from './admission.ts';
import type { NodeConfig } from './config.ts';
import { LIMITS } from './limits.ts';
import type { StoreInfo } from './store-directory.ts';

/** What one shard may hold. Read for every commit, so that another value holds from the next on. */
export interface StoreBounds {
  queuedBytesMax: number;
}

export function storeBounds(config: NodeConfig, { shards }: StoreInfo): StoreBounds {
  return { queuedBytesMax: Math.floor(config.storeBytes / shards) };
}

/** The share of one worker: the kernel spreads connections over them evenly. */
export function admissionBounds(config: NodeConfig): AdmissionBounds {
  const share = (bound: number): number => (bound === 0 ? Infinity : bound / config.workers);
  return {
    connections: Math.min(LIMITS.connectionCountMax, Math.ceil(share(config.connections))),
    addressConnections: Math.ceil(share(config.addressConnections)),
    addressConnects: share(config.addressConnects),
    addressRegistrations: share(config.addressRegistrations),
  };
}
