/**
 * What the store holds of groups: keys and records. Beside them a group has the records of a conversation for history, names, expiry
 * and timer (`layout.ts`), under its name.
 *
 *   key                                    record                                        written
 *   group/<group>                          roster, head, info key, how we came in        with each change that is accepted
 *   group-head/<group>/<epoch>             hash of the change that made the epoch        with it; the newest are kept
 *   group-info/<group>                     its sealed title, of a group that is over     when the last member leaves; not in backups
 *   group-view/<group>/<user>              where a member says that the group is        before we are there ourselves
 *   group-change/<group>/<epoch>           a change that came, with its place            receipt; gone when it is judged
 *   group-behind/<group>                   nothing: entries are lost, changes perhaps    with the notice; gone when they are
 *                                          among them                                    asked for
 *   group-invited/<group>                  an invitation whose roster is awaited         receipt; gone when it is used
 *   group-members/<group>                  how far each member has come                  with receipts and changes
 *   group-lane/<group>                     next message id, and the last one sent        with each journalled send
 *   group-outbox/<group>/<id>              a message not yet acknowledged                send; gone with its acknowledgement
 *   group-kept/<group>/<id>                a message as sent, for sending it once more   when encrypted
 *   group-sending/<group>                  our chain, and to whom it went                with each encrypted message
 *   group-hand-out/<group>/<user>          our chain, on its way to a member             with the message that it goes with
 *   group-invite/<group>/<user>            nothing: we have added somebody and owe       with the change; gone when it is queued
 *                                          the invitation
 *   group-knock/<group>/<user>             the secret of our link, shown by somebody      receipt; gone when they are let in
 *   group-asked/<group>                    nothing: we have asked to be let in by a link   with the requests; gone when we are in
 *   group-key/<group>/<user>/<d>           the chains of a member's device               when handed out; with each message
 *   group-heard/<group>/<user>/<d>         last message id stored from this device, and  with each stored message, and
 *                                          the identity key that handed its chain out   each hand-out of another key
 *   group-told/<user>/<d>/<ordinal>        what a device says that does not count yet    receipt; gone when it is taken
 *   group-unread/<group>/<user>/<d>/<id>   a ciphertext whose chain has not come, and    with its placeholder; gone when it
 *                                          how often it was asked for                    is filled
 *   group-pairwise/<group>/<number>         a message of ours to each member, and under    when it is in their conversations;
 *                                          which id in the conversation with each        gone with the message
 *   group-pairwise-owed/<group>/<number>   such a message that is not there yet          send; gone when it is
 *   group-pairwise-refused/<group>/<number>/<user>  why what went to a member was refused   when its id is free again; gone when the
 *                                          for good, and its local number               message knows it
 *   group-pairwise-next/<group>            number of the next one                        with each of them
 *   group-pairwise-unread/<group>/<o>      name of one that came and was not read        receipt; gone when it is read
 *   generation/<user>                      how often the devices of a user changed,      with the change
 *                                          and when
 *
 * Read next: `group-book.ts`.
 */

import type { DistributionLedger, SenderKey, SenderKeyRecord } from '../protocol/signal/index.ts';
import {
  decodeLedger,
  decodeSenderKey,
  decodeSenderKeyRecord,
  encodeLedger,
  encodeSenderKey,
  encodeSenderKeyRecord,
  isSignalError,
} from '../protocol/signal/index.ts';
import { decodeRoster, encodeRoster, isGroupRefusal, isUserId } from '../protocol/wire/index.ts';
import type { GroupState } from '../protocol/wire/index.ts';
import { writeOutgoing } from './content.ts';
import type { OutgoingContent } from './content.ts';
import { isGroupBody } from './content-body.ts';
import type { ContentBody, GroupContentBody, MessageName } from './content-body.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { Transaction } from './journal.ts';
import { digits } from './layout.ts';
import { codec, plainContent, readMany, readTeller, requireOutgoing, writeTeller } from './record-codec.ts';
import type { RecordCodec } from './record-codec.ts';
import type { RecordReader, RecordWriter } from './record.ts';

/** The name of a group where a user id could stand as well: `g` and its 15 digits. */
export type GroupName = `g${string}`;

