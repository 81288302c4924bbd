/**
 * What a worker proposes for one shard: from what the registry says and who lives, to the next record, or nothing. Pure.
 *
 *   no record ──▶ found                                            by the node that should own it
 *   owner     ──▶ reclaim, after a restart                         by the owner
 *             ──▶ settle a doubt: those concerned are told         by the owner
 *             ──▶ appoint a standby, replace it, hand over         by the owner
 *             ──▶ yield, if what it has is no beginning of the log by the owner
 *   owner dead ──▶ take over                                       by the standby, or by who gets a copy and has all of it;
 *                                                                  with durability `local` once it is back, and has nothing
 *
 * There is no controller whose death would have to be noticed first: each step belongs to one seat, and the registry takes only one of two
 * steps that were made at once. A shard whose owner and copies are all dead waits for one of them: nobody else has
 * what was acknowledged.
 */

import { LIMITS } from './limits.ts';
import type { Liveness } from './liveness.ts';
import type { Assignment, Seat } from './placement.ts';
import type { HostStatus } from './shard-host.ts';
import { sameSeat, seatOf, type SeatLife, type SeatRecord, type ShardRecord } from './shard-record.ts';

export interface Situation {
  readonly shard: number;
  readonly nowMs: number;
  readonly self: SeatLife;
  readonly record: ShardRecord | undefined;
  /** Where the shard should be; `undefined` while no node may get any. */
  readonly assignment: Assignment | undefined;
  readonly liveness: Liveness;
  readonly status: HostStatus;
  /** Since when the phase is what it is. */
  readonly phaseSinceMs: number;
  /** Position of the owner a moment ago: a copy that has reported it has caught up. */
  readonly settledSequence: number;
  /** For how long the nodes have been the same: nothing is moved for a node that is about to come back. */
  readonly stableMs: number;
  /** Whether all nodes are there that the cluster begins with. */
  readonly isComplete: boolean;
  /** Owners go on while the log does not answer: whoever is silent may have what nobody else has. */
  readonly isLocal: boolean;
  /** This node hands over what it owns. */
  readonly isLeaving: boolean;
}

export type Motive =
  | 'found'
  | 'reclaim'
  | 'yield'
  | 'take-over'
  | 'settle-doubt'
  | 'hand-over'
  | 'appoint'
  | 'replace-standby'
  | 'promote-next';

export interface Proposal {
  readonly why: Motive;
  readonly record: ShardRecord;
}

/** @returns The record that this worker should try to set now. */
export function decide(situation: Situation): Proposal | undefined {
  const { record, self } = situation;
  if (record === undefined) return found(situation);
  if (sameSeat(record.owner, self)) return decideAsOwner(record, situation);
  return decideAsCopy(record, situation);
}

/** A shard that nobody ever had. */
function found({ self, shard, assignment, liveness, nowMs, isComplete }: Situation): Proposal | undefined {
  const waitMs = isComplete ? LIMITS.settleMs : LIMITS.foundMs;
  if (liveness.hearingMs(nowMs) < waitMs || assignment?.owner !== self.node) return undefined;
  if (!sameSeat(seatOn(assignment.owner, shard, liveness), self)) return undefined;
  return { why: 'found', record: { epoch: 1, owner: self, standby: undefined, next: undefined, isDoubted: false } };
}

function decideAsCopy(record: ShardRecord, situation: Situation): Proposal | undefined {
  const { self, liveness, status, nowMs } = situation;
  if (!status.isWhole || !isOwnerOver(record, situation)) return undefined;
  const isStandby = sameSeat(record.standby, self);
  const isNext = sameSeat(record.next, self);
  const isStandbyDead = record.standby !== undefined && !liveness.isAlive(record.standby, nowMs);
  if (!isStandby && !(isNext && (record.standby === undefined || isStandbyDead))) return undefined;
  // The former owner keeps its place for a while: its copy lacks little when it comes back.
  const { node, worker } = record.owner;
  const other = isNext ? record.standby : record.next;
  const next = sameSeat(other, self) ? undefined : other;
  const isDoubted = record.isDoubted || mayHaveTail(record, situation);
  const epoch = record.epoch + 1;
  return { why: 'take-over', record: { epoch, owner: self, standby: { node, worker }, next, isDoubted } };
}

/** Silence proves nothing where an owner goes on through it. A later life with an empty disk does: what was only there is lost. */
function isOwnerOver(record: ShardRecord, situation: Situation): boolean {
  const { owner } = record;
  const { liveness, nowMs, shard } = situation;
  if (!liveness.isOver(owner, nowMs)) return false;
  if (!mayHaveTail(record, situation)) return true;
  const said = lastWordOf(owner, situation);
  return said !== undefined && said.life !== owner.life && said.empty.includes(shard);
}

/** Whether the owner may have acknowledged what nobody else has. */
function mayHaveTail({ owner }: ShardRecord, situation: Situation): boolean {
  return situation.isLocal || lastWordOf(owner, situation)?.isLocal === true;
}

/** Of the seat that has the shard on the owner's node: a later life may have another number of workers, and the owner's seat never speak again. */
function lastWordOf(owner: SeatLife, { shard, liveness }: Situation): SeatRecord | undefined {
  const seat = seatOn(owner.node, shard, liveness);
  return (seat && liveness.recordOf(seat)) ?? liveness.recordOf(owner);
}

