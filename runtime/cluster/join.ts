/**
 * Joins a thread to a cluster: its node's kernel gets a transport that reaches further.
 *
 *   main thread     membership ── events ──▶ its own transport, and by the application's way to each worker
 *   worker          transport ◀── events ── from main
 *
 * Each thread has a connection of its own to the bus, so that a packet takes one hop to the worker that it is for.
 */

import type { RuntimeNode } from '../node.ts';
import { type Bus, isNodeName } from './bus.ts';
import type { Member } from './greeting.ts';
import { LIMITS } from './limits.ts';
import { Membership, type MemberEvent, type MemberRefusal } from './membership.ts';
import { ClusterTransport } from './transport.ts';

/** What all threads of a node have in common. Plain data. */
export interface ClusterSeat {
  /** Name of the cluster; nodes of different ones do not see each other. */
  readonly cluster: string;
  /** Which life of this node: the wall clock at its start. */
  readonly life: number;
}

/** One thread's part in the cluster. */
export interface ClusterLink {
  readonly bus: Bus;
  readonly transport: ClusterTransport;
  /** Takes in what the main thread's membership has found. */
  apply(event: MemberEvent): void;
  /** Parts, after the actors have ended. */
  close(): Promise<void>;
}

/** Joins one thread. Its node must have the transport between threads already, if there is one. */
export function joinCluster(node: RuntimeNode, seat: ClusterSeat, bus: Bus): ClusterLink {
  checkName('node', node.name, LIMITS.nodeNameCharsMax);
  checkName('cluster', seat.cluster, LIMITS.clusterNameCharsMax);
  const transport = new ClusterTransport(node.kernel, { cluster: seat.cluster, life: seat.life, bus });
  return {
    bus,
    transport,
    apply(event) {
      if (event.type === 'down') transport.nodeDown(event.node);
      else transport.nodeUp(event.member);
    },
    async close() {
      transport.close();
      await bus.close();
    },
  };
}

/** What the main thread of a node has on top. */
export interface ClusterHead extends ClusterLink {
  readonly membership: Membership;
}

/**
 * Joins the main thread, and begins to listen who is there; `membership.announce` then makes this node known.
 *
 * @param onEvent - Called after this thread's actors were told; pass it on to the workers.
 * @param onSuperseded - A later process has this node's name: end.
 * @param judge - Why a node is not let in. Default: all are.
 */
export function headCluster(
  node: RuntimeNode,
  seat: ClusterSeat,
  bus: Bus,
  onEvent: (event: MemberEvent) => void,
  onSuperseded: () => void,
  judge: (member: Member, known: Member | undefined) => MemberRefusal | undefined = () => undefined,
): ClusterHead {
  const link = joinCluster(node, seat, bus);
  const membership = new Membership({
    cluster: seat.cluster,
    node: node.name,
    life: seat.life,
    bus,
    clock: node.clock,
    log: node.log,
    onSuperseded,
    judge,
    onEvent(event) {
      link.apply(event);
      onEvent(event);
    },
  });
  return {
    bus,
    transport: link.transport,
    membership,
    apply: (event) => link.apply(event),
    async close() {
      membership.leave();
      await link.close();
    },
  };
}

function checkName(what: string, name: string, charsMax: number): void {
  if (isNodeName(name, charsMax)) return;
  throw new RangeError(`"${what}" expected 1 to ${charsMax} of a-z, 0-9 and inner dashes, got "${name}"`);
}
