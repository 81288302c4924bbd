/**
 * What the owner of a group keeps in memory of it: roster and head, places, senders, what is outgoing, who watches.
 *
 * A cache over the store, bounded by `LIMITS.groupCacheMax`; groups with anything under way stay. Plain data and functions: the
 * state outlives a reload of this code. Read next: `plan.ts`, which decides what happens.
 */

import { createHash } from 'node:crypto';
import { decodeRoster, encodeRoster, isGroupRefusal, type GroupState } from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import type { GroupChangeSubmit, GroupSubmit } from './messages.ts';
import { LIMITS } from '../limits.ts';
import type { RemoteName } from '../routes.ts';
import type { GroupBody, GroupRecord, GroupStore } from '../store/group-store.ts';
import type { SenderAddress } from '../store/inbox-store.ts';

/** How far the messages of one device have come. */
export interface GroupSender {
  readonly address: SenderAddress;
  /** Highest accepted id, including those of the commit under way. */
  accepted: number;
  /** Its place. */
  order: number;
  /** Highest accepted id that is flushed: a resend up to here is answered at once. */
  flushed: number;
  /** Whether the store has a record: without one, any id may be the first that is not past a refused one. */
  known: boolean;
  /** Whether its record is in doubt: then any id may be the next. Senders from before a reload of the code may lack it. */
  isDoubted?: boolean | undefined;
  /** See `../inbox/order.ts`. */
  awaited?: number | undefined;
  /** Where it sent from last: the answer to what is being committed goes there, also if that came on another one. */
  connection: Pid | undefined;
}

/** The members on one shard, and the inbox that serves them. */
export interface Target {
  readonly inbox: RemoteName;
  readonly recipients: readonly string[];
}

/** A message or change that is flushed here and not yet in the inboxes of every shard. */
export interface Outgoing {
  readonly body: GroupBody;
  /** Shards that have not confirmed, by the name of their inbox. */
  readonly targets: Map<string, Target>;
  /** When it was sent first and last, monotonic. One from before a reload of the code may lack the first. */
  readonly beganMs?: number;
  sentAtMs: number;
}

/** A connection that is told how far members have come. */
export interface Watcher {
  readonly connection: Pid;
  readonly user: string;
}

/** Who has come how far since watchers were told last: the highest place of each member. */
export type FreshMarks = Readonly<Record<'delivered' | 'read', Map<string, number>>>;

export interface Group {
  readonly id: string;
  /** Undefined until the change that creates it was accepted. */
  state: GroupState | undefined;
  /** Last place given out, including those of the commit under way. */
  order: number;
  readonly senders: Map<string, GroupSender>;
  /** Members by shard; made from the roster when it is needed, undefined when the roster has changed. */
  targets: readonly Target[] | undefined;
  /** By place, ascending. */
  readonly outgoing: Map<number, Outgoing>;
  /**
   * Whether what is outgoing waits for a shard that nobody serves, as was seen when it was sent again last. One from before a reload of the code may lack it.
   */
  isAway?: boolean;
  /** Whether a change is being committed or is outgoing: what follows waits, so that all that is outgoing has one roster. */
  changing: boolean;
  /** Accepted by the commit under way. */
  planned: number;
  /** What waits for a change to reach every shard, or to begin. */
  held: (GroupSubmit | GroupChangeSubmit)[];
  readonly watchers: Map<string, Watcher>;
  readonly marks: FreshMarks;
}

/** Groups by id, in order of use. */
export type GroupRoll = Map<string, Group>;

export function sha512(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(bytes).digest());
}

/** The group from memory or from the store; one without a state where nothing is known of it. */
export function findGroup(roll: GroupRoll, store: GroupStore, id: string): Group {
  const cached = roll.get(id);
  if (cached !== undefined) return cached;
  const record = store.group(id);
  const group: Group = {
    id,
    state: record && stateOf(record),
    order: store.order(id),
    senders: new Map(),
    targets: undefined,
    outgoing: new Map(),
    isAway: false,
    changing: false,
    planned: 0,
    held: [],
    watchers: new Map(),
    marks: { delivered: new Map(), read: new Map() },
  };
  roll.set(id, group);
  if (roll.size > LIMITS.groupCacheMax) evict(roll, group);
  return group;
}

function stateOf({ head, roster: bytes }: GroupRecord): GroupState {
  const roster = decodeRoster(bytes);
  // We wrote it: a roster that does not decode is a store that cannot be trusted.
  if (isGroupRefusal(roster)) throw new RangeError(`the stored roster of a group does not decode: ${roster.code}`);
  return { roster, head };
}

/** The group as it is stored. */
export function recordOf(group: string, { roster, head }: GroupState): GroupRecord {
  return { group, head, roster: encodeRoster(roster) };
}

