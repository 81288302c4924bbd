/**
 * What an inbox shard keeps in memory of its recipients: devices, positions, push windows, conversations.
 *
 * A cache over the store, bounded by `LIMITS.recipientCacheMax` for those who are offline; those online stay. Plain
 * data and functions: the state outlives a reload of this code. Read next: `plan.ts`, which decides what happens.
 */

import type { Pid, Ref } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { isUnasked, standingOf, type Standing } from './strangers.ts';
import { ENTRY_OVERHEAD_BYTES, type InboxEntry, type InboxStore, type SenderAddress } from '../store/inbox-store.ts';
import type { GapRecord } from '../store/loss.ts';
import type { MutableRun } from './waiting-runs.ts';
import type { Guard } from '../store/protection-store.ts';

/** One direction between a sender's device and this recipient. */
export interface Conversation {
  readonly sender: SenderAddress;
  /** Highest accepted id, including those of the commit under way. 0 in a conversation that has no record. */
  accepted: number;
  delivered: number;
  /** Whether the store has a record: without one, any id may start the conversation that is not past a refused one. */
  known: boolean;
  /** See `order.ts`. */
  awaited?: number | undefined;
  /** The sender's connection as last seen; receipts try it first. */
  connection: Pid | undefined;
  /** Whether the last acknowledgement waits for the next. */
  held: boolean;
  /** What the sender is to the recipient. */
  standing: Standing;
  /** Messages of this conversation in push windows. While there are any, the cache keeps the conversation. */
  pushed: number;
  /** What waits of it, for each device, including the changes of the commit under way. */
  waiting: MutableRun[];
  /** What is lost of it. */
  gaps: readonly GapRecord[];
  /** Whether `connection` has been told of them. */
  gapsTold: boolean;
}

/** A message that was pushed and is not acknowledged. */
export interface Pushed {
  readonly seq: number;
  readonly conversation: Conversation;
  /** 0 for a notice. */
  readonly id: number;
  /** As counted in the store. */
  readonly bytes: number;
  /** As counted in the window: with the body of an entry of a group. */
  readonly pushedBytes: number;
  /** Where it stands in the fresh tier; 0 for a waiting entry. */
  readonly arrival: number;
}

/** A committed entry in the fresh tier. */
export interface Fresh {
  readonly seq: number;
  readonly arrival: number;
}

/** The first messages of a conversation that are pushed ahead of their turn. */
export interface AheadPage {
  readonly sender: SenderAddress;
  readonly first: number;
  readonly last: number;
}

/** What is pushed ahead on one connection. */
export interface Ahead {
  /** Not yet pushed. */
  readonly pages: AheadPage[];
  /** Positions that were pushed; passed over when their turn comes. */
  readonly pushed: Set<number>;
  /** How many of them stand in the window: at its front, for nothing else is pushed before the last of them. */
  unacknowledged: number;
  /** The largest of them. */
  last: number;
}

/** A device with a live connection. */
export interface Online {
  readonly user: string;
  /** Id of the device. */
  readonly device: number;
  readonly connection: Pid;
  readonly monitor: Ref;
  /** What was pushed on this connection so far: messages between actors, numbered from 1. */
  pushes: number;
  /** Last position pushed on this connection. */
  cursor: number;
  /** Pushed and unacknowledged, in the order of pushing. */
  readonly window: Pushed[];
  windowBytes: number;
  /** Messages that may stand in the window: one for a device that has not acknowledged anything for a while. */
  windowMax: number;
  /** Whether the end-of-queue mark was sent. */
  drained: boolean;
  /** Whether the client takes messages ahead of their turn, and notices. */
  readonly staged: boolean;
  /** Whether its client knows groups. */
  readonly groups: boolean;
  /** Until the first push nobody has looked; `undefined` when nothing comes ahead, or no longer. */
  ahead: Ahead | 'due' | undefined;
  /** Whether anything was acknowledged on this connection. */
  progressed: boolean;
  /** The head of the window when somebody last looked, and since when it stands there; see `silence.ts`. */
  headSeq: number;
  headSinceMs: number;
  /** Pushed, in the window, and not handed to the connection yet; see `pacing.ts`. */
  held: InboxEntry[] | undefined;
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
  /** What this device has in the fresh tier, by position. All of it is known here: a life of the inbox begins without any. */
  fresh: Fresh[];
  /** Undelivered entries and their bytes, without the commit under way. */
  count: number;
  bytes: number;
  /** Whether the inbox is over its bound and will be pruned. */
  pruning: boolean;
  /** Connections in a row on which it got something and acknowledged nothing; kept in memory only. */
  fruitless: number;
  /** The position that it got alone on the last of them. */
  stuckSeq: number;
  /** While a commit moves or removes entries, nothing is read for this device. */
  moving: boolean;
  /** When it was told to be silent, monotonic; -1 while it is not, which unlike an infinity takes no object of its own. */
  silentAtMs: number;
}

