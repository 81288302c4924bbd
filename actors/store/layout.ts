/**
 * The keys and values of a shard on disk, byte by byte. Integers are big endian, so keys sort by number.
 *
 *   database      key                                                            value
 *   inbox         recipient 8 ‖ device 1 ‖ seq 6                                 entry, below
 *   fresh         arrival 6                                                      recipient 8 ‖ device 1 ‖ seq 6 ‖ entry
 *   acknowledged  recipient 8 ‖ device 1                                         seq 6 ‖ last 6 (missing in early stores)
 *   conversation  recipient 8 ‖ sender 8 ‖ device 1 ‖ creation 4                 accepted 6 ‖ delivered 6, and if anything waits or is lost: runs 1 ‖ run … ‖ gap …
 *   account       user 8                                                         AccountRecord, msgpack
 *   phone         number in ASCII                                                user 8
 *   device        user 8 ‖ device 1                                              DeviceRecord, msgpack
 *   prekey        user 8 ‖ device 1 ‖ id 4                                       key 33
 *   kem           user 8 ‖ device 1 ‖ id 4                                       signature 64 ‖ key 1,569
 *   seen          user 8                                                         minute since 1970 4
 *   privacy       user 8                                                         PrivacySettings, msgpack
 *   meta          "queued-bytes"                                                 bytes 6
 *   outbox        and "doubted" in meta                                          `outbox-layout.ts`
 *   group, body                                                                  `group-layout.ts`
 *
 * Inbox entry:
 *
 *   offset  bytes  field
 *   0       1      version of this layout, 1
 *   1       1      type: 1 pre-key, 2 ratchet, 32 notice of what is pruned, 33 of a group
 *   2       8      sender
 *   10      1      sender's device
 *   11      4      sender's creation
 *   15      6      message id
 *   21      6      server time of acceptance, ms
 *   27      n      ciphertext, or the body of a notice; nothing for an entry of a group, whose id is its place in the group named as sender
 *
 * Run of a conversation: device 1 ‖ first seq 6 ‖ last seq 6 ‖ entries 4 ‖ bytes 6. Gap: first id 6 ‖ last id 6 ‖ why 1, as in `loss.ts`.
 *
 * User ids are 15 decimal digits, below 2^50, so they are exact as JavaScript numbers.
 */

import type { ConversationRecord, EntryType, InboxEntry, KemPreKey, SenderAddress, WaitingRun } from './inbox-store.ts';
import { lossByte, lossCodeOf, type GapRecord } from './loss.ts';

const ENTRY_VERSION = 1;
const ENTRY_HEADER_BYTES = 27;
const TYPE_BYTES: Readonly<Record<EntryType, number>> = { prekey: 1, ratchet: 2, pruned: 32, group: 33 };
const MARKS_BYTES = 12;
const RUN_BYTES = 23;
const GAP_BYTES = 13;
const UINT32 = 0x1_0000_0000;

function writeUser(target: Buffer, user: string, offset: number): void {
  // Digit by digit: a third of the time of Number(), and this runs several times for each message.
  let id = 0;
  for (let index = 0; index < user.length; index++) id = id * 10 + (user.charCodeAt(index) - 48);
  const high = Math.floor(id / UINT32);
  target.writeUInt32BE(high, offset);
  target.writeUInt32BE(id - high * UINT32, offset + 4);
}

/** The last user id that was read: neighbours in an inbox often have one sender, and making the text costs most. */
let lastUser = 0;
let lastText = '000000000000000';

function readUser(source: Buffer, offset: number): string {
  return userText(source.readUInt32BE(offset) * UINT32 + source.readUInt32BE(offset + 4));
}

/** A user id of digits. */
export function userText(user: number): string {
  if (user === lastUser) return lastText;
  lastUser = user;
  lastText = String(user).padStart(15, '0');
  return lastText;
}

/** Key of one device's records: recipient ‖ device. */
export function deviceKey(user: string, device: number): Buffer {
  const key = Buffer.allocUnsafe(9);
  writeUser(key, user, 0);
  key[8] = device;
  return key;
}

export function entryKey(user: string, device: number, seq: number): Buffer {
  const key = Buffer.allocUnsafe(15);
  writeUser(key, user, 0);
  key[8] = device;
  key.writeUIntBE(seq, 9, 6);
  return key;
}

export function seqOfEntryKey(key: Buffer): number {
  return key.readUIntBE(9, 6);
}

export function preKeyKey(user: string, device: number, id: number): Buffer {
  const key = Buffer.allocUnsafe(13);
  writeUser(key, user, 0);
  key[8] = device;
  key.writeUInt32BE(id, 9);
  return key;
}