/** @param group - 15 digits. */
export function nameOfGroup(group: string): GroupName {
  return `g${group}`;
}

/** The group's id in a name; undefined for anything else. */
export function groupOfName(name: string): string | undefined {
  return name.startsWith('g') && isUserId(name.slice(1)) ? name.slice(1) : undefined;
}

/** The keys. `<group>` is the id, 15 digits. */
export const GROUP_KEYS = {
  group: (group: string): string => `group/${group}`,
  groups: 'group/',
  head: (group: string, epoch: number): string => `group-head/${group}/${digits(epoch)}`,
  lastInfo: (group: string): string => `group-info/${group}`,
  view: (group: string, user: string): string => `group-view/${group}/${user}`,
  viewsOf: (group: string): string => `group-view/${group}/`,
  views: 'group-view/',
  change: (group: string, epoch: number): string => `group-change/${group}/${digits(epoch)}`,
  changesOf: (group: string): string => `group-change/${group}/`,
  changes: 'group-change/',
  behind: (group: string): string => `group-behind/${group}`,
  behindAll: 'group-behind/',
  invited: (group: string): string => `group-invited/${group}`,
  invitedAll: 'group-invited/',
  members: (group: string): string => `group-members/${group}`,
  lane: (group: string): string => `group-lane/${group}`,
  outbox: (group: string, id: number): string => `group-outbox/${group}/${digits(id)}`,
  outboxes: 'group-outbox/',
  kept: (group: string, id: number): string => `group-kept/${group}/${digits(id)}`,
  keptAll: 'group-kept/',
  sending: (group: string): string => `group-sending/${group}`,
  sendings: 'group-sending/',
  handOut: (group: string, user: string): string => `group-hand-out/${group}/${user}`,
  handOutsOf: (group: string): string => `group-hand-out/${group}/`,
  handOuts: 'group-hand-out/',
  invite: (group: string, user: string): string => `group-invite/${group}/${user}`,
  invitesOf: (group: string): string => `group-invite/${group}/`,
  invites: 'group-invite/',
  knock: (group: string, user: string): string => `group-knock/${group}/${user}`,
  knocksAt: (group: string): string => `group-knock/${group}/`,
  knocks: 'group-knock/',
  asked: (group: string): string => `group-asked/${group}`,
  key: (group: string, user: string, device: number): string => `group-key/${group}/${user}/${device}`,
  heard: (group: string, user: string, device: number): string => `group-heard/${group}/${user}/${device}`,
  keysOf: (group: string): string => `group-key/${group}/`,
  heardOf: (group: string, user: string): string => `group-heard/${group}/${user}/`,
  heardIn: (group: string): string => `group-heard/${group}/`,
  told: (user: string, device: number, ordinal: number): string => `group-told/${user}/${device}/${digits(ordinal)}`,
  toldBy: (user: string, device: number): string => `group-told/${user}/${device}/`,
  toldOf: (user: string): string => `group-told/${user}/`,
  tolds: 'group-told/',
  unread: (group: string, user: string, device: number, id: number): string =>
    `group-unread/${group}/${user}/${device}/${digits(id)}`,
  unreadIn: (group: string): string => `group-unread/${group}/`,
  unreadAll: 'group-unread/',
  pairwise: (group: string, number: number): string => `group-pairwise/${group}/${digits(number)}`,
  pairwiseAll: 'group-pairwise/',
  pairwiseOwed: (group: string, number: number): string => `group-pairwise-owed/${group}/${digits(number)}`,
  pairwiseOwedOf: (group: string): string => `group-pairwise-owed/${group}/`,
  pairwiseOwedAll: 'group-pairwise-owed/',
  pairwiseRefused: (group: string, number: number, user: string): string =>
    `group-pairwise-refused/${group}/${digits(number)}/${user}`,
  pairwiseRefusedAll: 'group-pairwise-refused/',
  pairwiseNext: (group: string): string => `group-pairwise-next/${group}`,
  pairwiseUnread: (group: string, ordinal: number): string => `group-pairwise-unread/${group}/${digits(ordinal)}`,
  pairwiseUnreadOf: (group: string): string => `group-pairwise-unread/${group}/`,
  generation: (user: string): string => `generation/${user}`,
} as const;

