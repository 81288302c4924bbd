/**
 * What is accepted and flushed goes to every shard with members, again and again until each has confirmed it; and what waited for that.
 */

import { decodeGroupChange, isGroupRefusal } from '../protocol/wire/index.ts';
import type { Context } from '../runtime/index.ts';
import type { FannedOut, FanOut } from './group-messages.ts';
import { findGroup, gather, type Group, type Outgoing, placeBefore, type Target, targetsOf } from './group-roll.ts';
import type { GroupsState } from './group-state.ts';
import { leaversOf } from './group-write.ts';
import { LIMITS } from './limits.ts';
import type { InboxMessage } from './messages.ts';
import type { GroupBody } from './store/group-store.ts';

type Ctx = Context;

/** Who leaves is told of it, and of nothing more. */
export function recipientsOfChange(group: Group, leavers: readonly string[], { args }: GroupsState): Target[] {
  const members = group.state?.roster.members ?? new Map<string, unknown>();
  return gather([...members.keys(), ...leavers.filter((user) => !members.has(user))], args.inboxOf);
}

export function sendOut(group: Group, body: GroupBody, targets: readonly Target[], state: GroupsState, ctx: Ctx): void {
  const outgoing: Outgoing = { body, targets: new Map(), sentAtMs: ctx.clock.monotonicMs() };
  for (const target of targets) outgoing.targets.set(target.inbox.name, target);
  group.outgoing.set(body.order, outgoing);
  state.busy.add(group);
  if (outgoing.targets.size === 0) return finish(group, outgoing, state, ctx);
  castOut(group, outgoing, ctx);
  armRetry(state, ctx);
}

/** One message between actors for each shard. Whatever becomes of it, it is sent again until it is confirmed. */
export function castOut(group: Group, { body, targets }: Outgoing, ctx: Ctx): void {
  for (const { inbox, recipients } of targets.values()) {
    const after = placeBefore(group, body.order, inbox.name);
    ctx.cast(inbox, { kind: 'fan-out', body, recipients, after, inbox: inbox.name } satisfies FanOut as InboxMessage);
  }
}

export function noteFannedOut({ group: id, order, inbox }: FannedOut, state: GroupsState, ctx: Ctx): void {
  const group = state.roll.get(id);
  const outgoing = group?.outgoing.get(order);
  if (group === undefined || outgoing === undefined) return;
  outgoing.targets.delete(inbox);
  if (outgoing.targets.size === 0) finish(group, outgoing, state, ctx);
}

function finish(group: Group, { body }: Outgoing, state: GroupsState, ctx: Ctx): void {
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
      sendOut(group, body, targetsOf(group, inboxOf), state, ctx);
    } else {
      group.changing = true;
      sendOut(group, body, recipientsOfChange(group, leaversOf(change), state), state, ctx);
    }
  }
}
