/**
 * The verbs about the nodes of a cluster: `node.list`, `node.map`, `node.drain`, `node.join`, `node.leave`. A node without a cluster lists itself.
 *
 * What is asked of another node is carried out by that node (`peers.ts`), which has it in its own audit log too.
 */

import { DICTIONARY_VERSION } from '../../protocol/wire/index.ts';
import { VERSIONS } from '../../runtime/cluster/index.ts';
import type { Askable } from '../admin/ask.ts';
import { AdminError } from '../admin/errors.ts';
import { checkId } from '../admin/parameters.ts';
import { defineVerb, type Verb } from '../admin/verb.ts';
import { shardsOfCentre, type Centre } from '../cluster/centres.ts';
import type { NodeHead } from '../cluster/head.ts';
import type { DepartResult, NodeControl } from '../node-control.ts';
import { PARTITION_COUNT, partitionOf, shardOfPartition } from '../partition.ts';
import { readCard } from './card.ts';
import { LIMITS } from './limits.ts';
import { listNodes, type HeardNode, type NodeAnswers, type NodeRow } from './overview.ts';
import type { OwnNode } from './own-node.ts';
import type { Peers } from './peers.ts';
import { mapShards, summarizeShards, type MapRow, type ShardSummary } from './shard-map.ts';
import type { ShardRow } from './shard-questions.ts';

const NODE = { kind: 'text', position: 1, help: 'the node, by name; default this one' } as const;
const DRAIN_PARAMETERS = {
  node: NODE as typeof NODE,
  rate: {
    kind: 'integer',
    min: 1,
    max: 1_000_000,
    help: 'connections in a second; else the setting drain-rate of that node',
  },
  withinMs: {
    kind: 'integer',
    min: 0,
    max: 3_600_000,
    default: 600_000,
    help: 'then all clients that are left go at once',
  },
} as const;

export const NODE_LIST = {
  name: 'node.list',
  summary: 'the nodes of the cluster: state, version, clients, shards, how far their copies are behind',
  changes: false,
  parameters: {},
} as const;

export const NODE_MAP = {
  name: 'node.map',
  summary: 'who owns which shard, who stands by, and since which epoch',
  changes: false,
  parameters: {
    user: { kind: 'text', help: 'only the shard of this user, by id' },
    of: { kind: 'text', help: 'only shards that this node owns, or has a copy of' },
  },
} as const;

export const NODE_DRAIN = {
  name: 'node.drain',
  summary: 'hand the shards of a node over, and send its clients away at a rate; it goes on running',
  changes: true,
  parameters: DRAIN_PARAMETERS as typeof DRAIN_PARAMETERS,
} as const;

export const NODE_JOIN = {
  name: 'node.join',
  summary: 'let a drained node have clients and shards again',
  changes: true,
  parameters: { node: NODE as typeof NODE },
} as const;

export const NODE_LEAVE = {
  name: 'node.leave',
  summary: 'drain a node, then end it',
  changes: true,
  parameters: DRAIN_PARAMETERS as typeof DRAIN_PARAMETERS,
} as const;

export interface NodeList {
  /** Name of the cluster; absent without one. */
  readonly cluster?: string;
  readonly nodes: readonly NodeRow[];
  /** Absent without a cluster. */
  readonly shards?: ShardSummary;
}

export interface NodeMap {
  readonly cluster?: string;
  readonly shards: readonly MapRow[];
}

/** The cluster of a node, as its main thread has it. */
export interface OwnCluster {
  readonly name: string;
  /** Nodes that it is said to begin with. */
  readonly founders: readonly string[];
  /** Empty for a cluster in one place. */
  readonly centres: readonly Centre[];
  readonly head: NodeHead;
  readonly peers: Peers;
}

export interface NodeVerbParts {
  readonly own: OwnNode;
  readonly control: NodeControl;
  readonly workers: Askable;
  /** Absent for a node on its own. */
  readonly cluster: OwnCluster | undefined;
  /** Ends this process in order, as SIGTERM does. */
  readonly end: () => void;
}

export function nodeVerbs(parts: NodeVerbParts): Verb[] {
  return [
    defineVerb(NODE_LIST, () => nodeList(parts)),
    defineVerb(NODE_MAP, ({ user, of }) => nodeMap(parts, user, of)),
    defineVerb(NODE_DRAIN, ({ node, rate, withinMs }, { via }) =>
      at(parts, node, via, NODE_DRAIN.name, { rate, withinMs }, () => depart(parts, rate, withinMs)),
    ),
    defineVerb(NODE_JOIN, ({ node }, { via }) =>
      at(parts, node, via, NODE_JOIN.name, {}, async () => {
        await parts.control.comeBack();
        return {};
      }),
    ),
    defineVerb(NODE_LEAVE, ({ node, rate, withinMs }, { via }) =>
      at(parts, node, via, NODE_LEAVE.name, { rate, withinMs }, async () => {
        const result = await depart(parts, rate, withinMs);
        parts.control.resolveToEnd();
        parts.workers.node.clock.setTimer(LIMITS.endPauseMs, parts.end);
        return result;
      }),
    ),
  ];
}

