/**
 * Keys and values of the outbox on disk, byte by byte. Integers are big endian, so keys sort by number.
 *
 *   database   key                                                           value
 *   outbox     sender 8 ‖ device 1 ‖ creation 4 ‖ recipient 8 ‖ id 6         entry
 *   meta       "doubted"                                                     wall time 6, ms
 *
 * Entry:
 *
 *   offset  bytes  field
 *   0       1      version of this layout, 1
 *   1       1      why it was given up, as in `loss.ts`; 0 where it was not
 *   2       6      server time at which it was taken, ms
 *   8       n      for each envelope: device 1 ‖ type 1 (1 pre-key, 2 ratchet) ‖ length 4 ‖ ciphertext
 */

import type { Envelope } from '../../protocol/wire/index.ts';
import type { SenderAddress } from './inbox-store.ts';
import { userKey, userOfValue } from './layout.ts';
import { lossByte, lossCodeOf } from './loss.ts';
import { outboxBytes, type OutboxEntry, type OutboxHead } from './outbox-store.ts';

const VERSION = 1;
const HEADER_BYTES = 8;
const ENVELOPE_HEADER_BYTES = 6;
const KEY_BYTES = 27;
const TYPES: readonly Envelope['type'][] = ['prekey', 'ratchet'];

export function outboxKey({ user, device, creation }: SenderAddress, to: string, id: number): Buffer {
  const key = Buffer.allocUnsafe(KEY_BYTES);
  userKey(user).copy(key, 0);
  key[8] = device;
  key.writeUInt32BE(creation, 9);
  userKey(to).copy(key, 13);
  key.writeUIntBE(id, 21, 6);
  return key;
}

function partsOf(key: Buffer): Pick<OutboxEntry, 'sender' | 'to' | 'id'> {
  const sender = { user: userOfValue(key), device: key[8]!, creation: key.readUInt32BE(9) };
  return { sender, to: userOfValue(key.subarray(13)), id: key.readUIntBE(21, 6) };
}

export function encodeOutboxEntry({ ts, envelopes, lost }: OutboxEntry): Buffer {
  const bytes = envelopes.reduce((sum, { ciphertext }) => sum + ENVELOPE_HEADER_BYTES + ciphertext.length, 0);
  const value = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  value[0] = VERSION;
  value[1] = lost === undefined ? 0 : lossByte(lost);
  value.writeUIntBE(ts, 2, 6);
  let at = HEADER_BYTES;
  for (const { device, type, ciphertext } of envelopes) {
    value[at] = device;
    value[at + 1] = TYPES.indexOf(type) + 1;
    value.writeUInt32BE(ciphertext.length, at + 2);
    value.set(ciphertext, at + ENVELOPE_HEADER_BYTES);
    at += ENVELOPE_HEADER_BYTES + ciphertext.length;
  }
  return value;
}

/** Reads an entry; its bytes are copies. Throws on a version that this code does not know: the store is newer than we are. */
export function decodeOutboxEntry(key: Buffer, value: Buffer): OutboxEntry {
  if (value[0] !== VERSION) throw new RangeError(`outbox entry has version ${value[0]}, expected ${VERSION}`);
  const envelopes: Envelope[] = [];
  let at = HEADER_BYTES;
  while (at < value.length) {
    const start = at + ENVELOPE_HEADER_BYTES;
    const end = start + value.readUInt32BE(at + 2);
    const ciphertext = new Uint8Array(value.subarray(start, end));
    envelopes.push({ device: value[at]!, type: TYPES[value[at + 1]! - 1]!, ciphertext });
    at = end;
  }
  const lost = value[1] === 0 ? undefined : lossCodeOf(value[1]!);
  return { ...partsOf(key), ts: value.readUIntBE(2, 6), envelopes, lost };
}

/** Reads what is kept in memory of an entry; its contents are stepped over. Throws as `decodeOutboxEntry` does. */
export function decodeOutboxHead(key: Buffer, value: Buffer): OutboxHead {
  if (value[0] !== VERSION) throw new RangeError(`outbox entry has version ${value[0]}, expected ${VERSION}`);
  let bytes = outboxBytes([]);
  let at = HEADER_BYTES;
  while (at < value.length) {
    const length = value.readUInt32BE(at + 2);
    bytes += length;
    at += ENVELOPE_HEADER_BYTES + length;
  }
  const { sender, to, id } = partsOf(key);
  return { sender, to, id, ts: value.readUIntBE(2, 6), bytes, isLost: value[1] !== 0 };
}
