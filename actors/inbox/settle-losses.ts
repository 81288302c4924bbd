/**
 * What is given up, on its way to the disk and after: entries removed, senders told, and what waits of the inbox read again.
 *
 * What is removed, `plan-losses.ts` has decided.
 */

import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { StoreBatch } from '../store/inbox-store.ts';
import { moveLater } from './attach.ts';
import { release } from './group-entries.ts';
import { requestPrune, type LossCounts, type LossItem, type Sweep } from './losses.ts';
import { pump } from './push.ts';
import { tellSender } from './receipts.ts';
import { entryBytes, type Device, type Recipient } from './recipients.ts';
import type { Commit, InboxState } from './state.ts';

type Ctx = Context;

export function writeLosses(commit: Commit, batch: StoreBatch): void {
  for (const { recipient, device, entry, arrival } of commit.losses.removals) {
    if (arrival === 0) batch.removeEntry(recipient.user, device.id, entry.seq);
    else batch.removeFresh(arrival);
    commit.bytes -= entryBytes(entry);
    if (entry.type === 'group') release(commit, entry.sender, entry.id);
    // Entries may go from the end of an inbox: their positions stay given out.
    if (!commit.acknowledged.has(device)) {
      batch.putAcknowledged(recipient.user, device.id, device.acknowledged, device.assigned);
    }
  }
}

/** The losses are on the disk: takes them off the counts and tells the senders. The devices may be read again. */
export function applyLosses(commit: Commit, state: InboxState, ctx: Ctx): void {
  const { next, removals, gaps, counts } = commit.losses;
  for (const { device, entry, arrival } of removals) {
    device.count = Math.max(0, device.count - 1);
    device.bytes = Math.max(0, device.bytes - entryBytes(entry));
    if (arrival !== 0) device.fresh = device.fresh.filter((fresh) => fresh.arrival !== arrival);
    device.pruning = false;
  }
  state.queue.push(...next);
  for (const [device, recipient] of devicesOf(commit)) {
    if (device.bytes > LIMITS.inboxBytesMax) requestPrune(recipient, device, state);
    readAgain(recipient, device, state, ctx);
  }
  for (const { conversation, to, gap } of gaps) {
    tellSender(conversation, { kind: 'gap', to, ...gap, ts: commit.ts }, state, ctx);
  }
  if (removals.length + gaps.length > 0) addCounts(state.sweep, counts);
}

function devicesOf({ losses }: Commit): Map<Device, Recipient> {
  return new Map(losses.removals.map(({ device, recipient }) => [device, recipient]));
}

function addCounts(sweep: Sweep, counts: LossCounts): void {
  const { expiredMessages, prunedMessages, undeliverableMessages, restoredMessages } = sweep.lost;
  sweep.lost = {
    expiredMessages: expiredMessages + counts.expiredMessages,
    prunedMessages: prunedMessages + counts.prunedMessages,
    undeliverableMessages: undeliverableMessages + counts.undeliverableMessages,
    restoredMessages: restoredMessages + counts.restoredMessages,
  };
}

/** Nothing was removed. Returns what is to be planned again; a device that waits for a message to be set aside waits on. */
export function undoLosses(commit: Commit, state: InboxState, ctx: Ctx): readonly LossItem[] {
  const { items, next } = commit.losses;
  for (const [device, recipient] of devicesOf(commit)) {
    const isWaiting = items.some(
      ({ kind, user, device: id }) => kind === 'set-aside' && user === recipient.user && id === device.id,
    );
    if (!isWaiting) readAgain(recipient, device, state, ctx);
  }
  return [...items, ...next];
}

/** What was to be removed is gone already. */
export function releaseUnheld({ losses }: Commit, state: InboxState, ctx: Ctx): void {
  for (const [device, recipient] of losses.unheld) readAgain(recipient, device, state, ctx);
}

/** Nothing is being removed any more: what waits goes on. */
function readAgain(recipient: Recipient, device: Device, state: InboxState, ctx: Ctx): void {
  device.moving = false;
  if (device.online !== undefined) pump(recipient, device, device.online, state, ctx);
  else moveLater(recipient, device, state, ctx);
}
