/**
 * Decides what the next commit of an outbox changes: which messages it takes, what has arrived and goes, what is too old.
 *
 * A message is taken if everything before it is taken or has its check mark: then its own check mark, which covers them, is true. Its connection
 * knows what has; what it has sent here without an answer is `after`. Refusals are of the kind that pass, so that a client sends again from the first message
 * without a check mark. Read next: `settle.ts`, what follows.
 */

import { LIMITS } from '../limits.ts';
import type { Refusal } from '../errors.ts';
import type { SenderAddress } from '../store/inbox-store.ts';
import { outboxBytes, type OutboxHead } from '../store/outbox-store.ts';
import type { Detour } from './messages.ts';
import { count, newRow, rowKey, type OutboxCommit, type OutboxState, type Row } from './state.ts';

/** A message that is refused at once. */
export interface Turned {
  readonly message: Detour;
  readonly refusal: Refusal;
}

/** Refused for want of room: by then the outbox may have got on. */
const FULL: Refusal = Object.freeze({ code: 'APP_OVERLOADED', retryAfter: 5 });
/** Refused because what came before was: it goes again with that. */
const BEHIND: Refusal = Object.freeze({ code: 'APP_UNAVAILABLE', retryAfter: 1 });

export function emptyCommit(ts: number): OutboxCommit {
  return { ts, taken: [], known: [], before: new Map(), arrived: new Map(), expired: new Map(), bytes: 0 };
}

export function writesAnything({ taken, arrived, expired }: OutboxCommit): boolean {
  return taken.length + arrived.size + expired.size > 0;
}

/** Takes from the queue what fits one commit. @returns What is refused. */
export function planQueue(commit: OutboxCommit, room: number, state: OutboxState): Turned[] {
  const turned: Turned[] = [];
  let next = 0;
  while (next < state.queue.length && next < LIMITS.commitOperationsMax && commit.bytes < LIMITS.commitBytesMax) {
    const message = state.queue[next++]!;
    const refusal = plan(message, commit, room, state);
    if (refusal !== undefined) turned.push({ message, refusal });
  }
  state.queue = state.queue.slice(next);
  return turned;
}

function plan(message: Detour, commit: OutboxCommit, room: number, state: OutboxState): Refusal | undefined {
  const row = rowOf(message, state);
  row.connection = message.connection;
  if (message.id <= row.taken) return void commit.known.push(message);
  const refusal = refuse(message, row, commit, room, state);
  if (refusal !== undefined) return refusal;
  if (!commit.before.has(row)) commit.before.set(row, row.taken);
  const { sender, to, id } = message;
  const bytes = outboxBytes(message.envelopes);
  row.taken = id;
  const head: OutboxHead = { sender, to, id, ts: commit.ts, bytes, isLost: false };
  row.heads.push(head);
  count(head, 1, row, state);
  commit.bytes += bytes;
  commit.taken.push(message);
  return undefined;
}

/** The row of a message; made with its first. */
export function rowOf(
  { sender, senderKey, to }: { readonly sender: SenderAddress; readonly senderKey: string; readonly to: string },
  { rows, args }: OutboxState,
): Row {
  const key = rowKey(senderKey, to);
  let row = rows.get(key);
  if (row === undefined) rows.set(key, (row = newRow(sender, senderKey, to, args.inboxOf(to))));
  return row;
}

function refuse(
  message: Detour,
  row: Row,
  commit: OutboxCommit,
  room: number,
  state: OutboxState,
): Refusal | undefined {
  if (message.after > row.taken) return BEHIND;
  // What waits has the recipient's own reason to wait: who writes more is told of it.
  if (row.refusal !== undefined) return row.refusal.refusal;
  const bytes = outboxBytes(message.envelopes);
  const { load } = state.args;
  const ofDevice = weigh(message.senderKey, state);
  const isFull =
    commit.bytes + bytes > room ||
    load.count >= LIMITS.outboxCountMax ||
    load.bytes + bytes > LIMITS.outboxBytesMax ||
    (state.bytesFor.get(row.inbox.name) ?? 0) + bytes > LIMITS.outboxShardBytesMax ||
    ofDevice.bytes + bytes > LIMITS.outboxDeviceBytesMax ||
    ofDevice.count >= LIMITS.outboxDeviceCountMax ||
    ofDevice.rows > LIMITS.outboxDeviceRowsMax;
  return isFull ? FULL : undefined;
}

/** What a device has here, with the commit that is being planned: it has few rows. */
function weigh(
  senderKey: string,
  { rows, args }: OutboxState,
): { readonly rows: number; readonly count: number; readonly bytes: number } {
  const sum = { rows: 0, count: 0, bytes: 0 };
  for (const to of args.load.waiting.get(senderKey)?.keys() ?? []) {
    sum.rows++;
    const row = rows.get(rowKey(senderKey, to));
    sum.count += row?.heads.length ?? 0;
    sum.bytes += row?.bytes ?? 0;
  }
  return sum;
}

/** What has arrived goes, as many as a commit removes. */
export function planArrived(commit: OutboxCommit, { done }: OutboxState): void {
  let left: number = LIMITS.commitRemovalsMax;
  for (const row of done) {
    const ready = row.heads.findIndex(({ id }) => id > Math.min(row.arrived, row.flushed));
    const gone = Math.min(left, ready === -1 ? row.heads.length : ready);
    if (gone > 0) commit.arrived.set(row, gone);
    left -= gone;
    if (left <= 0) return;
    done.delete(row);
  }
}

/** What nobody has taken for thirty days is given up, one of a row at a time, as many as a commit takes. Its place stays. */
export function planExpired(commit: OutboxCommit, { old }: OutboxState): void {
  for (const row of old) {
    if (commit.expired.size >= LIMITS.commitOperationsMax) return;
    old.delete(row);
    const [first] = row.heads;
    if (first !== undefined && isOld(first, commit.ts) && !commit.arrived.has(row)) commit.expired.set(row, first);
  }
}

/** Whether an entry is to be given up. */
export function isOld({ ts, isLost }: OutboxHead, nowMs: number): boolean {
  return !isLost && ts < nowMs - LIMITS.messageAgeMsMax;
}
