/**
 * How an inbox takes its shard over, after a start of the process and after the end of a former life alike.
 *
 * Which devices get what stands in the fresh tier at once was known to the former life alone. So everything in it is moved to
 * where it waits, as for devices that are away: they are, since a connection ends with the inbox that pushes to it. Then the
 * store says everything, and positions and places in the fresh tier go on from what it says.
 */

import type { Committer } from '../committer.ts';
import { LIMITS } from '../limits.ts';
import { ENTRY_OVERHEAD_BYTES, extendRuns } from '../store/inbox-store.ts';
import type { ConversationRecord, FreshEntry, InboxStore, StoreBatch } from '../store/inbox-store.ts';

/**
 * Claims `store` for an inbox that is about to read it. The promise resolves when it may; `undefined` when it may at once.
 * Rejects when there is no room to move what is fresh: without it nothing can be delivered, and the supervisor tries again.
 */
export function claimInbox(store: InboxStore, committer: Committer): Promise<void> | undefined {
  if (committer.underWay === 0 && store.freshEntries(1).length === 0) return undefined;
  return settle(store, committer);
}

async function settle(store: InboxStore, committer: Committer): Promise<void> {
  await committer.claim();
  for (;;) {
    const page = store.freshEntries(LIMITS.settleCountMax);
    if (page.length === 0) return;
    const result = await committer.run((batch) => writePage(page, store, batch));
    if (result === 'full') throw new Error('no room to move the fresh entries of a former life');
  }
}

function writePage(page: readonly FreshEntry[], store: InboxStore, batch: StoreBatch): void {
  const records = new Map<string, ConversationRecord>();
  for (const { arrival, user, device, entry } of page) {
    batch.putEntry(user, device, entry);
    batch.removeFresh(arrival);
    // A notice belongs to no run: what it tells of has gone.
    if (entry.type === 'pruned') continue;
    const sender = { user: entry.sender, device: entry.senderDevice, creation: entry.senderCreation };
    const name = `${user}<${sender.user}.${sender.device}.${sender.creation}`;
    const record = records.get(name) ?? store.conversation(user, sender);
    if (record === undefined) continue;
    const added = { seq: entry.seq, bytes: entry.ciphertext.length + ENTRY_OVERHEAD_BYTES };
    const extended = { ...record, waiting: extendRuns(record.waiting ?? [], device, added) };
    records.set(name, extended);
    batch.putConversation(user, sender, extended);
  }
}
