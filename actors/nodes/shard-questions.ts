/**
 * What the main thread asks of a worker about the shards of its cluster: what it has of them, that it hands them over, that it takes some again.
 * Answers for `../admin/agent.ts`.
 */

import type { Questions } from '../admin/agent.ts';
import type { Admission } from '../admission.ts';
import type { BusReport, WorkerLink } from '../cluster/link.ts';
import type { ShardReport } from '../cluster/member.ts';
import type { Seat } from '../cluster/placement.ts';
import type { Phase } from '../cluster/shard-host.ts';
import { LIMITS } from './limits.ts';

/** One shard as the registry has it; the same on every worker, but for the time that news take. */
export interface ShardRow {
  readonly shard: number;
  /** 0 for a shard that nobody has yet. */
  readonly epoch: number;
  readonly owner: Seat | undefined;
  readonly standby: Seat | undefined;
  readonly next: Seat | undefined;
}

/** What a worker does with a shard. */
export interface CopyRow {
  readonly shard: number;
  readonly phase: Phase;
  /** Bytes that are on its disk and not in the log: NATS does not answer. Absent where there are none. */
  readonly tailBytes?: number;
  /** Of the copies elsewhere, while it is served here. */
  readonly behind: readonly {
    readonly seat: Seat;
    readonly isWhole: boolean;
    readonly records: number;
    readonly ms: number;
  }[];
}

export interface ShardsPage<Row> {
  readonly rows: readonly Row[];
  /** Where to go on; absent at the end. */
  readonly next?: number;
}

export interface HandedOver {
  /** Shards that still belong here when the time was over. */
  readonly left: number;
}

export function shardQuestions(link: WorkerLink | undefined, admission: Admission): Questions {
  const report = (): ShardReport[] => link?.report() ?? [];
  return {
    bus: (): BusReport => link?.bus() ?? { isUp: false, server: '' },
    'shard-records': ({ from }: { readonly from: number }) => pageOf(report().map(rowOf), from),
    'shard-copies': ({ from }: { readonly from: number }) => pageOf(report().flatMap(copyOf), from),
    'hand-over': async ({ timeoutMs }: { readonly timeoutMs: number }): Promise<HandedOver> => {
      // Whoever has to come again because a shard moves goes to another node at once.
      admission.isDraining = true;
      return { left: (await link?.leave(timeoutMs)) ?? 0 };
    },
    'come-back': () => {
      link?.comeBack();
      return {};
    },
  };
}

function pageOf<Row>(rows: readonly Row[], from: number): ShardsPage<Row> {
  const page = rows.slice(from, from + LIMITS.shardRowsMax);
  const next = from + page.length;
  return next < rows.length ? { rows: page, next } : { rows: page };
}

function rowOf({ shard, record }: ShardReport): ShardRow {
  if (record === undefined) return { shard, epoch: 0, owner: undefined, standby: undefined, next: undefined };
  const { epoch, owner, standby, next } = record;
  return { shard, epoch, owner: { node: owner.node, worker: owner.worker }, standby, next };
}

function copyOf({ shard, status, copies }: ShardReport): CopyRow[] {
  if (status === undefined || status.phase === 'absent') return [];
  const behind = copies.map(({ seat, isWhole, lag }) => ({
    seat,
    isWhole,
    records: lag?.records ?? 0,
    ms: lag?.ms ?? 0,
  }));
  const { phase, tailBytes } = status;
  return [tailBytes > 0 ? { shard, phase, behind, tailBytes } : { shard, phase, behind }];
}
