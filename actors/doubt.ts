/**
 * Conversations of a store that was restored from a backup: between the backup and the loss of the original, messages may have been
 * accepted that nobody has here.
 *
 *   backup            lost            restored
 *   1 2 3 4 │ 5 6 7 acknowledged ✝ │  8 comes: 5 to 7 are gone, and both ends are told
 *
 * A conversation in doubt has a gap without an end after the last id that is known. The next message ends it, whatever its id: its
 * sender's client counts on, since the server had confirmed what it does not know any more. An id that is known is a resend, as ever. The
 * recipient may have got some of what is told as lost, before the loss: its client knows what it has.
 */

import type { Conversation } from './recipients.ts';
import type { ConversationRecord } from './store/inbox-store.ts';
import type { GapRecord } from './store/loss.ts';

/** Until any id: the largest that a record holds. */
const UNTIL_ANY = 2 ** 48 - 1;

/** The record of a conversation of which the newest messages may be missing. */
export function doubted(record: ConversationRecord, gapCountMax: number): ConversationRecord {
  const { accepted, delivered, waiting = [] } = record;
  const open: GapRecord = { since: accepted + 1, until: UNTIL_ANY, code: 'APP_RESTORED' };
  const gaps = [...(record.gaps ?? []).filter((gap) => gap.until !== UNTIL_ANY), open].slice(-gapCountMax);
  return { accepted, delivered, waiting, gaps };
}

export function isInDoubt({ gaps }: Conversation): boolean {
  return gaps.length > 0 && gaps.at(-1)!.until === UNTIL_ANY;
}

/** The gaps that can be told: what is in doubt is known when the next message has come. */
export function settledGaps(gaps: readonly GapRecord[]): readonly GapRecord[] {
  return gaps.at(-1)?.until === UNTIL_ANY ? gaps.slice(0, -1) : gaps;
}

/** What is lost before message `id`, the first one since; undefined if nothing is. */
export function lossBefore({ accepted }: Conversation, id: number): GapRecord | undefined {
  return id === accepted + 1 ? undefined : { since: accepted + 1, until: id - 1, code: 'APP_RESTORED' };
}
