/**
 * What an inbox gives up, and who is told: entries that are too old, too many, or cannot be delivered.
 *
 *   expired        the sweep finds inboxes whose oldest entry waits for thirty days         APP_EXPIRED
 *   pruned         an inbox over its bound: the oldest of the conversation that takes most  APP_PRUNED
 *   undeliverable  one message on which a device breaks off again and again                 APP_UNDELIVERABLE
 *
 * Each is an item of the inbox's queue, planned into a commit like any other, and bounded: what is left comes with the next.
 * With the entries go, in the same commit, a gap into the record of the conversation and a notice into the inbox of the
 * recipient; after its flush the sender is told. What is lost of a conversation is always the beginning of what waits of it.
 *
 * The sweep needs no index: positions of an inbox ascend with time, so one look at the head of each inbox is enough.
 */

import type { Context } from '../runtime/index.ts';
import { release } from './group-entries.ts';
import { addEntry, conversationOf } from './inbox-entries.ts';
import { moveLater } from './inbox-attach.ts';
import { isRegistered } from './inbox-devices.ts';
import { pump } from './inbox-push.ts';
import { enqueue } from './inbox-queue.ts';
import { tellSender } from './inbox-receipts.ts';
import type { Commit, InboxState } from './inbox-state.ts';
import { LIMITS } from './limits.ts';
import {
  aheadOf,
  entryBytes,
  findConversation,
  findDevice,
  findRecipient,
  senderKeyOf,
  type Conversation,
  type Device,
  type Recipient,
} from './recipients.ts';
import type { InboxEntry, StoreBatch } from './store/inbox-store.ts';
import { encodeNotice, type GapRecord, type LossCode } from './store/loss.ts';
import { lossBefore, settledGaps } from './doubt.ts';
import { mergeGap, noteGap, runOf, takeFromRun, touch } from './waiting-runs.ts';

/** Something that an inbox is to give up. */
export type LossItem =
  | { readonly kind: 'expire' | 'prune'; readonly user: string; readonly device: number }
  | { readonly kind: 'set-aside'; readonly user: string; readonly device: number; readonly seq: number };

interface Removal {
  readonly recipient: Recipient;
  readonly device: Device;
  readonly entry: InboxEntry;
  /** Where it stands in the fresh tier; 0 for a waiting one. */
  readonly arrival: number;
}

/** The losses of one commit. */
export interface Losses {
  /** For planning them again if the commit fails. */
  items: LossItem[];
  /** What is left for the next commit. */
  readonly next: LossItem[];
  removals: Removal[];
  /** Devices from which nothing is removed after all: they are read again. */
  readonly unheld: Map<Device, Recipient>;
  readonly gaps: { readonly conversation: Conversation; readonly to: string; readonly gap: GapRecord }[];
  /** Messages lost, by the name that statistics give them. */
  readonly counts: Record<keyof LossCounts, number>;
}

/** Messages lost by a shard since it started. */
export interface LossCounts {
  readonly expiredMessages: number;
  readonly prunedMessages: number;
  readonly undeliverableMessages: number;
  /** Told as lost by a store that was restored; some of them their recipients may have. */
  readonly restoredMessages: number;
}

/** Where the sweep for expired entries stands. */
export interface Sweep {
  /** The inbox that was looked at last; `undefined` between rounds. */
  after: { readonly user: string; readonly device: number } | undefined;
  lost: LossCounts;
  /** When the oldest entry came that the last whole round saw, and that this one has seen so far; 0 for none. */
  oldestMs: number;
  oldestSoFarMs: number;
}

/** A note to itself: the next slice of the sweep is due. */
export const SWEEP = 'sweep';

const COUNTER: Readonly<Record<LossCode, keyof LossCounts>> = {
  APP_EXPIRED: 'expiredMessages',
  APP_PRUNED: 'prunedMessages',
  APP_UNDELIVERABLE: 'undeliverableMessages',
  APP_RESTORED: 'restoredMessages',
};

type Ctx = Context;

function noCounts(): Record<keyof LossCounts, number> {
  return { expiredMessages: 0, prunedMessages: 0, undeliverableMessages: 0, restoredMessages: 0 };
}

export function noLosses(): Losses {
  return { items: [], next: [], removals: [], unheld: new Map(), gaps: [], counts: noCounts() };
}

export function newSweep(): Sweep {
  return { after: undefined, lost: noCounts(), oldestMs: 0, oldestSoFarMs: 0 };
}

// --- asking for it ----------------------------------------------------------------------------------------------