/** A group that we are or were in. */
export interface GroupRecord {
  readonly state: GroupState;
  /** 32 bytes, secret: opens the info of the roster. */
  readonly infoKey: Uint8Array;
  /** Who let us in, on whichever of our devices; ourselves where we made it, and where another device of an earlier release told of it. */
  readonly inviter: string;
  /** Our secret of the present link, where we made it; else empty. */
  readonly linkSecret: Uint8Array;
  /** Place of the newest message or change that was stored. */
  readonly lastOrder: number;
  /** Up to where the application has read. */
  readonly readOrder: number;
}

/** An invitation. */
export interface InvitedRecord {
  readonly inviter: string;
  /** Of one from another device of ours: who had let that in; else empty. */
  readonly origin: string;
  readonly epoch: number;
  readonly head: Uint8Array;
  readonly key: Uint8Array;
  /** Empty where the inviter sent none. */
  readonly roster: Uint8Array;
}

/** A change as it came. */
export interface ChangeRecord {
  /** Of one that was asked for, the newest place in the group then: its own is not after it. */
  readonly order: number;
  readonly bytes: Uint8Array;
}

/** Where a member says that a group is. */
export interface ViewRecord {
  /** The device that said it. */
  readonly device: number;
  readonly epoch: number;
  readonly head: Uint8Array;
}

/** How far a member has come, by places in the group. */
export interface MemberMark {
  readonly user: string;
  /** The epoch and the place where the member came in; earlier messages were never meant for them. */
  readonly epoch: number;
  readonly since: number;
  readonly delivered: number;
  readonly read: number;
}

/** Where sending to a group stands. */
export interface GroupLaneRecord {
  readonly nextId: number;
  readonly sentId: number;
}

/** A message to a group that the server has not acknowledged. */
export interface GroupOutboxRecord {
  readonly ordinal: number;
  readonly sentAt: number;
  readonly content: OutgoingContent;
  /** The epoch that it is encrypted for; 0 while it is not. */
  readonly epoch: number;
  readonly ciphertext: Uint8Array;
}

/** A message to a group as it was sent. */
export interface GroupKeptRecord {
  readonly sentAt: number;
  /** The members of this epoch were meant. */
  readonly epoch: number;
  readonly content: OutgoingContent;
}

/** Our chain in a group. */
export interface GroupSendingRecord {
  readonly senderKey: SenderKey;
  readonly ledger: DistributionLedger;
}

/** How far a member's device has been heard in a group. */
export interface GroupHeardRecord {
  readonly lastId: number;
  /** Under which its chain was handed out, 33 bytes; undefined in records of a release that did not keep it. */
  readonly identityKey: Uint8Array | undefined;
}

/** A message to each member of a group that is in no conversation with them yet. */
export interface PairwiseOwedRecord {
  readonly ordinal: number;
  readonly sentAt: number;
  readonly content: OutgoingContent;
}

/** Such a message as it went to one member. */
export interface PairwiseMember {
  readonly user: string;
  /** Its message id in the conversation with them; 0 where it was refused for good, and the id means another message. */
  readonly id: number;
  /** They said that they have read it. */
  readonly isRead: boolean;
}

/** What went to one member was refused for good. */
export interface PairwiseRefusedRecord {
  /** Its local number in the conversation with them, which nothing gets again. */
  readonly ordinal: number;
  readonly code: ErrorCode;
}

/** A message of a group that could not be read yet. */
export interface UnreadRecord {
  readonly ordinal: number;
  readonly order: number;
  readonly code: ErrorCode;
  readonly tries: number;
  readonly askedAt: number;
  /** Empty where another key would not help. */
  readonly ciphertext: Uint8Array;
}

/** What a device says about a group in a conversation of two. */
export interface GroupToldRecord {
  readonly device: number;
  readonly sentAt: number;
  /** What authenticated it, 33 bytes. */
  readonly identityKey: Uint8Array;
  readonly body: GroupContentBody;
}

/** How often the devices of a user changed, and when they last did. */
export interface GenerationRecord {
  readonly count: number;
  readonly changedAt: number;
}

