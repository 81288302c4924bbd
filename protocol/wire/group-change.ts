/**
 * One change of a group, as bytes: what an author signs, the server applies and every member checks.
 *
 *   offset   bytes   field
 *   0        1       version, 01
 *   1        7       group id
 *   8        4       epoch that the change leads to; 1 creates the group
 *   12       32      hash of the change before; zeros where there is none
 *   44       32      hash of the roster that the change leads to (group-roster.ts)
 *   76       7       the author's user id
 *   83       1       the author's device
 *   84       6       time by the author's clock, milliseconds
 *   90       2       number of actions, at least 1
 *   92       …       actions: kind, 1 byte, and what belongs to it
 *   end      64      XEdDSA signature by the author device's identity key over label ‖ everything before it
 *
 *   action       kind   fields
 *   create       01
 *   add          02     user, 7 · role, 1
 *   remove       03     user, 7
 *   leave        04
 *   role         05     user, 7 · role, 1
 *   info         06     length, 2 · encrypted name and the like, which only members can read
 *   link         07     hash of the gate, 32 · public key, 33
 *   unlink       08
 *   join         09     gate, 32 · proof, 64
 *   policy       0a     1 sender keys, 2 pairwise
 *
 * Every field has its place and size, so a change has one form and its hash one meaning. This file knows the form only: what is
 * allowed is `group-roster.ts`, whose signature it is the client's business. Nothing here throws on bytes that came from elsewhere.
 */

import { isDeviceId, isUserId } from './address.ts';
import { isCount, isCounter, PUBLIC_KEY_BYTES, PUBLIC_KEY_TYPE, SIGNATURE_BYTES } from './fields.ts';
import { FieldReader, FieldWriter } from './group-bytes.ts';
import { groupRefusal, type GroupRefusal } from './group-errors.ts';
import { LIMITS } from './limits.ts';

export type GroupRole = 'member' | 'admin';

/** How messages of the group are encrypted: once for all, or for each device. */
export type GroupMode = 'sender-keys' | 'pairwise';

/** What lets people in who know a secret; made from it so that the server, who sees this, cannot let anybody in. */
export interface GroupLink {
  /** `hashOfGate` of the gate, which a joiner shows to the server: 32 bytes. */
  readonly gateHash: Uint8Array;
  /** 33 bytes: verifies the proof of a joiner, for the members. */
  readonly key: Uint8Array;
}

export type GroupAction =
  | { readonly kind: 'create' }
  | { readonly kind: 'add'; readonly user: string; readonly role: GroupRole }
  | { readonly kind: 'remove'; readonly user: string }
  | { readonly kind: 'leave' }
  | { readonly kind: 'role'; readonly user: string; readonly role: GroupRole }
  /** At most `LIMITS.groupInfoBytesMax`. */
  | { readonly kind: 'info'; readonly info: Uint8Array }
  | ({ readonly kind: 'link' } & GroupLink)
  | { readonly kind: 'unlink' }
  /** 32 and 64 bytes; the proof is a signature by the link's key over `joinStatement`. */
  | { readonly kind: 'join'; readonly gate: Uint8Array; readonly proof: Uint8Array }
  | { readonly kind: 'policy'; readonly mode: GroupMode };

export type GroupActionKind = GroupAction['kind'];

/** A change before it is signed. */
export interface GroupChange {
  /** 15 digits. */
  readonly group: string;
  /** 1 to 2^32 - 1. */
  readonly epoch: number;
  /** 32 bytes: `hashOfChange` of the change before, or zeros. */
  readonly formerHash: Uint8Array;
  /** 32 bytes: `hashOfRoster` of the roster afterwards. */
  readonly rosterHash: Uint8Array;
  readonly author: string;
  /** The author's device, whose identity key signs. */
  readonly device: number;
  /** Milliseconds since 1970; the author's claim. */
  readonly time: number;
  /** 1 to `LIMITS.groupActionsMax`. */
  readonly actions: readonly GroupAction[];
}

