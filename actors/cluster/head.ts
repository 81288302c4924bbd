/**
 * The main thread's part of a node in a cluster: it says that the node lives, listens who else does, and tells the workers.
 */

import { systemRandom, type Logger, type RuntimeNode } from '../../runtime/index.ts';
import {
  type ClusterSeat,
  headCluster,
  type Member,
  type MemberEvent,
  type RefusedMember,
  openNatsBus,
} from '../../runtime/cluster/index.ts';
import { agreeWithCluster, drawClusterId, judgeMember, traitsOf, type ClusterTraits } from './agreement.ts';
import type { ClusterConfig } from './config.ts';
import { domainOf, openAgreement } from './jetstream-net.ts';

export interface NodeHead {
  /** What this node has in common with the others, for its signs of life. */
  readonly traits: ClusterTraits;
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

/** @throws {RuntimeError | StartupError} (as rejection) RT_BUS; what `agreeWithCluster` throws. */
export async function startHead(parts: HeadParts): Promise<NodeHead> {
  const { node, config, seat, workerCount, log, onEvent, onSuperseded } = parts;
  const bus = await openNatsBus(config.nats, `${config.node}.0`, log);
  const { name: cluster, replicas } = config;
  const { clock } = node;
  warnOfDomain(config, await domainOf(bus, clock), log);
  const agreement = await openAgreement({ bus, clock, logger: log, cluster, replicas });
  const ours = traitsOf(config);
  const id = await agreeWithCluster(agreement, ours, drawClusterId(systemRandom), clock);
  const traits = Object.assign({}, ours, { id });
  const head = headCluster(node, seat, bus, onEvent, onSuperseded, judgeMember(traits));
  const workers = Array.from({ length: workerCount + 1 }, (_, worker) => worker);
  return {
    traits,
    members: () => head.membership.members(),
    refused: () => head.membership.refused(),
    silenceMs: (name) => head.membership.silenceMs(name),
    announce: (info) => head.membership.announce(workers, info),
    close: () => head.close(),
  };
}

/**
 * Servers with a domain may be those of one data centre of several, and then cluster-centres was forgotten. They may also have it for something else, so the node
 * starts; nodes of another domain that do the same are refused by the id of their cluster.
 */
function warnOfDomain({ centres }: ClusterConfig, domain: string | undefined, log: Logger): void {
  if (centres.length > 0 || domain === undefined) return;
  const reason = 'if these servers are those of one data centre of several, set cluster-centres and cluster-centre now';
  log.warn('jetstream_domain_without_centre', { domain, reason });
}