export function idOfPreKeyKey(key: Buffer): number {
  return key.readUInt32BE(9);
}

const SIGNATURE_BYTES = 64;

export function encodeKemPreKey({ key, signature }: KemPreKey): Buffer {
  return Buffer.concat([signature, key]);
}

/** Reads a KEM pre-key; its bytes are copies. */
export function decodeKemPreKey(id: number, value: Buffer): KemPreKey {
  return {
    id,
    key: new Uint8Array(value.subarray(SIGNATURE_BYTES)),
    signature: new Uint8Array(value.subarray(0, SIGNATURE_BYTES)),
  };
}

export function userKey(user: string): Buffer {
  const key = Buffer.allocUnsafe(8);
  writeUser(key, user, 0);
  return key;
}

export function userOfValue(value: Buffer): string {
  return readUser(value, 0);
}

export function encodeMinute(minute: number): Buffer {
  const value = Buffer.allocUnsafe(4);
  value.writeUInt32BE(minute, 0);
  return value;
}

export function decodeMinute(value: Buffer): number {
  return value.readUInt32BE(0);
}

export function conversationKey(recipient: string, sender: SenderAddress): Buffer {
  const key = Buffer.allocUnsafe(21);
  writeUser(key, recipient, 0);
  writeUser(key, sender.user, 8);
  key[16] = sender.device;
  key.writeUInt32BE(sender.creation, 17);
  return key;
}

export function creationOfConversationKey(key: Buffer): number {
  return key.readUInt32BE(17);
}

/** The sending half of a conversation's key. */
export function senderOfConversationKey(key: Buffer): SenderAddress {
  return { user: readUser(key, 8), device: key[16]!, creation: key.readUInt32BE(17) };
}

/** The keys of a recipient's conversations; the end is not among them. */
export function conversationsOf(recipient: string): { readonly start: Buffer; readonly end: Buffer } {
  const start = Buffer.alloc(21);
  writeUser(start, recipient, 0);
  const end = Buffer.alloc(22, 0xff);
  writeUser(end, recipient, 0);
  return { start, end };
}

const NONE: readonly never[] = [];

export function encodeConversation({ accepted, delivered, waiting = NONE, gaps = NONE }: ConversationRecord): Buffer {
  const hasTail = waiting.length > 0 || gaps.length > 0;
  const tailBytes = hasTail ? 1 + waiting.length * RUN_BYTES + gaps.length * GAP_BYTES : 0;
  const value = Buffer.allocUnsafe(MARKS_BYTES + tailBytes);
  value.writeUIntBE(accepted, 0, 6);
  value.writeUIntBE(delivered, 6, 6);
  if (hasTail) writeTail(value, waiting, gaps);
  return value;
}

function writeTail(value: Buffer, waiting: readonly WaitingRun[], gaps: readonly GapRecord[]): void {
  value[MARKS_BYTES] = waiting.length;
  let at = MARKS_BYTES + 1;
  for (const { device, first, last, count, bytes } of waiting) {
    value[at] = device;
    value.writeUIntBE(first, at + 1, 6);
    value.writeUIntBE(last, at + 7, 6);
    value.writeUInt32BE(count, at + 13);
    value.writeUIntBE(bytes, at + 17, 6);
    at += RUN_BYTES;
  }
  for (const { since, until, code } of gaps) {
    value.writeUIntBE(since, at, 6);
    value.writeUIntBE(until, at + 6, 6);
    value[at + 12] = lossByte(code);
    at += GAP_BYTES;
  }
}

export function decodeConversation(value: Buffer): ConversationRecord {
  const marks = { accepted: value.readUIntBE(0, 6), delivered: value.readUIntBE(6, 6) };
  if (value.length === MARKS_BYTES) return marks;
  const gapsAt = MARKS_BYTES + 1 + value[MARKS_BYTES]! * RUN_BYTES;
  const waiting: WaitingRun[] = [];
  for (let at = MARKS_BYTES + 1; at < gapsAt; at += RUN_BYTES) waiting.push(readRun(value, at));
  const gaps: GapRecord[] = [];
  for (let at = gapsAt; at < value.length; at += GAP_BYTES) {
    const ids = { since: value.readUIntBE(at, 6), until: value.readUIntBE(at + 6, 6) };
    gaps.push({ ...ids, code: lossCodeOf(value[at + 12]!) });
  }
  return { ...marks, ...(waiting.length > 0 && { waiting }), ...(gaps.length > 0 && { gaps }) };
}

function readRun(value: Buffer, at: number): WaitingRun {
  return {
    device: value[at]!,
    first: value.readUIntBE(at + 1, 6),
    last: value.readUIntBE(at + 7, 6),
    count: value.readUInt32BE(at + 13),
    bytes: value.readUIntBE(at + 17, 6),
  };
}

