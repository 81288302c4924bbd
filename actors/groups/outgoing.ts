/**
 * What is accepted and flushed goes to every shard with members, again and again until each has confirmed it; and what waited for that.
 * Who has left is told to presence, until it is taken.
 */

import { decodeGroupChange, isGroupRefusal } from '../../protocol/wire/index.ts';
import type { Context, SendResult } from '../../runtime/index.ts';
import type { FannedOut, FanOut } from './messages.ts';
import { tellAll } from './answers.ts';
import { refuseHeld } from './plan.ts';
import { findGroup, gather, type Group, isStuck, type Outgoing, placeBefore, type Target, targetsOf } from './roll.ts';
import type { GroupsState } from './state.ts';
import { leaversOf } from './write.ts';
import { LIMITS } from '../limits.ts';
import type { InboxMessage, PresenceMessage } from '../messages.ts';
import type { GroupBody } from '../store/group-store.ts';

type Ctx = Context;

/** Who leaves is told of it, and of nothing more. */
export function recipientsOfChange(group: Group, leavers: readonly string[], { args }: GroupsState): Target[] {
  const members = group.state?.roster.members ?? new Map<string, unknown>();
  return gather([...members.keys(), ...leavers.filter((user) => !members.has(user))], args.inboxOf);
}

export function sendOut(group: Group, body: GroupBody, targets: readonly Target[], state: GroupsState, ctx: Ctx): void {
  const outgoing = noteOutgoing(group, body, targets, ctx.clock.monotonicMs(), state);
  if (outgoing.targets.size === 0) return finish(group, outgoing, state, ctx);
  castOut(group, outgoing, ctx);
  armRetry(state, ctx);
}

function noteOutgoing(
  group: Group,
  body: GroupBody,
  targets: readonly Target[],
  nowMs: number,
  state: GroupsState,
): Outgoing {
  const outgoing: Outgoing = { body, targets: new Map(), beganMs: nowMs, sentAtMs: nowMs };
  for (const target of targets) outgoing.targets.set(target.inbox.name, target);
  state.outgoingBytes = outgoingBytes(state) + bytesOf(body);
  group.outgoing.set(body.order, outgoing);
  state.busy.add(group);
  return outgoing;
}

/** What is outgoing of all groups; counted once where an earlier version of this code did not. */
function outgoingBytes({ outgoingBytes, busy }: GroupsState): number {
  if (outgoingBytes !== undefined) return outgoingBytes;
  let bytes = 0;
  for (const { outgoing } of busy) for (const { body } of outgoing.values()) bytes += bytesOf(body);
  return bytes;
}

function bytesOf({ bytes }: GroupBody): number {
  return bytes.length + LIMITS.groupOutgoingOverheadBytes;
}

/** One message between actors for each shard. Whatever becomes of it, it is sent again until it is confirmed. */
function castOut(group: Group, { body, targets }: Outgoing, ctx: Ctx): void {
  for (const target of targets.values()) castTo(target, body, placeBefore(group, body.order, target.inbox.name), ctx);
}

function castTo({ inbox, recipients }: Target, body: GroupBody, after: number, ctx: Ctx): SendResult {
  const message = { kind: 'fan-out', body, recipients, after, inbox: inbox.name } satisfies FanOut as InboxMessage;
  return ctx.cast(inbox, message);
}

/** Sends again what is due. A shard takes nothing behind what it did not get, so the first that is not taken stands for all behind it. */
export function castAgain(group: Group, ctx: Ctx): void {
  const nowMs = ctx.clock.monotonicMs();
  const before = new Map<string, number>();
  const refused = new Map<string, SendResult>();
  for (const each of group.outgoing.values()) {
    const isDue = nowMs - each.sentAtMs >= LIMITS.groupRetryMs / 2;
    if (isDue) each.sentAtMs = nowMs;
    for (const [inbox, target] of each.targets) {
      if (isDue && !refused.has(inbox)) {
        const result = castTo(target, each.body, before.get(inbox) ?? 0, ctx);
        if (result !== 'ok') refused.set(inbox, result);
      }
      before.set(inbox, each.body.order);
    }
  }
  group.isAway = [...refused.values()].includes('noconnection');
}

