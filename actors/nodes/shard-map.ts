/**
 * The shards of the cluster at one look: who owns each, who stands by, and which of them somebody should look at. Pure, and without anything of Node:
 * the operators' page takes part of it.
 */

import type { Seat } from '../cluster/placement.ts';
import type { NodeAnswers } from './overview.ts';
import type { CopyRow, ShardRow } from './shard-questions.ts';

/** How many shards there are, and how many of them an operator should look at. */
export interface ShardSummary {
  readonly count: number;
  /** Nobody says that he serves it: a take-over is under way, or its owner does not answer. */
  readonly unserved: number;
  /** Served, and no other disk is known to have all of it. */
  readonly single: number;
  /** Of another data centre of which no node answers: nobody can say from here. In neither of the two above; absent where there is one place. */
  readonly unseen?: number;
}

export interface MapRow {
  readonly shard: number;
  /** The data centre that it belongs to, where there are several. */
  readonly centre?: string;
  /** No node of that data centre answers: the line to it may be cut, and it go on by itself. */
  readonly isUnseen?: true;
  /** How many of the 1,024 it has. */
  readonly partitions: number;
  readonly epoch: number;
  /** `node.worker`. */
  readonly owner?: string;
  readonly standby?: string;
  /** `away`: the standby's node does not answer; `begun`: its copy is being made. Absent when it is whole, or nobody can say. */
  readonly standbyIs?: 'away' | 'begun';
  readonly next?: string;
  /** What its owner does with it; absent when the owner does not answer. */
  readonly phase?: CopyRow['phase'];
  /** Bytes that are on the disk of its owner alone. */
  readonly tailBytes?: number;
  readonly lag?: { readonly records: number; readonly ms: number };
}

/** Which data centre a shard belongs to, and in which this node is; both undefined for a cluster in one place. */
export interface Places {
  readonly centreOf: (shard: number) => string | undefined;
  readonly here: string | undefined;
}

const ONE_PLACE: Places = { centreOf: () => undefined, here: undefined };

/** By shard. */
export function mapShards(
  records: readonly ShardRow[],
  answers: ReadonlyMap<string, NodeAnswers>,
  partitionCount: number,
  { centreOf, here }: Places = ONE_PLACE,
): MapRow[] {
  const doesAnswer = (seat: Seat | undefined): boolean =>
    seat !== undefined && answers.get(seat.node)?.figures !== undefined;
  const answered = records.filter(({ owner, standby }) => doesAnswer(owner) || doesAnswer(standby));
  const seen = new Set([here, ...answered.map(({ shard }) => centreOf(shard))]);
  return records.map(({ shard, epoch, owner, standby, next }) => {
    const copies = owner === undefined ? undefined : answers.get(owner.node)?.copies;
    const copy = copies?.find((each) => each.shard === shard);
    const behind = copy?.behind.find(({ seat }) => seat.node === standby?.node && seat.worker === standby.worker);
    const partitions = Math.ceil((partitionCount - shard) / records.length);
    const centre = centreOf(shard);
    const isUnseen = centre !== undefined && !seen.has(centre);
    return Object.assign(
      { shard, partitions, epoch },
      centre === undefined ? undefined : { centre },
      isUnseen ? { isUnseen } : undefined,
      owner === undefined ? undefined : { owner: textOf(owner) },
      standby === undefined ? undefined : { standby: textOf(standby) },
      isUnseen ? undefined : lackOf(standby, behind, copy, answers),
      next === undefined ? undefined : { next: textOf(next) },
      copy === undefined ? undefined : { phase: copy.phase },
      copy?.tailBytes === undefined ? undefined : { tailBytes: copy.tailBytes },
      behind === undefined ? undefined : { lag: { records: behind.records, ms: behind.ms } },
    );
  });
}

function lackOf(
  standby: Seat | undefined,
  behind: CopyRow['behind'][number] | undefined,
  copy: CopyRow | undefined,
  answers: ReadonlyMap<string, NodeAnswers>,
): Pick<MapRow, 'standbyIs'> | undefined {
  if (standby === undefined) return undefined;
  if (answers.get(standby.node)?.figures === undefined) return { standbyIs: 'away' };
  // Only who serves a shard knows how far its copies are.
  return copy?.phase === 'serving' && behind?.isWhole !== true ? { standbyIs: 'begun' } : undefined;
}

/** Of the rows of `mapShards`. */
export function summarizeShards(rows: readonly MapRow[]): ShardSummary {
  const served = rows.filter(isServed);
  const unseen = rows.filter(({ isUnseen }) => isUnseen === true).length;
  return {
    count: rows.length,
    unserved: rows.length - served.length - unseen,
    single: served.filter((row) => !isWell(row)).length,
    ...(unseen > 0 && { unseen }),
  };
}

function isServed({ phase }: MapRow): boolean {
  return phase === 'serving';
}

/** It is served, and a second disk has all of it. */
export function isWell(row: MapRow): boolean {
  return isServed(row) && row.standby !== undefined && row.standbyIs === undefined;
}

function textOf({ node, worker }: Seat): string {
  return `${node}.${worker}`;
}
