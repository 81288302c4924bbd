/** Entries on their way into a commit: which tier each goes to, and which conversation it is of. */

import type { Commit, InboxState, Push } from './state.ts';
import { LIMITS } from '../limits.ts';
import { requestPrune } from './losses.ts';
import {
  type Conversation,
  type Device,
  entryBytes,
  findConversation,
  isCaughtUp,
  pushedBytes,
  type Recipient,
  senderKeyOf,
} from './recipients.ts';
import type { InboxEntry, SenderAddress } from '../store/inbox-store.ts';
import { addToRun, touch } from './waiting-runs.ts';

/** Puts an entry with the device's next position into the commit: fresh if it goes out at once, else into a run. */
export function addEntry(
  entry: InboxEntry,
  recipient: Recipient,
  device: Device,
  conversation: Conversation,
  commit: Commit,
  state: InboxState,
): void {
  const push = pushOf(commit, recipient, device);
  const { length } = push.entries;
  const bytes = entryBytes(entry);
  if (push.arrivals.length === length && isCaughtUp(device, length, push.pushedBytes))
    push.arrivals.push(state.nextArrival++);
  else if (entry.type !== 'pruned') {
    touch(commit.touched, conversation, recipient);
    addToRun(conversation, device.id, entry.seq, bytes);
  }
  commit.bytes += bytes;
  push.bytes += bytes;
  push.pushedBytes += pushedBytes(entry);
  push.entries.push(entry);
  push.conversations.push(conversation);
  if (device.bytes + push.bytes > LIMITS.inboxBytesMax) requestPrune(recipient, device, state);
}

function pushOf(commit: Commit, recipient: Recipient, device: Device): Push {
  let push = commit.pushes.get(device);
  if (push === undefined) {
    push = { recipient, device, entries: [], conversations: [], arrivals: [], bytes: 0, pushedBytes: 0 };
    commit.pushes.set(device, push);
  }
  return push;
}

export function conversationOf(entry: InboxEntry, recipient: Recipient, state: InboxState): Conversation {
  const sender: SenderAddress = { user: entry.sender, device: entry.senderDevice, creation: entry.senderCreation };
  return findConversation(recipient, state.args.store, sender, senderKeyOf(sender));
}
