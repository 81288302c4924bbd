/**
 * The store's layout: every key, and the bytes of the records of the messenger. A message of the history has a page of its own,
 * `history-layout.ts`. The Signal half's records are under `signal/` and described in `sessions.ts`; the account's own record is in
 * `account.ts`.
 *
 *   key                            record                                        written
 *   account                        phone, user, device, keys                     at registration, at refill
 *   ordinal                        first local number that was never given out   once a start
 *   phone/<number>                 user id                                       when looked up
 *   peer/<user>                    phone, verified or not                        when learned
 *   devices/<user>                 device list last accepted, signed by its primary with what brings it
 *   signed-list                    the list that this device has signed last      before it leaves
 *   sync/…                         a content owed to one's own other devices     with what it tells about; gone when it is sent
 *   synced/<ordinal>               one of theirs                                 with its intake; gone when it is done
 *   twin-marks/<user>/<device>     as `marks`, of another own device             when it tells
 *   head/<user>                    next message id, the peer's devices           with each journalled send
 *   marks/<user>                   sent, delivered, read watermarks              with acknowledgements and receipts
 *   outbox/<user>/<id>             a message not yet acknowledged                send; gone with its acknowledgement
 *   intake                         inbox position of the last stored message     with each stored group
 *   intake-ahead                   positions beyond it that came ahead of their   with a group that has any
 *                                  turn
 *   heard/<user>/<device>          last message id stored from this device, and  with each stored message
 *                                  the identity key that it came under
 *   read-debt/<user>/<device>      message id up to which a read receipt is owed with the mark; gone when it is sent
 *   read-debt/group/<group>        place up to which one is owed to a group      the same
 *   read-withheld/…                 the same, where its author, or who brought us   with the mark; gone when told, or chosen otherwise
 *                                  to the group, was a stranger
 *   read-receipts                  with whom they are exchanged                  when chosen
 *   history/<user>/<ordinal>       a message, either direction                   send, receipt of a message
 *   fresh/<ordinal>                user id: stored, not yet consumed             receipt; gone when consumed
 *   name/<user>/<author>/<d>/<id>  ordinal of the message that others mean by it with each message of the history
 *   waiting/<user>/<author>/<d>/<id> what is to be done to a message that has not come   with what it came with; gone when the message comes
 *   vouch/<user>/<device>          key of a device that no list names yet         with its first message; gone when the list was asked for
 *   expiry/<ms>/<user>/<ordinal>   nothing: when the message is to be forgotten  with each message that has a timer
 *   timer/<user>                   seconds that new messages are kept            when either side sets it
 *   profile/<user>                 profile key, 32 bytes                         when received
 *
 *   kept/<user>/<id>               a message as sent, for sending it once more   when encrypted; `healer.ts` says until when
 *   retry/<user>/<device>/<id>     a placeholder that may still be filled        with it; gone when it is filled
 *
 *   ticket                         token, secret, expiry: logs in in place of a key   with a login that brings one
 *
 *   restored                       identity of a backup, until its number is      when a backup is restored
 *                                  registered anew; the bytes of `account`
 *   restoring                      nothing: a restoration under way              while a backup is restored
 *
 * Groups have records of their own, described in `group-layout.ts`, and so have decisions about others (`strangers.ts`); in `history`, `name`, `expiry` and `timer` a group stands
 * in the place of the user, under its name (`g` and 15 digits), which is no user id.
 *
 * `head` and `marks` are two records because two writers move them at their own pace: a send under the peer's lock, an
 * acknowledgement at any time. One record would let either write the other's number back.
 *
 * Each record starts with a version byte (`record-codec.ts`). Numbers in keys have 16 digits, so that their order as text is their order.
 */

import { writeOutgoing } from './content.ts';
import type { OutgoingContent } from './content.ts';
import type { ContentBody, ProgressBody, DecidedBody, SeenBody, SentBody } from './content-body.ts';
import type { EffectBody } from './effects.ts';
import type { ErrorCode } from './errors.ts';
import { ClientError } from './errors.ts';
import type { RecordReader } from './record.ts';
import { codec, plainContent, readMany, readTeller, requireOutgoing, writeTeller } from './record-codec.ts';
import type { RecordCodec } from './record-codec.ts';

