/**
 * What this device keeps of the messages that it sends, beside their ciphertexts: a place in the history, the timer of the conversation,
 * and for a while what is sent once more to who could not read it. The same for a person and for a group.
 */

import type { OutgoingContent } from './content.ts';
import type { DraftContent } from './drafts.ts';
import { isEffect } from './effects.ts';
import { expiryOf } from './expiry.ts';
import type { ChangedMessage, History } from './history.ts';
import type { Transaction } from './journal.ts';
import { KEYS } from './layout.ts';
import { isStoredContent, UNTOUCHED } from './history-layout.ts';
import { NUMBER } from './record-codec.ts';
import type { HistoryRecord } from './history-layout.ts';
import { LIMITS } from './limits.ts';
import type { JournalledMessage } from './message-handle.ts';

/** Our user and device. */
interface Self {
  readonly user: string;
  readonly device: number;
}

/** A draft with its timer: its own, or that of the conversation. @param name - A user, or the name of a group. */
export async function withTimer(
  transaction: Transaction,
  name: string,
  { timerSeconds, ...content }: DraftContent,
): Promise<OutgoingContent> {
  if (timerSeconds !== undefined) return { ...content, timerSeconds };
  const stored = isStoredContent(content.body) ? await transaction.get(KEYS.timer(name)) : undefined;
  return { ...content, timerSeconds: stored === undefined ? 0 : NUMBER.decode(stored) };
}

/**
 * Puts a message of ours into the history, or does what it says to another one there.
 *
 * @param order - Its place in a group: the server's, once it is known; its number where the server gives none.
 * @returns What is not as it was, or is to be forgotten at some time.
 */
export async function remember(
  { history, self }: { readonly history: History; readonly self: Self },
  transaction: Transaction,
  name: string,
  { id, ordinal, sentAt, content }: JournalledMessage,
  order: number = 0,
): Promise<ChangedMessage[]> {
  const { body, isViewOnce, isForwarded = false, timerSeconds } = content;
  if (isEffect(body)) return history.apply(transaction, name, self.user, { body, author: self.user, sentAt });
  if (!isStoredContent(body)) return [];
  if (body.kind === 'timer') transaction.put(KEYS.timer(name), NUMBER.encode(body.seconds));
  const record: HistoryRecord = {
    ...UNTOUCHED,
    ...{ direction: 'out', number: id, device: self.device, sentAt, storedAt: sentAt },
    body: isViewOnce ? { kind: 'view-once' } : body,
    isViewOnce,
    isForwarded,
    order,
    expiresAt: expiryOf(sentAt, timerSeconds),
  };
  history.put(transaction, name, ordinal, record);
  return record.expiresAt === undefined ? [] : [{ user: name, ordinal, record }];
}

/**
 * Makes room among what is kept for sending once more, and takes out what the message deletes. What is kept when: `healer.ts`.
 *
 * @param keyOf - Where a number of this conversation is kept.
 * @returns Whether the message itself is to be kept there.
 */
export function makeRoomToKeep(
  transaction: Transaction,
  keyOf: (number: number) => string,
  { id, content: { body, isViewOnce } }: Pick<JournalledMessage, 'id' | 'content'>,
  self: Self,
): boolean {
  transaction.delete(keyOf(Math.max(0, id - LIMITS.keptCountMax)));
  if (body.kind === 'delete' && body.target.author === self.user && body.target.device === self.device) {
    transaction.delete(keyOf(body.target.number));
  }
  // What is not kept must not leave a former message of this number there either.
  transaction.delete(keyOf(id));
  return !(isViewOnce || body.kind === 'receipt' || body.kind === 'retry' || body.kind === 'resent');
}
