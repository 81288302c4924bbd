/**
 * The cluster at one look: its nodes, and who has which shard. Pure: put together from what this node heard, what the registry says and what each node
 * tells of itself. A node that does not answer has its row all the same.
 */

import type { Seat } from '../cluster/placement.ts';
import type { NodeCard } from './card.ts';
import { LIMITS } from './limits.ts';
import type { NodeFigures } from './own-node.ts';
import type { CopyRow, ShardRow } from './shard-questions.ts';

/**
 * `suspect`: it is silent, or says that it lives and does not answer. `gone`: it is known, and is not there. `refused`: it is there, and does not belong.
 */
export type NodeListState = 'up' | 'suspect' | 'draining' | 'leaving' | 'gone' | 'refused';

export interface NodeRow {
  readonly node: string;
  readonly state: NodeListState;
  /** Of a refused node the code and what to do; of a suspect one what is wrong. */
  readonly reason?: string;
  readonly isThis: boolean;
  readonly release?: string;
  /** Version of the dictionary that it speaks with clients. */
  readonly wire?: number;
  /** Highest version that it speaks with other nodes. */
  readonly frames?: number;
  /** Shards that it owns, and that it stands by for. */
  readonly owned: number;
  readonly standby: number;
  /** Of those it stands by for, how many no owner says to be whole: they are being made, or the owner does not answer. */
  readonly copying: number;
  /** How far its copies are behind, the worst of them, as the owners say; absent without copies. */
  readonly lag?: { readonly records: number; readonly ms: number };
  readonly sessions?: number;
  readonly workers?: number;
  readonly memoryBytes?: number;
  readonly uptimeMs?: number;
  readonly url?: string;
  readonly nats?: NodeFigures['nats'];
}

/** A node as this one hears of it. */
export interface HeardNode {
  readonly node: string;
  readonly silentMs: number;
  readonly card: Partial<NodeCard>;
  readonly frames: number;
}

export interface NodeAnswers {
  readonly figures: NodeFigures | undefined;
  readonly copies: readonly CopyRow[];
}

export interface OverviewParts {
  /** This node. */
  readonly self: string;
  /** This node among them. */
  readonly heard: readonly HeardNode[];
  readonly refused: readonly { readonly node: string; readonly code: string; readonly reason: string }[];
  /** Nodes that the cluster is said to begin with. */
  readonly founders: readonly string[];
  readonly records: readonly ShardRow[];
  /** By name. */
  readonly answers: ReadonlyMap<string, NodeAnswers>;
}

/** Sorted by name. */
export function listNodes(parts: OverviewParts): NodeRow[] {
  const { heard, refused, founders, records, self, answers } = parts;
  const rows = heard.map((each) => rowOf(each, answers.get(each.node)?.figures, parts));
  const known = new Set([...heard, ...refused].map(({ node }) => node));
  const named = records.flatMap(({ owner, standby }) =>
    [owner, standby].flatMap((seat) => (seat === undefined ? [] : [seat.node])),
  );
  const gone = [...new Set([...founders, ...named])].filter((node) => !known.has(node));
  for (const node of gone)
    rows.push(Object.assign({ node, state: 'gone' as const, isThis: node === self }, sharesOf(node, parts)));
  for (const { node, code, reason } of refused) {
    const row = { node, state: 'refused' as const, reason: `${code}: ${reason}`, isThis: false };
    rows.push(Object.assign(row, sharesOf(node, parts)));
  }
  return rows.sort((one, other) => (one.node < other.node ? -1 : 1));
}

function rowOf(
  { node, silentMs, card, frames }: HeardNode,
  figures: NodeFigures | undefined,
  parts: OverviewParts,
): NodeRow {
  const { release, wire } = card;
  const said = figures?.state ?? card.state ?? 'up';
  const isSuspect = silentMs > LIMITS.suspectMs || figures === undefined;
  const reason = silentMs > LIMITS.suspectMs ? `silent for ${Math.round(silentMs)} ms` : 'does not answer';
  return Object.assign(
    { node, state: isSuspect ? ('suspect' as const) : said, isThis: node === parts.self, frames },
    isSuspect ? { reason } : undefined,
    release === undefined ? undefined : { release },
    wire === undefined ? undefined : { wire },
    sharesOf(node, parts),
    figures === undefined ? undefined : figuresOf(figures),
  );
}

function figuresOf({ sessions, workers, memoryBytes, uptimeMs, url, nats }: NodeFigures): Partial<NodeRow> {
  return { sessions, workers, memoryBytes, uptimeMs, url, nats };
}

function sharesOf(
  node: string,
  { records, answers }: OverviewParts,
): Pick<NodeRow, 'owned' | 'standby' | 'copying' | 'lag'> {
  const owned = records.filter(({ owner }) => owner?.node === node).length;
  const standbyFor = records.filter((record) => record.standby?.node === node);
  const copies = records.flatMap(({ shard, owner }) =>
    owner === undefined ? [] : (answers.get(owner.node)?.copies.filter((copy) => copy.shard === shard) ?? []),
  );
  const said = copies.flatMap(({ shard, behind }) =>
    behind
      .filter(({ seat }) => seat.node === node)
      .map(({ isWhole, records: count, ms }) => ({ shard, isWhole, count, ms })),
  );
  const isWhole = (shard: number): boolean => said.some((each) => each.shard === shard && each.isWhole);
  const copying = standbyFor.filter(({ shard }) => !isWhole(shard)).length;
  const shares = { owned, standby: standbyFor.length, copying };
  if (said.length === 0) return shares;
  const lag = { records: Math.max(...said.map(({ count }) => count)), ms: Math.max(...said.map(({ ms }) => ms)) };
  return Object.assign(shares, { lag });
}

export interface MapRow {
  readonly shard: number;
  /** How many of the 1,024 it has. */
  readonly partitions: number;
  readonly epoch: number;
  /** `node.worker`. */
  readonly owner?: string;
  readonly standby?: string;
  readonly next?: string;
  /** What its owner does with it; absent when the owner does not answer. */
  readonly phase?: CopyRow['phase'];
  readonly lag?: { readonly records: number; readonly ms: number };
}

/** By shard. */
export function mapShards(
  records: readonly ShardRow[],
  answers: ReadonlyMap<string, NodeAnswers>,
  partitionCount: number,
): MapRow[] {
  return records.map(({ shard, epoch, owner, standby, next }) => {
    const copies = owner === undefined ? undefined : answers.get(owner.node)?.copies;
    const copy = copies?.find((each) => each.shard === shard);
    const behind = copy?.behind.find(({ seat }) => seat.node === standby?.node && seat.worker === standby.worker);
    const partitions = Math.ceil((partitionCount - shard) / records.length);
    return Object.assign(
      { shard, partitions, epoch },
      owner === undefined ? undefined : { owner: textOf(owner) },
      standby === undefined ? undefined : { standby: textOf(standby) },
      next === undefined ? undefined : { next: textOf(next) },
      copy === undefined ? undefined : { phase: copy.phase },
      behind === undefined ? undefined : { lag: { records: behind.records, ms: behind.ms } },
    );
  });
}

function textOf({ node, worker }: Seat): string {
  return `${node}.${worker}`;
}
