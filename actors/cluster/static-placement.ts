/**
 * Where the shards are when nobody moves them: dealt out to the nodes that the settings name.
 *
 * A node that is down takes its shards out of service until it is back; nothing of them is served elsewhere, so nothing can
 * diverge. On a node its workers share its shards as on a node on its own.
 */

import { shardsOfWorker } from '../partition.ts';
import { assignShards, type Placement, type Seat } from './placement.ts';

/** Which workers another node has; `undefined` until it was heard of. */
export type WorkersOf = (node: string) => number | undefined;

/** The owners by the settings. Pure; made once. */
export function ownersOf(shardCount: number, nodes: readonly string[]): readonly string[] {
  return assignShards(shardCount, nodes).map(({ owner }) => owner);
}

/** The shards that one worker of a node serves. */
export function shardsOfSeat(owners: readonly string[], { node, worker }: Seat, workerCount: number): number[] {
  return shardsOfWorker(worker, owners.length, workerCount).filter((shard) => owners[shard] === node);
}

/** The placement that follows from the owners, and from what each node says of its workers. */
export function staticPlacement(owners: readonly string[], workersOf: WorkersOf): Placement {
  return {
    ownerOf(shard) {
      const node = owners[shard];
      const workerCount = node === undefined ? undefined : workersOf(node);
      if (node === undefined || workerCount === undefined) return undefined;
      return { node, worker: 1 + (shard % workerCount) };
    },
  };
}
