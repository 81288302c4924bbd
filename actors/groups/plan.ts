/**
 * Decides a message to a group: its place, a resend, or refused; and what must wait for a change. Changes themselves: `change.ts`.
 */

import { formatPid, type Pid } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import { refusalTo, refuseStranger, storeFull } from './answers.ts';
import { planChange } from './change.ts';
import type { GroupChangeSubmit, GroupSubmit } from './messages.ts';
import {
  findGroup,
  findSender,
  type Group,
  type GroupSender,
  isMember,
  isOpenSender,
  isStuck,
  placeBody,
  watch,
} from './roll.ts';
import type { GroupsCommit, GroupsState } from './state.ts';
import { awaitId, refuseOrder } from '../inbox/order.ts';
import type { Told } from '../inbox/state.ts';
import { LIMITS } from '../limits.ts';

const NOTHING: readonly never[] = [];

/** Server time, made monotone: two messages of one group never carry times that contradict their order. */
export function stamp(state: GroupsState, wallMs: number): number {
  state.lastTs = Math.max(state.lastTs, Math.floor(wallMs));
  return state.lastTs;
}

export function planItem(item: GroupSubmit | GroupChangeSubmit, commit: GroupsCommit, state: GroupsState): void {
  const group = findGroup(state.roll, state.args.store.groups, item.group);
  if (mustWait(item, group)) return hold(item, group, commit, state);
  if (item.kind === 'group-submit') planSubmit(item, group, commit, state);
  else planChange(item, group, commit, state);
}

/** A change waits until everything before it has arrived everywhere, and what comes after a change waits for that. */
function mustWait(item: GroupSubmit | GroupChangeSubmit, group: Group): boolean {
  if (group.changing || group.held.length > 0) return true;
  return item.kind === 'group-change' && group.outgoing.size + group.planned > 0;
}

function hold(item: GroupSubmit | GroupChangeSubmit, group: Group, commit: GroupsCommit, state: GroupsState): void {
  const { told, now } = commit;
  if (isStuck(group, now.monotonicMs)) return void told.push(refuseHeld(item, state));
  if (group.held.length < LIMITS.groupHeldCountMax) return void group.held.push(item);
  noteTurnedAway(item, state);
  told.push(refusalTo(item, { code: 'APP_OVERLOADED', retryAfter: 1 }));
}

/** Of what would wait for a shard that is away. */
export function refuseHeld(item: GroupSubmit | GroupChangeSubmit, state: GroupsState): Told {
  noteTurnedAway(item, state);
  return refusalTo(item, STUCK);
}

const STUCK: Refusal = { code: 'APP_UNAVAILABLE', retryAfter: 5 };

/** Notes a message that is refused before anybody looks at its order. Of strangers nothing is kept. */
export function noteTurnedAway(item: GroupSubmit | GroupChangeSubmit, { roll, args }: GroupsState): void {
  if (item.kind !== 'group-submit') return;
  const { groups } = args.store;
  const group = findGroup(roll, groups, item.group);
  if (!isMember(group, item.sender.user)) return;
  const sender = findSender(group, groups, item.sender, item.senderKey);
  if (isOpenSender(sender)) awaitId(item.id, sender);
}

function planSubmit(item: GroupSubmit, group: Group, commit: GroupsCommit, state: GroupsState): void {
  const refusal = refuseStranger(group, item.sender.user);
  if (refusal !== undefined) return void commit.told.push(refusalTo(item, refusal));
  const sender = findSender(group, state.args.store.groups, item.sender, item.senderKey);
  commit.told.push(...introduce(group, item.connection, item.sender.user, commit.self));
  sender.connection = item.connection;
  if (sender.known && item.id <= sender.accepted) return acceptAgain(item, sender, commit);
  const reason = refuseSubmit(item, group, sender, commit, state);
  if (isOpenSender(sender)) awaitId(item.id, sender);
  if (reason !== undefined) return void commit.told.push(refusalTo(item, reason));
  acceptMessage(item, group, sender, commit);
}

/** A connection that is new here is to notice when this actor ends: what it has sent might wait for an answer for ever. */
export function introduce(group: Group, connection: Pid, user: string, owner: Pid): readonly Told[] {
  const isNew = watch(group, formatPid(connection), connection, user);
  return isNew ? [{ connection, message: { kind: 'group-owner', owner } }] : NOTHING;
}

/** A resend is answered like the first time, after the flush that may still be under way for it. */
function acceptAgain({ connection, group }: GroupSubmit, sender: GroupSender, { ts, told }: GroupsCommit): void {
  if (sender.flushed < sender.accepted) return;
  const { accepted: id, order } = sender;
  told.push({ connection, message: { kind: 'group-sent', group, id, order, ts } });
}

function refuseSubmit(
  item: GroupSubmit,
  group: Group,
  sender: GroupSender,
  commit: GroupsCommit,
  state: GroupsState,
): Refusal | undefined {
  const { epoch } = group.state!.roster;
  if (item.epoch !== epoch) return { code: 'APP_GROUP_EPOCH', epoch };
  const untimely = refuseOrder(item, sender, isOpenSender(sender));
  if (untimely !== undefined) return untimely;
  if (hasTooMuchOutgoing(group, commit, state)) return { code: 'APP_OVERLOADED', retryAfter: 1 };
  return commit.room < item.ciphertext.length ? storeFull() : undefined;
}

/**
 * Whether one more of a group must wait until its shards have confirmed some. What is under way to shards that are there fills their queues; what waits
 * for one that is away lies here alone, so more of it may.
 */
function hasTooMuchOutgoing(group: Group, { bytes, now }: GroupsCommit, { outgoingBytes = 0 }: GroupsState): boolean {
  const count = group.outgoing.size + group.planned;
  if (count > 0 && outgoingBytes + bytes >= LIMITS.groupOutgoingBytesMax) return true;
  if (count < LIMITS.groupOutgoingCountMax) return false;
  return count >= LIMITS.groupAwayCountMax || group.isAway !== true || !isStuck(group, now.monotonicMs);
}

function acceptMessage(item: GroupSubmit, group: Group, sender: GroupSender, commit: GroupsCommit): void {
  const { id, ciphertext: bytes } = item;
  const body = placeBody(group, item.sender, { kind: 'message', id, ts: commit.ts, bytes });
  const { accepted, order, known, isDoubted } = sender;
  commit.accepted.push({ kind: 'message', group, item, body, sender, before: { accepted, order, known, isDoubted } });
  Object.assign(sender, { accepted: item.id, order: body.order, known: true, isDoubted: false });
  group.planned++;
  commit.room -= body.bytes.length;
  commit.bytes += body.bytes.length;
}
