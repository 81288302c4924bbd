/**
 * What an inbox shard keeps in memory of its recipients: devices, positions, push windows, conversations.
 *
 * A cache over the store, bounded by `LIMITS.recipientCacheMax` for those who are offline; those online stay. Plain
 * data and functions: the state outlives a reload of this code. Read next: `inbox.ts`, which decides what happens.
 */

import type { Pid, Ref } from '../runtime/index.ts';
import { LIMITS } from './limits.ts';
import { ENTRY_OVERHEAD_BYTES, type InboxEntry, type InboxStore, type SenderAddress } from './store/inbox-store.ts';

/** One direction between a sender's device and this recipient. */
export interface Conversation {
  readonly sender: SenderAddress;
  /** Highest accepted id, including those of the commit under way. 0 in a conversation that has no record. */
  accepted: number;
  delivered: number;
  /** Whether the store has a record: without one, any id may start the conversation. */
  known: boolean;
  /** The sender's connection as last seen; receipts try it first. */
  connection: Pid | undefined;
  /** Whether the last acknowledgement waits for the next. */
  held: boolean;
  /** Messages of this conversation in push windows. While there are any, the cache keeps the conversation. */
  pushed: number;
}

/** A message that was pushed and is not acknowledged. */
export interface Pushed {
  readonly seq: number;
  readonly conversation: Conversation;
  readonly id: number;
  readonly bytes: number;
  /** Where it stands in the fresh tier; 0 for a waiting entry. */
  readonly arrival: number;
}

/** A committed entry in the fresh tier. */
export interface Fresh {
  readonly seq: number;
  readonly arrival: number;
}

/** A device with a live connection. */
export interface Online {
  readonly connection: Pid;
  readonly monitor: Ref;
  /** Last position pushed on this connection. */
  cursor: number;
  readonly window: Pushed[];
  windowBytes: number;
  /** Whether the end-of-queue mark was sent. */
  drained: boolean;
}

export interface Device {
  readonly id: number;
  /** Of its registration; read when it first logs in. */
  creation: number | undefined;
  /** Last position given out, including those of the commit under way. */
  assigned: number;
  /** Last position that is flushed: nothing above it may be pushed. */
  head: number;
  acknowledged: number;
  online: Online | undefined;
  /** What this device has in the fresh tier, by position. All of it is known here: a store is opened without any. */
  fresh: Fresh[];
  /** While a commit moves its fresh entries to the waiting tier, nothing is read for this device. */
  moving: boolean;
}

export interface Recipient {
  readonly user: string;
  devices: Device[];
  readonly conversations: Map<string, Conversation>;
}

/** Recipients by user id, in order of use. */
export type Recipients = Map<string, Recipient>;

/** The recipient, from memory or from the store; `undefined` for a user who is not registered. */
export function findRecipient(recipients: Recipients, store: InboxStore, user: string): Recipient | undefined {
  const cached = recipients.get(user);
  if (cached !== undefined) return cached;
  const account = store.account(user);
  if (account === undefined) return undefined;
  const recipient: Recipient = {
    user,
    devices: account.devices.map((id) => loadDevice(store, user, id)),
    conversations: new Map(),
  };
  recipients.set(user, recipient);
  if (recipients.size > LIMITS.recipientCacheMax) evictOffline(recipients, recipient);
  return recipient;
}

/** A device as the store knows it, offline. */
export function loadDevice(store: InboxStore, user: string, id: number): Device {
  const last = store.lastSeq(user, id);
  const acknowledged = store.acknowledged(user, id);
  const [creation, online] = [undefined, undefined];
  return { id, creation, assigned: last, head: last, acknowledged, online, fresh: [], moving: false };
}

/** Whether `creation` is the present registration of the device: a ticket may be of a former one under the same id. */
export function isPresent(device: Device, user: string, creation: number, store: InboxStore): boolean {
  device.creation ??= store.device(user, device.id)?.creation;
  return device.creation === creation;
}

// Looks at a few of the oldest only: a shard full of connected users must not scan them all for each stranger.
const EVICTION_LOOKS = 8;

