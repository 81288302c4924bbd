/**
 * Who is in a group, and what a change makes of it: one set of rules, for the server and for every member.
 *
 *   state = roster + head (hash of the newest change)
 *   applyGroupChange(state, change) ─▶ next state | GroupRefusal
 *
 *   who               may
 *   an admin          add, remove, role, info, link, unlink, policy, leave
 *   a member          leave
 *   anybody           join, with the gate of the present link
 *
 * Epochs count from 1, one for each change; a change names the hash of the one before and of the roster that it leads to, so
 * that nothing can be left out, slipped in or exchanged. Where members remain, an admin remains. Removing somebody closes the
 * link, which they may know. When the last member leaves, nothing can follow: the group is over.
 *
 * Pure. It does not look at the author's signature and at the proof of a joiner: the server cannot, clients do
 * (`client/group-verifier.ts`). So the server applies exactly what was signed, and members find out what was not.
 *
 *   offset   bytes   field of a roster
 *   0        1       version, 01
 *   1        7       group id
 *   8        4       epoch
 *   12       1       policy: 1 sender keys, 2 pairwise
 *   13       1       1 with a link, else 0
 *            65      the link, if there is one: hash of the gate, 32 · public key, 33
 *            2       length of the info
 *            …       info
 *            2       number of members
 *            8       each member by ascending id: user, 7 · role, 1 (1 member, 2 admin)
 */

import { isCounter } from './fields.ts';
import { FieldReader, FieldWriter, ID_BYTES, sameBytes } from './group-bytes.ts';
import {
  GROUP_HASH_BYTES,
  hashOfChange,
  hashOfGate,
  NO_HASH,
  readInfo,
  readLink,
  readMode,
  readRole,
  writeInfo,
  writeLink,
  writeMode,
  writeRole,
} from './group-change.ts';
import type {
  GroupAction,
  GroupChange,
  GroupLink,
  GroupMode,
  GroupRole,
  Sha512,
  SignedGroupChange,
} from './group-change.ts';
import { groupRefusal, isGroupRefusal, type GroupRefusal } from './group-errors.ts';
import { LIMITS } from './limits.ts';

/** A group at one epoch. */
export interface GroupRoster {
  readonly group: string;
  readonly epoch: number;
  readonly mode: GroupMode;
  readonly link: GroupLink | undefined;
  /** Opaque; empty before it was set. */
  readonly info: Uint8Array;
  /** At most `LIMITS.groupMembersMax`; empty when the group is over. */
  readonly members: ReadonlyMap<string, GroupRole>;
}

/** A roster and the change that led to it. */
export interface GroupState {
  readonly roster: GroupRoster;
  /** `hashOfChange` of the newest change: 32 bytes. */
  readonly head: Uint8Array;
}

/** What an author wants done. */
export interface GroupIntent {
  readonly group: string;
  readonly author: string;
  readonly device: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly actions: readonly GroupAction[];
}

/**
 * Applies a change.
 *
 * @param state - What the change must follow; undefined before the first. Not modified.
 * @param change - From `decodeGroupChange`.
 * @returns The next state. Refusals: GROUP_EPOCH, GROUP_FORKED, GROUP_NOT_A_MEMBER, GROUP_FORBIDDEN, GROUP_CONTRADICTION,
 *   GROUP_NO_ADMIN, GROUP_FULL, GROUP_WRONG_ROSTER.
 */
export function applyGroupChange(
  state: GroupState | undefined,
  change: SignedGroupChange,
  sha512: Sha512,
): GroupState | GroupRefusal {
  if (state !== undefined && state.roster.group !== change.group) return groupRefusal('GROUP_CONTRADICTION');
  if (change.epoch !== (state?.roster.epoch ?? 0) + 1) return groupRefusal('GROUP_EPOCH');
  if (!sameBytes(change.formerHash, state?.head ?? NO_HASH)) return groupRefusal('GROUP_FORKED');
  const roster = rosterAfter(state?.roster, change, sha512);
  if (isGroupRefusal(roster)) return roster;
  if (!sameBytes(change.rosterHash, hashOfRoster(roster, sha512))) return groupRefusal('GROUP_WRONG_ROSTER');
  return { roster, head: hashOfChange(change, sha512) };
}

/**
 * Makes the change that carries an intent out, ready to be signed.
 *
 * @returns Refusals as `applyGroupChange`, for what others would refuse.
 */
export function draftGroupChange(
  state: GroupState | undefined,
  intent: GroupIntent,
  sha512: Sha512,
): GroupChange | GroupRefusal {
  const roster = rosterAfter(state?.roster, intent, sha512);
  if (isGroupRefusal(roster)) return roster;
  return {
    ...intent,
    epoch: roster.epoch,
    formerHash: state?.head ?? NO_HASH,
    rosterHash: hashOfRoster(roster, sha512),
  };
}

