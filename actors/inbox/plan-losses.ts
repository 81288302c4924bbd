/**
 * Decides what an inbox gives up in a commit: which entries go, what gaps they leave, and the notices of them.
 *
 * Bounded for each item: what is left comes with the next commit. What is lost of a conversation is always the beginning of what waits
 * of it. Nobody is told here: `settle-losses.ts`.
 */

import { LIMITS } from '../limits.ts';
import { lossBefore, settledGaps } from '../store/doubt.ts';
import type { InboxEntry } from '../store/inbox-store.ts';
import { encodeNotice, type GapRecord, type LossCode } from '../store/loss.ts';
import { addEntry, conversationOf } from './entries.ts';
import { isOfGroup } from './group-entries.ts';
import type { LossCounts, LossItem } from './losses.ts';
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
import type { Commit, InboxState } from './state.ts';
import { mergeGap, noteGap, runOf, takeFromRun, touch } from './waiting-runs.ts';

const COUNTER: Readonly<Record<LossCode, keyof LossCounts>> = {
  APP_EXPIRED: 'expiredMessages',
  APP_PRUNED: 'prunedMessages',
  APP_UNDELIVERABLE: 'undeliverableMessages',
  APP_RESTORED: 'restoredMessages',
  APP_DEVICES_CHANGED: 'undeliverableMessages',
};

/** Where something is given up, and in which commit. */
interface Site {
  readonly recipient: Recipient;
  readonly device: Device;
  readonly commit: Commit;
  readonly state: InboxState;
}

/** What is given up there. */
interface Lost {
  readonly entries: readonly InboxEntry[];
  readonly code: LossCode;
  /** Where the one entry stands in the fresh tier; 0 for waiting ones. */
  readonly arrival: number;
}

/** Decides what an item removes. */
export function planLoss(item: LossItem, commit: Commit, state: InboxState): void {
  const recipient = findRecipient(state.recipients, state.args.store, item.user);
  const device = recipient && findDevice(recipient, item.device);
  if (recipient === undefined || device === undefined) return;
  const site: Site = { recipient, device, commit, state };
  if (item.kind === 'set-aside') return planSetAside(item, site);
  // Its entries are being moved or removed: a prune is asked for again, an expiry found again.
  if (device.moving) return void (device.pruning &&= item.kind !== 'prune');
  if (item.kind === 'prune') planPrune(item, site);
  else planExpiry(item, site);
}

/** A device that is online gets what waits for it; its head is looked at again when it is away. */
function planExpiry(item: LossItem, site: Site): void {
  const { recipient, device, commit, state } = site;
  if (device.online !== undefined) return;
  const { lossCountMax, lossBytesMax } = LIMITS;
  const before = commit.now.wallMs - LIMITS.messageAgeMsMax;
  const page = state.args.store.entries(recipient.user, device.id, 0, device.head, lossCountMax, lossBytesMax);
  const young = page.findIndex(({ ts }) => ts >= before);
  const expired = young === -1 ? page : page.slice(0, young);
  if (expired.length === 0) return;
  remove(item, { entries: expired, code: 'APP_EXPIRED', arrival: 0 }, site);
  if (young === -1) commit.losses.next.push(item);
}

function planPrune(item: LossItem, site: Site): void {
  for (const conversation of byBytes(site)) {
    const entries = pruneable(conversation, site);
    if (entries.length > 0) return remove(item, { entries, code: 'APP_PRUNED', arrival: 0 }, site);
  }
  site.device.pruning = false;
}

