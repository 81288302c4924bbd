/**
 * What a commit of an outbox writes, and what follows when it has settled: flushed, its messages have their check marks and may leave; refused, it is
 * taken back.
 */

import { samePid, type Context, type Pid } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import type { ConnectionMessage, InboxMessage } from '../messages.ts';
import type { StoreBatch } from '../store/inbox-store.ts';
import { LIMITS } from '../limits.ts';
import { outboxBytes } from '../store/outbox-store.ts';
import { sendNext } from './forward.ts';
import { noteGone, waitsFor } from './load.ts';
import type { Detour } from './messages.ts';
import type { Turned } from './plan.ts';
import { count, rowKey, type OutboxCommit, type OutboxState, type Row } from './state.ts';

/** A note to itself that the pause after a refused commit is over. */
export const TRY_AGAIN = 'try-again';

/** Writes the plan. Runs once, inside the store's batch, in the same turn as the planning. */
export function writeCommit({ taken, arrived, expired, ts }: OutboxCommit, batch: StoreBatch): void {
  for (const { sender, to, id, envelopes } of taken) batch.outbox.put({ sender, to, id, ts, envelopes });
  for (const [{ heads }, count] of arrived) {
    for (const { sender, to, id } of heads.slice(0, count)) batch.outbox.remove(sender, to, id);
  }
  for (const { sender, to, id, ts: since } of expired.values()) {
    batch.outbox.put({ sender, to, id, ts: since, envelopes: [], lost: 'APP_EXPIRED' });
  }
}

export function applyCommit(commit: OutboxCommit, state: OutboxState, ctx: Context): void {
  const { load } = state.args;
  for (const row of commit.before.keys()) {
    row.flushed = row.taken;
    // The recipient's shard was ahead of the outbox: its client had written to it directly.
    if (row.heads[0]!.id <= row.arrived) state.done.add(row);
  }
  for (const { senderKey, to } of commit.known) noteGone(load, senderKey, to, 1);
  tellTaken([...commit.known, ...commit.taken], commit.ts, state, ctx);
  for (const [row, gone] of commit.arrived) {
    for (const head of row.heads.splice(0, gone)) count(head, -1, row, state);
    noteGone(load, row.senderKey, row.to, gone);
  }
  for (const row of commit.expired.keys()) giveUpFirst(row, commit.ts, state, ctx);
  for (const row of commit.before.keys()) sendNext(row, state, ctx);
  for (const row of new Set([...commit.arrived.keys(), ...commit.known.map((each) => rowOfKnown(each, state))])) {
    if (row !== undefined) endIfDone(row, state, ctx);
  }
}

function rowOfKnown({ senderKey, to }: Detour, { rows }: OutboxState): Row | undefined {
  return rows.get(rowKey(senderKey, to));
}

/** One check mark for what one connection has written to one recipient: it covers all before. */
function tellTaken(messages: readonly Detour[], ts: number, { rows }: OutboxState, ctx: Context): void {
  const last = new Map<Row, Detour>();
  const sent = ({ connection, senderKey, to }: Detour): void => {
    const id = rows.get(rowKey(senderKey, to))!.flushed;
    tell(connection, { kind: 'sent', to, id, ts }, ctx);
  };
  for (const message of messages) {
    const row = rows.get(rowKey(message.senderKey, message.to))!;
    const before = last.get(row);
    if (before !== undefined && !samePid(before.connection, message.connection)) sent(before);
    last.set(row, message);
  }
  for (const message of last.values()) sent(message);
}

/** An entry is too old: what stands in its place says so, and its sender is told. */
function giveUpFirst(row: Row, ts: number, state: OutboxState, ctx: Context): void {
  const first = row.heads[0]!;
  const { sender, to, id, ts: since } = first;
  count(first, -1, row, state);
  row.heads[0] = { sender, to, id, ts: since, bytes: outboxBytes([]), isLost: true };
  count(row.heads[0], 1, row, state);
  tellLost(row, id, id, 'APP_EXPIRED', ts, state.args.inboxOf(sender.user), ctx);
}