/** Looks at the heads of some inboxes. Under load it waits: what expires has waited for thirty days. */
export function sweepExpired(state: InboxState, ctx: Ctx): void {
  const { sweep, args } = state;
  if (state.queue.length > LIMITS.commitOperationsMax) return void ctx.sendAfter(LIMITS.expirySliceMs, SWEEP);
  const heads = args.store.inboxHeads(sweep.after, LIMITS.expiryLooksMax);
  const before = ctx.clock.nowMs() - LIMITS.messageAgeMsMax;
  for (const { user, device, ts } of heads) {
    sweep.oldestSoFarMs = sweep.oldestSoFarMs === 0 ? ts : Math.min(sweep.oldestSoFarMs, ts);
    // What an account lost while nobody could be told: the process was killed between that and the removal.
    if (!isRegistered(user, device, state))
      enqueue({ kind: 'forget-device', user, device, known: undefined }, state, ctx);
    else if (ts < before) enqueue({ kind: 'expire', user, device }, state, ctx);
  }
  const isRoundOver = heads.length < LIMITS.expiryLooksMax;
  sweep.after = isRoundOver ? undefined : heads.at(-1);
  if (isRoundOver) {
    sweep.oldestMs = sweep.oldestSoFarMs;
    sweep.oldestSoFarMs = 0;
  }
  ctx.sendAfter(isRoundOver ? LIMITS.expiryRoundMs : LIMITS.expirySliceMs, SWEEP);
}

/** The inbox of a device is over its bound. Planned with the next item, so before the next commit. */
export function requestPrune(recipient: Recipient, device: Device, state: InboxState): void {
  if (device.pruning) return;
  device.pruning = true;
  state.queue.push({ kind: 'prune', user: recipient.user, device: device.id });
}

/** A device got one message alone on many connections and acknowledged it on none. It gets nothing until that is set aside. */
export function setAside(recipient: Recipient, device: Device, state: InboxState, ctx: Ctx): void {
  if (device.stuckSeq === 0) return;
  // No contents, and nobody's name: which message it was, its two ends are told.
  ctx.log.warn('delivery_loop', { connections: device.fruitless });
  device.fruitless = 0;
  device.moving = true;
  enqueue({ kind: 'set-aside', user: recipient.user, device: device.id, seq: device.stuckSeq }, state, ctx);
}

// --- planning ---------------------------------------------------------------------------------------------------

/** Decides what an item removes. */
export function planLoss(item: LossItem, commit: Commit, state: InboxState): void {
  const recipient = findRecipient(state.recipients, state.args.store, item.user);
  const device = recipient && findDevice(recipient, item.device);
  if (recipient === undefined || device === undefined) return;
  if (item.kind === 'set-aside') return planSetAside(item, recipient, device, commit, state);
  // Its entries are being moved or removed: a prune is asked for again, an expiry found again.
  if (device.moving) return void (device.pruning &&= item.kind !== 'prune');
  if (item.kind === 'prune') planPrune(item, recipient, device, commit, state);
  else planExpiry(item, recipient, device, commit, state);
}

/** A device that is online gets what waits for it; its head is looked at again when it is away. */
function planExpiry(item: LossItem, recipient: Recipient, device: Device, commit: Commit, state: InboxState): void {
  if (device.online !== undefined) return;
  const { lossCountMax, lossBytesMax } = LIMITS;
  const before = commit.now.wallMs - LIMITS.messageAgeMsMax;
  const page = state.args.store.entries(recipient.user, device.id, 0, device.head, lossCountMax, lossBytesMax);
  const young = page.findIndex(({ ts }) => ts >= before);
  const expired = young === -1 ? page : page.slice(0, young);
  if (expired.length === 0) return;
  remove(item, expired, recipient, device, 'APP_EXPIRED', commit, state);
  if (young === -1) commit.losses.next.push(item);
}

function planPrune(item: LossItem, recipient: Recipient, device: Device, commit: Commit, state: InboxState): void {
  for (const conversation of byBytes(recipient, device, state)) {
    const entries = pruneable(conversation, recipient, device, commit, state);
    if (entries.length > 0) return remove(item, entries, recipient, device, 'APP_PRUNED', commit, state);
  }
  device.pruning = false;
}

/** Conversations of which something waits for the device, the one that takes most first. */
function byBytes(recipient: Recipient, device: Device, state: InboxState): Conversation[] {
  const { store } = state.args;
  const conversations = new Set(recipient.conversations?.values());
  for (const { sender } of store.waitingConversations(recipient.user)) {
    conversations.add(findConversation(recipient, store, sender, senderKeyOf(sender)));
  }
  const bytesOf = (conversation: Conversation): number => runOf(conversation, device.id)?.bytes ?? 0;
  return [...conversations]
    .filter((conversation) => bytesOf(conversation) > 0)
    .sort((left, right) => bytesOf(right) - bytesOf(left));
}