/** Conversations of which something waits for the device, the one that takes most first. */
function byBytes({ recipient, device, state }: Site): Conversation[] {
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
function pruneable(conversation: Conversation, { recipient, device, commit, state }: Site): InboxEntry[] {
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

function planSetAside(item: Extract<LossItem, { kind: 'set-aside' }>, site: Site): void {
  const { recipient, device, commit, state } = site;
  // Its entries are on their way to the waiting tier in this very commit: they are looked at when they are there.
  if (commit.moves.has(device)) return void commit.losses.next.push(item);
  const { store } = state.args;
  const arrival = device.fresh.find(({ seq }) => seq === item.seq)?.arrival ?? 0;
  const waiting = (): InboxEntry | undefined =>
    store.entries(recipient.user, device.id, item.seq - 1, item.seq, 1, 1)[0];
  const entry = arrival === 0 ? waiting() : store.fresh(arrival);
  if (entry === undefined) commit.losses.unheld.set(device, recipient);
  else remove(item, { entries: [entry], code: 'APP_UNDELIVERABLE', arrival }, site);
}

/** Removes entries, notes the gaps that they leave and puts notices of them into the inbox. */
function remove(item: LossItem, { entries, code, arrival }: Lost, site: Site): void {
  const { recipient, device, commit, state } = site;
  const { losses } = commit;
  losses.items.push(item);
  recipient.pin = commit.pin;
  device.moving = true;
  const gaps = new Map<Conversation, GapRecord>();
  for (const entry of entries) {
    losses.removals.push({ recipient, device, entry, arrival });
    // A notice that nobody saw is gone with what it told of.
    if (entry.type === 'pruned') continue;
    losses.counts[COUNTER[code]]++;
    const conversation = conversationOf(entry, recipient, state);
    touch(commit.touched, conversation, recipient);
    const isFront = device.online === undefined;
    if (arrival === 0) takeFromRun(conversation, device.id, entry.seq, entryBytes(entry), isFront);
    const since = gaps.get(conversation)?.since ?? entry.id;
    gaps.set(conversation, { since, until: entry.id, code });
  }
  for (const [conversation, gap] of gaps) noteLoss(conversation, gap, site);
}

function noteLoss(conversation: Conversation, gap: GapRecord, site: Site): void {
  const { recipient, device, commit } = site;
  const told = noteGap(conversation, recipient, device, gap);
  if (told !== undefined) commit.losses.gaps.push({ conversation, to: recipient.user, gap: told });
  putNotice(conversation, gap, site);
}

function putNotice(conversation: Conversation, gap: GapRecord, { recipient, device, commit, state }: Site): void {
  const { user, device: senderDevice, creation } = conversation.sender;
  const from = { sender: user, senderDevice, senderCreation: creation };
  const body = { type: 'pruned', ciphertext: encodeNotice(gap) } as const;
  const notice: InboxEntry = { seq: ++device.assigned, ...from, id: gap.until, ts: commit.ts, ...body };
  addEntry(notice, recipient, device, conversation, commit, state);
}

/** Where a message is that was forwarded too late for some devices. */
interface ForwardSite {
  readonly conversation: Conversation;
  readonly recipient: Recipient;
  readonly commit: Commit;
  readonly state: InboxState;
}

/** Nobody gets a message that its sender has a check mark for: both ends are told. @param devices - Whose inboxes say so. */
export function planGivenUp(gap: GapRecord, devices: readonly Device[], site: ForwardSite): void {
  const { conversation, recipient, commit } = site;
  touch(commit.touched, conversation, recipient);
  conversation.gaps = mergeGap(conversation.gaps, gap);
  conversation.gapsTold = false;
  commit.losses.counts[COUNTER[gap.code]]++;
  commit.losses.gaps.push({ conversation, to: recipient.user, gap });
  for (const device of devices) planMissedBy(device, gap, site);
}

/** One device does not get a message. */
export function planMissedBy(device: Device, gap: GapRecord, { conversation, ...site }: ForwardSite): void {
  putNotice(conversation, gap, { ...site, device });
}

/**
 * The first message since the store was restored: what is missing before it is lost, and both ends are told. Of a group, whose places have
 * been skipped, nobody knows how many there were: its members are told from where to where, and it counts as one.
 *
 * @param id - Of the message; of a group its place.
 */
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
  commit.losses.counts.restoredMessages += isOfGroup(conversation) ? 1 : gap.until - gap.since + 1;
  commit.losses.gaps.push({ conversation, to: recipient.user, gap });
  const { sender } = conversation;
  for (const device of recipient.devices) {
    // What a device writes to the others of its account does not come to itself.
    const isSender = sender.user === recipient.user && sender.device === device.id;
    if (!isSender) putNotice(conversation, gap, { recipient, device, commit, state });
  }
}