export const GROUP: RecordCodec<GroupRecord> = codec(
  (writer, { state, infoKey, inviter, linkSecret, lastOrder, readOrder }) => {
    writer.bytes(encodeRoster(state.roster)).bytes(state.head).bytes(infoKey).text(inviter).bytes(linkSecret);
    writer.uint(lastOrder).uint(readOrder);
  },
  (reader) => ({
    state: { roster: requireRoster(reader.bytes()), head: reader.bytes() },
    infoKey: reader.bytes(),
    inviter: reader.text(),
    linkSecret: reader.bytes(),
    lastOrder: reader.uint(),
    readOrder: reader.uint(),
  }),
);

function requireRoster(bytes: Uint8Array): GroupState['roster'] {
  const roster = decodeRoster(bytes);
  if (isGroupRefusal(roster)) throw new ClientError('CLI_STORE_CORRUPT');
  return roster;
}

/** Version 1 ended with the roster. */
export const INVITED: RecordCodec<InvitedRecord> = codec(
  (writer, { inviter, origin, epoch, head, key, roster }) =>
    writer.text(inviter).uint(epoch).bytes(head).bytes(key).bytes(roster).text(origin),
  (reader, version) => ({
    inviter: reader.text(),
    epoch: reader.uint(),
    head: reader.bytes(),
    key: reader.bytes(),
    roster: reader.bytes(),
    origin: version === 1 ? '' : reader.text(),
  }),
  2,
);

export const CHANGE: RecordCodec<ChangeRecord> = codec(
  (writer, { order, bytes }) => writer.uint(order).bytes(bytes),
  (reader) => ({ order: reader.uint(), bytes: reader.bytes() }),
);

export const VIEW: RecordCodec<ViewRecord> = codec(
  (writer, { device, epoch, head }) => writer.byte(device).uint(epoch).bytes(head),
  (reader) => ({ device: reader.byte(), epoch: reader.uint(), head: reader.bytes() }),
);

export const MEMBERS: RecordCodec<readonly MemberMark[]> = codec(
  (writer, marks) => {
    writer.uint(marks.length);
    for (const { user, epoch, since, delivered, read } of marks) {
      writer.text(user).uint(epoch).uint(since).uint(delivered).uint(read);
    }
  },
  (reader) =>
    readMany(reader, () => ({
      ...{ user: reader.text(), epoch: reader.uint(), since: reader.uint() },
      ...{ delivered: reader.uint(), read: reader.uint() },
    })),
);

export const GROUP_LANE: RecordCodec<GroupLaneRecord> = codec(
  (writer, { nextId, sentId }) => writer.uint(nextId).uint(sentId),
  (reader) => ({ nextId: reader.uint(), sentId: reader.uint() }),
);

export const GROUP_OUTBOX: RecordCodec<GroupOutboxRecord> = codec(
  (writer, { ordinal, sentAt, content, epoch, ciphertext }) => {
    writeOutgoing(writer.uint(ordinal).uint(sentAt), content);
    writer.uint(epoch).bytes(ciphertext);
  },
  (reader) => ({
    ordinal: reader.uint(),
    sentAt: reader.uint(),
    content: requireOutgoing(reader),
    epoch: reader.uint(),
    ciphertext: reader.bytes(),
  }),
);

export const GROUP_KEPT: RecordCodec<GroupKeptRecord> = codec(
  (writer, { sentAt, epoch, content }) => writeOutgoing(writer.uint(sentAt).uint(epoch), content),
  (reader) => ({ sentAt: reader.uint(), epoch: reader.uint(), content: requireOutgoing(reader) }),
);

export const GROUP_SENDING: RecordCodec<GroupSendingRecord> = codec(
  (writer, { senderKey, ledger }) => writer.bytes(encodeSenderKey(senderKey)).bytes(encodeLedger(ledger)),
  (reader) => ({
    senderKey: required(decodeSenderKey(reader.bytes())),
    ledger: required(decodeLedger(reader.bytes())),
  }),
);

