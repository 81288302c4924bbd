/**
 * Keys and values of groups on disk, byte by byte. Integers are big endian, so keys sort by number.
 *
 *   database   key                                             value
 *   group      01 ‖ group 8                                    head 32 ‖ roster
 *              02 ‖ group 8                                    place of the last message or change 6
 *              03 ‖ group 8 ‖ user 8 ‖ device 1 ‖ creation 4   accepted 6 ‖ its place 6 [‖ 01: in doubt]
 *              04 ‖ group 8 ‖ epoch 4                          change
 *              05 ‖ group 8 ‖ order 6                          body, outgoing
 *   body       01 ‖ group 8 ‖ order 6                          body
 *              02 ‖ group 8 ‖ order 6                          entries that refer to it 4
 *
 * Body:
 *
 *   offset  bytes  field
 *   0       1      version of this layout, 1
 *   1       1      1 message, 2 change
 *   2       8      sender
 *   10      1      sender's device
 *   11      4      sender's creation
 *   15      6      message id; 0 for a change
 *   21      6      server time of acceptance, ms
 *   27      n      ciphertext, or the signed change
 */

import type { GroupBody, GroupRecord, GroupSenderRecord } from './group-store.ts';
import type { SenderAddress } from './inbox-store.ts';
import { userKey, userOfValue } from './layout.ts';

/** First byte of a key in the database `group`. */
export const OWNER = { record: 1, order: 2, sender: 3, change: 4, outgoing: 5 } as const;
/** First byte of a key in the database `body`. */
export const BODY = { body: 1, count: 2 } as const;

const HEAD_BYTES = 32;
const SENDER_BYTES = 12;
const DOUBTED_SENDER_BYTES = 13;
const BODY_VERSION = 1;
const BODY_HEADER_BYTES = 27;
const KIND_BYTES: Readonly<Record<GroupBody['kind'], number>> = { message: 1, change: 2 };

function keyOf(kind: number, group: string, restBytes: number): Buffer {
  const key = Buffer.allocUnsafe(9 + restBytes);
  key[0] = kind;
  userKey(group).copy(key, 1);
  return key;
}

/** Key of a record of which a group has one. */
export function groupKey(kind: number, group: string): Buffer {
  return keyOf(kind, group, 0);
}

export function placeKey(kind: number, group: string, order: number): Buffer {
  const key = keyOf(kind, group, 6);
  key.writeUIntBE(order, 9, 6);
  return key;
}

export function groupOfKey(key: Buffer): string {
  return userOfValue(key.subarray(1));
}

export function orderOfKey(key: Buffer): number {
  return key.readUIntBE(9, 6);
}

export function changeKey(group: string, epoch: number): Buffer {
  const key = keyOf(OWNER.change, group, 4);
  key.writeUInt32BE(epoch, 9);
  return key;
}

export function epochOfKey(key: Buffer): number {
  return key.readUInt32BE(9);
}

export function senderKey(group: string, { user, device, creation }: SenderAddress): Buffer {
  const key = keyOf(OWNER.sender, group, 13);
  userKey(user).copy(key, 9);
  key[17] = device;
  key.writeUInt32BE(creation, 18);
  return key;
}

/** The range of what a group has of one kind; the end is not in it. */
export function rangeOfGroup(kind: number, group: string): { readonly start: Buffer; readonly end: Buffer } {
  return { start: keyOf(kind, group, 0), end: Buffer.concat([keyOf(kind, group, 0), Buffer.alloc(16, 0xff)]) };
}

export function encodeRecord({ head, roster }: GroupRecord): Buffer {
  return Buffer.concat([head, roster]);
}

/** Reads a group; its bytes are copies. */
export function decodeRecord(group: string, value: Buffer): GroupRecord {
  const head = new Uint8Array(value.subarray(0, HEAD_BYTES));
  return { group, head, roster: new Uint8Array(value.subarray(HEAD_BYTES)) };
}

export function encodeSender({ accepted, order, isDoubted = false }: GroupSenderRecord): Buffer {
  const value = Buffer.allocUnsafe(isDoubted ? DOUBTED_SENDER_BYTES : SENDER_BYTES);
  value.writeUIntBE(accepted, 0, 6);
  value.writeUIntBE(order, 6, 6);
  if (isDoubted) value[SENDER_BYTES] = 1;
  return value;
}

export function decodeSender(value: Buffer): GroupSenderRecord {
  const marks = { accepted: value.readUIntBE(0, 6), order: value.readUIntBE(6, 6) };
  return value.length === DOUBTED_SENDER_BYTES ? { ...marks, isDoubted: true } : marks;
}

export function encodeBody(body: GroupBody): Buffer {
  const value = Buffer.allocUnsafe(BODY_HEADER_BYTES + body.bytes.length);
  value[0] = BODY_VERSION;
  value[1] = KIND_BYTES[body.kind];
  userKey(body.sender).copy(value, 2);
  value[10] = body.senderDevice;
  value.writeUInt32BE(body.senderCreation, 11);
  value.writeUIntBE(body.id, 15, 6);
  value.writeUIntBE(body.ts, 21, 6);
  value.set(body.bytes, BODY_HEADER_BYTES);
  return value;
}

/** Reads a body; its bytes are a copy. Throws on a version that this code does not know: the store is newer than we are. */
export function decodeBody(group: string, order: number, value: Buffer): GroupBody {
  if (value[0] !== BODY_VERSION) throw new RangeError(`group body has version ${value[0]}, expected ${BODY_VERSION}`);
  return {
    kind: value[1] === KIND_BYTES.change ? 'change' : 'message',
    group,
    order,
    sender: userOfValue(value.subarray(2)),
    senderDevice: value[10]!,
    senderCreation: value.readUInt32BE(11),
    id: value.readUIntBE(15, 6),
    ts: value.readUIntBE(21, 6),
    bytes: new Uint8Array(value.subarray(BODY_HEADER_BYTES)),
  };
}

export function encodeCount(count: number): Buffer {
  const value = Buffer.allocUnsafe(4);
  value.writeUInt32BE(count);
  return value;
}
