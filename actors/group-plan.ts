/**
 * Decides a message to a group: its place, a resend, or refused; and what must wait for a change. Changes themselves: `group-change.ts`.
 */

import { formatPid, type Pid } from '../runtime/index.ts';
import type { Refusal } from './errors.ts';
import { refusalTo, refuseStranger, storeFull } from './group-answers.ts';
import { planChange } from './group-change.ts';
import type { GroupChangeSubmit, GroupSubmit } from './group-messages.ts';
import { findGroup, findSender, type Group, type GroupSender, watch } from './group-roll.ts';
import type { GroupsCommit, GroupsState } from './group-state.ts';
import type { Told } from './inbox-state.ts';
import { LIMITS } from './limits.ts';
import type { GroupBody } from './store/group-store.ts';

const NOTHING: readonly never[] = [];

/** Server time, made monotone: two messages of one group never carry times that contradict their order. */
export function stamp(state: GroupsState, wallMs: number): number {
  state.lastTs = Math.max(state.lastTs, Math.floor(wallMs));
  return state.lastTs;
}

export function planItem(item: GroupSubmit | GroupChangeSubmit, commit: GroupsCommit, state: GroupsState): void {
  const group = findGroup(state.roll, state.args.store.groups, item.group);
  if (mustWait(item, group)) return hold(item, group, commit);
  if (item.kind === 'group-submit') planSubmit(item, group, commit, state);
  else planChange(item, group, commit, state);
}

/** A change waits until everything before it has arrived everywhere, and what comes after a change waits for that. */
function mustWait(item: GroupSubmit | GroupChangeSubmit, group: Group): boolean {
  if (group.changing || group.held.length > 0) return true;
  return item.kind === 'group-change' && group.outgoing.size + group.planned > 0;
}

function hold(item: GroupSubmit | GroupChangeSubmit, group: Group, { told }: GroupsCommit): void {
  if (group.held.length < LIMITS.groupHeldCountMax) group.held.push(item);
  else told.push(refusalTo(item, { code: 'APP_OVERLOADED', retryAfter: 1 }));
}

function planSubmit(item: GroupSubmit, group: Group, commit: GroupsCommit, state: GroupsState): void {
  const refusal = refuseStranger(group, item.sender.user);
  if (refusal !== undefined) return void commit.told.push(refusalTo(item, refusal));
  const sender = findSender(group, state.args.store.groups, item.sender, item.senderKey);
  commit.told.push(...introduce(group, item.connection, item.sender.user, commit.self));
  sender.connection = item.connection;
  if (sender.known && item.id <= sender.accepted) return acceptAgain(item, sender, commit);
  const reason = refuseSubmit(item, group, sender, commit);
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

function refuseSubmit(item: GroupSubmit, group: Group, sender: GroupSender, commit: GroupsCommit): Refusal | undefined {
  const { epoch } = group.state!.roster;
  if (item.epoch !== epoch) return { code: 'APP_GROUP_EPOCH', epoch };
  const expected = sender.accepted + 1;
  if (sender.known && item.id !== expected) return { code: 'APP_OUT_OF_ORDER', expected };
  if (group.outgoing.size + group.planned >= LIMITS.groupOutgoingCountMax) {
    return { code: 'APP_OVERLOADED', retryAfter: 1 };
  }
  return commit.room < item.ciphertext.length ? storeFull() : undefined;
}

function acceptMessage(item: GroupSubmit, group: Group, sender: GroupSender, commit: GroupsCommit): void {
  const { user, device, creation } = item.sender;
  const body: GroupBody = {
    kind: 'message',
    group: group.id,
    order: ++group.order,
    sender: user,
    senderDevice: device,
    senderCreation: creation,
    id: item.id,
    ts: commit.ts,
    // A copy: the bytes lie in a slab with many others, and this body may be remembered for long.
    bytes: item.ciphertext.slice(),
  };
  const { accepted, order, known } = sender;
  commit.accepted.push({ kind: 'message', group, item, body, sender, before: { accepted, order, known } });
  Object.assign(sender, { accepted: item.id, order: body.order, known: true });
  group.planned++;
  commit.room -= body.bytes.length;
  commit.bytes += body.bytes.length;
}