export const GROUP_KEY: RecordCodec<SenderKeyRecord> = codec(
  (writer, record) => writer.bytes(encodeSenderKeyRecord(record)),
  (reader) => required(decodeSenderKeyRecord(reader.bytes())),
);

function required<Value>(outcome: Value): Exclude<Value, { readonly code: string }> {
  if (isSignalError(outcome)) throw new ClientError('CLI_STORE_CORRUPT', { cause: outcome });
  return outcome as Exclude<Value, { readonly code: string }>;
}

export const GROUP_TOLD: RecordCodec<GroupToldRecord> = codec(
  (writer, { device, sentAt, identityKey, body }) =>
    writeOutgoing(writer.byte(device).uint(sentAt).bytes(identityKey), plainContent(body)),
  (reader) => ({
    ...{ device: reader.byte(), sentAt: reader.uint(), identityKey: reader.bytes() },
    body: requireGroupBody(requireOutgoing(reader).body),
  }),
);

function requireGroupBody(body: ContentBody): GroupContentBody {
  if (!isGroupBody(body)) throw new ClientError('CLI_STORE_CORRUPT');
  return body;
}

/** Version 1 was the number alone. */
export const GROUP_HEARD: RecordCodec<GroupHeardRecord> = codec(
  (writer, { lastId, identityKey }) => writeTeller(writer.uint(lastId), identityKey),
  (reader, version) => ({ lastId: reader.uint(), identityKey: readTeller(reader, version) }),
  2,
);

export const PAIRWISE_OWED: RecordCodec<PairwiseOwedRecord> = codec(
  (writer, { ordinal, sentAt, content }) => writeOutgoing(writer.uint(ordinal).uint(sentAt), content),
  (reader) => ({ ordinal: reader.uint(), sentAt: reader.uint(), content: requireOutgoing(reader) }),
);

export const PAIRWISE: RecordCodec<readonly PairwiseMember[]> = codec(
  (writer, members) => {
    writer.uint(members.length);
    for (const { user, id, isRead } of members)
      writer
        .text(user)
        .uint(id)
        .byte(isRead ? 1 : 0);
  },
  (reader) => readMany(reader, () => ({ user: reader.text(), id: reader.uint(), isRead: reader.byte() === 1 })),
);

export const PAIRWISE_REFUSED: RecordCodec<PairwiseRefusedRecord> = codec(
  (writer, { ordinal, code }) => writer.uint(ordinal).text(code),
  (reader) => ({ ordinal: reader.uint(), code: reader.text() as ErrorCode }),
);

export const PAIRWISE_UNREAD: RecordCodec<MessageName> = codec(
  (writer, { author, device, number, sentAt }) => writer.text(author).byte(device).uint(number).uint(sentAt),
  (reader) => ({ author: reader.text(), device: reader.byte(), number: reader.uint(), sentAt: reader.uint() }),
);

export const UNREAD: RecordCodec<UnreadRecord> = codec(writeUnread, readUnread);

function writeUnread(writer: RecordWriter, record: UnreadRecord): void {
  const { ordinal, order, code, tries, askedAt, ciphertext } = record;
  writer.uint(ordinal).uint(order).text(code).uint(tries).uint(askedAt).bytes(ciphertext);
}

function readUnread(reader: RecordReader): UnreadRecord {
  return {
    ordinal: reader.uint(),
    order: reader.uint(),
    code: reader.text() as ErrorCode,
    tries: reader.uint(),
    askedAt: reader.uint(),
    ciphertext: reader.bytes(),
  };
}

export const GENERATION: RecordCodec<GenerationRecord> = codec(
  (writer, { count, changedAt }) => writer.uint(count).uint(changedAt),
  (reader) => ({ count: reader.uint(), changedAt: reader.uint() }),
);

/** Notes that the devices of a user are others than before: a chain of ours that they had is then replaced. */
export async function renewGeneration(transaction: Transaction, user: string, nowMs: number): Promise<void> {
  const stored = await transaction.get(GROUP_KEYS.generation(user));
  const count = stored === undefined ? 0 : GENERATION.decode(stored).count;
  transaction.put(GROUP_KEYS.generation(user), GENERATION.encode({ count: count + 1, changedAt: nowMs }));
}