// Looks at a few of the oldest only, so that a busy shard does not scan all of its groups for each stranger's.
const EVICTION_LOOKS = 8;

function evict(roll: GroupRoll, keep: Group): void {
  let looks = 0;
  for (const [id, group] of roll) {
    if (++looks > EVICTION_LOOKS) return;
    roll.delete(id);
    if (group !== keep && isIdle(group)) return;
    roll.set(id, group);
  }
}

/** Whether the store alone says everything about the group. Those who watch an idle group ask again when they care. */
function isIdle({ outgoing, planned, held, marks }: Group): boolean {
  return outgoing.size + planned + held.length + marks.delivered.size + marks.read.size === 0;
}

export function isMember({ state }: Group, user: string): boolean {
  return state !== undefined && state.roster.members.has(user);
}

/** How far a device has come, from memory or from the store. */
export function findSender(group: Group, store: GroupStore, address: SenderAddress, key: string): GroupSender {
  const cached = group.senders.get(key);
  if (cached !== undefined) return cached;
  const record = store.sender(group.id, address);
  const accepted = record?.accepted ?? 0;
  const sender: GroupSender = {
    address,
    accepted,
    order: record?.order ?? 0,
    flushed: accepted,
    known: record !== undefined,
    isDoubted: record?.isDoubted ?? false,
    awaited: undefined,
    connection: undefined,
  };
  group.senders.set(key, sender);
  return sender;
}

/** Whether any id may be the next of a device. */
export function isOpenSender({ known, isDoubted }: GroupSender): boolean {
  return !known || isDoubted === true;
}

/** Forgets how far the devices of `user` have come. */
export function forgetSenders(group: Group, user: string): void {
  for (const [key, { address }] of group.senders) if (address.user === user) group.senders.delete(key);
}

/** The place before `order` that is outgoing to this inbox as well; 0 where there is none. */
export function placeBefore({ outgoing }: Group, order: number, inbox: string): number {
  let before = 0;
  for (const { body, targets } of outgoing.values()) {
    if (body.order >= order) return before;
    if (targets.has(inbox)) before = body.order;
  }
  return before;
}

/** Whether something has been outgoing for too long to have anything wait for it. */
export function isStuck({ outgoing }: Group, nowMs: number): boolean {
  for (const { beganMs, sentAtMs } of outgoing.values()) return nowMs - (beganMs ?? sentAtMs) >= LIMITS.groupStuckMs;
  return false;
}

/** Members by shard. */
export function targetsOf(group: Group, inboxOf: (user: string) => RemoteName): readonly Target[] {
  group.targets ??= gather(group.state?.roster.members.keys() ?? [], inboxOf);
  return group.targets;
}

/** Users by the inbox that serves them. */
export function gather(users: Iterable<string>, inboxOf: (user: string) => RemoteName): Target[] {
  const targets = new Map<string, { inbox: RemoteName; recipients: string[] }>();
  for (const user of users) {
    const inbox = inboxOf(user);
    const target = targets.get(inbox.name);
    if (target === undefined) targets.set(inbox.name, { inbox, recipients: [user] });
    else target.recipients.push(user);
  }
  return [...targets.values()];
}

/**
 * Lets a connection know how far members come; the one that sent or asked longest ago makes room.
 *
 * @returns Whether it is new.
 */
export function watch({ watchers }: Group, name: string, connection: Pid, user: string): boolean {
  const isNew = !watchers.delete(name);
  watchers.set(name, { connection, user });
  for (const oldest of watchers.keys()) {
    if (watchers.size <= LIMITS.groupWatchersMax) break;
    watchers.delete(oldest);
  }
  return isNew;
}

/** Members after `after` in the order of their ids, one page of them, and whether there are more. */
export function memberPage(
  { state }: Group,
  after: string | undefined,
  countMax: number,
): { readonly members: string[]; readonly more: boolean } {
  const rest = [...(state?.roster.members.keys() ?? [])].filter((user) => user > (after ?? '')).sort();
  return { members: rest.slice(0, countMax), more: rest.length > countMax };
}

/**
 * Gives what is said in a group its place, the next one.
 *
 * @param bytes - Borrowed and copied: they lie in a slab with many others, and a body may be remembered for long.
 */
export function placeBody(
  group: Group,
  { user, device, creation }: SenderAddress,
  { kind, id, ts, bytes }: Pick<GroupBody, 'kind' | 'id' | 'ts' | 'bytes'>,
): GroupBody {
  return {
    kind,
    group: group.id,
    order: ++group.order,
    sender: user,
    senderDevice: device,
    senderCreation: creation,
    id,
    ts,
    bytes: bytes.slice(),
  };
}
