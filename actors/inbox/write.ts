/**
 * The write set of an inbox's commit: from plan to store. The only place where an inbox writes.
 *
 * Runs once, inside the store's batch, in the turn of the planning; so what it reads of the store is what the commits before have left.
 */

import { isOfGroup, release, writeBodies } from './group-entries.ts';
import { writeForgotten } from './devices.ts';
import { conversationOf } from './entries.ts';
import type { Acknowledged, Commit, InboxState, Move, Push } from './state.ts';
import { writeLosses } from './settle-losses.ts';
import { type Conversation, type Device, entryBytes, markAfter, type Recipient } from './recipients.ts';
import type { StoreBatch } from '../store/inbox-store.ts';
import { addToRun, recordOf, takeFromRun, touch } from './waiting-runs.ts';

/** Writes the plan. Runs once, inside the store's batch, in the same turn as the planning. */
export function writeCommit(commit: Commit, state: InboxState, batch: StoreBatch): void {
  for (const push of commit.pushes.values()) writePush(push, batch);
  for (const [device, acknowledged] of commit.acknowledged) writeAcknowledged(device, acknowledged, commit, batch);
  for (const [device, move] of commit.moves) writeMove(device, move, commit, state, batch);
  writeLosses(commit, batch);
  writeConversations(commit, batch);
  for (const { owner, stranger, request } of commit.requests.values()) {
    batch.protection.putRequest(owner, stranger, request);
  }
  for (const arrival of commit.forgottenArrivals) forgetFresh(arrival, commit, state, batch);
  if (commit.forgotten.length > 0) writeForgotten(commit, state, batch);
  writeBodies(commit, state.bodies, state.args.store, batch);
  batch.putQueuedBytes(Math.max(0, state.queuedBytes + commit.bytes));
}

function writePush({ recipient, device, entries, arrivals }: Push, batch: StoreBatch): void {
  for (let index = 0; index < entries.length; index++) {
    const arrival = arrivals[index];
    if (arrival === undefined) batch.putEntry(recipient.user, device.id, entries[index]!);
    else batch.putFresh(arrival, recipient.user, device.id, entries[index]!);
  }
}

function writeMove(device: Device, { recipient }: Move, commit: Commit, state: InboxState, batch: StoreBatch): void {
  for (const { arrival } of device.fresh) {
    const entry = state.args.store.fresh(arrival);
    batch.removeFresh(arrival);
    if (entry === undefined) continue;
    batch.putEntry(recipient.user, device.id, entry);
    if (entry.type === 'pruned') continue;
    const conversation = conversationOf(entry, recipient, state);
    touch(commit.touched, conversation, recipient);
    addToRun(conversation, device.id, entry.seq, entryBytes(entry));
  }
}

function forgetFresh(arrival: number, commit: Commit, state: InboxState, batch: StoreBatch): void {
  const entry = state.args.store.fresh(arrival);
  if (entry !== undefined) commit.bytes -= entryBytes(entry);
  if (entry?.type === 'group') release(commit, entry.sender, entry.id);
  batch.removeFresh(arrival);
}

function writeAcknowledged(device: Device, planned: Acknowledged, commit: Commit, batch: StoreBatch): void {
  const { recipient, online, count } = planned;
  for (let index = 0; index < count; index++) {
    const { seq, conversation, id, bytes, arrival } = online.window[index]!;
    if (arrival === 0) {
      batch.removeEntry(recipient.user, device.id, seq);
      if (id > 0) {
        touch(commit.touched, conversation, recipient);
        takeFromRun(conversation, device.id, seq, bytes, true);
      }
    } else batch.removeFresh(arrival);
    planned.bytes += bytes;
    if (id > 0 && isOfGroup(conversation)) release(commit, conversation.sender.user, id);
    noteDelivered(commit, conversation, recipient, id);
  }
  commit.bytes -= planned.bytes;
  planned.mark = markAfter(online, count);
  batch.putAcknowledged(recipient.user, device.id, planned.mark, device.assigned);
}

function noteDelivered(commit: Commit, conversation: Conversation, recipient: Recipient, id: number): void {
  const noted = commit.delivered.get(conversation);
  if (noted !== undefined) noted.id = Math.max(noted.id, id);
  else if (id > conversation.delivered) commit.delivered.set(conversation, { recipient, id });
}

/** One record for each conversation that the commit touches, however many of its messages it holds. */
function writeConversations(commit: Commit, batch: StoreBatch): void {
  for (const [conversation, { recipient }] of commit.accepted) {
    const delivered = commit.delivered.get(conversation)?.id ?? conversation.delivered;
    batch.putConversation(recipient.user, conversation.sender, recordOf(conversation, delivered));
  }
  for (const [conversation, { recipient, id }] of commit.delivered) {
    if (commit.accepted.has(conversation)) continue;
    batch.putConversation(recipient.user, conversation.sender, recordOf(conversation, id));
  }
  for (const [conversation, { recipient }] of commit.touched) {
    if (commit.accepted.has(conversation) || commit.delivered.has(conversation)) continue;
    batch.putConversation(recipient.user, conversation.sender, recordOf(conversation, conversation.delivered));
  }
}