/** The keys. */
export const KEYS = {
  account: 'account',
  restored: 'restored',
  restoring: 'restoring',
  ticket: 'ticket',
  ordinal: 'ordinal',
  intake: 'intake',
  intakeAhead: 'intake-ahead',
  phone: (phone: string): string => `phone/${phone}`,
  peer: (user: string): string => `peer/${user}`,
  peers: 'peer/',
  devices: (user: string): string => `devices/${user}`,
  signedList: 'signed-list',
  owed: 'sync/',
  owedSent: (to: string, id: number): string => `sync/sent/${to}/${digits(id)}`,
  owedMarks: (to: string): string => `sync/marks/${to}`,
  owedDecided: (user: string): string => `sync/decided/${user}`,
  owedSeen: (user: string, device: number): string => `sync/seen/${user}/${device}`,
  synced: 'synced/',
  syncedAt: (ordinal: number): string => `synced/${digits(ordinal)}`,
  twinMarksTo: (to: string): string => `twin-marks/${to}/`,
  twinMarks: (to: string, device: number): string => `twin-marks/${to}/${device}`,
  head: (user: string): string => `head/${user}`,
  heads: 'head/',
  marks: (user: string): string => `marks/${user}`,
  marksAll: 'marks/',
  outbox: (user: string, id: number): string => `outbox/${user}/${digits(id)}`,
  outboxes: 'outbox/',
  heard: (user: string, device: number): string => `heard/${user}/${device}`,
  heardOf: (user: string): string => `heard/${user}/`,
  readDebt: (user: string, device: number): string => `read-debt/${user}/${device}`,
  groupReadDebt: (group: string): string => `read-debt/group/${group}`,
  readDebts: 'read-debt/',
  readWithheld: (user: string, device: number): string => `read-withheld/${user}/${device}`,
  groupReadWithheld: (group: string): string => `read-withheld/group/${group}`,
  readWithheldAll: 'read-withheld/',
  readReceipts: 'read-receipts',
  histories: 'history/',
  historyOf: (user: string): string => `history/${user}/`,
  history: (user: string, ordinal: number): string => `history/${user}/${digits(ordinal)}`,
  fresh: (ordinal: number): string => `fresh/${digits(ordinal)}`,
  freshAll: 'fresh/',
  name: (user: string, author: string, device: number, number: number): string =>
    `name/${user}/${author}/${device}/${digits(number)}`,
  waiting: (user: string, author: string, device: number, number: number): string =>
    `waiting/${user}/${author}/${device}/${digits(number)}`,
  waitingIn: (user: string): string => `waiting/${user}/`,
  vouch: (user: string, device: number): string => `vouch/${user}/${device}`,
  vouches: 'vouch/',
  expiry: (atMs: number, user: string, ordinal: number): string => `expiry/${digits(atMs)}/${user}/${digits(ordinal)}`,
  expiries: 'expiry/',
  kept: (user: string, id: number): string => `kept/${user}/${digits(id)}`,
  keptAll: 'kept/',
  retry: (user: string, device: number, id: number): string => `retry/${user}/${device}/${digits(id)}`,
  retriesOf: (user: string): string => `retry/${user}/`,
  retries: 'retry/',
  timer: (user: string): string => `timer/${user}`,
  profile: (user: string): string => `profile/${user}`,
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

/** A message that the server has not acknowledged: kept readable, since a changed device needs a new ciphertext. */
export interface OutboxRecord {
  readonly ordinal: number;
  readonly sentAt: number;
  readonly content: OutgoingContent;
  /** Empty while it is not encrypted. */
  readonly sealed: readonly SealedRecord[];
}

/** A message as it was sent, and for whom. */
export interface KeptRecord {
  readonly sentAt: number;
  readonly content: OutgoingContent;
  readonly recipients: readonly DeviceIdentity[];
}

/** A device and the identity key that it had. */
export interface DeviceIdentity {
  readonly device: number;
  /** 33 bytes. */
  readonly identityKey: Uint8Array;
}

/** A placeholder that may still be filled. */
export interface RetryRecord {
  readonly ordinal: number;
  readonly code: ErrorCode;
  /** Requests so far. */
  readonly tries: number;
  /** Wall time of the last one. */
  readonly askedAt: number;
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
  /** What authenticated the last message, 33 bytes; undefined before the first, and in records of a release that did not keep it. */
  readonly identityKey: Uint8Array | undefined;
}

/** A device that was never heard. */
export const NEVER_HEARD: HeardRecord = Object.freeze({ lastId: 0, readId: 0, identityKey: undefined });

/** What the next login shows in place of a signature. */
export interface TicketRecord {
  readonly token: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
  /** Wall time. */
  readonly expiresAtMs: number;
}

export const TICKET: RecordCodec<TicketRecord> = codec(
  (writer, { token, secret, expiresAtMs }) => writer.text(token).bytes(secret).uint(expiresAtMs),
  (reader) => ({ token: reader.text(), secret: reader.bytes(), expiresAtMs: reader.uint() }),
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

/** Version 1 kept a text where version 2 keeps a content. */
export const OUTBOX: RecordCodec<OutboxRecord> = codec(
  (writer, { ordinal, sentAt, content, sealed }) => {
    writer.uint(ordinal).uint(sentAt);
    writeOutgoing(writer, content);
    writer.uint(sealed.length);
    for (const { device, type, ciphertext } of sealed) {
      writer
        .byte(device)
        .byte(type === 'prekey' ? 1 : 0)
        .bytes(ciphertext);
    }
  },
  (reader, version) => ({
    ordinal: reader.uint(),
    sentAt: reader.uint(),
    content: version === 1 ? plainContent({ kind: 'text', text: reader.text() }) : requireOutgoing(reader),
    sealed: readMany(reader, () => readSealed(reader)),
  }),
  2,
);

export const KEPT: RecordCodec<KeptRecord> = codec(
  (writer, { sentAt, content, recipients }) => {
    writer.uint(sentAt);
    writeOutgoing(writer, content);
    writer.uint(recipients.length);
    for (const { device, identityKey } of recipients) writer.byte(device).bytes(identityKey);
  },
  (reader) => ({
    sentAt: reader.uint(),
    content: requireOutgoing(reader),
    recipients: readMany(reader, () => ({ device: reader.byte(), identityKey: reader.bytes() })),
  }),
);

export const RETRY: RecordCodec<RetryRecord> = codec(
  (writer, { ordinal, code, tries, askedAt }) => writer.uint(ordinal).text(code).uint(tries).uint(askedAt),
  (reader) => ({
    ordinal: reader.uint(),
    code: reader.text() as ErrorCode,
    tries: reader.uint(),
    askedAt: reader.uint(),
  }),
);

/** What is to be done to a message that has not come yet. */
export interface WaitingRecord {
  /** A local number that was given out about when the first of them came. */
  readonly since: number;
  readonly effects: readonly WaitingEffect[];
}

/** As `Effect` of `effects.ts`. */
export interface WaitingEffect {
  readonly body: EffectBody;
  readonly author: string;
  readonly sentAt: number;
}

export const WAITING: RecordCodec<WaitingRecord> = codec(
  (writer, { since, effects }) => {
    writer.uint(since).uint(effects.length);
    for (const { body, author, sentAt } of effects) {
      writeOutgoing(writer.text(author).uint(sentAt), plainContent(body));
    }
  },
  (reader) => ({
    since: reader.uint(),
    effects: readMany(reader, () => ({
      ...{ author: reader.text(), sentAt: reader.uint() },
      body: requireOutgoing(reader).body as EffectBody,
    })),
  }),
);

/** A device whose list is being asked for. */
export interface VouchRecord {
  /** 33 bytes. */
  readonly identityKey: Uint8Array;
  readonly wasVerified: boolean;
}

export const VOUCH: RecordCodec<VouchRecord> = codec(
  (writer, { identityKey, wasVerified }) => writer.bytes(identityKey).byte(wasVerified ? 1 : 0),
  (reader) => ({ identityKey: reader.bytes(), wasVerified: reader.byte() === 1 }),
);

/** What another device of the account has told. */
export interface SyncedRecord {
  readonly device: number;
  /** What authenticated it, 33 bytes; undefined in records of a release that did not keep it. */
  readonly identityKey: Uint8Array | undefined;
  readonly body: SyncBody;
}

/** A content between devices of one account; its kind stands before it. */
export const OWED: RecordCodec<SyncBody> = codec(
  (writer, body) => writeOutgoing(writer, plainContent(body)),
  (reader) => requireSync(requireOutgoing(reader).body),
);

/** Version 1 ended with the body. */
export const SYNCED: RecordCodec<SyncedRecord> = codec(
  (writer, { device, identityKey, body }) => {
    writeOutgoing(writer.byte(device), plainContent(body));
    writeTeller(writer, identityKey);
  },
  (reader, version) => ({
    ...{ device: reader.byte(), body: requireSync(requireOutgoing(reader).body) },
    identityKey: readTeller(reader, version),
  }),
  2,
);

type SyncBody = SentBody | ProgressBody | SeenBody | DecidedBody;

function requireSync(body: ContentBody): SyncBody {
  const { kind } = body;
  if (kind !== 'sent' && kind !== 'progress' && kind !== 'seen' && kind !== 'decided')
    throw new ClientError('CLI_STORE_CORRUPT');
  return body;
}

export const PEER: RecordCodec<PeerRecord> = codec(
  (writer, { phone, verified }) => writer.text(phone).byte(verified ? 1 : 0),
  (reader) => ({ phone: reader.text(), verified: reader.byte() === 1 }),
);

/** Version 1 ended with the numbers. */
export const HEARD: RecordCodec<HeardRecord> = codec(
  (writer, { lastId, readId, identityKey }) => writeTeller(writer.uint(lastId).uint(readId), identityKey),
  (reader, version) => ({ lastId: reader.uint(), readId: reader.uint(), identityKey: readTeller(reader, version) }),
  2,
);

function readSealed(reader: RecordReader): SealedRecord {
  return { device: reader.byte(), type: reader.byte() === 1 ? 'prekey' : 'ratchet', ciphertext: reader.bytes() };
}

/** The number at the end of a key such as `outbox/<user>/<id>`. */
export function numberOfKey(key: string): number {
  return Number(key.slice(key.lastIndexOf('/') + 1));
}

/** The user id within a key such as `outbox/<user>/<id>` or `head/<user>`. */
export function userOfKey(key: string): string {
  return key.split('/')[1] ?? '';
}

export function digits(value: number): string {
  return String(value).padStart(16, '0');
}
