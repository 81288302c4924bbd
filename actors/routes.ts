/**
 * Which actor is responsible for a user: the map from partitions to the actors of a shard, on this node or, in a
 * cluster, on another.
 *
 * Names, not pids: an actor that its supervisor restarted is found again without telling anybody.
 */

import type { Pid } from '../runtime/index.ts';
import type { Seat } from './cluster/placement.ts';
import { partitionOf, PARTITION_COUNT, shardOfPartition, workerOfShard } from './partition.ts';
import { partitionOfPhone, type StoreInfo } from './store-directory.ts';

/** An actor registered on a worker (OTP's `{Name, Node}`); without `node`, of this node. */
export interface RemoteName {
  readonly name: string;
  readonly worker: number;
  readonly node?: string;
  /** In a cluster, of which shard it is; missing for a keeper of a worker. */
  readonly shard?: number;
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
  /** Whether shards change their nodes. */
  readonly isClustered: boolean;
  /**
   * For an actor that lost the owner of `shard` on `seat`, in a cluster: `pid` is told `shard-served` when there is another one, or `shard-missing`, once for
   * each call.
   */
  waitForOwner(shard: number, seat: Seat, pid: Pid): void;
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

export function outboxName(shard: number): string {
  return `outbox.${shard}`;
}

export function groupsName(shard: number): string {
  return `groups.${shard}`;
}

/** The keeper of media of a worker. */
export const MEDIA_NAME = 'media';

/** Builds the map of a node on its own, once; a look-up is one hash and one array access. */
export function createRoutes(store: StoreInfo, workerCount: number): Routes {
  const row = Array.from({ length: store.shards }, (_, shard) => targetsOf(shard, workerOfShard(shard, workerCount)));
  return routesOf(store, row);
}

/** Routes that change with who serves what. */
export interface PlacedRoutes extends Routes {
  /** From now on `shard` is served there; `undefined`: by nobody that is known, and sends to it say `noconnection`. */
  place(shard: number, seat: Seat | undefined): void;
}

/** No node can have this name. */
const NOWHERE: Seat = { node: '-', worker: 0 };

/**
 * Builds the map of a node in a cluster, with every shard nowhere.
 *
 * Whoever holds an address that it looked up holds one that follows its shard: `place` changes it in place.
 */
export function createClusterRoutes(store: StoreInfo, waitForOwner: Routes['waitForOwner']): PlacedRoutes {
  const row = Array.from({ length: store.shards }, (_, shard) => targetsOf(shard, NOWHERE.worker, NOWHERE.node));
  return {
    ...routesOf(store, row),
    isClustered: true,
    waitForOwner,
    place(shard, { node, worker } = NOWHERE) {
      for (const address of Object.values(row[shard]!)) Object.assign(address, { node, worker });
    },
  };
}

/** Whom a shard's users are served by: one address for each kind of actor. */
type Targets = Readonly<Record<'inbox' | 'accounts' | 'presence' | 'wakeups' | 'relations' | 'groups', RemoteName>>;

function targetsOf(shard: number, worker: number, node?: string): Targets {
  const address = (name: string): RemoteName => (node === undefined ? { name, worker } : { name, worker, node, shard });
  return {
    inbox: address(inboxName(shard)),
    accounts: address(accountsName(shard)),
    presence: address(presenceName(shard)),
    wakeups: address(wakeupsName(shard)),
    relations: address(relationsName(shard)),
    groups: address(groupsName(shard)),
  };
}

function routesOf(store: StoreInfo, row: readonly Targets[]): Routes {
  const targets = Array.from(
    { length: PARTITION_COUNT },
    (_, partition) => row[shardOfPartition(partition, store.shards)]!,
  );
  const of = (id: string): Targets => targets[partitionOf(id)]!;
  // One keeper for each worker: the one that owns the shard.
  const keeperOf = (name: string, id: string): RemoteName => {
    const { worker, node } = of(id).inbox;
    return node === undefined ? { name, worker } : { name, worker, node };
  };
  return {
    inboxOf: (user) => of(user).inbox,
    accountsOf: (user) => of(user).accounts,
    accountsOfPhone: (phone) => targets[partitionOfPhone(store, phone)]!.accounts,
    presenceOf: (user) => of(user).presence,
    linksOf: (link) => keeperOf(LINKS_NAME, link),
    groupsOf: (group) => of(group).groups,
    mediaOf: (user) => keeperOf(MEDIA_NAME, user),
    quotasOf: (user) => keeperOf(QUOTAS_NAME, user),
    wakeupsOf: (user) => of(user).wakeups,
    relationsOf: (user) => of(user).relations,
    isClustered: false,
    waitForOwner: () => undefined,
  };
}
