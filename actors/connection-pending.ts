/**
 * What a connection has handed over and has not heard of, and what becomes of it when it hears nothing.
 *
 * A cast between threads may be lost where its sender does not see it: in a full mailbox, with the actor that had it. So whatever a
 * client waits for is looked at in turns: what was pending at one look and still is at the next ends the connection, and the
 * client says all of it again on its next one. Nobody answers an acknowledgement; the last one is said a second time at a look, which
 * costs nothing where the first arrived.
 *
 * Everything here is cumulative: an answer for an id covers the smaller ones. Read next: `connection.ts`, which holds the timer.
 */

import type { Receipt } from './messages.ts';

export interface Pending {
  /** By recipient, the last message that an inbox has not answered yet. */
  readonly messages: Map<string, number>;
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
    groupMessages: new Map(),
    watched: new Map(),
    watchedOfGroups: new Map(),
    receipts: new Map(),
    acknowledged: 0,
    isTimed: false,
  };
}

/** An inbox has answered all messages to `to` up to `id`. */
export function noteAnswer(pending: Pending, to: string, id: number): void {
  settle(pending.messages, to, id);
  settle(pending.watched, to, id);
}

/** The owner of a group has answered all messages up to `id`. */
export function noteGroupAnswer(pending: Pending, group: string, id: number): void {
  settle(pending.groupMessages, group, id);
  settle(pending.watchedOfGroups, group, id);
}

function settle(last: Map<string, number>, name: string, id: number): void {
  if (last.size > 0 && (last.get(name) ?? Infinity) <= id) last.delete(name);
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
