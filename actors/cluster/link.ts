/**
 * A worker's link to its cluster: its connection to NATS, its transport, and the routes that follow who serves which shard.
 */

import type { RuntimeNode } from '../../runtime/index.ts';
import {
  type ClusterSeat,
  joinCluster,
  type MemberEvent,
  type NatsBus,
  openNatsBus,
} from '../../runtime/cluster/index.ts';
import { createClusterRoutes, type Routes } from '../routes.ts';
import type { StoreInfo } from '../store-directory.ts';
import type { ClusterConfig } from './config.ts';
import { ownersOf, shardsOfSeat, staticPlacement } from './static-placement.ts';

export interface WorkerLink {
  /** For JetStream. */
  readonly bus: NatsBus;
  readonly routes: Routes;
  /** The shards that this worker serves. */
  readonly shards: readonly number[];
  /** Takes in what the main thread has heard of other nodes. */
  apply(event: MemberEvent): void;
  /** Parts from the others, when the actors have ended. */
  close(): Promise<void>;
}

/** @throws {RuntimeError} (as rejection) RT_BUS. */
export async function linkWorker(
  node: RuntimeNode,
  config: ClusterConfig,
  seat: ClusterSeat,
  store: StoreInfo,
  workerCount: number,
): Promise<WorkerLink> {
  const bus = await openNatsBus(config.nats, `${config.node}.${node.worker}`, node.log);
  const link = joinCluster(node, seat, bus);
  const routes = createClusterRoutes(store);
  const owners = ownersOf(config.shards, config.nodes);
  const workersByNode = new Map([[config.node, workerCount]]);
  const placement = staticPlacement(owners, (name) => workersByNode.get(name));
  const placeAll = (): void => {
    for (const shard of owners.keys()) routes.place(shard, placement.ownerOf(shard));
  };
  placeAll();
  return {
    bus,
    routes,
    shards: shardsOfSeat(owners, { node: config.node, worker: node.worker }, workerCount),
    apply(event) {
      link.apply(event);
      if (event.type === 'down') return;
      workersByNode.set(event.member.node, servingWorkers(event.member.workers));
      placeAll();
    },
    close: () => link.close(),
  };
}

/** The main thread of a node, number 0, takes part and serves nothing. */
function servingWorkers(workers: readonly number[]): number {
  return Math.max(1, workers.filter((worker) => worker > 0).length);
}