/** Tells a sender that messages are lost, if it is there. */
function tellLost(
  { sender, to }: Row,
  since: number,
  until: number,
  code: 'APP_EXPIRED' | 'APP_UNDELIVERABLE',
  ts: number,
  inbox: ReturnType<OutboxState['args']['inboxOf']>,
  ctx: Context,
): void {
  const receipt = { kind: 'gap', to, since, until, code, ts } as const;
  ctx.cast(inbox, { kind: 'relay-receipt', to: sender.user, device: sender.device, receipt } satisfies InboxMessage);
}

/** There is nobody to take what waits in a row: all of it goes, and its sender is told. */
export function giveUpRow(row: Row, refusal: Refusal, state: OutboxState, ctx: Context): void {
  const last = row.heads.findLast(({ id }) => id <= row.flushed);
  if (last === undefined) return;
  ctx.log.warn('detour_given_up', { messages: row.heads.length });
  const ts = Math.floor(ctx.clock.nowMs());
  tellLost(row, row.heads[0]!.id, last.id, 'APP_UNDELIVERABLE', ts, state.args.inboxOf(row.sender.user), ctx);
  row.arrived = last.id;
  row.flight = undefined;
  row.refusal = { id: Infinity, refusal };
  state.done.add(row);
  ctx.requestTurnEnd();
}

/** Nothing was written: takes back what was to be taken, and tries the rest again. */
export function undoCommit(commit: OutboxCommit, state: OutboxState, ctx: Context): Turned[] {
  state.fullUntilMs = ctx.clock.monotonicMs() + LIMITS.storeFullPauseMs;
  ctx.sendAfter(LIMITS.storeFullPauseMs, TRY_AGAIN);
  ctx.log.error('commit_refused', { reason: 'store full', submissions: commit.taken.length });
  for (const [row, taken] of commit.before) {
    row.taken = taken;
    while ((row.heads.at(-1)?.id ?? 0) > taken) count(row.heads.pop()!, -1, row, state);
  }
  for (const row of commit.arrived.keys()) state.done.add(row);
  for (const row of commit.expired.keys()) state.old.add(row);
  const refusal = { code: 'APP_STORE_FULL', retryAfter: LIMITS.storeFullRetrySeconds } as const;
  return [...commit.known, ...commit.taken].map((message) => ({ message, refusal }));
}

/** Tells connections what is refused. */
export function turnAway(turned: readonly Turned[], state: OutboxState, ctx: Context): void {
  for (const { message, refusal } of turned) {
    const { connection, senderKey, to, id } = message;
    noteGone(state.args.load, senderKey, to, 1);
    tell(connection, { kind: 'refused', to, id, refusal }, ctx);
    const row = state.rows.get(rowKey(senderKey, to));
    if (row !== undefined) endIfDone(row, state, ctx);
    else if (!waitsFor(state.args.load, senderKey, to)) tell(connection, { kind: 'detour-ended', to }, ctx);
  }
}

/** Nothing of the row waits any more, nor is on its way here: its client's messages go straight again. */
function endIfDone(row: Row, state: OutboxState, ctx: Context): void {
  const { senderKey, to, connection } = row;
  if (row.heads.length > 0 || waitsFor(state.args.load, senderKey, to)) return;
  state.rows.delete(rowKey(senderKey, to));
  state.done.delete(row);
  state.old.delete(row);
  if (connection !== undefined) tell(connection, { kind: 'detour-ended', to }, ctx);
}

/** One that is gone comes again and asks; one that has no room ends, or its client would wait for good. */
function tell(connection: Pid, message: ConnectionMessage, ctx: Context): void {
  if (ctx.cast(connection, message) === 'full') ctx.exit(connection, { shutdown: 'overload' });
}
