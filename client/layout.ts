/**
 * The store's layout: every key and the bytes of every record of the messenger. The Signal half's records are under
 * `signal/` and described in `sessions.ts`; the account's own record is in `account.ts`.
 *
 *   key                            record                                        written
 *   account                        phone, user, device, keys                     at registration, at refill
 *   ordinal                        first local number that was never given out   once a start
 *   phone/<number>                 user id                                       when looked up
 *   peer/<user>                    phone, verified or not                        when learned
 *   head/<user>                    next message id, the peer's devices           with each journalled send
 *   marks/<user>                   sent, delivered, read watermarks              with acknowledgements and receipts
 *   outbox/<user>/<id>             a message not yet acknowledged                send; gone with its acknowledgement
 *   intake                         inbox position of the last stored message     with each stored group
 *   heard/<user>/<device>          last message id stored from this device       with each stored message
 *   history/<user>/<ordinal>       a message, either direction                   send, receipt of a message
 *   fresh/<ordinal>                user id: stored, not yet consumed             receipt; gone when consumed
 *
 * `head` and `marks` are two records because two writers move them at their own pace: a send under the peer's lock, an
 * acknowledgement at any time. One record would let either write the other's number back.
 *
 * Each record starts with a version byte. Numbers in keys have 16 digits, so that their order as text is their order.
 */

import type { ErrorCode } from './errors.ts';
import { ClientError } from './errors.ts';
import { RecordReader, RecordWriter } from './record.ts';

/** The keys. */
export const KEYS = {
  account: 'account',
  ordinal: 'ordinal',
  intake: 'intake',
  phone: (phone: string): string => `phone/${phone}`,
  peer: (user: string): string => `peer/${user}`,
  head: (user: string): string => `head/${user}`,
  heads: 'head/',
  marks: (user: string): string => `marks/${user}`,
  marksAll: 'marks/',
  outbox: (user: string, id: number): string => `outbox/${user}/${digits(id)}`,
  outboxes: 'outbox/',
  heard: (user: string, device: number): string => `heard/${user}/${device}`,
  heardOf: (user: string): string => `heard/${user}/`,
  historyOf: (user: string): string => `history/${user}/`,
  history: (user: string, ordinal: number): string => `history/${user}/${digits(ordinal)}`,
  fresh: (ordinal: number): string => `fresh/${digits(ordinal)}`,
  freshAll: 'fresh/',
} as const;

/** Where a conversation's sending stands, without its watermarks. */
export interface HeadRecord {
  readonly nextId: number;
  /** The peer's devices as last known; empty before the first bundle. */
  readonly devices: readonly number[];
}

/** How far the peer's server, device and eyes have come. */
export interface MarksRecord {
  readonly sentId: number;
  readonly deliveredId: number;
  readonly readId: number;
}

/** One ciphertext of a message, for one device. */
export interface SealedRecord {
  readonly device: number;
  readonly type: 'prekey' | 'ratchet';
  readonly ciphertext: Uint8Array;
}

/** A message that the server has not acknowledged: kept as text, since a changed device needs a new ciphertext. */
export interface OutboxRecord {
  readonly ordinal: number;
  readonly sentAt: number;
  readonly text: string;
  /** Empty while it is not encrypted. */
  readonly sealed: readonly SealedRecord[];
}

/** A person. */
export interface PeerRecord {
  /** Empty while unknown. */
  readonly phone: string;
  /** True when the server confirmed that the number is this user's; false for a claim inside a message. */
  readonly verified: boolean;
}

/** How far a peer's device has been heard. */
export interface HeardRecord {
  readonly lastId: number;
  /** The last message that the application marked as read. */
  readonly readId: number;
}

/** What a stored message is. */
export type HistoryBody =
  | { readonly kind: 'text'; readonly text: string }
  /** Of a later version of the content; kept so that an update may show it. */
  | { readonly kind: 'unsupported'; readonly content: Uint8Array }
  /** It arrived and could not be opened. */
  | { readonly kind: 'undecryptable'; readonly code: ErrorCode };

/** A message of either direction. */
export interface HistoryRecord {
  readonly direction: 'in' | 'out';
  /** Message id within its conversation. */
  readonly number: number;
  /** The sending device; our own for outgoing ones. */
  readonly device: number;
  /** The sender's wall time; for an undecryptable message the server's. Milliseconds. */
  readonly sentAt: number;
  /** When it was stored here. Milliseconds. */
  readonly storedAt: number;
  readonly body: HistoryBody;
  /** Set when an outgoing message was refused for good. */
  readonly failure: ErrorCode | undefined;
}

const VERSION = 1;

/** How to write and read one kind of record. `decode` throws CLI_STORE_CORRUPT: a disk's lie is no expected outcome. */
export interface RecordCodec<Value> {
  encode(value: Value): Uint8Array;
  decode(bytes: Uint8Array): Value;
}

