/**
 * The nodes of the cluster at one look. Pure: put together from what this node heard, what the registry says and what each node tells of itself. A node
 * that does not answer has its row all the same. `shard-map.ts` has the shards.
 */

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
  /** The data centre that it is in, where there are several. */
  readonly centre?: string;
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
  /** Bytes that are on its disk alone, while NATS does not answer it; as it says itself. */
  readonly tailBytes?: number;
  readonly sessions?: number;
  /** Messages that wait in the outboxes of its shards for others that are out of reach; absent where none do. */
  readonly outbox?: number;
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
  const { release, wire, centre } = card;
  const said = figures?.state ?? card.state ?? 'up';
  const isSuspect = silentMs > LIMITS.suspectMs || figures === undefined;
  const reason = silentMs > LIMITS.suspectMs ? `silent for ${Math.round(silentMs)} ms` : 'does not answer';
  return Object.assign(
    { node, state: isSuspect ? ('suspect' as const) : said, isThis: node === parts.self, frames },
    isSuspect ? { reason } : undefined,
    centre === undefined ? undefined : { centre },
    release === undefined ? undefined : { release },
    wire === undefined ? undefined : { wire },
    sharesOf(node, parts),
    figures === undefined ? undefined : figuresOf(figures),
    tailOf(parts.answers.get(node)?.copies ?? []),
  );
}

function tailOf(copies: readonly CopyRow[]): Pick<NodeRow, 'tailBytes'> | undefined {
  const tailBytes = copies.reduce((sum, copy) => sum + (copy.tailBytes ?? 0), 0);
  return tailBytes === 0 ? undefined : { tailBytes };
}

function figuresOf({ sessions, outbox = 0, workers, memoryBytes, uptimeMs, url, nats }: NodeFigures): Partial<NodeRow> {
  const figures = { sessions, workers, memoryBytes, uptimeMs, url, nats };
  return outbox === 0 ? figures : Object.assign(figures, { outbox });
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
