/**
 * What stands in the registry: who owns a shard, and who lives. Pure; JSON, since people read it when something is wrong.
 *
 *   table     shard.<n>             { version, epoch, owner, standby, next, isDoubted }
 *             cluster               { version, shards, centres, secretMark, versions, id }: of what the cluster is made
 *   liveness  seat.<node>.<worker>  { version, node, worker, workers, life, leaving, isLocal, copies, empty, revision }
 *
 * A shard's key is written when its owner, its copies or their lives change, by compare-and-set, and by nobody in between. A seat's key is
 * written at every renewal.
 */

import { CLUSTER_LIMITS, isNodeName } from '../../runtime/cluster/index.ts';
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
  /** What was acknowledged may be lost, and its owner has yet to tell those concerned. Earlier releases do not say. */
  readonly isDoubted: boolean;
}

/** How far a copy is. */
export interface CopyState {
  readonly shard: number;
  /** Flushed up to here; of a copy that is not whole, from where it needs the log. */
  readonly sequence: number;
  readonly isWhole: boolean;
  /** Whether the shard is served from it. Earlier releases do not say. */
  readonly isServed?: boolean;
}

/** What a seat says of itself at each renewal. */
export interface SeatRecord extends SeatLife {
  /** Workers of its node: which of them serves a shard. */
  readonly workers: number;
  /** It hands over what it owns, and gets nothing. */
  readonly leaving: boolean;
  /** It goes on while the log does not answer: its silence proves nothing. */
  readonly isLocal: boolean;
  readonly copies: readonly CopyState[];
  /** Shards that it should have and has nothing of. */
  readonly empty: readonly number[];
  /** How far it has followed the table; 0 from earlier releases, which do not say. */
  readonly revision: number;
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
  const { epoch, owner, standby, next, isDoubted } = record;
  return JSON.stringify({ version: VERSION, epoch, owner, standby, next, isDoubted });
}

/** @throws {RangeError} a record of a version that this release does not know. */
export function parseShard(text: string): ShardRecord {
  const { epoch, owner, standby, next, isDoubted = false } = versioned(text) as unknown as ShardRecord;
  return { epoch, owner, standby, next, isDoubted };
}

/**
 * A record as the worker `self` reads it that has the shard on its node: what former lives of the node had with another number of workers is this worker's
 * now, for a shard's directory is the node's. Otherwise a seat would be waited for that nobody takes any more.
 */
export function seatedHere(record: ShardRecord, self: Seat): ShardRecord {
  const { owner, standby, next, epoch, isDoubted } = record;
  const { node, worker } = self;
  const here = (seat: Seat | undefined): Seat | undefined => (seat?.node === node ? { node, worker } : seat);
  if (owner.node === node) return { epoch, owner: { node, worker, life: owner.life }, standby, next, isDoubted };
  const [first, second] = [here(standby), here(next)];
  return { epoch, owner, standby: first, next: sameSeat(first, second) ? undefined : second, isDoubted };
}

export function formatSeat(record: SeatRecord): string {
  const { node, worker, workers, life, leaving, isLocal, empty, revision } = record;
  const copies = record.copies.map(({ shard, sequence, isWhole, isServed }) => [
    shard,
    sequence,
    isWhole ? 1 : 0,
    isServed === true ? 1 : 0,
  ]);
  return JSON.stringify({ version: VERSION, node, worker, workers, life, leaving, isLocal, copies, empty, revision });
}

/** @throws {RangeError} a record of a version that this release does not know. */
export function parseSeat(text: string): SeatRecord {
  // Nodes of an earlier release do not go on alone, nor say what they lack.
  const {
    node,
    worker,
    workers,
    life,
    leaving,
    copies,
    isLocal = false,
    empty = [],
    revision = 0,
  } = versioned(text) as unknown as Omit<SeatRecord, 'copies'> & {
    readonly copies: readonly [number, number, number, number?][];
  };
  const states = copies.map(([shard, sequence, isWhole, isServed]) => ({
    shard,
    sequence,
    isWhole: isWhole === 1,
    isServed: isServed === 1,
  }));
  // What is no number would never be reached, and be asked for all the time.
  const known = isCount(revision) ? revision : 0;
  return { node, worker, workers, life, leaving, isLocal, copies: states, empty, revision: known };
}

/** Shards that a worker serves, as it tells the other data centres. */
export type Announcement = readonly (readonly [shard: number, record: ShardRecord])[];

export function formatAnnouncement(served: Announcement): string {
  return JSON.stringify({ version: VERSION, served });
}

/** `undefined` for what another release says that this one does not know, and for what is none: it comes from elsewhere. */
export function parseAnnouncement(text: string): Announcement | undefined {
  try {
    const { served } = versioned(text) as unknown as { readonly served: Announcement };
    const announced = served.map(([shard, record]) => [shard, announcedOf(record)] as const);
    return announced.every(
      ([shard, { epoch, owner }]) => isCount(shard) && isCount(epoch) && isSeat(owner) && isCount(owner.life),
    )
      ? announced
      : undefined;
  } catch {
    return undefined;
  }
}

/** Copies of another centre's shard are shown to operators, no more. */
function announcedOf({ epoch, owner, standby, next }: ShardRecord): ShardRecord {
  const { node, worker, life } = owner;
  const seatOr = (seat: Seat | undefined): Seat | undefined =>
    seat && isSeat(seat) ? { node: seat.node, worker: seat.worker } : undefined;
  return { epoch, owner: { node, worker, life }, standby: seatOr(standby), next: seatOr(next), isDoubted: false };
}

function isSeat({ node, worker }: Seat): boolean {
  return isNodeName(node, CLUSTER_LIMITS.nodeNameCharsMax) && isCount(worker);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What all nodes of a cluster have in common; see `agreement.ts`. */
export interface ClusterRecord {
  readonly shards: number;
  /** As `formatCentres` writes them; empty for none, and in what earlier releases wrote. */
  readonly centres: string;
  /** Of the installation's secret: nodes must agree on the partition of a phone number and on tickets. */
  readonly secretMark: string;
  /** Versions of frames between nodes that its first node spoke. */
  readonly versions: { readonly min: number; readonly max: number };
  /** Drawn when the record is made: tells clusters apart that have the same name, each on its own servers. Earlier releases do not say. */
  readonly id?: string | undefined;
}

export const CLUSTER_KEY = 'cluster';

export function formatCluster({ shards, centres, secretMark, versions, id }: ClusterRecord): string {
  return JSON.stringify({ version: VERSION, shards, centres, secretMark, versions, id });
}

/** @throws {RangeError} a record of a version that this release does not know. */
export function parseCluster(text: string): ClusterRecord {
  const { shards, centres = '', secretMark, versions, id } = versioned(text) as unknown as ClusterRecord;
  return { shards, centres, secretMark, versions, id };
}

function versioned(text: string): { readonly version: number } {
  const record = JSON.parse(text) as { readonly version: number };
  if (record.version === VERSION) return record;
  throw new RangeError(`registry record has version ${record.version}, expected ${VERSION}`);
}
