/**
 * The runtime across nodes: sends, calls, links and monitors between actors of different nodes, over NATS.
 *
 * A node that has joined a cluster gives its actors nothing new to learn: a pid names its node, a send to it travels, a
 * link or monitor breaks with `'noconnection'` when the node is gone, and `{ name, worker, node }` is OTP's
 * `{Name, Node}`. What is different is what is not promised: names are those of one worker, and there is no global registry.
 *
 * Read in this order: `bus.ts` (what carries bytes), `greeting.ts`, `membership.ts` (who is alive), `channel.ts` (order
 * and no loss), `transport.ts` (the whole), `join.ts`. How it was measured: docs/internals/cluster.md.
 */

export { type Bus, isNodeName, subjects } from './bus.ts';
export { agreeOn, type Member, VERSIONS, type VersionRange } from './greeting.ts';
export { type ClusterHead, type ClusterLink, type ClusterSeat, headCluster, joinCluster } from './join.ts';
export { LIMITS as CLUSTER_LIMITS } from './limits.ts';
export { type MemberEvent, type MemberRefusal, Membership, type RefusedMember } from './membership.ts';
export { type NatsAddress, NatsBus, openNatsBus } from './nats-bus.ts';
export { RefusedMessages } from './refused-messages.ts';
export { ClusterTransport } from './transport.ts';