/** Of a commit: whom it concerns stays in memory until it has settled. */
export interface Pin {
  isSettled: boolean;
}

export interface Recipient {
  readonly user: string;
  /** What the recipient has said of strangers; absent while it has decided nothing about anybody. */
  guard: Guard | undefined;
  devices: Device[];
  /** Made with the first: a map that is empty would be a tenth of what somebody takes who only listens. */
  conversations: Map<string, Conversation> | undefined;
  /** Of the last commit that changed anything of it. */
  pin: Pin | undefined;
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
    guard: store.protection.guard(user),
    devices: account.devices.map((id) => loadDevice(store, user, id)),
    conversations: undefined,
    pin: undefined,
  };
  if (recipient.devices.some(({ assigned, acknowledged }) => assigned > acknowledged)) countWaiting(recipient, store);
  recipients.set(user, recipient);
  if (recipients.size > LIMITS.recipientCacheMax) evictOffline(recipients, recipient);
  return recipient;
}

/** Counts what waits from the records of the conversations. */
function countWaiting(recipient: Recipient, store: InboxStore): void {
  for (const { record } of store.waitingConversations(recipient.user)) {
    for (const run of record.waiting ?? []) {
      const device = findDevice(recipient, run.device);
      if (device === undefined) continue;
      device.count += run.count;
      device.bytes += run.bytes;
    }
  }
}

/** `silentAtMs` of a device that is not. */
export const NOT_SILENT = -1;

/** A device as the store knows it, offline. */
export function loadDevice(store: InboxStore, user: string, id: number): Device {
  const last = store.lastSeq(user, id);
  const acknowledged = store.acknowledged(user, id);
  return {
    id,
    creation: undefined,
    assigned: last,
    head: last,
    acknowledged,
    online: undefined,
    fresh: [],
    count: 0,
    bytes: 0,
    pruning: false,
    fruitless: 0,
    stuckSeq: 0,
    moving: false,
    silentAtMs: NOT_SILENT,
  };
}

/** Whether `creation` is the present registration of the device: a ticket may be of a former one under the same id. */
export function isPresent(device: Device, user: string, creation: number, store: InboxStore): boolean {
  device.creation ??= store.device(user, device.id)?.creation;
  return device.creation === creation;
}

// Looks at a few of the oldest only: a shard full of connected users must not scan them all for each stranger.
const EVICTION_LOOKS = 8;

/** Somebody has gone: of those who are offline the cache keeps so many. */
export function trimRecipients(recipients: Recipients, gone: Recipient): void {
  if (recipients.size > LIMITS.recipientCacheMax) evictOffline(recipients, gone);
}