function depart({ control }: NodeVerbParts, rate: number | undefined, withinMs: number): Promise<DepartResult> {
  return control.depart(rate ?? control.config.drainRate, withinMs, LIMITS.handOverMs);
}

/** Here, or at the node that is named. An order of another node is never passed on. */
async function at(
  { own, cluster }: NodeVerbParts,
  node: string | undefined,
  via: string,
  verb: string,
  parameters: object,
  here: () => Promise<object>,
): Promise<object> {
  if (node === undefined || node === own.name) return here();
  if (via.startsWith('node ')) throw new AdminError('ADM_REFUSED', 'an order is for the node that gets it');
  if (cluster === undefined) throw new AdminError('ADM_NOT_FOUND', 'this node has no cluster');
  checkNode(cluster, node);
  return cluster.peers.order(node, { verb, parameters });
}

function checkNode({ head }: OwnCluster, node: string): void {
  if (head.members().some((member) => member.node === node)) return;
  throw new AdminError(
    'ADM_NOT_FOUND',
    `no node "${node.slice(0, 64)}" is there: blindbeam node list has those that are`,
  );
}

// --- looking ----------------------------------------------------------------------------------------------------

async function nodeList(parts: NodeVerbParts): Promise<NodeList> {
  const { own, cluster } = parts;
  const [answers, records] = await Promise.all([askAll(parts), own.records()]);
  const heard = [
    ownEntry(parts, answers),
    ...(cluster === undefined ? [] : cluster.head.members().map(heardOf(cluster))),
  ];
  const refused =
    cluster?.head.refused().map(({ member, refusal }) => Object.assign({ node: member.node }, refusal)) ?? [];
  const founders = cluster?.founders ?? [];
  const nodes = listNodes({ self: own.name, heard, refused, founders, records, answers });
  if (cluster === undefined) return { nodes };
  return { cluster: cluster.name, nodes, shards: summarizeShards(mapOf(cluster, records, answers)) };
}

async function nodeMap(parts: NodeVerbParts, user: string | undefined, of: string | undefined): Promise<NodeMap> {
  const { own, cluster } = parts;
  if (cluster === undefined) throw new AdminError('ADM_REFUSED', 'this node has no cluster: all shards are its own');
  if (user !== undefined) checkId('user', user);
  const [answers, records] = await Promise.all([askAll(parts), own.records()]);
  const isOf = (seat: string | undefined): boolean => seat?.slice(0, seat.lastIndexOf('.')) === of;
  const shards = mapOf(cluster, records, answers)
    .filter(({ shard }) => user === undefined || shard === shardOfPartition(partitionOf(user), records.length))
    .filter(({ owner, standby, next }) => of === undefined || [owner, standby, next].some(isOf));
  if (of !== undefined && shards.length === 0 && of !== own.name && !cluster.founders.includes(of))
    checkNode(cluster, of);
  return { cluster: cluster.name, shards };
}

function mapOf(
  { centres, head }: OwnCluster,
  records: readonly ShardRow[],
  answers: ReadonlyMap<string, NodeAnswers>,
): MapRow[] {
  const ranges = centres.map((_, index) => shardsOfCentre(index, centres.length, records.length));
  const centreOf = (shard: number): string | undefined =>
    centres[ranges.findIndex(({ first, count }) => shard >= first && shard < first + count)]?.name;
  return mapShards(records, answers, PARTITION_COUNT, { centreOf, here: head.traits.centre });
}

/** Every node at once; who does not answer is missing. */
async function askAll({ own, cluster }: NodeVerbParts): Promise<Map<string, NodeAnswers>> {
  const names = cluster?.head.members().map(({ node }) => node) ?? [];
  const ask = async (name: string): Promise<readonly [string, NodeAnswers]> => {
    const source: Pick<Peers, 'figures' | 'copies'> = name === own.name ? own : cluster!.peers;
    const [figures, copies] = await Promise.all([
      source.figures(name).catch(() => undefined),
      source.copies(name).catch(() => []),
    ]);
    return [name, { figures, copies }];
  };
  return new Map(await Promise.all([own.name, ...names].map(ask)));
}

function ownEntry({ own, cluster }: NodeVerbParts, answers: ReadonlyMap<string, NodeAnswers>): HeardNode {
  const figures = answers.get(own.name)?.figures;
  const card = Object.assign(
    { wire: DICTIONARY_VERSION, centre: cluster?.head.traits.centre },
    figures === undefined ? undefined : { release: figures.release, state: figures.state },
  );
  return { node: own.name, silentMs: 0, card, frames: VERSIONS.max };
}

function heardOf({ head }: OwnCluster): (member: ReturnType<NodeHead['members']>[number]) => HeardNode {
  return ({ node, info, versions }) => ({
    node,
    silentMs: head.silenceMs(node) ?? 0,
    card: readCard(info),
    frames: versions.max,
  });
}
