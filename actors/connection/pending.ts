/**
 * What a connection has handed over and has not heard of, and what becomes of it when it hears nothing.
 *
 * A cast between threads may be lost where its sender does not see it: in a full mailbox, with the actor that had it. So whatever a
 * client waits for is looked at in turns: what was pending at one look and still is at the next ends the connection, and the
 * client says all of it again on its next one. Nobody answers an acknowledgement; the last one is said a second time at a look, which
 * costs nothing where the first arrived.
 *
 * An acknowledgement is cumulative: it covers the smaller ids. A refusal is of one message: what was handed over before it may still be in a commit that
 * hangs, and what followed it is refused as well, for shards and outboxes keep the order. So what is unanswered of a recipient is a run of ids, and an
 * acknowledgement shortens it in front, a refusal behind. Read next: `unanswered.ts`, which holds the timer.
 */

import type { Receipt } from '../messages.ts';

export interface Pending {
  /** By recipient, the last message that an inbox has not answered yet. */
  readonly messages: Map<string, number>;
  /**
   * By recipient, the first of those messages where it is not the last; made with the first. Kept in a cluster only, where what is unanswered decides about
   * a detour. A state from before a reload of the code may lack it.
   */
  firsts?: Map<string, number> | undefined;
  /** By group, the last message that its owner has not answered yet. */
  readonly groupMessages: Map<string, number>;
  /** What was pending at the last look. */
  watched: Map<string, number>;
  watchedOfGroups: Map<string, number>;
  /** Receipts that wait for an answer, by type and recipient; a later one replaces an earlier one. */
  readonly receipts: Map<string, Receipt>;
  /** The last acknowledgement since the last look; 0 for none. */
  acknowledged: number;
  /** Whether a look is due. */
  isTimed: boolean;
}

export function noPending(): Pending {
  return {
    messages: new Map(),
    firsts: undefined,
    groupMessages: new Map(),
    watched: new Map(),
    watchedOfGroups: new Map(),
    receipts: new Map(),
    acknowledged: 0,
    isTimed: false,
  };
}

/** A message to `to` is handed over. @param keepsFirst - Whether it is to be known which of several is the first. */
export function noteHandedOver(pending: Pending, to: string, id: number, keepsFirst: boolean): void {
  if (keepsFirst) noteFirst(pending, to, id);
  pending.messages.set(to, id);
}

function noteFirst(pending: Pending, to: string, id: number): void {
  const last = pending.messages.get(to);
  if (last === undefined) return;
  const { firsts } = pending;
  if (id <= (firsts?.get(to) ?? last)) firsts?.delete(to);
  else if (firsts?.has(to) !== true) (pending.firsts ??= new Map()).set(to, last);
}

/** All messages to `to` up to `id` are stored. */
export function noteAnswer(pending: Pending, to: string, id: number): void {
  settle(pending.messages, to, id);
  settle(pending.watched, to, id);
  const { firsts } = pending;
  if (firsts === undefined || (firsts.get(to) ?? Infinity) > id) return;
  if ((pending.messages.get(to) ?? 0) <= id + 1) firsts.delete(to);
  else firsts.set(to, id + 1);
}

/** Message `id` to `to` was refused. What was handed over before it is still unanswered; what followed it will be refused, or is. */
export function noteRefused(pending: Pending, to: string, id: number): void {
  const last = pending.messages.get(to) ?? 0;
  const first = pending.firsts?.get(to) ?? last;
  // One that was handed over again since then, or was answered, says nothing of the others.
  if (id < first || id > last) return settle(pending.watched, to, id);
  if (id === first) return noteAnswer(pending, to, id);
  pending.messages.set(to, id - 1);
  if (first === id - 1) pending.firsts?.delete(to);
  if ((pending.watched.get(to) ?? 0) >= id) pending.watched.set(to, id - 1);
}

/** The owner of a group has answered all messages up to `id`. */
export function noteGroupAnswer(pending: Pending, group: string, id: number): void {
  settle(pending.groupMessages, group, id);
  settle(pending.watchedOfGroups, group, id);
}

function settle(last: Map<string, number>, name: string, id: number): void {
  if (last.size > 0 && (last.get(name) ?? Infinity) <= id) last.delete(name);
}

/** Nothing is pending any more. A look that is due stays due: a second one beside it would come too soon for what is pending then. */
export function dropPending(pending: Pending): void {
  pending.messages.clear();
  pending.firsts?.clear();
  pending.groupMessages.clear();
  pending.watched = new Map();
  pending.watchedOfGroups = new Map();
  pending.receipts.clear();
  pending.acknowledged = 0;
}

/** What a look finds: that an answer is overdue, or what to do until the next one. */
export type Look = 'overdue' | { readonly acknowledgeAgain: number; readonly isIdle: boolean };

/** Looks, and notes what the next look must not find again. */
export function look(pending: Pending): Look {
  if (pending.watched.size + pending.watchedOfGroups.size > 0) return 'overdue';
  const acknowledgeAgain = pending.acknowledged;
  pending.acknowledged = 0;
  if (pending.messages.size > 0) pending.watched = new Map(pending.messages);
  if (pending.groupMessages.size > 0) pending.watchedOfGroups = new Map(pending.groupMessages);
  const isIdle = pending.messages.size + pending.groupMessages.size === 0;
  return { acknowledgeAgain, isIdle };
}
