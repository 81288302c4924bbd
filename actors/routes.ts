/**
 * Which actor is responsible for a user: the map from partitions to the inbox and accounts actors of this node.
 *
 * Names, not pids: an actor that its supervisor restarted is found again without telling anybody.
 */

import { partitionOf, PARTITION_COUNT, shardOfPartition, workerOfShard } from './partition.ts';
import { partitionOfPhone, type StoreInfo } from './store-directory.ts';

/** An actor registered on a worker of this node (OTP's `{Name, Node}`). */
export interface RemoteName {
  readonly name: string;
  readonly worker: number;
}

export interface Routes {
  inboxOf(user: string): RemoteName;
  accountsOf(user: string): RemoteName;
  accountsOfPhone(phone: string): RemoteName;
  mediaOf(user: string): RemoteName;
  presenceOf(user: string): RemoteName;
  quotasOf(user: string): RemoteName;
  relationsOf(user: string): RemoteName;
  linksOf(link: string): RemoteName;
  groupsOf(group: string): RemoteName;
  wakeupsOf(user: string): RemoteName;
}

export function inboxName(shard: number): string {
  return `inbox.${shard}`;
}

export function accountsName(shard: number): string {
  return `accounts.${shard}`;
}

export function presenceName(shard: number): string {
  return `presence.${shard}`;
}

export function relationsName(shard: number): string {
  return `relations.${shard}`;
}

/** The keeper of pending links of a worker. */
export const LINKS_NAME = 'links';

export function wakeupsName(shard: number): string {
  return `wakeups.${shard}`;
}

/** The keeper of quotas of a worker. */
export const QUOTAS_NAME = 'quotas';

export function groupsName(shard: number): string {
  return `groups.${shard}`;
}

/** The keeper of media of a worker. */
export const MEDIA_NAME = 'media';

/** Builds the map once; a look-up is one hash and one array access. */
export function createRoutes(store: StoreInfo, workerCount: number): Routes {
  const inboxes = targets(inboxName, store.shards, workerCount);
  const accounts = targets(accountsName, store.shards, workerCount);
  const presences = targets(presenceName, store.shards, workerCount);
  const wakeups = targets(wakeupsName, store.shards, workerCount);
  const relations = targets(relationsName, store.shards, workerCount);
  const groups = targets(groupsName, store.shards, workerCount);
  return {
    inboxOf: (user) => inboxes[partitionOf(user)]!,
    accountsOf: (user) => accounts[partitionOf(user)]!,
    accountsOfPhone: (phone) => accounts[partitionOfPhone(store.secret, phone)]!,
    presenceOf: (user) => presences[partitionOf(user)]!,
    linksOf: (link) => ({ name: LINKS_NAME, worker: inboxes[partitionOf(link)]!.worker }),
    groupsOf: (group) => groups[partitionOf(group)]!,
    // One keeper for each worker: the one that owns the user's shard.
    mediaOf: (user) => ({ name: MEDIA_NAME, worker: inboxes[partitionOf(user)]!.worker }),
    quotasOf: (user) => ({ name: QUOTAS_NAME, worker: inboxes[partitionOf(user)]!.worker }),
    wakeupsOf: (user) => wakeups[partitionOf(user)]!,
    relationsOf: (user) => relations[partitionOf(user)]!,
  };
}

function targets(name: (shard: number) => string, shards: number, workerCount: number): RemoteName[] {
  return Array.from({ length: PARTITION_COUNT }, (_, partition) => {
    const shard = shardOfPartition(partition, shards);
    return { name: name(shard), worker: workerOfShard(shard, workerCount) };
  });
}
