/**
 * Stores a piece of a transferred history: before everything that is here, in the order in which it was there, nothing twice.
 *
 * Works inside a transaction of the caller's, who holds the locks of all conversations in the piece. It tells nobody: these messages are not
 * new, so they wake no reader and owe no receipt. Read next: `transfer.ts`.
 */

import { groupOfName } from './group-layout.ts';
import type { History } from './history.ts';
import type { Transaction } from './journal.ts';
import { KEYS, MARKS, PEER } from './layout.ts';
import { UNTOUCHED } from './history-layout.ts';
import { NUMBER, TEXT } from './record-codec.ts';
import type { MarksRecord, PeerRecord } from './layout.ts';
import type { TransferEntry } from './transfer-format.ts';

/** What storing needs to know. */
export interface SinkServices {
  readonly history: History;
  readonly self: { readonly user: string; readonly device: number };
}

/** The names whose locks a piece needs. */
export function namesIn(entries: readonly TransferEntry[]): string[] {
  return [...new Set(entries.map((entry) => (entry.kind === 'contact' ? entry.user : entry.conversation)))];
}

/**
 * Stores what is in a piece.
 *
 * @param floor - The local number of the first message that is not here; the next ones are below it.
 * @returns The floor afterwards.
 */
export async function storeEntries(
  { history, self }: SinkServices,
  transaction: Transaction,
  entries: readonly TransferEntry[],
  floor: number,
): Promise<number> {
  let next = floor;
  for (const entry of entries) {
    switch (entry.kind) {
      case 'message': {
        const { conversation, message } = entry;
        const record = { ...UNTOUCHED, ...message };
        if (await history.addFormer(transaction, conversation, self.user, next, record)) next -= 1;
        break;
      }
      case 'marks':
        if (entry.device !== self.device) await raiseMarks(transaction, entry.conversation, entry.device, entry);
        break;
      case 'contact':
        await addContact(transaction, entry.user, entry);
        break;
      case 'timer':
        await addTimer(transaction, entry.conversation, entry.seconds);
    }
  }
  return next;
}

/** Marks of another device only grow. */
async function raiseMarks(transaction: Transaction, to: string, device: number, told: MarksRecord): Promise<void> {
  const key = KEYS.twinMarks(to, device);
  const stored = await transaction.get(key);
  const known = stored === undefined ? { sentId: 0, deliveredId: 0, readId: 0 } : MARKS.decode(stored);
  const marks = {
    sentId: Math.max(known.sentId, told.sentId),
    deliveredId: Math.max(known.deliveredId, told.deliveredId),
    readId: Math.max(known.readId, told.readId),
  };
  transaction.put(key, MARKS.encode(marks));
}

/** What is known here is newer. */
async function addContact(transaction: Transaction, user: string, { phone, verified }: PeerRecord): Promise<void> {
  const stored = await transaction.get(KEYS.peer(user));
  const isKnown = stored !== undefined && PEER.decode(stored).verified;
  if (isKnown || phone === '' || groupOfName(user) !== undefined) return;
  transaction.put(KEYS.peer(user), PEER.encode({ phone, verified }));
  if (verified) transaction.put(KEYS.phone(phone), TEXT.encode(user));
}

async function addTimer(transaction: Transaction, conversation: string, seconds: number): Promise<void> {
  const key = KEYS.timer(conversation);
  if ((await transaction.get(key)) === undefined) transaction.put(key, NUMBER.encode(seconds));
}