function decideAsOwner(record: ShardRecord, situation: Situation): Proposal | undefined {
  const { self, status, liveness, nowMs, phaseSinceMs } = situation;
  if (status.isLost) return yieldTo(record, situation);
  if (record.owner.life !== self.life) {
    // With an empty disk it waits for its standby, which finds that the life that owned the shard is over.
    if (!status.isWhole && hasLivingCopy(record, liveness, nowMs)) return undefined;
    return reclaim(record, self);
  }
  if (status.phase === 'following' && nowMs - phaseSinceMs > LIMITS.leaseMs) return reclaim(record, self);
  if (status.servingEpoch !== record.epoch || status.tailCount > 0) return undefined;
  // It serves, so everybody concerned is told: that was written before its actors began.
  if (record.isDoubted) return { why: 'settle-doubt', record: settled(record) };
  return arrangeCopies(record, situation);
}

function reclaim({ epoch, standby, next, isDoubted }: ShardRecord, self: SeatLife): Proposal {
  return { why: 'reclaim', record: { epoch: epoch + 1, owner: self, standby, next, isDoubted } };
}

function settled({ epoch, owner, standby, next }: ShardRecord): ShardRecord {
  return { epoch, owner, standby, next, isDoubted: false };
}

function hasLivingCopy({ standby, next }: ShardRecord, liveness: Liveness, nowMs: number): boolean {
  return [standby, next].some((seat) => seat !== undefined && liveness.isAlive(seat, nowMs));
}

/** To whichever copy lives and is whole; with a tail that cannot be joined to the log, what was in it is lost. */
function yieldTo(record: ShardRecord, { shard, liveness, nowMs, status }: Situation): Proposal | undefined {
  for (const seat of [record.standby, record.next]) {
    if (seat === undefined || !liveness.isAlive(seat, nowMs) || liveness.copyOf(seat, shard)?.isWhole !== true)
      continue;
    return { why: 'yield', record: handedOver(record, seat, liveness, record.isDoubted || status.tailCount > 0) };
  }
  return undefined;
}

/** Brings the record nearer to what it should be, one step at a time. */
function arrangeCopies(record: ShardRecord, situation: Situation): Proposal | undefined {
  const { assignment, shard, liveness, nowMs, isLeaving, stableMs } = situation;
  // Not to one that leaves as well: when all nodes stop at once, nobody would come to an end.
  const isStaying = record.standby !== undefined && liveness.recordOf(record.standby)?.leaving === false;
  if (isLeaving && isStaying && isCaughtUp(record.standby!, situation)) {
    return moveTo(record.standby, record, situation);
  }
  if (assignment === undefined || (stableMs < LIMITS.stableMs && !isLeaving)) return undefined;
  const owner = seatOn(assignment.owner, shard, liveness);
  if (owner !== undefined && !sameSeat(owner, situation.self)) return moveTo(owner, record, situation);
  const standby = assignment.standby === undefined ? undefined : seatOn(assignment.standby, shard, liveness);
  if (standby === undefined || sameSeat(record.standby, standby)) return dropNext(record);
  if (record.standby === undefined) return { why: 'appoint', record: withStandby(record, standby) };
  const silenceMs = liveness.silenceMs(record.standby, nowMs);
  if (silenceMs > LIMITS.standbyAwayMs) return { why: 'replace-standby', record: withStandby(record, standby) };
  // One that is away for a moment comes back soon, and then lacks little.
  if (silenceMs > LIMITS.deadMs && silenceMs < LIMITS.copyAwayMs) return undefined;
  if (!sameSeat(record.next, standby)) return { why: 'appoint', record: withNext(record, standby) };
  const isAway = silenceMs > LIMITS.deadMs;
  return !isAway && isCaughtUp(standby, situation)
    ? { why: 'promote-next', record: withStandby(record, standby) }
    : undefined;
}

/** Hands the shard to a seat that has all of it; until then sees to it that it gets a copy. */
function moveTo(seat: Seat, record: ShardRecord, situation: Situation): Proposal | undefined {
  if (isCaughtUp(seat, situation)) {
    if (situation.stableMs < LIMITS.moveStableMs && !situation.isLeaving) return undefined;
    return { why: 'hand-over', record: handedOver(record, seat, situation.liveness, record.isDoubted) };
  }
  if (sameSeat(record.standby, seat) || sameSeat(record.next, seat)) return undefined;
  if (record.standby === undefined) return { why: 'appoint', record: withStandby(record, seat) };
  return { why: 'appoint', record: withNext(record, seat) };
}

function dropNext(record: ShardRecord): Proposal | undefined {
  return record.next === undefined ? undefined : { why: 'appoint', record: withNext(record, undefined) };
}

/** The former owner becomes the standby: it has everything. */
function handedOver(record: ShardRecord, seat: Seat, liveness: Liveness, isDoubted: boolean): ShardRecord {
  const { epoch, owner: former } = record;
  const life = liveness.recordOf(seat)!.life;
  const owner = { node: seat.node, worker: seat.worker, life };
  return { epoch: epoch + 1, owner, standby: { node: former.node, worker: former.worker }, next: undefined, isDoubted };
}

function withStandby({ epoch, owner, isDoubted }: ShardRecord, standby: Seat): ShardRecord {
  return { epoch, owner, standby, next: undefined, isDoubted };
}

function withNext({ epoch, owner, standby, isDoubted }: ShardRecord, next: Seat | undefined): ShardRecord {
  return { epoch, owner, standby, next, isDoubted };
}

/** Worker 1 is asked, which every life of a node has. */
function seatOn(node: string, shard: number, liveness: Liveness): Seat | undefined {
  const workers = liveness.recordOf({ node, worker: 1 })?.workers;
  return workers === undefined ? undefined : seatOf(shard, node, workers);
}

function isCaughtUp(seat: Seat, { shard, liveness, nowMs, settledSequence, record }: Situation): boolean {
  if (!sameSeat(seat, record?.standby) && !sameSeat(seat, record?.next)) return false;
  const copy = liveness.copyOf(seat, shard);
  return copy !== undefined && copy.isWhole && copy.sequence >= settledSequence && liveness.isAlive(seat, nowMs);
}
