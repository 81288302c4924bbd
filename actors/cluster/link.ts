/**
 * A worker's link to its cluster: its connection to NATS, its transport, its membership, and the routes that follow who serves which shard.
 */

import { systemRandom, type RuntimeNode } from '../../runtime/index.ts';
import { type ClusterSeat, joinCluster, type MemberEvent, openNatsBus } from '../../runtime/cluster/index.ts';
import type { ConnectionMessage } from '../messages.ts';
import { createClusterRoutes, type Routes } from '../routes.ts';
import type { StoreInfo } from '../store-directory.ts';
import type { ReplicaStore } from '../store/lmdb.ts';
import { Abroad } from './abroad.ts';
import { agreeWithCluster, drawClusterId, traitsOf } from './agreement.ts';
import { shardsOfCentre } from './centres.ts';
import type { ClusterConfig } from './config.ts';
import { openAgreement, openJetStreamNet } from './jetstream-net.ts';
import { Member, type ShardReport } from './member.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';
import { Orphans } from './orphans.ts';
import type { ServedShard } from './shard-host.ts';

export interface WorkerLink {
  readonly routes: Routes;
  /** Takes part in the ownership of shards from now on. */
  join(duties: ShardDuties): void;
  /** Resolves when every shard has an owner, and those of this worker are served; or when the time is over. */
  untilServed(timeoutMs: number): Promise<void>;
  /** Every shard of the cluster as this worker knows it. */
  report(): ShardReport[];
  /** Its connection to NATS. */
  bus(): BusReport;
  /** Hands over what is owned here, and takes nothing more; resolves to the number of shards that are left when the time is over, or `comeBack` ends it. */
  leave(timeoutMs: number): Promise<number>;
  /** After `leave`: takes shards again. */
  comeBack(): void;
  /** Stops serving and following, and closes the stores. */
  resign(): Promise<void>;
  /** Takes in what the main thread has heard of other nodes. */
  apply(event: MemberEvent): void;
  /** Parts from the others, when the actors have ended. */
  close(): Promise<void>;
}

/** How a thread is connected to NATS. */
export interface BusReport {
  readonly isUp: boolean;
  /** Host and port of the server. */
  readonly server: string;
}

/** What a worker does with a shard that it is given. */
export interface ShardDuties {
  /** Opens its store, to follow or to serve. */
  readonly open: (shard: number) => ReplicaStore;
  /** Starts its actors. @param isSilent - Whether commits wait for a log that does not answer. */
  readonly serve: (shard: number, store: ReplicaStore, isSilent: () => boolean) => Promise<ServedShard>;
}

/** @throws {RuntimeError | StartupError} (as rejection) RT_BUS; what `agreeWithCluster` throws. */
export async function linkWorker(
  node: RuntimeNode,
  config: ClusterConfig,
  seat: ClusterSeat,
  store: StoreInfo,
  workerCount: number,
): Promise<WorkerLink> {
  const { clock, log: logger } = node;
  const servers = config.nats.servers.join(', ');
  const late = clock.setTimer(LIMITS.natsWaitMs, () => logger.warn('nats_not_reached', { servers }));
  const name = `${config.node}.${node.worker}`;
  const bus = await openNatsBus(config.nats, name, logger).finally(() => clock.clearTimer(late));
  const link = joinCluster(node, seat, bus);
  const prospect = {
    isLeased: () => member?.isLeased() === true,
    servedBy: (shard: number) => member?.servedBy(shard),
  };
  const orphans = new Orphans(prospect, logger, (pid, kind, shard) => {
    node.cast(pid, { kind, shard } satisfies ConnectionMessage);
  });
  const routes = createClusterRoutes(store, (...of) => orphans.wait(...of, clock.monotonicMs()));
  const { connection } = bus;
  const { name: cluster, replicas, shards: shardCount, centres, centre } = config;
  const home = shardsOfCentre(Math.max(0, centre), Math.max(1, centres.length), shardCount);
  const common = { bus, clock, logger, cluster, replicas };
  // Before anything is made for shards or a centre that the cluster does not have.
  await agreeWithCluster(await openAgreement(common), traitsOf(config), drawClusterId(systemRandom), clock);
  const net = await openJetStreamNet(Object.assign(common, { shards: home, centres, centre }));
  const abroad = new Abroad(centres, shardCount);
  let member: Member<ReplicaStore> | undefined;
  bus.watch((isUp) => {
    if (!isUp) member?.disconnected();
  });
  return {
    routes,
    join({ open, serve }) {
      const self = { node: config.node, worker: node.worker, life: seat.life };
      const onOwner = routes.place;
      const writer = systemRandom.integer(2 ** 32) * 2 ** 16 + systemRandom.integer(2 ** 16);
      const onLook = (nowMs: number): void => orphans.look(nowMs);
      const common = { net, clock, logger, self, writer, workers: workerCount, shardCount, home, onOwner, onLook };
      const founders = config.nodes;
      const isLocal = config.durability === 'local';
      member = new Member<ReplicaStore>({ ...common, abroad, founders, isLocal, openStore: open, serve });
      member.start();
    },
    untilServed: async (timeoutMs) => {
      const untilMs = clock.monotonicMs() + timeoutMs;
      while (member?.isPlaced() === false && clock.monotonicMs() < untilMs) await pause(clock, LIMITS.lookMs);
    },
    report: () => member?.report() ?? [],
    bus: () => ({ isUp: bus.isUp, server: connection.getServer() }),
    comeBack: () => member?.comeBack(),
    leave: async (timeoutMs) => (await member?.leave(timeoutMs)) ?? 0,
    resign: async () => member?.stop(),
    apply(event) {
      abroad.noteMember(event);
      link.apply(event);
    },
    close: () => link.close(),
  };
}