/** A change with its signature, which nobody has verified yet. */
export interface SignedGroupChange extends GroupChange {
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** What the signature covers: the label and all bytes before it. Also what is hashed. */
  readonly statement: Uint8Array;
}

/** SHA-512. Given by the caller: this folder has no cryptography. */
export type Sha512 = (bytes: Uint8Array) => Uint8Array;

/** Bytes of every hash of this format: the first 32 of SHA-512 over a label and what is hashed. */
export const GROUP_HASH_BYTES: 32 = 32;

/** The hash before the first change. */
export const NO_HASH: Uint8Array = new Uint8Array(GROUP_HASH_BYTES);

const VERSION = 1;
const HEAD_BYTES = 92;
const utf8 = new TextEncoder();

/** No other statement of an identity key begins so: see `protocol/signal/FORMAT.md`. */
const CHANGE_LABEL = utf8.encode('Blindbeam group change\0');
const GATE_LABEL = utf8.encode('Blindbeam group gate\0');
const JOIN_LABEL = utf8.encode('Blindbeam group join\0');

const ROLES: readonly GroupRole[] = ['member', 'admin'];
const MODES: readonly GroupMode[] = ['sender-keys', 'pairwise'];

interface ActionCodec<Action> {
  readonly number: number;
  write(writer: FieldWriter, action: Action): void;
  read(reader: FieldReader): Action;
}

type ActionOf<Kind extends GroupActionKind> = Extract<GroupAction, { readonly kind: Kind }>;

const CODECS: { readonly [Kind in GroupActionKind]: ActionCodec<ActionOf<Kind>> } = {
  create: { number: 1, write: nothing, read: () => ({ kind: 'create' }) },
  add: {
    number: 2,
    write: (writer, { user, role }) => void writeRole(writer.id(user), role),
    read: (reader) => ({ kind: 'add', user: reader.id(), role: readRole(reader) }),
  },
  remove: {
    number: 3,
    write: (writer, { user }) => void writer.id(user),
    read: (reader) => ({ kind: 'remove', user: reader.id() }),
  },
  leave: { number: 4, write: nothing, read: () => ({ kind: 'leave' }) },
  role: {
    number: 5,
    write: (writer, { user, role }) => void writeRole(writer.id(user), role),
    read: (reader) => ({ kind: 'role', user: reader.id(), role: readRole(reader) }),
  },
  info: {
    number: 6,
    write: (writer, { info }) => void writeInfo(writer, info),
    read: (reader) => ({ kind: 'info', info: readInfo(reader) }),
  },
  link: {
    number: 7,
    write: (writer, link) => void writeLink(writer, link),
    read: (reader) => ({ kind: 'link', ...readLink(reader) }),
  },
  unlink: { number: 8, write: nothing, read: () => ({ kind: 'unlink' }) },
  join: {
    number: 9,
    write: (writer, { gate, proof }) => void writer.bytes(gate).bytes(proof),
    read: (reader) => ({ kind: 'join', gate: reader.bytes(GROUP_HASH_BYTES), proof: reader.bytes(SIGNATURE_BYTES) }),
  },
  policy: {
    number: 10,
    write: (writer, { mode }) => void writeMode(writer, mode),
    read: (reader) => ({ kind: 'policy', mode: readMode(reader) }),
  },
};

const KINDS: ReadonlyMap<number, GroupActionKind> = new Map(
  Object.entries(CODECS).map(([kind, { number }]) => [number, kind as GroupActionKind]),
);

function nothing(): void {}

/**
 * What an author signs: the label and the change.
 *
 * @returns Owned by the caller.
 * @throws {TypeError} a field in another form than its type says. @throws {RangeError} a field or a list beyond its bound.
 */