/** The oldest of a conversation that are flushed and not on their way to the device, as many as bring the inbox below its bound. */
function pruneable(
  conversation: Conversation,
  recipient: Recipient,
  device: Device,
  commit: Commit,
  state: InboxState,
): InboxEntry[] {
  const run = runOf(conversation, device.id)!;
  const pushedThrough = device.online?.cursor ?? 0;
  const after = Math.max(run.first - 1, pushedThrough);
  const excess = device.bytes + (commit.pushes.get(device)?.bytes ?? 0) - LIMITS.inboxBytesMax + LIMITS.inboxPruneBytes;
  const found = state.args.store.entriesOf(recipient.user, device.id, conversation.sender, after, device.head, {
    looksMax: LIMITS.lossLooksMax,
    countMax: LIMITS.lossCountMax,
    bytesMax: Math.max(1, excess),
  });
  const ahead = device.online && aheadOf(device.online);
  return ahead === undefined ? found : found.filter(({ seq }) => !ahead.pushed.has(seq));
}

function planSetAside(
  item: Extract<LossItem, { kind: 'set-aside' }>,
  recipient: Recipient,
  device: Device,
  commit: Commit,
  state: InboxState,
): void {
  // Its entries are on their way to the waiting tier in this very commit: they are looked at when they are there.
  if (commit.moves.has(device)) return void commit.losses.next.push(item);
  const { store } = state.args;
  const arrival = device.fresh.find(({ seq }) => seq === item.seq)?.arrival ?? 0;
  const waiting = (): InboxEntry | undefined =>
    store.entries(recipient.user, device.id, item.seq - 1, item.seq, 1, 1)[0];
  const entry = arrival === 0 ? waiting() : store.fresh(arrival);
  if (entry === undefined) commit.losses.unheld.set(device, recipient);
  else remove(item, [entry], recipient, device, 'APP_UNDELIVERABLE', commit, state, arrival);
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

/** Removes entries, notes the gaps that they leave and puts notices of them into the inbox. */
function remove(
  item: LossItem,
  entries: readonly InboxEntry[],
  recipient: Recipient,
  device: Device,
  code: LossCode,
  commit: Commit,
  state: InboxState,
  arrival = 0,
): void {
  const { losses } = commit;
  losses.items.push(item);
  recipient.pin = commit.pin;
  device.moving = true;
  const lost = new Map<Conversation, GapRecord>();
  for (const entry of entries) {
    losses.removals.push({ recipient, device, entry, arrival });
    // A notice that nobody saw is gone with what it told of.
    if (entry.type === 'pruned') continue;
    losses.counts[COUNTER[code]]++;
    const conversation = conversationOf(entry, recipient, state);
    touch(commit.touched, conversation, recipient);
    const isFront = device.online === undefined;
    if (arrival === 0) takeFromRun(conversation, device.id, entry.seq, entryBytes(entry), isFront);
    const since = lost.get(conversation)?.since ?? entry.id;
    lost.set(conversation, { since, until: entry.id, code });
  }
  for (const [conversation, gap] of lost) noteLoss(conversation, gap, recipient, device, commit, state);
}

function noteLoss(
  conversation: Conversation,
  gap: GapRecord,
  recipient: Recipient,
  device: Device,
  commit: Commit,
  state: InboxState,
): void {
  const told = noteGap(conversation, recipient, device, gap);
  if (told !== undefined) commit.losses.gaps.push({ conversation, to: recipient.user, gap: told });
  putNotice(conversation, gap, recipient, device, commit, state);
}

function putNotice(
  conversation: Conversation,
  gap: GapRecord,
  recipient: Recipient,
  device: Device,
  commit: Commit,
  state: InboxState,
): void {
  const { user, device: senderDevice, creation } = conversation.sender;
  const from = { sender: user, senderDevice, senderCreation: creation };
  const body = { type: 'pruned', ciphertext: encodeNotice(gap) } as const;
  const notice: InboxEntry = { seq: ++device.assigned, ...from, id: gap.until, ts: commit.ts, ...body };
  addEntry(notice, recipient, device, conversation, commit, state);
}

/** The first message since the store was restored: what is missing before it is lost, and both ends are told. */
export function settleDoubt(
  id: number,
  conversation: Conversation,
  recipient: Recipient,
  commit: Commit,
  state: InboxState,
): void {
  touch(commit.touched, conversation, recipient);
  const settled = settledGaps(conversation.gaps);
  const gap = lossBefore(conversation, id);
  conversation.gaps = gap === undefined ? settled : mergeGap(settled, gap);
  if (gap === undefined) return;
  conversation.gapsTold = false;
  commit.losses.counts.restoredMessages += gap.until - gap.since + 1;
  commit.losses.gaps.push({ conversation, to: recipient.user, gap });
  const { sender } = conversation;
  for (const device of recipient.devices) {
    // What a device writes to the others of its account does not come to itself.
    const isSender = sender.user === recipient.user && sender.device === device.id;
    if (!isSender) putNotice(conversation, gap, recipient, device, commit, state);
  }
}

// --- writing it down and settling -------------------------------------------------------------------------------

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
  if (removals.length > 0) addCounts(state.sweep, counts);
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
