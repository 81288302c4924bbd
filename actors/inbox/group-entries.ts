/**
 * Groups in the inbox of a member's shard: one message or change becomes an entry for each device of each member, all of which
 * refer to one stored body.
 *
 * A group stands in an inbox as a conversation whose sender is the group itself, with device and creation 0, and whose message
 * ids are places in the group. So windows, positions, acknowledgements and the durable delivered mark are those of `../inbox.ts`;
 * here is what differs: who gets an entry, when a body goes, and where the marks are told. The owner of the group sends
 * each place until it is confirmed, so the same one may come twice: what a member has accepted he is not given again.
 *
 * Read next: `../groups.ts`, the owner.
 */

import type { GroupMark } from '../../protocol/wire/index.ts';
import type { FanOut, FannedOut, MarksReached } from '../groups/messages.ts';
import { LIMITS } from '../limits.ts';
import {
  findConversation,
  findRecipient,
  senderKeyOf,
  type Conversation,
  type Device,
  type Pin,
  type Recipient,
  type Recipients,
} from './recipients.ts';
import { mayMissBefore } from '../store/doubt.ts';
import { BODY_OVERHEAD_BYTES, type GroupBody } from '../store/group-store.ts';
import {
  ENTRY_OVERHEAD_BYTES,
  type InboxEntry,
  type InboxStore,
  type SenderAddress,
  type StoreBatch,
} from '../store/inbox-store.ts';

const NOTHING = new Uint8Array(0);

/** A body of this shard, and how many inbox entries refer to it as far as commits have settled. */
interface KnownBody {
  readonly body: GroupBody;
  count: number;
}

/** Bodies that a shard remembers, the one used longest ago first. */
export type KnownBodies = Map<string, KnownBody>;

/** What one commit changes of groups. Made when the first such thing comes: most commits have none. */
export interface GroupPart {
  /** To be confirmed when the commit has settled. */
  readonly fanOuts: FanOut[];
  /** Bodies that the commit stores, with the entries that it adds. */
  readonly added: Map<string, KnownBody>;
  /** Entries that the commit removes, by body. */
  readonly released: Map<string, { readonly group: string; readonly order: number; count: number }>;
  /** Entries that it adds, for the bound of a commit. */
  entryCount: number;
}

/** The parts of a commit that groups take part in. */
export interface GroupCommit {
  readonly ts: number;
  readonly bytesMax: number;
  readonly pin: Pin;
  readonly accepted: Map<
    Conversation,
    { readonly before: number; readonly known: boolean; readonly recipient: Recipient }
  >;
  bytes: number;
  groups: GroupPart | undefined;
}

/** By group, the last place that this life of an inbox has planned. */
export type GroupPlaces = Map<string, number>;

/** What planning needs of the inbox around it. */
export interface FanOutShard {
  readonly places: GroupPlaces;
  readonly store: InboxStore;
  readonly recipients: Recipients;
  readonly queuedBytes: number;
  /** Whether the inbox of a device takes another entry. */
  hasRoomFor(device: Device): boolean;
  /** Puts an entry with the device's next position into the commit. */
  add(entry: InboxEntry, recipient: Recipient, device: Device, conversation: Conversation): void;
  /** Tells the devices of a member that places before `order` may be lost. */
  tellLoss(order: number, recipient: Recipient, conversation: Conversation): void;
}

/** The sender under which a group stands in its members' inboxes. */
function groupAddress(group: string): SenderAddress {
  return { user: group, device: 0, creation: 0 };
}

/** Whether a conversation is the one from a group. No device has the id 0. */
export function isOfGroup({ sender }: Conversation): boolean {
  return sender.device === 0;
}

function partOf(commit: GroupCommit): GroupPart {
  commit.groups ??= { fanOuts: [], added: new Map(), released: new Map(), entryCount: 0 };
  return commit.groups;
}

/**
 * Plans the entries of one message or change. Where the one before it is missing, or the shard has no room, it plans nothing,
 * and the owner comes again.
 */