function evictOffline(recipients: Recipients, keep: Recipient): void {
  let looks = 0;
  for (const [user, recipient] of recipients) {
    if (++looks > EVICTION_LOOKS) return;
    if (recipient !== keep && recipient.devices.every(isSettled)) {
      recipients.delete(user);
      return;
    }
    // Busy ones move to the young end, so that the next look finds others.
    recipients.delete(user);
    recipients.set(user, recipient);
  }
}

/** Whether the store alone says everything about the device. */
function isSettled({ online, assigned, head, fresh }: Device): boolean {
  return online === undefined && assigned === head && fresh.length === 0;
}

export function findDevice(recipient: Recipient, id: number): Device | undefined {
  for (const device of recipient.devices) if (device.id === id) return device;
  return undefined;
}

/** The conversation from `sender`, from memory or from the store. */
export function findConversation(
  recipient: Recipient,
  store: InboxStore,
  sender: SenderAddress,
  senderKey: string,
): Conversation {
  const cached = recipient.conversations.get(senderKey);
  if (cached !== undefined) return cached;
  const record = store.conversation(recipient.user, sender);
  const conversation: Conversation = {
    sender,
    accepted: record?.accepted ?? 0,
    delivered: record?.delivered ?? 0,
    known: record !== undefined,
    connection: undefined,
    held: false,
    pushed: 0,
  };
  recipient.conversations.set(senderKey, conversation);
  return conversation;
}

/**
 * Keeps the conversations of a recipient within their bound by forgetting the oldest that nothing refers to. Called
 * between commits only: a commit under way holds conversations whose numbers are ahead of the store.
 */
export function trimConversations(recipient: Recipient): void {
  if (recipient.conversations.size <= LIMITS.conversationCacheMax) return;
  for (const [key, conversation] of recipient.conversations) {
    if (conversation.pushed === 0) recipient.conversations.delete(key);
    if (recipient.conversations.size <= LIMITS.conversationCacheMax) return;
  }
}

export function senderKeyOf(sender: SenderAddress): string {
  return `${sender.user}.${sender.device}.${sender.creation}`;
}

/** What an entry counts against the bounds of window and store. */
export function entryBytes(entry: InboxEntry): number {
  return entry.ciphertext.length + ENTRY_OVERHEAD_BYTES;
}

export function hasRoom(online: Online): boolean {
  return online.window.length < LIMITS.windowCountMax && online.windowBytes < LIMITS.windowBytesMax;
}

/** Notes that `entry` goes out on this connection. */
export function notePushed(online: Online, entry: InboxEntry, conversation: Conversation, arrival: number): void {
  const bytes = entryBytes(entry);
  online.window.push({ seq: entry.seq, conversation, id: entry.id, bytes, arrival });
  online.windowBytes += bytes;
  conversation.pushed++;
  online.cursor = entry.seq;
}

/** How many entries at the front of the window `seq` covers. */
export function countAcknowledged(online: Online, seq: number): number {
  let count = 0;
  while (count < online.window.length && online.window[count]!.seq <= seq) count++;
  return count;
}

/** Takes the first `count` entries out of the window. */
export function dropAcknowledged(online: Online, count: number): void {
  for (const { bytes, conversation } of online.window.splice(0, count)) {
    online.windowBytes -= bytes;
    conversation.pushed--;
  }
}

/** Whether an entry committed now goes straight to the device: nothing waits before it, and the window has room. */
export function isCaughtUp(device: Device, pending: number): boolean {
  const { online, head, assigned } = device;
  if (online === undefined || online.cursor !== head || assigned !== head + pending) return false;
  return online.window.length + pending < LIMITS.windowCountMax && online.windowBytes < LIMITS.windowBytesMax;
}

/** Forgets the fresh entries up to `seq`. */
export function dropFresh(device: Device, seq: number): void {
  let count = 0;
  while (count < device.fresh.length && device.fresh[count]!.seq <= seq) count++;
  if (count > 0) device.fresh.splice(0, count);
}