export function groupChangeStatement(change: GroupChange): Uint8Array {
  requireChange(change);
  const writer = new FieldWriter().bytes(CHANGE_LABEL).uint(VERSION, 1).id(change.group).uint(change.epoch, 4);
  writer.bytes(change.formerHash).bytes(change.rosterHash).id(change.author).uint(change.device, 1);
  writer.uint(change.time, 6).uint(change.actions.length, 2);
  for (const action of change.actions) {
    const codec = CODECS[action.kind] as ActionCodec<GroupAction>;
    codec.write(writer.uint(codec.number, 1), action);
  }
  const statement = writer.finish();
  const bytes = statement.length - CHANGE_LABEL.length + SIGNATURE_BYTES;
  if (bytes <= LIMITS.groupChangeBytesMax) return statement;
  throw new RangeError(`"actions" expected a change of at most ${LIMITS.groupChangeBytesMax} bytes, got ${bytes}`);
}

/**
 * Puts statement and signature together: the bytes that travel.
 *
 * @param statement - From `groupChangeStatement`; borrowed.
 * @param signature - 64 bytes, over the statement; borrowed.
 * @returns Owned by the caller.
 */
export function encodeGroupChange(statement: Uint8Array, signature: Uint8Array): Uint8Array {
  requireLength('signature', signature, SIGNATURE_BYTES);
  return new FieldWriter().bytes(statement.subarray(CHANGE_LABEL.length)).bytes(signature).finish();
}

/**
 * Reads a change. Says nothing about who may make it, and does not verify the signature.
 *
 * @param bytes - Borrowed; everything in the result is a copy.
 * @returns GROUP_UNSUPPORTED for a later version, GROUP_MALFORMED for anything else that is none.
 */
export function decodeGroupChange(bytes: Uint8Array): SignedGroupChange | GroupRefusal {
  if (bytes.length < HEAD_BYTES + SIGNATURE_BYTES || bytes.length > LIMITS.groupChangeBytesMax) {
    return groupRefusal('GROUP_MALFORMED');
  }
  if (bytes[0] !== VERSION) return groupRefusal('GROUP_UNSUPPORTED');
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  const reader = new FieldReader(body.subarray(1));
  const head = {
    group: reader.id(),
    epoch: reader.uint(4),
    formerHash: reader.bytes(GROUP_HASH_BYTES),
    rosterHash: reader.bytes(GROUP_HASH_BYTES),
    author: reader.id(),
    device: reader.uint(1),
    time: reader.uint(6),
  };
  const actions = readActions(reader);
  const isWhole = reader.isComplete && isCounter(head.epoch) && isDeviceId(head.device);
  if (!isWhole) return groupRefusal('GROUP_MALFORMED');
  const statement = new FieldWriter().bytes(CHANGE_LABEL).bytes(body).finish();
  return { ...head, actions, signature: new Uint8Array(bytes.subarray(body.length)), statement };
}

function readActions(reader: FieldReader): GroupAction[] {
  const count = reader.uint(2);
  if (count === 0 || count > LIMITS.groupActionsMax) reader.failed = true;
  const actions: GroupAction[] = [];
  while (actions.length < count && !reader.failed) {
    const kind = KINDS.get(reader.uint(1));
    if (kind === undefined) reader.failed = true;
    else actions.push(CODECS[kind].read(reader));
  }
  return actions;
}

/** Names a change, and chains the next one to it: 32 bytes over what is signed, the signature left out. */
export function hashOfChange(change: Pick<SignedGroupChange, 'statement'>, sha512: Sha512): Uint8Array {
  return sha512(change.statement).slice(0, GROUP_HASH_BYTES);
}

/** What the roster keeps of a gate, so that the server can check one that it has not seen before. */
export function hashOfGate(gate: Uint8Array, sha512: Sha512): Uint8Array {
  return sha512(new FieldWriter().bytes(GATE_LABEL).bytes(gate).finish()).slice(0, GROUP_HASH_BYTES);
}

/** What the key of a link signs to let one device in: the group, the link and the joiner. */
export function joinStatement(group: string, link: GroupLink, user: string, device: number): Uint8Array {
  return new FieldWriter().bytes(JOIN_LABEL).id(group).bytes(link.key).id(user).uint(device, 1).finish();
}

