/**
 * How far members have come: gathered from their shards, told to those who watch, and to those who ask.
 *
 * Marks are cumulative and never stored here: one that is lost is covered by the next.
 */

import { LIMITS as WIRE } from '../../protocol/wire/index.ts';
import type { Context } from '../../runtime/index.ts';
import { refuseRequest, refuseStranger, tell, tellAll } from './answers.ts';
import type { GroupMarksQuery, MarksFound, MarksReached } from './messages.ts';
import { introduce, stamp } from './plan.ts';
import { findGroup, gather, type Group, isMember, memberPage } from './roll.ts';
import type { GroupsState, MarksRequest } from './state.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage, InboxMessage } from '../messages.ts';

type Ctx = Context;

export const RECEIPTS = 'tell-receipts';

/** Requests for marks that wait at a time; the oldest gives way. Its client asks again. */
const REQUESTS_MAX = 1_024;

export function noteMarks({ type, group: id, marks }: MarksReached, state: GroupsState, ctx: Ctx): void {
  const group = state.roll.get(id);
  if (group === undefined || group.watchers.size === 0) return;
  const fresh = group.marks[type];
  for (const { user, order } of marks) {
    if (isMember(group, user)) fresh.set(user, Math.max(order, fresh.get(user) ?? 0));
  }
  state.marked.add(group);
  if (state.isReceiptArmed) return;
  state.isReceiptArmed = true;
  ctx.sendAfter(LIMITS.groupReceiptsPauseMs, RECEIPTS);
}

export function tellWatchers(state: GroupsState, ctx: Ctx): void {
  state.isReceiptArmed = false;
  const ts = stamp(state, ctx.clock.nowMs());
  for (const group of state.marked) {
    for (const type of ['delivered', 'read'] as const) tellMarks(group, type, ts, ctx);
  }
  state.marked.clear();
}

function tellMarks(group: Group, type: 'delivered' | 'read', ts: number, ctx: Ctx): void {
  const marks = Array.from(group.marks[type], ([user, order]) => ({ user, order }));
  group.marks[type].clear();
  for (let at = 0; at < marks.length; at += WIRE.groupMarksMax) {
    const page = marks.slice(at, at + WIRE.groupMarksMax);
    for (const [name, { connection }] of group.watchers) {
      const message = { kind: 'group-receipts', type, group: group.id, ts, marks: page } as const;
      if (ctx.cast(connection, message satisfies ConnectionMessage) === 'noproc') group.watchers.delete(name);
    }
  }
}

/** Asks each shard how far its members are. The answers come one by one. */
export function askMarks(query: GroupMarksQuery, state: GroupsState, ctx: Ctx): void {
  const group = findGroup(state.roll, state.args.store.groups, query.group);
  const refusal = refuseStranger(group, query.self.user);
  if (refusal !== undefined) return refuseRequest(query, refusal, ctx);
  tellAll(introduce(group, query.connection, query.self.user, ctx.self), ctx);
  const { members, more } = memberPage(group, query.after, WIRE.groupMarksMax);
  const targets = gather(members, state.args.inboxOf);
  const request: MarksRequest = { query, more, marks: [], waitingFor: targets.length };
  if (targets.length === 0) return answerMarks(request, ctx);
  const ticket = state.nextTicket++;
  state.requests.set(ticket, request);
  for (const oldest of state.requests.keys()) {
    if (state.requests.size <= REQUESTS_MAX) break;
    state.requests.delete(oldest);
  }
  for (const { inbox, recipients } of targets) {
    const question = { kind: 'find-marks', ticket, group: group.id, members: recipients } as const;
    ctx.cast(inbox, question satisfies InboxMessage);
  }
}

export function collectMarks({ ticket, marks }: MarksFound, state: GroupsState, ctx: Ctx): void {
  const request = state.requests.get(ticket);
  if (request === undefined) return;
  request.marks.push(...marks);
  if (--request.waitingFor > 0) return;
  state.requests.delete(ticket);
  answerMarks(request, ctx);
}

function answerMarks({ query: { connection, iq, group }, marks, more }: MarksRequest, ctx: Ctx): void {
  const sorted = marks.toSorted((a, b) => (a.user < b.user ? -1 : 1));
  tell(connection, { kind: 'answer', iq, answer: { kind: 'group-marks', group, marks: sorted, more } }, ctx);
}