export function planFanOut(item: FanOut, commit: GroupCommit, shard: FanOutShard): void {
  const { body, recipients, after } = item;
  if (after > (shard.places.get(body.group) ?? 0)) return;
  const bytes = bodyBytes(body) + recipients.length * ENTRY_OVERHEAD_BYTES;
  if (shard.queuedBytes + commit.bytes + bytes > commit.bytesMax) return;
  const part = partOf(commit);
  part.fanOuts.push(item);
  notePlace(body, shard.places);
  const address = groupAddress(body.group);
  const key = senderKeyOf(address);
  let count = 0;
  for (const user of recipients) {
    const recipient = findRecipient(shard.recipients, shard.store, user);
    if (recipient !== undefined) count += addForMember(body, recipient, address, key, commit, shard);
  }
  if (count === 0) return;
  // A fan-out that comes again adds to what the first one has put there.
  const held = shard.store.groups.bodyCount(body.group, body.order);
  part.added.set(placeName(body.group, body.order), { body, count: held + count });
  part.entryCount += count;
  if (held === 0) commit.bytes += bodyBytes(body);
}

function notePlace({ group, order }: GroupBody, places: GroupPlaces): void {
  const before = places.get(group) ?? 0;
  places.delete(group);
  places.set(group, Math.max(before, order));
  for (const oldest of places.keys()) {
    if (places.size <= LIMITS.groupPlacesMax) return;
    places.delete(oldest);
  }
}

/** Nothing of the commit was written: the owner begins again with what is not confirmed. */
export function undoFanOuts({ groups }: GroupCommit, places: GroupPlaces): void {
  for (const { body } of groups?.fanOuts ?? []) places.delete(body.group);
}

/** Adds an entry for each device of a member, after word of what is lost before it; returns how many. A place that he has passed adds none. */
function addForMember(
  body: GroupBody,
  recipient: Recipient,
  address: SenderAddress,
  key: string,
  commit: GroupCommit,
  shard: FanOutShard,
): number {
  const conversation = findConversation(recipient, shard.store, address, key);
  if (conversation.known && body.order <= conversation.accepted) return 0;
  const isAfterLoss = conversation.known && mayMissBefore(conversation, body.order);
  if (isAfterLoss) shard.tellLoss(body.order, recipient, conversation);
  let count = 0;
  for (const device of recipient.devices) {
    if (!isFor(body, recipient, device) || !shard.hasRoomFor(device)) continue;
    shard.add(entryOf(body, ++device.assigned, commit.ts), recipient, device, conversation);
    count++;
  }
  if (count === 0 && !isAfterLoss) return 0;
  recipient.pin = commit.pin;
  if (!commit.accepted.has(conversation)) {
    commit.accepted.set(conversation, { before: conversation.accepted, known: conversation.known, recipient });
  }
  conversation.accepted = body.order;
  conversation.known = true;
  return count;
}

/**
 * All devices get it but the one that sent it, which has it; the author of a change gets that, for the answer to his request may be
 * lost. A device whose inbox is full gets nothing: the hole in the places says so.
 */
function isFor(body: GroupBody, { user }: Recipient, device: Device): boolean {
  return body.kind === 'change' || user !== body.sender || device.id !== body.senderDevice;
}

function entryOf(body: GroupBody, seq: number, ts: number): InboxEntry {
  const { group, order } = body;
  const from = { sender: group, senderDevice: 0, senderCreation: 0 };
  return { seq, ...from, id: order, ts, type: 'group', ciphertext: NOTHING, body };
}

function bodyBytes({ bytes }: GroupBody): number {
  return bytes.length + BODY_OVERHEAD_BYTES;
}

// --- bodies that are not referred to any more ---------------------------------------------------------------------

/** Notes that the commit removes an entry of a group. */
export function release(commit: GroupCommit, group: string, order: number): void {
  const { released } = partOf(commit);
  const name = placeName(group, order);
  const noted = released.get(name);
  if (noted === undefined) released.set(name, { group, order, count: 1 });
  else noted.count++;
}

const PAGE_COUNT = 1_024;

/** Notes that the commit removes all waiting entries of a device. */
export function releaseInbox(commit: GroupCommit, user: string, device: number, store: InboxStore): void {
  const last = store.lastSeq(user, device);
  for (let after = 0; after < last;) {
    const page = store.entries(user, device, after, last, PAGE_COUNT, LIMITS.commitBytesMax);
    for (const { type, sender, id } of page) if (type === 'group') release(commit, sender, id);
    after = page.at(-1)?.seq ?? last;
  }
}