function codec<Value>(
  write: (writer: RecordWriter, value: Value) => void,
  read: (reader: RecordReader) => Value,
): RecordCodec<Value> {
  return Object.freeze({
    encode(value: Value): Uint8Array {
      const writer = new RecordWriter().byte(VERSION);
      write(writer, value);
      return writer.finish();
    },
    decode(bytes: Uint8Array): Value {
      const reader = new RecordReader(bytes);
      const version = reader.byte();
      const value = read(reader);
      if (version !== VERSION || reader.failed || reader.remainingBytes > 0) throw new ClientError('CLI_STORE_CORRUPT');
      return value;
    },
  });
}

export const NUMBER: RecordCodec<number> = codec(
  (writer, value) => writer.uint(value),
  (reader) => reader.uint(),
);

export const TEXT: RecordCodec<string> = codec(
  (writer, value) => writer.text(value),
  (reader) => reader.text(),
);

export const HEAD: RecordCodec<HeadRecord> = codec(
  (writer, { nextId, devices }) => {
    writer.uint(nextId).uint(devices.length);
    for (const device of devices) writer.byte(device);
  },
  (reader) => ({ nextId: reader.uint(), devices: readMany(reader, () => reader.byte()) }),
);

export const MARKS: RecordCodec<MarksRecord> = codec(
  (writer, { sentId, deliveredId, readId }) => writer.uint(sentId).uint(deliveredId).uint(readId),
  (reader) => ({ sentId: reader.uint(), deliveredId: reader.uint(), readId: reader.uint() }),
);

export const OUTBOX: RecordCodec<OutboxRecord> = codec(
  (writer, { ordinal, sentAt, text, sealed }) => {
    writer.uint(ordinal).uint(sentAt).text(text).uint(sealed.length);
    for (const { device, type, ciphertext } of sealed) {
      writer
        .byte(device)
        .byte(type === 'prekey' ? 1 : 0)
        .bytes(ciphertext);
    }
  },
  (reader) => ({
    ordinal: reader.uint(),
    sentAt: reader.uint(),
    text: reader.text(),
    sealed: readMany(reader, () => readSealed(reader)),
  }),
);

export const PEER: RecordCodec<PeerRecord> = codec(
  (writer, { phone, verified }) => writer.text(phone).byte(verified ? 1 : 0),
  (reader) => ({ phone: reader.text(), verified: reader.byte() === 1 }),
);

export const HEARD: RecordCodec<HeardRecord> = codec(
  (writer, { lastId, readId }) => writer.uint(lastId).uint(readId),
  (reader) => ({ lastId: reader.uint(), readId: reader.uint() }),
);

export const HISTORY: RecordCodec<HistoryRecord> = codec(writeHistory, (reader) => ({
  direction: reader.byte() === 1 ? 'out' : 'in',
  number: reader.uint(),
  device: reader.byte(),
  sentAt: reader.uint(),
  storedAt: reader.uint(),
  failure: readCode(reader),
  body: readBody(reader),
}));

const BODY_TEXT = 1;
const BODY_UNSUPPORTED = 2;
const BODY_UNDECRYPTABLE = 3;

function writeHistory(writer: RecordWriter, record: HistoryRecord): void {
  writer
    .byte(record.direction === 'out' ? 1 : 0)
    .uint(record.number)
    .byte(record.device);
  writer
    .uint(record.sentAt)
    .uint(record.storedAt)
    .text(record.failure ?? '');
  const { body } = record;
  if (body.kind === 'text') writer.byte(BODY_TEXT).text(body.text);
  else if (body.kind === 'unsupported') writer.byte(BODY_UNSUPPORTED).bytes(body.content);
  else writer.byte(BODY_UNDECRYPTABLE).text(body.code);
}

function readBody(reader: RecordReader): HistoryBody {
  const kind = reader.byte();
  if (kind === BODY_TEXT) return { kind: 'text', text: reader.text() };
  if (kind === BODY_UNSUPPORTED) return { kind: 'unsupported', content: reader.bytes() };
  return { kind: 'undecryptable', code: reader.text() as ErrorCode };
}

function readSealed(reader: RecordReader): SealedRecord {
  return { device: reader.byte(), type: reader.byte() === 1 ? 'prekey' : 'ratchet', ciphertext: reader.bytes() };
}

function readCode(reader: RecordReader): ErrorCode | undefined {
  const text = reader.text();
  return text === '' ? undefined : (text as ErrorCode);
}

/** Reads a counted list; stops at the first field that is not there, so a damaged count cannot run away. */
function readMany<Value>(reader: RecordReader, read: () => Value): Value[] {
  const values: Value[] = [];
  for (let left = reader.uint(); left > 0 && !reader.failed; left -= 1) values.push(read());
  return values;
}

/** The number at the end of a key such as `outbox/<user>/<id>`. */
export function numberOfKey(key: string): number {
  return Number(key.slice(key.lastIndexOf('/') + 1));
}

/** The user id within a key such as `outbox/<user>/<id>` or `head/<user>`. */
export function userOfKey(key: string): string {
  return key.split('/')[1] ?? '';
}

function digits(value: number): string {
  return String(value).padStart(16, '0');
}
