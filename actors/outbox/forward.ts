/**
 * What waits goes to the recipients' shards, row by row, in order, until each has said that it is flushed there.
 *
 * The first message of a flight goes alone, as one that opens the row: where the recipient's shard has no record of the conversation, any id begins it, and a second
 * one that overtook the first would. When that is answered, the rest goes in flights. Whatever goes wrong, the row begins anew with the first that has not arrived:
 * what the shard has already it knows, and says so. Rows do not wait for each other.
 */

import type { Context } from '../../runtime/index.ts';
import { describe, type AppCode, type Refusal } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Submit } from '../messages.ts';
import type { OutboxEntry } from '../store/outbox-store.ts';
import type { Forward, ForwardAnswer } from './messages.ts';
import { rowKey, type OutboxState, type Row } from './state.ts';

/** A note to itself to look at what waits. */
export const LOOK = 'look-at-rows';

/** Sends what a row may send now. @returns Whether its shard took it; `undefined` where there was nothing to send. */
export function sendNext(row: Row, state: OutboxState, ctx: Context): boolean | undefined {
  armLook(state, ctx);
  const nowMs = ctx.clock.monotonicMs();
  if (row.flight !== undefined || nowMs < row.pausedUntilMs || row.arrived >= row.flushed) return undefined;
  const countMax = row.isOpen ? LIMITS.outboxFlightCountMax : 1;
  const { store } = state.args;
  const page = store.outbox.entries(
    row.sender,
    row.to,
    row.arrived,
    row.flushed,
    countMax,
    LIMITS.outboxFlightBytesMax,
  );
  const through = castAll(page, row, ctx);
  if (through !== undefined) row.flight = { through, beganMs: nowMs };
  // Whoever takes the next one may be another owner.
  else if (page.length > 0) row.isOpen = false;
  return page.length === 0 ? undefined : through !== undefined;
}

/** @returns The last one that was taken. */
function castAll(page: readonly OutboxEntry[], row: Row, ctx: Context): number | undefined {
  let through: number | undefined;
  for (const { sender, to, id, envelopes, lost } of page) {
    const isRefused = id === row.refusedId;
    const forward: Forward = { opens: !row.isOpen, lost: isRefused ? 'APP_UNDELIVERABLE' : lost };
    const submit: Submit = {
      kind: 'submit',
      connection: ctx.self,
      sender,
      senderKey: row.senderKey,
      to,
      id,
      envelopes: isRefused ? [] : envelopes,
      forward,
    };
    if (ctx.cast(row.inbox, submit) !== 'ok') break;
    through = id;
  }
  return through;
}

/** The recipient's shard has said how far it is, or that it does not take a message. */
export function noteAnswer(answer: ForwardAnswer, state: OutboxState, ctx: Context): Row | undefined {
  const row = state.rows.get(rowKey(answer.senderKey, answer.to));
  if (row === undefined || answer.id <= row.arrived) return undefined;
  if (answer.kind === 'forwarded') noteArrived(answer.id, row, state, ctx);
  else if (row.flight !== undefined && answer.id <= row.flight.through) noteRefused(answer, row, ctx);
  return row;
}

function noteArrived(id: number, row: Row, state: OutboxState, ctx: Context): void {
  row.arrived = id;
  // Refusals come at once and this after a flush: it may be of what was before the refused one.
  if (row.refusal !== undefined && id >= row.refusal.id) row.refusal = undefined;
  state.done.add(row);
  ctx.requestTurnEnd();
  if (row.flight === undefined || id < row.flight.through) return;
  row.flight = undefined;
  row.isOpen = true;
  row.pausedUntilMs = 0;
  sendNext(row, state, ctx);
}

/** Of no concern to who writes: the shard will be in reach, or have room, again. */
const PASSING: ReadonlySet<AppCode> = new Set([
  'APP_OUT_OF_ORDER',
  'APP_OVERLOADED',
  'APP_UNAVAILABLE',
  'APP_STORE_FULL',
]);

function noteRefused(
  { id, refusal }: Extract<ForwardAnswer, { kind: 'forward-refused' }>,
  row: Row,
  ctx: Context,
): void {
  row.flight = undefined;
  row.isOpen = false;
  const waitMs = Math.max(LIMITS.outboxLookMs, (refusal.retryAfter ?? 0) * 1_000);
  row.pausedUntilMs = ctx.clock.monotonicMs() + waitMs;
  if (PASSING.has(refusal.code)) return;
  if (passes(refusal)) row.refusal = { id, refusal };
  else {
    ctx.log.warn('forward_refused', { code: refusal.code });
    // At once as given up; once.
    if (row.refusedId !== id) row.pausedUntilMs = 0;
    row.refusedId = id;
  }
}

/** Whether it may be taken later. */
function passes({ code, retryAfter }: Refusal): boolean {
  return retryAfter !== undefined || describe(code).retry;
}

/** Sees to it that all rows are looked at again. */
export function armLook(state: OutboxState, ctx: Context): void {
  if (state.isLookArmed) return;
  state.isLookArmed = true;
  ctx.sendAfter(LIMITS.outboxLookMs, LOOK);
}