/** Stores new bodies, counts down those that lost entries, removes those that lost the last one. */
export function writeBodies(commit: GroupCommit, bodies: KnownBodies, store: InboxStore, batch: StoreBatch): void {
  if (commit.groups === undefined) return;
  for (const { body, count } of commit.groups.added.values()) {
    if (count > 0) batch.groups.putBody(body, count);
    else commit.bytes -= bodyBytes(body);
  }
  for (const { group, order, count } of commit.groups.released.values()) {
    const name = placeName(group, order);
    const present =
      commit.groups.added.get(name)?.count ?? bodies.get(name)?.count ?? store.groups.bodyCount(group, order);
    const left = present - count;
    if (left > 0) batch.groups.putBodyCount(group, order, left);
    else removeBody(group, order, commit, bodies, store, batch);
  }
}

function removeBody(
  group: string,
  order: number,
  commit: GroupCommit,
  bodies: KnownBodies,
  store: InboxStore,
  batch: StoreBatch,
): void {
  const body = knownBody(bodies, group, order) ?? store.groups.body(group, order);
  if (body === undefined) return;
  commit.bytes -= bodyBytes(body);
  batch.groups.removeBody(group, order);
}

/** Brings what is remembered of bodies up to a commit that has settled. */
export function settleBodies({ added, released }: GroupPart, bodies: KnownBodies): void {
  for (const [name, { body, count }] of added) if (count > 0) bodies.set(name, { body, count });
  for (const [name, { count }] of released) {
    const known = bodies.get(name);
    if (known === undefined) continue;
    known.count -= count;
    if (known.count <= 0) bodies.delete(name);
  }
  for (const name of bodies.keys()) {
    if (bodies.size <= LIMITS.groupBodiesCacheMax) return;
    bodies.delete(name);
  }
}

/** Puts its body to each entry of a group, as they go out. One whose body is gone goes out as nothing. */
export function withBodies(
  entries: readonly InboxEntry[],
  bodies: KnownBodies,
  store: InboxStore,
): readonly InboxEntry[] {
  if (!entries.some(({ type, body }) => type === 'group' && body === undefined)) return entries;
  return entries.map((entry) => (entry.type === 'group' ? withBody(entry, bodies, store) : entry));
}

function withBody(entry: InboxEntry, bodies: KnownBodies, store: InboxStore): InboxEntry {
  const body = knownBody(bodies, entry.sender, entry.id) ?? store.groups.body(entry.sender, entry.id);
  return body === undefined ? entry : { ...entry, body };
}

/** The body of a place, if it is remembered. */
export function knownBody(bodies: KnownBodies, group: string, order: number): GroupBody | undefined {
  return bodies.get(placeName(group, order))?.body;
}

// --- what the owner is told ---------------------------------------------------------------------------------------

/** The confirmations of a commit that has settled. */
export function confirmations({ fanOuts }: GroupPart): FannedOut[] {
  return fanOuts.map(({ body: { group, order }, inbox }) => ({ kind: 'fanned-out', group, order, inbox }));
}

/** How far members have come, gathered by group: one message to each owner, however many members a commit moved. */
export class MarkSheet {
  readonly #marks: Map<string, GroupMark[]> = new Map();

  add(group: string, user: string, order: number): void {
    const marks = this.#marks.get(group);
    if (marks === undefined) this.#marks.set(group, [{ user, order }]);
    else marks.push({ user, order });
  }

  reached(type: MarksReached['type']): MarksReached[] {
    return Array.from(this.#marks, ([group, marks]) => ({ kind: 'marks-reached', type, group, marks }));
  }
}

/** The marks of members as they are on disk or on their way to it; those who have received nothing are left out. */
export function findMarks(
  group: string,
  members: readonly string[],
  recipients: Recipients,
  store: InboxStore,
): GroupMark[] {
  const address = groupAddress(group);
  const key = senderKeyOf(address);
  const marks: GroupMark[] = [];
  for (const user of members) {
    const known = recipients.get(user)?.conversations?.get(key);
    const order = (known ?? store.conversation(user, address))?.delivered ?? 0;
    if (order > 0) marks.push({ user, order });
  }
  return marks;
}

function placeName(group: string, order: number): string {
  return `${group}#${order}`;
}
