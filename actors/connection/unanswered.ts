/**
 * What waits to be answered, looked at in turns, and what is cumulative and may wait: acknowledgements, read marks, receipts.
 *
 * `pending.ts` keeps the books and decides; here they are carried out, with one timer that runs only while something is pending.
 */

import { receiptStanza } from '../../protocol/wire/index.ts';
import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { InboxMessage, MarkRead, Receipt } from '../messages.ts';
import { fullBucket, takeToken } from '../rate-limit.ts';
import { dropPending, hasUnanswered, look, noPending, type Pending } from './pending.ts';
import { MARK_RULE, noteTaken, ratesOf } from './rates.ts';
import { closeWith } from './refusals.ts';
import { forgetThrough, handOver, lastBefore, takeRefused, takeStored } from './runs.ts';
import { liveSelf, type ConnectionState } from './state.ts';

/** A note to itself: an answer may be overdue. */
export const LOOK = 'look-for-answers';

/** What is pending, with a look due: a client may wait for what comes into it now. */
export function pendingOf(state: ConnectionState, ctx: Context): Pending {
  const pending = (state.pending ??= noPending());
  if (pending.isTimed) return pending;
  pending.isTimed = true;
  lookLater(ctx);
  return pending;
}

export function lookForAnswers(state: ConnectionState, ctx: Context): void {
  const { pending } = state;
  if (pending === undefined) return;
  if (state.phase.name !== 'live') return void (pending.isTimed = false);
  const seen = look(pending);
  if (seen === 'overdue') return closeWith('APP_OVERLOADED', state, ctx);
  if (seen.acknowledgeAgain > 0) sayAcknowledged(seen.acknowledgeAgain, state, ctx);
  pending.isTimed = !seen.isIdle;
  if (pending.isTimed) lookLater(ctx);
}

/** Together with all others of its second: a worker with many who say something now and then wakes once for all of them. */
function lookLater(ctx: Context): void {
  const nowMs = ctx.clock.monotonicMs();
  const dueMs = Math.ceil((nowMs + LIMITS.answerLookMs) / LIMITS.answerLookStepMs) * LIMITS.answerLookStepMs;
  ctx.sendAfter(dueMs - nowMs, LOOK);
}

/** Over the rate, and where the inbox cannot take it, it waits for the next look: the last one covers all before. */
export function acknowledge(seq: number, state: ConnectionState, ctx: Context): void {
  pendingOf(state, ctx).acknowledged = seq;
  if (takeMark(state, ctx)) sayAcknowledged(seq, state, ctx);
}

function sayAcknowledged(seq: number, state: ConnectionState, ctx: Context): void {
  const { user, device } = liveSelf(state);
  const message: InboxMessage = { kind: 'acknowledge', connection: ctx.self, user, device, seq };
  ctx.cast(state.routes.inboxOf(user), message);
}

/** One that is lost is covered by the next. */
export function markRead(message: MarkRead, state: ConnectionState, ctx: Context): void {
  if (takeMark(state, ctx)) ctx.cast(state.routes.inboxOf(message.user), message);
}

function takeMark(state: ConnectionState, ctx: Context): boolean {
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.marks ??= fullBucket(MARK_RULE, now);
  if (takeToken(rates.marks, MARK_RULE, now) === 0) {
    noteTaken(rates);
    return true;
  }
  if (++rates.refusals > LIMITS.rateRefusalsMax) closeWith('APP_RATE_LIMITED', state, ctx);
  return false;
}

/**
 * A receipt for a client that waits for an acknowledgement travels with it: that is on its way, a commit off, and a write
 * to a socket costs more than all else that a receipt takes. A client that waits for nothing gets it at once.
 */
export function writeReceipt(receipt: Receipt, state: ConnectionState): void {
  const { pending, socket } = state;
  if (pending === undefined || !hasUnanswered(pending)) return socket.write(receiptStanza(receipt));
  pending.receipts.set(`${receipt.type} ${receipt.from}`, receipt);
}

/** All messages to `to` up to `id` are stored. */
export function answered(to: string, id: number, { pending, socket }: ConnectionState): void {
  if (pending === undefined) return;
  takeStored(pending.runs, to, id);
  if (pending.receipts.size > 0) writeHeld(pending, socket);
}

/** Message `id` to `to` was refused by a shard or an outbox. */
export function refused(to: string, id: number, { pending, socket }: ConnectionState): void {
  if (pending === undefined) return;
  takeRefused(pending.runs, to, id);
  if (pending.receipts.size > 0) writeHeld(pending, socket);
}

/** As `answered`, of a group. */
export function answeredOfGroup(group: string, id: number, { pending }: ConnectionState): void {
  if (pending === undefined) return;
  takeStored(pending.groupRuns, group, id);
  forgetThrough(pending.groupRefusals, group, id);
}

/**
 * As `refused`, of a group. In a cluster it is noted until the message comes again: the next one may go to another owner, who knows of neither. On a node of its own the
 * connection ends with the owner.
 *
 * @returns Whether there was room for the note.
 */
export function refusedOfGroup(group: string, id: number, { pending, routes }: ConnectionState): boolean {
  if (pending === undefined) return true;
  takeRefused(pending.groupRuns, group, id);
  if (!routes.isClustered) return true;
  const refusals = (pending.groupRefusals ??= new Map());
  refusals.set(group, Math.min(refusals.get(group) ?? id, id));
  return refusals.size <= LIMITS.awaitedCountMax;
}

/** Message `id` to a group is on its way to its owner. */
export function handOverToGroup(group: string, id: number, pending: Pending): void {
  if (pending.groupRefusals?.get(group) === id) pending.groupRefusals.delete(group);
  handOver((pending.groupRuns ??= new Map()), group, id);
}

/** As `lastUnstored` (`detours.ts`), of a group. */
export function lastUnstoredOfGroup(group: string, id: number, { pending }: ConnectionState): number {
  const refused = pending?.groupRefusals?.get(group) ?? id;
  return Math.max(lastBefore(pending?.groupRuns, group, id), refused < id ? refused : 0);
}

/** What is pending will not be answered, and its client knows. */
export function forgetUnanswered({ pending, socket }: ConnectionState): void {
  if (pending === undefined) return;
  writeHeld(pending, socket);
  dropPending(pending);
}

function writeHeld({ receipts }: Pending, socket: ConnectionState['socket']): void {
  for (const receipt of receipts.values()) socket.write(receiptStanza(receipt));
  receipts.clear();
}
