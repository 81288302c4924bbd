/**
 * Which messages a device that comes back gets ahead of their turn: the first ones of its newest conversations.
 *
 *   positions of the inbox   1 2 3 4 5 6 7 8 9 …                       a b c: conversations
 *   conversations            a a b a c a b c a
 *   pushed                   a1 a2 │ c5 c8 │ b3 b7 │ 4 6 9             newest conversation first, a page of each, then what is left
 *
 * What is pushed of a conversation is always its beginning, so its order holds; what is left of it follows in the order of
 * the positions. All of it fits the push window once, so a client has a bounded number of positions to remember.
 *
 * Decides from the runs in the records of the conversations (`waiting-runs.ts`) and reads the pages; `push.ts` pushes them.
 */

import { LIMITS } from '../limits.ts';
import type { Ahead, AheadPage, Device, Online, Recipient } from './recipients.ts';
import type { InboxEntry, InboxStore, WaitingConversation } from '../store/inbox-store.ts';

/** What is pushed ahead on a connection that has just come; `undefined` where the order of positions is as good. */
export function planAhead(recipient: Recipient, device: Device, store: InboxStore): Ahead | undefined {
  // Fresh entries stand before waiting ones when one connection took the place of another: no run says so.
  if (device.head - device.acknowledged <= LIMITS.aheadPageCountMax || device.fresh.length > 0) return undefined;
  const pages = pagesOf(store.waitingConversations(recipient.user), device);
  return pages.length < 2 ? undefined : { pages, pushed: new Set(), unacknowledged: 0, last: 0 };
}

/** The newest conversations, newest first. */
function pagesOf(conversations: readonly WaitingConversation[], device: Device): AheadPage[] {
  const pages: AheadPage[] = [];
  for (const { sender, record } of conversations) {
    // Entries of a group come in their turn: their stanzas cannot say otherwise.
    if (sender.device === 0) continue;
    const run = record.waiting?.find((each) => each.device === device.id);
    if (run !== undefined && run.first <= device.head) pages.push({ sender, first: run.first, last: run.last });
  }
  return pages.sort((left, right) => right.last - left.last).slice(0, LIMITS.aheadConversationCountMax);
}

/** Reads a page, as far as the window has room. */
export function readPage(
  { sender, first, last }: AheadPage,
  recipient: Recipient,
  device: Device,
  online: Online,
  store: InboxStore,
): InboxEntry[] {
  const through = Math.min(last, device.head);
  return store.entriesOf(recipient.user, device.id, sender, first - 1, through, {
    looksMax: LIMITS.aheadLooksMax,
    countMax: Math.min(LIMITS.aheadPageCountMax, LIMITS.windowCountMax - online.window.length),
    bytesMax: LIMITS.windowBytesMax - online.windowBytes,
  });
}