/** Encodes a role in one byte. */
export function writeRole(writer: FieldWriter, role: GroupRole): FieldWriter {
  return writer.uint(ROLES.indexOf(role) + 1, 1);
}

export function readRole(reader: FieldReader): GroupRole {
  return ROLES[reader.uint(1) - 1] ?? refuse(reader, 'member');
}

export function writeMode(writer: FieldWriter, mode: GroupMode): FieldWriter {
  return writer.uint(MODES.indexOf(mode) + 1, 1);
}

export function readMode(reader: FieldReader): GroupMode {
  return MODES[reader.uint(1) - 1] ?? refuse(reader, 'sender-keys');
}

export function writeInfo(writer: FieldWriter, info: Uint8Array): FieldWriter {
  return writer.uint(info.length, 2).bytes(info);
}

export function readInfo(reader: FieldReader): Uint8Array {
  const length = reader.uint(2);
  return length <= LIMITS.groupInfoBytesMax ? reader.bytes(length) : refuse(reader, new Uint8Array(0));
}

export function writeLink(writer: FieldWriter, { gateHash, key }: GroupLink): FieldWriter {
  return writer.bytes(gateHash).bytes(key);
}

export function readLink(reader: FieldReader): GroupLink {
  const link = { gateHash: reader.bytes(GROUP_HASH_BYTES), key: reader.bytes(PUBLIC_KEY_BYTES) };
  return link.key[0] === PUBLIC_KEY_TYPE ? link : refuse(reader, link);
}

function refuse<Value>(reader: FieldReader, value: Value): Value {
  reader.failed = true;
  return value;
}

function requireChange(change: GroupChange): void {
  const { group, epoch, formerHash, rosterHash, author, device, time, actions } = change;
  if (!isUserId(group) || !isUserId(author)) throw new TypeError('"group", "author" expected 15 digits');
  if (!isDeviceId(device)) throw new TypeError('"device" expected an integer from 1 to 127');
  if (!isCounter(epoch) || epoch > LIMITS.groupEpochMax) throw new RangeError('"epoch" expected 1 to 2^32-1');
  if (!isCount(time) || time > LIMITS.groupTimeMax) throw new RangeError('"time" expected 0 to 2^48-1');
  if (actions.length === 0 || actions.length > LIMITS.groupActionsMax) {
    throw new RangeError(`"actions" expected 1 to ${LIMITS.groupActionsMax}, got ${actions.length}`);
  }
  requireLength('formerHash', formerHash, GROUP_HASH_BYTES);
  requireLength('rosterHash', rosterHash, GROUP_HASH_BYTES);
  for (const action of actions) requireAction(action);
}

function requireAction(action: GroupAction): void {
  if ('user' in action && !isUserId(action.user)) throw new TypeError('"user" expected 15 digits');
  if ('role' in action && !ROLES.includes(action.role)) throw new TypeError('"role" expected "member" or "admin"');
  if (action.kind === 'info' && action.info.length > LIMITS.groupInfoBytesMax) {
    throw new RangeError(`"info" expected at most ${LIMITS.groupInfoBytesMax} bytes, got ${action.info.length}`);
  }
  if (action.kind === 'policy' && !MODES.includes(action.mode)) throw new TypeError('"mode" expected a mode');
  if (action.kind === 'link') {
    requireLength('gateHash', action.gateHash, GROUP_HASH_BYTES);
    requireLength('key', action.key, PUBLIC_KEY_BYTES);
    if (action.key[0] !== PUBLIC_KEY_TYPE) throw new RangeError('"key" expected the type byte 05');
  }
  if (action.kind === 'join') {
    requireLength('gate', action.gate, GROUP_HASH_BYTES);
    requireLength('proof', action.proof, SIGNATURE_BYTES);
  }
}

function requireLength(field: string, value: Uint8Array, length: number): void {
  if (value.length !== length) throw new RangeError(`"${field}" expected ${length} bytes, got ${value.length}`);
}
