/**
 * The main thread's part of a node in a cluster: it says that the node lives, listens who else does, and tells the workers.
 */

import type { Logger, RuntimeNode } from '../../runtime/index.ts';
import {
  type ClusterSeat,
  headCluster,
  type Member,
  type MemberEvent,
  type RefusedMember,
  openNatsBus,
} from '../../runtime/cluster/index.ts';
import { judgeMember, traitsOf } from './agreement.ts';
import type { ClusterConfig } from './config.ts';

export interface NodeHead {
  /** The other nodes that live, as this one sees it. */
  members(): readonly Member[];
  /** Nodes that say that they live and are not let in. */
  refused(): readonly RefusedMember[];
  /** How long a node has been silent, milliseconds; `undefined` for one that is not known to live. */
  silenceMs(node: string): number | undefined;
  /** Lets the others know of this node. */
  announce(info: Readonly<Record<string, unknown>>): void;
  /** Says that this node leaves, and parts. */
  close(): Promise<void>;
}

export interface HeadParts {
  readonly node: RuntimeNode;
  readonly config: ClusterConfig;
  readonly seat: ClusterSeat;
  readonly workerCount: number;
  readonly log: Logger;
  /** Tells every worker. */
  readonly onEvent: (event: MemberEvent) => void;
  /** A later process has this node's name. */
  readonly onSuperseded: () => void;
}

/** @throws {RuntimeError} (as rejection) RT_BUS. */
export async function startHead(parts: HeadParts): Promise<NodeHead> {
  const { node, config, seat, workerCount, log, onEvent, onSuperseded } = parts;
  const bus = await openNatsBus(config.nats, `${config.node}.0`, log);
  const head = headCluster(node, seat, bus, onEvent, onSuperseded, judgeMember(traitsOf(config)));
  const workers = Array.from({ length: workerCount + 1 }, (_, worker) => worker);
  return {
    members: () => head.membership.members(),
    refused: () => head.membership.refused(),
    silenceMs: (name) => head.membership.silenceMs(name),
    announce: (info) => head.membership.announce(workers, info),
    close: () => head.close(),
  };
}