/** Whether an encoded conversation has runs, without decoding it. */
export function hasRuns(value: Buffer): boolean {
  return value.length > MARKS_BYTES && value[MARKS_BYTES]! > 0;
}

/** The value of `acknowledged`: the mark, and the highest position ever given out. */
export function encodeMarks(seq: number, last: number): Buffer {
  const value = Buffer.allocUnsafe(12);
  value.writeUIntBE(seq, 0, 6);
  value.writeUIntBE(last, 6, 6);
  return value;
}

/** Early stores have the mark alone: then the last position is that, or that of the last entry. */
export function decodeMarks(value: Buffer): { readonly acknowledged: number; readonly last: number } {
  const acknowledged = value.readUIntBE(0, 6);
  return { acknowledged, last: value.length > 6 ? value.readUIntBE(6, 6) : acknowledged };
}

export function encodeUint48(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  bytes.writeUIntBE(value, 0, 6);
  return bytes;
}

export function decodeUint48(value: Buffer): number {
  return value.readUIntBE(0, 6);
}

export function encodeEntry(entry: InboxEntry): Buffer {
  const value = Buffer.allocUnsafe(ENTRY_HEADER_BYTES + entry.ciphertext.length);
  writeEntry(value, 0, entry);
  return value;
}

function writeEntry(target: Buffer, offset: number, entry: InboxEntry): void {
  target[offset] = ENTRY_VERSION;
  target[offset + 1] = TYPE_BYTES[entry.type];
  writeUser(target, entry.sender, offset + 2);
  target[offset + 10] = entry.senderDevice;
  target.writeUInt32BE(entry.senderCreation, offset + 11);
  target.writeUIntBE(entry.id, offset + 15, 6);
  target.writeUIntBE(entry.ts, offset + 21, 6);
  target.set(entry.ciphertext, offset + ENTRY_HEADER_BYTES);
}

/** Copies bytes, so that they can be kept. */
type CopyBytes = (source: Buffer, start: number, end: number) => Uint8Array;

const copyApart: CopyBytes = (source, start, end) => new Uint8Array(source.subarray(start, end));

/**
 * Reads an entry. Throws on a version that this code does not know: the store is newer than we are.
 *
 * @param value - Borrowed.
 * @param copy - How the ciphertext is copied out of it.
 */
export function decodeEntry(seq: number, value: Buffer, copy: CopyBytes = copyApart): InboxEntry {
  if (value[0] !== ENTRY_VERSION)
    throw new RangeError(`inbox entry has version ${value[0]}, expected ${ENTRY_VERSION}`);
  return {
    seq,
    sender: readUser(value, 2),
    senderDevice: value[10]!,
    senderCreation: value.readUInt32BE(11),
    id: value.readUIntBE(15, 6),
    ts: value.readUIntBE(21, 6),
    type: typeOf(value[1]!),
    ciphertext: copy(value, ENTRY_HEADER_BYTES, value.length),
  };
}

function typeOf(byte: number): EntryType {
  if (byte === TYPE_BYTES.ratchet) return 'ratchet';
  if (byte === TYPE_BYTES.prekey) return 'prekey';
  return byte === TYPE_BYTES.group ? 'group' : 'pruned';
}

/** The inbox that an entry's key belongs to. */
export function inboxOfEntryKey(key: Buffer): { readonly user: string; readonly device: number } {
  return { user: readUser(key, 0), device: key[8]! };
}

const FRESH_HEADER_BYTES = 15;

/** The value of a fresh entry: the key that it would have in the inbox, then the entry as it would stand there. */
export function encodeFresh(user: string, device: number, entry: InboxEntry): Buffer {
  const value = Buffer.allocUnsafe(FRESH_HEADER_BYTES + ENTRY_HEADER_BYTES + entry.ciphertext.length);
  writeUser(value, user, 0);
  value[8] = device;
  value.writeUIntBE(entry.seq, 9, 6);
  writeEntry(value, FRESH_HEADER_BYTES, entry);
  return value;
}

/** Takes a fresh value apart into the key and the value of a waiting entry. Views of `value`. */
export function splitFresh(value: Buffer): { readonly key: Buffer; readonly entry: Buffer } {
  return { key: value.subarray(0, FRESH_HEADER_BYTES), entry: value.subarray(FRESH_HEADER_BYTES) };
}

/** Length of the ciphertext in an encoded entry. */
export function ciphertextBytes(value: Buffer): number {
  return value.length - ENTRY_HEADER_BYTES;
}