/** What waits for a shard that is away is answered. */
export function refuseStuck(group: Group, state: GroupsState, ctx: Ctx): void {
  if (group.held.length === 0 || !isStuck(group, ctx.clock.monotonicMs())) return;
  const { held } = group;
  group.held = [];
  tellAll(
    held.map((item) => refuseHeld(item, state)),
    ctx,
  );
}

export function noteFannedOut({ group: id, order, inbox }: FannedOut, state: GroupsState, ctx: Ctx): void {
  const group = state.roll.get(id);
  const outgoing = group?.outgoing.get(order);
  if (group === undefined || outgoing === undefined) return;
  outgoing.targets.delete(inbox);
  if (outgoing.targets.size === 0) finish(group, outgoing, state, ctx);
}

function finish(group: Group, { body }: Outgoing, state: GroupsState, ctx: Ctx): void {
  state.outgoingBytes = outgoingBytes(state) - bytesOf(body);
  group.outgoing.delete(body.order);
  state.finished.push(body);
  if (body.kind === 'change') group.changing = false;
  if (group.outgoing.size === 0) state.busy.delete(group);
  letGo(group, state, ctx);
  if (state.finished.length >= FINISHED_COUNT) ctx.requestTurnEnd();
}

/** What is finished goes with the next commit; so many of it are worth one of their own. */
export const FINISHED_COUNT = 64;

/** What waited is decided once nothing stands before it. */
export function letGo(group: Group, state: GroupsState, ctx: Ctx): void {
  if (group.held.length === 0 || group.changing || group.outgoing.size > 0) return;
  state.queue.push(...group.held);
  group.held = [];
  ctx.requestTurnEnd();
}

/** Who is out must not hear who types: said again until the presence actor of the shard takes it. */
export function tellLeft({ id: group }: Group, users: readonly string[], state: GroupsState, ctx: Ctx): void {
  if (users.length === 0) return;
  const untold = (state.untold ??= []);
  untold.push({ group, users });
  tellUntold(state, ctx);
  if (untold.length <= LIMITS.groupLeaversUntoldMax) return;
  const { group: lost } = untold.shift()!;
  // Whoever is meant hears who types until the next repetition of the subscription, which is refused.
  ctx.log.warn('members_left_untold', { group: lost });
}

/** In order: the first that is not taken stands for all behind it, which have the same way. */
export function tellUntold(state: GroupsState, ctx: Ctx): void {
  const { args, untold } = state;
  if (untold === undefined) return;
  const failed = untold.findIndex(({ group, users }) => {
    const message: PresenceMessage = { kind: 'members-left', group, users };
    return ctx.cast(args.presenceOf(group), message) !== 'ok';
  });
  untold.splice(0, failed < 0 ? untold.length : failed);
  if (failed >= 0) armRetry(state, ctx);
}

export function armRetry(state: GroupsState, ctx: Ctx): void {
  if (state.isRetryArmed) return;
  state.isRetryArmed = true;
  ctx.sendAfter(LIMITS.groupRetryMs, RETRY);
}

export const RETRY = 'retry-outgoing';

/** After a start: what was accepted and had not arrived everywhere. Its roster is the present one. */
export function resumeOutgoing(state: GroupsState, ctx: Ctx): void {
  const { store, inboxOf } = state.args;
  for (const body of store.groups.outgoing()) {
    const group = findGroup(state.roll, store.groups, body.group);
    const change = body.kind === 'change' ? decodeGroupChange(body.bytes) : undefined;
    if (change === undefined || isGroupRefusal(change)) {
      resume(group, body, targetsOf(group, inboxOf), state, ctx);
    } else {
      const leavers = leaversOf(change);
      group.changing = true;
      tellLeft(group, leavers, state, ctx);
      resume(group, body, recipientsOfChange(group, leavers, state), state, ctx);
    }
  }
  // Each group at one go: one by one each would look for what is before it, among thousands after a long cut.
  for (const group of state.busy) castAgain(group, ctx);
  if (state.busy.size > 0) armRetry(state, ctx);
}

function resume(group: Group, body: GroupBody, targets: readonly Target[], state: GroupsState, ctx: Ctx): void {
  const outgoing = noteOutgoing(group, body, targets, ctx.clock.monotonicMs(), state);
  outgoing.sentAtMs = -Infinity;
  if (outgoing.targets.size === 0) finish(group, outgoing, state, ctx);
}
