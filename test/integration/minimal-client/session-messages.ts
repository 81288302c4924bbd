/**
 * The bytes of ratchet and pre-key messages. Written from protocol/signal/FORMAT.md: "What all have in common" and
 * "Messages". Fields are numbered; a number is a varint, anything else is bytes.
 */

export type Field = readonly [number: number, value: number | Buffer];

/** `33`: a session of version 3, by a client that knows no other. */
const VERSION = 0x33;
const MAC_BYTES = 8;

export interface RatchetMessage {
  readonly ratchetKey: Buffer;
  readonly counter: number;
  readonly ciphertext: Buffer;
  readonly mac: Buffer;
  /** All before the MAC. */
  readonly authenticated: Buffer;
}

export interface PreKeyMessage {
  readonly oneTimePreKeyId: number | undefined;
  readonly baseKey: Buffer;
  readonly identityKey: Buffer;
  readonly message: Buffer;
  readonly signedPreKeyId: number;
}

/** A version byte and fields in ascending order. */
export function encodeFields(fields: readonly Field[]): Buffer {
  const parts = fields.flatMap(([number, value]) =>
    typeof value === 'number'
      ? [Buffer.of(number << 3), varint(value)]
      : [Buffer.of((number << 3) | 2), varint(value.length), value],
  );
  return Buffer.concat([Buffer.of(VERSION), ...parts]);
}

export function decodeRatchetMessage(bytes: Buffer): RatchetMessage {
  const authenticated = bytes.subarray(0, -MAC_BYTES);
  const fields = decodeFields(authenticated);
  return {
    ratchetKey: bytesAt(fields, 1),
    counter: numberAt(fields, 2),
    ciphertext: bytesAt(fields, 4),
    mac: bytes.subarray(-MAC_BYTES),
    authenticated,
  };
}

export function decodePreKeyMessage(bytes: Buffer): PreKeyMessage {
  const fields = decodeFields(bytes);
  return {
    oneTimePreKeyId: fields.has(1) ? numberAt(fields, 1) : undefined,
    baseKey: bytesAt(fields, 2),
    identityKey: bytesAt(fields, 3),
    message: bytesAt(fields, 4),
    signedPreKeyId: numberAt(fields, 6),
  };
}

type Fields = ReadonlyMap<number, number | Buffer>;

function decodeFields(bytes: Buffer): Fields {
  if (bytes[0]! >> 4 !== 3) throw new Error(`a session of version ${bytes[0]! >> 4}`);
  const fields = new Map<number, number | Buffer>();
  let at = 1;
  const number = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a message that is cut off');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = bytes[at++]!;
    if ((tag & 7) === 0) {
      fields.set(tag >> 3, number());
      continue;
    }
    const length = number();
    if (at + length > bytes.length) throw new Error('a message that is cut off');
    fields.set(tag >> 3, bytes.subarray(at, at + length));
    at += length;
  }
  return fields;
}

function bytesAt(fields: Fields, number: number): Buffer {
  const value = fields.get(number);
  if (!Buffer.isBuffer(value)) throw new Error(`field ${number} is not bytes`);
  return value;
}

function numberAt(fields: Fields, number: number): number {
  const value = fields.get(number);
  if (typeof value !== 'number') throw new Error(`field ${number} is not a number`);
  return value;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  return Buffer.of(...bytes, rest);
}