/** A roster in the making. */
interface Draft {
  readonly author: string;
  readonly members: Map<string, GroupRole>;
  mode: GroupMode;
  link: GroupLink | undefined;
  info: Uint8Array;
}

function rosterAfter(
  roster: GroupRoster | undefined,
  { group, author, actions }: GroupIntent,
  sha512: Sha512,
): GroupRoster | GroupRefusal {
  const epoch = (roster?.epoch ?? 0) + 1;
  if (epoch > LIMITS.groupEpochMax) return groupRefusal('GROUP_EPOCH');
  const draft: Draft = {
    author,
    members: new Map(roster?.members),
    mode: roster?.mode ?? 'sender-keys',
    link: roster?.link,
    info: roster?.info ?? new Uint8Array(0),
  };
  const refused = refusalOfActions(draft, actions, roster === undefined, sha512);
  if (refused !== undefined) return refused;
  const { members, mode, link, info } = draft;
  if (members.size > 0 && ![...members.values()].includes('admin')) return groupRefusal('GROUP_NO_ADMIN');
  // Nobody is left who could let somebody in, or know what it was called.
  if (members.size === 0) return { group, epoch, mode, link: undefined, info: new Uint8Array(0), members };
  return { group, epoch, mode, link, info, members };
}

function refusalOfActions(
  draft: Draft,
  actions: readonly GroupAction[],
  isFirst: boolean,
  sha512: Sha512,
): GroupRefusal | undefined {
  for (const [index, action] of actions.entries()) {
    const refused =
      misplaced(action, index, actions.length, isFirst) ?? forbidden(draft, action) ?? take(draft, action, sha512);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** A group begins with `create`, which stands nowhere else; who joins does nothing besides; who has left does no more. */
function misplaced(action: GroupAction, index: number, count: number, isFirst: boolean): GroupRefusal | undefined {
  const isBegin = isFirst && index === 0;
  if (isBegin && action.kind !== 'create') return groupRefusal('GROUP_NOT_A_MEMBER');
  const isRight =
    (action.kind !== 'create' || isBegin) &&
    (action.kind !== 'join' || count === 1) &&
    (action.kind !== 'leave' || index === count - 1);
  return isRight ? undefined : groupRefusal('GROUP_CONTRADICTION');
}

function forbidden({ author, members }: Draft, { kind }: GroupAction): GroupRefusal | undefined {
  if (kind === 'create' || kind === 'join') return undefined;
  const role = members.get(author);
  if (role === undefined) return groupRefusal('GROUP_NOT_A_MEMBER');
  return role === 'admin' || kind === 'leave' ? undefined : groupRefusal('GROUP_FORBIDDEN');
}

/** Does what an action says to the draft, unless that makes no sense. */
function take(draft: Draft, action: GroupAction, sha512: Sha512): GroupRefusal | undefined {
  switch (action.kind) {
    case 'create':
      return enter(draft, draft.author, 'admin');
    case 'add':
      return enter(draft, action.user, action.role);
    case 'remove':
      // Who removes himself would do it as a leave, which is a member's right and means something else to a reader.
      return action.user === draft.author ? groupRefusal('GROUP_CONTRADICTION') : quit(draft, action.user);
    case 'leave':
      return quit(draft, draft.author);
    case 'role':
      return changeRole(draft, action.user, action.role);
    case 'join':
      return join(draft, action.gate, sha512);
    case 'info':
      return void (draft.info = action.info);
    case 'policy':
      return void (draft.mode = action.mode);
    case 'link':
      return void (draft.link = { gateHash: action.gateHash, key: action.key });
    case 'unlink':
      return draft.link === undefined ? groupRefusal('GROUP_CONTRADICTION') : void (draft.link = undefined);
  }
}

function enter({ members }: Draft, user: string, role: GroupRole): GroupRefusal | undefined {
  if (members.has(user)) return groupRefusal('GROUP_CONTRADICTION');
  if (members.size >= LIMITS.groupMembersMax) return groupRefusal('GROUP_FULL');
  members.set(user, role);
  return undefined;
}

function quit(draft: Draft, user: string): GroupRefusal | undefined {
  if (!draft.members.delete(user)) return groupRefusal('GROUP_CONTRADICTION');
  draft.link = undefined;
  return undefined;
}

function changeRole({ members }: Draft, user: string, role: GroupRole): GroupRefusal | undefined {
  const former = members.get(user);
  if (former === undefined || former === role) return groupRefusal('GROUP_CONTRADICTION');
  members.set(user, role);
  return undefined;
}

function join(draft: Draft, gate: Uint8Array, sha512: Sha512): GroupRefusal | undefined {
  if (draft.link === undefined || !sameBytes(hashOfGate(gate, sha512), draft.link.gateHash)) {
    return groupRefusal('GROUP_FORBIDDEN');
  }
  return enter(draft, draft.author, 'member');
}

const VERSION = 1;
const ROSTER_LABEL = new TextEncoder().encode('Blindbeam group roster\0');

/** Encodes a roster: its one form, which is hashed. @returns Owned by the caller. */
export function encodeRoster({ group, epoch, mode, link, info, members }: GroupRoster): Uint8Array {
  const writer = writeMode(new FieldWriter().uint(VERSION, 1).id(group).uint(epoch, 4), mode);
  writer.uint(link === undefined ? 0 : 1, 1);
  if (link !== undefined) writeLink(writer, link);
  writeInfo(writer, info).uint(members.size, 2);
  // Ids have one length, so that the order of the texts is the order of the numbers.
  for (const user of [...members.keys()].sort()) writeRole(writer.id(user), members.get(user)!);
  return writer.finish();
}

/**
 * Reads a roster. Never throws.
 *
 * @param bytes - Borrowed.
 * @returns GROUP_UNSUPPORTED, GROUP_MALFORMED.
 */
export function decodeRoster(bytes: Uint8Array): GroupRoster | GroupRefusal {
  const reader = openRoster(bytes);
  if (isGroupRefusal(reader)) return reader;
  const { group, epoch, mode, link, info } = readHead(reader);
  const roster: GroupRoster = { group, epoch, mode, link, info, members: readMembers(reader) };
  return reader.isComplete && isCounter(epoch) ? roster : groupRefusal('GROUP_MALFORMED');
}

/**
 * Whether a user is a member, without decoding the members: they have one size and stand in order, so ten looks find one of 1,024.
 *
 * Believes that they are in order and that their roles are some, as is true of what `encodeRoster` wrote. Never throws.
 *
 * @param bytes - Borrowed.
 * @param user - A user id.
 * @returns GROUP_UNSUPPORTED, GROUP_MALFORMED.
 */
export function isMemberInRoster(bytes: Uint8Array, user: string): boolean | GroupRefusal {
  const reader = openRoster(bytes);
  if (isGroupRefusal(reader)) return reader;
  const { epoch } = readHead(reader);
  const count = reader.uint(2);
  const members = reader.rest;
  const isWhole = !reader.failed && isCounter(epoch) && members.length === count * MEMBER_BYTES;
  return isWhole ? isAmong(members, count, Number(user)) : groupRefusal('GROUP_MALFORMED');
}

/** A user's id and role. */
const MEMBER_BYTES = ID_BYTES + 1;

/** Halves what is left until the one is found, or nothing is left. */
function isAmong(members: Uint8Array, count: number, wanted: number): boolean {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = idAt(members, middle * MEMBER_BYTES);
    if (found === wanted) return true;
    if (found < wanted) low = middle + 1;
    else high = middle;
  }
  return false;
}

/** As `FieldReader` reads it, without one for each look. */
function idAt(bytes: Uint8Array, offset: number): number {
  let value = 0;
  for (let index = offset; index < offset + ID_BYTES; index += 1) value = value * 256 + bytes[index]!;
  return value;
}

/** What stands behind the version. */
function openRoster(bytes: Uint8Array): FieldReader | GroupRefusal {
  if (bytes.length === 0 || bytes.length > LIMITS.groupRosterBytesMax) return groupRefusal('GROUP_MALFORMED');
  return bytes[0] === VERSION ? new FieldReader(bytes.subarray(1)) : groupRefusal('GROUP_UNSUPPORTED');
}

/** What stands before the members. */
function readHead(reader: FieldReader): Omit<GroupRoster, 'members'> {
  return {
    group: reader.id(),
    epoch: reader.uint(4),
    mode: readMode(reader),
    link: readOptionalLink(reader),
    info: readInfo(reader),
  };
}

function readOptionalLink(reader: FieldReader): GroupLink | undefined {
  const flag = reader.uint(1);
  if (flag > 1) reader.failed = true;
  return flag === 1 ? readLink(reader) : undefined;
}

function readMembers(reader: FieldReader): Map<string, GroupRole> {
  const count = reader.uint(2);
  if (count > LIMITS.groupMembersMax) reader.failed = true;
  const members = new Map<string, GroupRole>();
  let former = '';
  while (members.size < count && !reader.failed) {
    const user = reader.id();
    if (user <= former) reader.failed = true;
    members.set((former = user), readRole(reader));
  }
  return members;
}

/** What a change commits itself to: 32 bytes over a label and the roster's one form. */
export function hashOfRoster(roster: GroupRoster, sha512: Sha512): Uint8Array {
  return sha512(new FieldWriter().bytes(ROSTER_LABEL).bytes(encodeRoster(roster)).finish()).slice(0, GROUP_HASH_BYTES);
}
