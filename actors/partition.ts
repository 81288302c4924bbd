/**
 * Where a user lives: user id → partition (`protocol/wire/partition.ts`) → shard → worker. Pure arithmetic; decision 7 of docs/architecture.md.
 *
 * A partition is the unit that a cluster moves; a shard is one LMDB environment of this node, chosen when the store
 * was created; a worker is a thread of this run. So a node may be restarted with another number of threads on the
 * same store.
 */

export { PARTITION_COUNT, partitionOf } from '../protocol/wire/index.ts';

/** The shard of a partition on a node whose store has `shardCount` shards. */
export function shardOfPartition(partition: number, shardCount: number): number {
  return partition % shardCount;
}

/** The worker that owns a shard. Workers are numbered from 1; the main thread is 0 and owns none. */
export function workerOfShard(shard: number, workerCount: number): number {
  return 1 + (shard % workerCount);
}

/** The shards that a worker owns. */
export function shardsOfWorker(worker: number, shardCount: number, workerCount: number): number[] {
  const shards: number[] = [];
  for (let shard = 0; shard < shardCount; shard++) {
    if (workerOfShard(shard, workerCount) === worker) shards.push(shard);
  }
  return shards;
}
