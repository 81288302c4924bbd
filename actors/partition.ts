/**
 * Where a user lives: user id → partition → shard → worker. Pure arithmetic; decision 7 of docs/architecture.md.
 *
 * A partition is the unit that a cluster moves; a shard is one LMDB environment of this node, chosen when the store
 * was created; a worker is a thread of this run. So a node may be restarted with another number of threads on the
 * same store.
 */

/** Partitions of the whole service. Never changes: it is part of every stored key's placement. */
export const PARTITION_COUNT = 1024;

/** The partition of a user id: FNV-1a over its ASCII digits, folded to ten bits. */
export function partitionOf(user: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < user.length; index++) {
    hash = Math.imul(hash ^ user.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (PARTITION_COUNT - 1);
}

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