function evictOffline(recipients: Recipients, keep: Recipient): void {
  let looks = 0;
  for (const [user, recipient] of recipients) {
    if (++looks > EVICTION_LOOKS) return;
    if (recipient !== keep && recipient.pin?.isSettled !== false && recipient.devices.every(isSettled)) {
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

const NO_GAPS: readonly GapRecord[] = [];

/** The conversation from `sender`, from memory or from the store. */
export function findConversation(
  recipient: Recipient,
  store: InboxStore,
  sender: SenderAddress,
  senderKey: string,
): Conversation {
  const cached = recipient.conversations?.get(senderKey);
  if (cached !== undefined) return cached;
  const record = store.conversation(recipient.user, sender);
  const conversation: Conversation = {
    sender,
    accepted: record?.accepted ?? 0,
    delivered: record?.delivered ?? 0,
    known: record !== undefined,
    awaited: undefined,
    connection: undefined,
    held: false,
    standing: standingOf(store.protection, recipient.guard, recipient.user, sender.user),
    pushed: 0,
    waiting: record?.waiting?.map((run) => ({ ...run })) ?? [],
    gaps: record?.gaps ?? NO_GAPS,
    gapsTold: false,
  };
  recipient.conversations ??= new Map();
  recipient.conversations.set(senderKey, conversation);
  return conversation;
}

/** Looks again what senders are to the recipient: `sender`, or all of them. @returns Conversations of those who were strangers and may learn everything now. */
export function reconsiderStandings(
  recipient: Recipient,
  store: InboxStore,
  sender: string | undefined,
): Conversation[] {
  const opened: Conversation[] = [];
  recipient.guard = store.protection.guard(recipient.user);
  for (const conversation of recipient.conversations?.values() ?? []) {
    const { user } = conversation.sender;
    if (sender !== undefined && sender !== user) continue;
    const before = conversation.standing;
    conversation.standing = standingOf(store.protection, recipient.guard, recipient.user, user);
    if (isUnasked(before) && conversation.standing === 'open') opened.push(conversation);
  }
  return opened;
}

/**
 * Keeps the conversations of a recipient within their bound by forgetting the oldest that nothing refers to. Called
 * between commits only: a commit under way holds conversations whose numbers are ahead of the store.
 */
export function trimConversations(recipient: Recipient): void {
  const { conversations } = recipient;
  if (conversations === undefined || conversations.size <= LIMITS.conversationCacheMax) return;
  for (const [key, conversation] of conversations) {
    if (conversation.pushed === 0) conversations.delete(key);
    if (conversations.size <= LIMITS.conversationCacheMax) return;
  }
}

export function senderKeyOf(sender: SenderAddress): string {
  return `${sender.user}.${sender.device}.${sender.creation}`;
}

/** What an entry counts against the bound of the store. */
export function entryBytes(entry: InboxEntry): number {
  return entry.ciphertext.length + ENTRY_OVERHEAD_BYTES;
}

/** What an entry counts on its way to a device: the body of a group's is stored once for all, and sent to each. */
export function pushedBytes(entry: InboxEntry): number {
  return entryBytes(entry) + (entry.body === undefined ? 0 : entry.body.bytes.length);
}

export function hasRoom(online: Online): boolean {
  return online.window.length < online.windowMax && online.windowBytes < LIMITS.windowBytesMax;
}

/** Notes that `entry` goes out on this connection, in its turn. */
export function notePushed(online: Online, entry: InboxEntry, conversation: Conversation, arrival: number): void {
  enterWindow(online, entry, conversation, arrival);
  online.cursor = entry.seq;
}

/** Notes that `entry` goes out ahead of its turn. */
export function notePushedAhead(online: Online, ahead: Ahead, entry: InboxEntry, conversation: Conversation): void {
  enterWindow(online, entry, conversation, 0);
  ahead.pushed.add(entry.seq);
  ahead.unacknowledged++;
  ahead.last = Math.max(ahead.last, entry.seq);
}

function enterWindow(online: Online, entry: InboxEntry, conversation: Conversation, arrival: number): void {
  const size = pushedBytes(entry);
  const id = entry.type === 'pruned' ? 0 : entry.id;
  online.window.push({ seq: entry.seq, conversation, id, bytes: entryBytes(entry), pushedBytes: size, arrival });
  online.windowBytes += size;
  conversation.pushed++;
}

/** What is still ahead on a connection. */
export function aheadOf(online: Online): Ahead | undefined {
  return online.ahead === 'due' ? undefined : online.ahead;
}

/**
 * How many entries at the front of the window an acknowledgement of `seq` covers: that one and those pushed before it. Where all
 * were pushed in their turn, a position that is not there covers those below it.
 */
export function countAcknowledged(online: Online, seq: number): number {
  const { window } = online;
  const unacknowledged = aheadOf(online)?.unacknowledged ?? 0;
  if (unacknowledged > 0) return 1 + window.findIndex((pushed) => pushed.seq === seq);
  let count = 0;
  while (count < window.length && window[count]!.seq <= seq) count++;
  return count;
}

/** The position up to which everything is gone when the first `count` entries of the window are. */
export function markAfter(online: Online, count: number): number {
  const { window, cursor } = online;
  const aheadCount = aheadOf(online)?.unacknowledged ?? 0;
  // Those ahead have any position; after them positions ascend, so the first one decides.
  const first = window[Math.max(count, aheadCount)];
  let mark = first === undefined ? cursor : Math.min(cursor, first.seq - 1);
  for (let index = count; index < aheadCount; index++) mark = Math.min(mark, window[index]!.seq - 1);
  return mark;
}

/** Takes the first `count` entries out of the window. */
export function dropAcknowledged(online: Online, count: number): void {
  for (const pushed of online.window.splice(0, count)) {
    online.windowBytes -= pushed.pushedBytes;
    pushed.conversation.pushed--;
  }
  const ahead = aheadOf(online);
  if (ahead === undefined) return;
  ahead.unacknowledged = Math.max(0, ahead.unacknowledged - count);
  const isOver = ahead.unacknowledged === 0 && ahead.pages.length === 0 && online.cursor >= ahead.last;
  if (isOver) online.ahead = undefined;
}

/**
 * Whether an entry committed now goes straight to the device: nothing waits before it, and the window has room. It has its
 * position already; `pending` entries of the same commit, with `pendingBytes`, stand before it.
 */
export function isCaughtUp(device: Device, pending: number, pendingBytes: number): boolean {
  const { online, head, assigned } = device;
  if (online === undefined || online.cursor !== head || assigned !== head + pending + 1) return false;
  return online.window.length + pending < online.windowMax && online.windowBytes + pendingBytes < LIMITS.windowBytesMax;
}

/** Forgets the fresh entries up to `seq`. */
export function dropFresh(device: Device, seq: number): void {
  let count = 0;
  while (count < device.fresh.length && device.fresh[count]!.seq <= seq) count++;
  if (count > 0) device.fresh.splice(0, count);
}
