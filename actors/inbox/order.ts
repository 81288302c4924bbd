/**
 * The order of ids in a row of messages: one sender's device to a user, or to a group.
 *
 * A row with a record takes the next id and no other. A row that is open, without a record or with one in doubt (`../store/doubt.ts`; of a group: `isOpenSender`), takes
 * any, for its sender may count on from what is not known here any more. But never one past an id that was refused: what is smaller than the
 * one that opens a row counts as a resend from then on, so the refused one would be acknowledged and nobody would have it. Therefore an
 * open row remembers the first id that was refused. So it does with the first that a commit takes: if the commit fails, that one was refused.
 *
 * It is remembered as long as the row stays in memory, and connections remember what they refuse themselves (`../connection/awaited.ts`).
 */

import type { Refusal } from '../errors.ts';
import type { Submit } from '../messages.ts';
import { isInDoubt } from '../store/doubt.ts';
import { findConversation, findRecipient, type Conversation } from './recipients.ts';
import type { InboxState } from './state.ts';

/** A row as far as its order goes: `Conversation` and `GroupSender`. */
export interface Row {
  /** Whether the store has a record. */
  known: boolean;
  /** Highest accepted id. */
  accepted: number;
  /** While the row is open: nothing greater opens it. Rows from before a reload of the code may lack it. */
  awaited?: number | undefined;
}

/**
 * Refuses a message that may not come now.
 *
 * An open row takes any id, but not one behind another that its sender has said and this actor has not taken: that one went to a former owner of the shard, or to a former life
 * of this actor, and was lost with it. The acknowledgement of what followed would cover it.
 *
 * @param after - The last one before it that its sender does not know to be stored; 0 for none.
 */
export function refuseOrder(
  { id, after = 0 }: { readonly id: number; readonly after?: number },
  row: Row,
  isOpen: boolean,
): Refusal | undefined {
  const expected = missingBefore(id, row, isOpen);
  if (expected !== undefined) return { code: 'APP_OUT_OF_ORDER', expected };
  // Which one its sender has to begin with is not known here.
  return isOpen && after > row.accepted ? { code: 'APP_OUT_OF_ORDER' } : undefined;
}

/** The id that must come before `id`; `undefined` when this one may come. @param isOpen - Whether any id may come. */
export function missingBefore(id: number, { accepted, awaited }: Row, isOpen: boolean): number | undefined {
  if (!isOpen) return id === accepted + 1 ? undefined : accepted + 1;
  return awaited !== undefined && id > awaited ? awaited : undefined;
}

/** Notes in an open row that `id` is refused, or is the first of a commit. */
export function awaitId(id: number, row: Row): void {
  row.awaited = Math.min(row.awaited ?? id, id);
}

/** Whether any id may be the next of a conversation. */
export function isOpen(conversation: Conversation): boolean {
  return !conversation.known || isInDoubt(conversation);
}

/** Notes messages that are refused before anybody looks at the order of their conversations. */
export function noteTurnedAway(messages: readonly Submit[], { recipients, args: { store } }: InboxState): void {
  for (const { to, id, sender, senderKey } of messages) {
    const recipient = findRecipient(recipients, store, to);
    const conversation = recipient && findConversation(recipient, store, sender, senderKey);
    if (conversation !== undefined && isOpen(conversation)) awaitId(id, conversation);
  }
}
