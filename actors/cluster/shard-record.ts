/**
 * What stands in the registry: who owns a shard, and who lives. Pure; JSON, since people read it when something is wrong.
 *
 *   table     shard.<n>             { version, epoch, owner, standby, next }
 *             cluster               { version, shards, secretMark, versions }
 *   liveness  seat.<node>.<worker>  { version, node, worker, workers, life, leaving, copies }
 *
 * A shard's key is written when its owner, its copies or their lives change, by compare-and-set, and by nobody in between. A seat's key is
 * written at every renewal.
 */

import type { Seat } from './placement.ts';

const VERSION = 1;

/** One life of a worker. */
export interface SeatLife extends Seat {
  /** Drawn at its start. */
  readonly life: number;
}

/** Who has a shard. */
export interface ShardRecord {
  /** Grows by one with each new owner, and each new life of the same. */
  readonly epoch: number;
  readonly owner: SeatLife;
  /** Follows the log, and takes over. */
  readonly standby: Seat | undefined;
  /** Gets a copy, to become standby or owner. */
  readonly next: Seat | undefined;
}

/** How far a copy is. */
export interface CopyState {
  readonly shard: number;
  /** Flushed up to here; of a copy that is not whole, from where it needs the log. */
  readonly sequence: number;
  readonly isWhole: boolean;
}

/** What a seat says of itself at each renewal. */
export interface SeatRecord extends SeatLife {
  /** Workers of its node: which of them serves a shard. */
  readonly workers: number;
  /** It hands over what it owns, and gets nothing. */
  readonly leaving: boolean;
  readonly copies: readonly CopyState[];
}

export function shardKey(shard: number): string {
  return `shard.${shard}`;
}

/** The shard of a key of the table; `undefined` for another key. */
export function shardOfKey(key: string): number | undefined {
  const match = /^shard\.(\d+)$/.exec(key);
  return match === null ? undefined : Number(match[1]);
}

export function seatKey({ node, worker }: Seat): string {
  return `seat.${node}.${worker}`;
}

/** The worker of a node that serves a shard. */
export function seatOf(shard: number, node: string, workers: number): Seat {
  return { node, worker: 1 + (shard % workers) };
}

export function sameSeat(left: Seat | undefined, right: Seat | undefined): boolean {
  return left?.node === right?.node && left?.worker === right?.worker;
}

export function formatShard(record: ShardRecord): string {
  const { epoch, owner, standby, next } = record;
  return JSON.stringify({ version: VERSION, epoch, owner, standby, next });
}

/** @throws {RangeError} a record of a version that this release does not know. */
export function parseShard(text: string): ShardRecord {
  const { epoch, owner, standby, next } = versioned(text) as unknown as ShardRecord;
  return { epoch, owner, standby, next };
}

export function formatSeat(record: SeatRecord): string {
  const { node, worker, workers, life, leaving } = record;
  const copies = record.copies.map(({ shard, sequence, isWhole }) => [shard, sequence, isWhole ? 1 : 0]);
  return JSON.stringify({ version: VERSION, node, worker, workers, life, leaving, copies });
}

/** @throws {RangeError} a record of a version that this release does not know. */
export function parseSeat(text: string): SeatRecord {
  const { node, worker, workers, life, leaving, copies } = versioned(text) as unknown as Omit<SeatRecord, 'copies'> & {
    readonly copies: readonly [number, number, number][];
  };
  const states = copies.map(([shard, sequence, isWhole]) => ({ shard, sequence, isWhole: isWhole === 1 }));
  return { node, worker, workers, life, leaving, copies: states };
}

/** What all nodes of a cluster have in common; see `agreement.ts`. */
export interface ClusterRecord {
  readonly shards: number;
  /** Of the installation's secret: nodes must agree on the partition of a phone number and on tickets. */
  readonly secretMark: string;
  /** Versions of frames between nodes that its first node spoke. */
  readonly versions: { readonly min: number; readonly max: number };
}

export const CLUSTER_KEY = 'cluster';

export function formatCluster({ shards, secretMark, versions }: ClusterRecord): string {
  return JSON.stringify({ version: VERSION, shards, secretMark, versions });
}

/** @throws {RangeError} a record of a version that this release does not know. */
export function parseCluster(text: string): ClusterRecord {
  const { shards, secretMark, versions } = versioned(text) as unknown as ClusterRecord;
  return { shards, secretMark, versions };
}

function versioned(text: string): { readonly version: number } {
  const record = JSON.parse(text) as { readonly version: number };
  if (record.version === VERSION) return record;
  throw new RangeError(`registry record has version ${record.version}, expected ${VERSION}`);
}
