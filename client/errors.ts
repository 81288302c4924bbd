/**
 * What can go wrong in the client, each with a stable code: meaning, cause, what to do.
 *
 * A refusal that the server decided keeps the server's own code (`APP_…`, `WIRE_…`), a ciphertext that does not open
 * keeps the code of the Signal half (`SIG_…`); the catalogue here holds only what the client itself finds out. Compare
 * by code, never by class: two loaded copies of this module have two classes.
 */

import { SERVER_WORDS } from './server-words.ts';

/** One row of the catalogue. */
export interface CodeEntry {
  readonly meaning: string;
  readonly cause: string;
  readonly advice: string;
}

/** The catalogue: every `CLI_` code that this SDK gives out. */
export const CLIENT_CODES = {
  CLI_NOT_REGISTERED: {
    meaning: 'The store holds no account.',
    cause: 'A call of connect or send before confirmCode, or the wrong store directory.',
    advice: 'Call requestCode and confirmCode first, or open the store that holds the account.',
  },
  CLI_ACCOUNT_EXISTS: {
    meaning: 'The store belongs to another phone number.',
    cause: 'A call of confirmCode for a number that is not the one of this store.',
    advice: 'Give every account a store of its own.',
  },
  CLI_PHONE_INVALID: {
    meaning: 'Not a phone number.',
    cause: 'A number without its country code, or with letters or spaces.',
    advice: 'Write + and 7 to 15 digits, for example +4915100000001.',
  },
  CLI_PEER_UNKNOWN: {
    meaning: 'Nobody is registered with this number or user id.',
    cause: 'A mistyped number, or a person without an account.',
    advice: 'Check the number.',
  },
  CLI_PEER_SELF: {
    meaning: 'This is your own number.',
    cause: 'A message to oneself; a session needs two devices.',
    advice: 'Choose somebody else.',
  },
  CLI_UNREACHABLE: {
    meaning: 'The server cannot be reached.',
    cause: 'No network, the server is down, or its address is wrong.',
    advice: 'Check the address. A connected client keeps trying by itself.',
  },
  CLI_UNTRUSTED: {
    meaning: 'The certificate of the server is not one that this device trusts.',
    cause:
      'A certificate of its own that was not given, or has been replaced since; one that has expired, or is of another name.',
    advice: 'Give the file of its authority (`ca`; `--ca` of the chat), and begin anew where that file has changed.',
  },
  CLI_DISCONNECTED: {
    meaning: 'The connection ended before the answer came.',
    cause: 'A network cut, a server restart, or a heartbeat without an answer.',
    advice: 'Nothing for messages, they are resent; repeat a request.',
  },
  CLI_TIMEOUT: {
    meaning: 'No answer in time.',
    cause: 'A server under heavy load, or a half-open connection.',
    advice: 'Try again; the client renews a silent connection by itself.',
  },
  CLI_CLOSED: {
    meaning: 'The client is closed.',
    cause: 'A call after close, or close while the call was waiting.',
    advice: 'Create a new client on the same store; the outbox is kept.',
  },
  CLI_PROTOCOL: {
    meaning: 'The server said something that the protocol does not allow here.',
    cause: 'A server of another version, or something that is no Blindbeam server at this address.',
    advice: 'Check the address and the versions of both sides.',
  },
  CLI_TEXT_TOO_LONG: {
    meaning: 'The text does not fit into one message.',
    cause: 'More than 4,096 bytes of UTF-8.',
    advice: 'Send it in parts.',
  },
  CLI_MESSAGE_UNKNOWN: {
    meaning: 'There is no such message, or it is no longer here.',
    cause: 'A wrong id, a message that was deleted or has disappeared, or one that was viewed before.',
    advice: 'Take ids from messages or history.',
  },
  CLI_MESSAGE_FIXED: {
    meaning: 'The message cannot be changed in this way.',
    cause: "Somebody else's message, one that is too old to be edited or deleted, or one of another kind.",
    advice: 'Write a new message.',
  },
  CLI_OUTBOX_FULL: {
    meaning: 'Too many messages wait to be sent.',
    cause: 'Sending for long without a connection.',
    advice: 'Wait until the outbox has drained; nothing of it is lost.',
  },
  CLI_INTAKE_FULL: {
    meaning: 'Messages arrive faster than this device stores them.',
    cause: 'A slow disk.',
    advice: 'Nothing: the connection is renewed, and the server sends again what was not acknowledged.',
  },
  CLI_STORE_LOCKED: {
    meaning: 'The store is in use by another process.',
    cause: 'A second client on the same directory.',
    advice: 'Close the other one, or choose another directory.',
  },
  CLI_STORE_UNUSABLE: {
    meaning: 'The store cannot be opened; nothing of it is lost.',
    cause:
      'A folder that may not be written, a full disk, or a file in its place; `cause` of the error has what the system said.',
    advice: 'Mend that, or choose another folder.',
  },
  CLI_STORE_CORRUPT: {
    meaning: 'The store holds a record that cannot be read.',
    cause: 'A damaged disk, or a store of a newer version.',
    advice: 'Restore the directory, or register anew with an empty one.',
  },
  CLI_STORE_FAILED: {
    meaning: 'The store refused a write; the client has stopped so that nothing leaves unsaved.',
    cause: 'A full or failing disk, or missing permissions.',
    advice: 'Mend the disk and start again; messages wait at the server.',
  },
  CLI_STORE_ROLLED_BACK: {
    meaning: 'The server knows later messages of this device than its own store does.',
    cause: 'A store restored from an old copy.',
    advice: 'Register anew: an old ratchet must not be used twice.',
  },
  CLI_ORDER_LOST: {
    meaning: 'The server asks for a message that it had acknowledged before.',
    cause: 'A server that lost durable data.',
    advice: 'Report it to the operator; register anew to write to this peer again.',
  },
  CLI_DEVICES_UNSETTLED: {
    meaning: 'The device list of the peer kept changing while we encrypted for it.',
    cause: 'Repeated registrations of the peer, or a faulty server.',
    advice: 'Send again later.',
  },
  CLI_IDENTITY_REFUSED: {
    meaning: 'The peer has a new identity key, and the trust policy refused it.',
    cause: 'The peer registered anew, or somebody stands in between.',
    advice: 'Compare safety numbers with the peer, then accept the new identity.',
  },
  CLI_BUNDLE_INVALID: {
    meaning: 'The keys that the server gave for the peer do not check out.',
    cause: 'A broken or dishonest server.',
    advice: 'Do not send; report it to the operator.',
  },
  CLI_CONTENT_MALFORMED: {
    meaning: 'A message opened, but its inside is not of any form that a correct sender writes.',
    cause: 'A faulty sender.',
    advice: 'Ask the sender to repeat it with an up-to-date version.',
  },
  CLI_CONTENT_MISMATCH: {
    meaning: 'A message opened, but its inside contradicts its envelope.',
    cause: 'A server that renumbered messages, or a faulty sender.',
    advice: 'Treat the message as undecryptable; ask the sender to repeat it.',
  },
  CLI_BACKUP_SECRET_WEAK: {
    meaning: 'This is no key for a backup.',
    cause: 'Not exactly 64 digits, or a passphrase of fewer than 12 characters.',
    advice: 'Have 64 digits drawn, or choose a longer passphrase.',
  },
  CLI_BACKUP_NOT_ONE: {
    meaning: 'The file is not a backup.',
    cause: 'Another file was chosen, or its beginning is damaged.',
    advice: 'Choose the file that the backup was written to.',
  },
  CLI_BACKUP_TOO_NEW: {
    meaning: 'The backup has a form that this version does not read.',
    cause: 'It was made by a later version.',
    advice: 'Update, and restore then.',
  },
  CLI_BACKUP_WRONG_KEY: {
    meaning: 'The backup was made with another key or passphrase.',
    cause: 'A mistyped digit or word, or the key of another backup.',
    advice: 'Try again. Without the key nobody can open it, we neither.',
  },
  CLI_BACKUP_DAMAGED: {
    meaning: 'The backup is damaged; nothing was restored.',
    cause: 'Bytes of the file were changed.',
    advice: 'Restore another copy of the file.',
  },
  CLI_BACKUP_TRUNCATED: {
    meaning: 'The end of the backup is missing; nothing was restored.',
    cause: 'A copy that was broken off, or a full disk when it was made.',
    advice: 'Restore another copy of the file.',
  },
  CLI_BACKUP_TOO_LARGE: {
    meaning: 'The history is larger than a backup may be.',
    cause: 'More than 2 GiB of messages.',
    advice: 'Delete conversations that are not needed, or set a timer.',
  },
  CLI_STORE_NOT_EMPTY: {
    meaning: 'The store is in use; a backup is restored into an empty one.',
    cause: 'Restoring over an account or its history.',
    advice: 'Choose another directory.',
  },
  CLI_RESTORE_UNFINISHED: {
    meaning: 'A backup was being restored into this store, and it did not come to its end.',
    cause: 'A crash while restoring.',
    advice: 'Restore again; what is there is replaced.',
  },
  CLI_NOT_SENT: {
    meaning: 'The message was waiting to be sent when the backup was made.',
    cause: 'A backup made without a connection; nobody knows whether it was sent later.',
    advice: 'Ask the recipient, or send it again.',
  },
  CLI_MEDIA_SOURCE: {
    meaning: 'The source gave another number of bytes than it had announced.',
    cause: 'A file that was changed while it was being uploaded.',
    advice: 'Upload it again.',
  },
  CLI_MEDIA_FOREIGN: {
    meaning: 'The file does not lie on the server of this client, so it is not fetched.',
    cause: 'A sender of another installation, or one who wants to see who opens the message.',
    advice: 'Ask the sender to send it again.',
  },
  CLI_MEDIA_CANCELLED: {
    meaning: 'The transfer was cancelled.',
    cause: 'The abort signal that was given with it.',
    advice: 'Start it again; what was not finished is forgotten by the server after a day.',
  },
  CLI_GROUP_UNKNOWN: {
    meaning: 'No such group is known here.',
    cause: 'A wrong id, or an invitation that has not come yet.',
    advice: 'Take ids from groups.list; ask for an invitation.',
  },
  CLI_GROUP_NOT_A_MEMBER: {
    meaning: 'You are not, or no longer, a member of this group.',
    cause: 'You left, were removed, or the group is over.',
    advice: 'Ask an admin to add you.',
  },
  CLI_GROUP_REFUSED: {
    meaning: 'The rules of groups do not allow this change.',
    cause:
      'Only admins change a group; whoever is a member cannot be added; the last admin cannot go without naming another.',
    advice: 'If you are no admin, ask one. If you are the last one, make somebody else an admin before you go.',
  },
  CLI_GROUP_MODE: {
    meaning: 'The group began to encrypt for each device while the message waited.',
    cause: 'An admin has chosen so.',
    advice: 'Send it again.',
  },
  CLI_GROUP_BUSY: {
    meaning: 'Others changed the group at the same time, again and again.',
    cause: 'Many changes at one time, or a server that shows an epoch without its changes.',
    advice: 'Try again.',
  },
  CLI_GROUP_BEHIND: {
    meaning:
      'The server has lost a change of the group that its members have, and takes nothing for the group any more.',
    cause: 'It came back from a backup, or without its newest, from before the change.',
    advice: 'Make a new group with the same members.',
  },
  CLI_GROUP_LINK: {
    meaning: 'This invitation link does not open the group.',
    cause: 'A mistyped or cut link, or one that was closed or replaced.',
    advice: 'Ask for a new link.',
  },
  CLI_GROUP_UNREADABLE: {
    meaning: 'A change of the group is none that this release reads.',
    cause: 'A later release, or a server that made something up.',
    advice: 'Update. Nothing is sent to the group under such a change.',
  },
  CLI_GROUP_GAP: {
    meaning: 'A change of the group is missing.',
    cause: 'The server left it out, or no longer has it.',
    advice: 'Wait for the server, or ask an admin for a new invitation.',
  },
  CLI_GROUP_FORKED: {
    meaning: 'Two histories of one group are told.',
    cause: 'A server that shows members different groups, or an admin whose key is used twice.',
    advice: 'Compare the members with somebody in person; the change that does not follow is not accepted.',
  },
  CLI_GROUP_DEVICE_GONE: {
    meaning: 'A change of the group was made with a device that its owner does not list, and nobody stands behind it.',
    cause: 'The device was unlinked since, or its key is used without its owner.',
    advice:
      'Nothing: the author and an admin are asked. Nothing is sent to the group until one of them says that it holds.',
  },
  CLI_GROUP_FORGED: {
    meaning: 'A change of the group is not signed by the one who is said to have made it.',
    cause: 'Most likely the server tried to change the group.',
    advice: 'The change is not accepted, and nothing is encrypted for whom it brings.',
  },
  CLI_GROUP_UNLAWFUL: {
    meaning: 'A change of the group was made by somebody who may not make it.',
    cause: 'A server that does not keep the rules.',
    advice: 'The change is not accepted.',
  },
  CLI_GROUP_ROSTER: {
    meaning: 'The list of members is not the one that the newest change names.',
    cause: 'A server that shows another list.',
    advice: 'The list is not accepted; ask who invited you.',
  },
  CLI_DEVICE_UNLISTED: {
    meaning: 'The server names a device that its owner has not signed for; nothing was encrypted for it.',
    cause: 'A dishonest server, or one whose list is behind.',
    advice:
      'Nothing: the message waits, and goes when list and devices agree. If it lasts, ask the peer, and report it.',
  },
  CLI_DEVICES_UNSIGNED: {
    meaning: 'The server names several devices of somebody, and no list that says whose they are.',
    cause: 'A dishonest or broken server.',
    advice: 'Nothing: the message waits. If it lasts, report it to the operator.',
  },
  CLI_DEVICE_UNKNOWN: {
    meaning: 'The account has no such linked device.',
    cause: 'A wrong number, the primary device itself, or one that was unlinked before.',
    advice: 'Take the number from devices.',
  },
  CLI_NOT_PRIMARY: {
    meaning: 'Only the primary device of an account links and unlinks.',
    cause: 'A call on a linked device, or before the first login of the primary.',
    advice: 'Do it on the device that registered the number.',
  },
  CLI_LINK_CODE_INVALID: {
    meaning: 'This is no linking code.',
    cause: 'A letter that was mistyped or left out, or the code of a later version.',
    advice: 'Scan or type it again.',
  },
  CLI_LINK_MISMATCH: {
    meaning: 'The device that waits at the server is not the one that shows the code; nothing was linked.',
    cause: 'A dishonest server.',
    advice: 'Begin anew on the new device; if it repeats itself, report it.',
  },
  CLI_LINK_EXPIRED: {
    meaning: 'Nobody approved the code in time, or it was cancelled.',
    cause: 'Five minutes went by.',
    advice: 'Begin anew; the new device shows another code.',
  },
  CLI_LINK_REFUSED: {
    meaning: 'What came to this device was not sealed by whoever scanned its code, or does not name it.',
    cause: 'A dishonest server, or a broken client at the other end.',
    advice: 'Begin anew.',
  },
  CLI_TRANSFER_DECLINED: {
    meaning: 'The primary device does not hand the history out.',
    cause: 'The person there has declined.',
    advice: 'Ask again when you agree; new messages come all the same.',
  },
  CLI_TRANSFER_EXPIRED: {
    meaning: 'Nobody granted the transfer of the history in time, or it stood still for too long.',
    cause: 'The primary device was not there for a day, or, once it had begun, for a week.',
    advice: 'Ask again while the primary device is at hand; what has come stays.',
  },
  CLI_TRANSFER_CANCELLED: {
    meaning: 'The transfer of the history was broken off.',
    cause: 'One of the two devices has cancelled it, or the other one knows nothing of it any more.',
    advice: 'Ask again; what has come stays and does not come twice.',
  },
  CLI_TRANSFER_SPACE: {
    meaning: 'The history is larger than the room that was given for it.',
    cause: 'More messages than bytesMax of requestHistory allows.',
    advice: 'Make room and ask again; the newest messages have come and stay.',
  },
  CLI_TRANSFER_MEDIA_GONE: {
    meaning: 'A piece of the history was gone from the server, again and again.',
    cause: 'A server that has lost files, or one that does not keep them.',
    advice: 'Ask again; what has come stays.',
  },
  CLI_TRANSFER_DAMAGED: {
    meaning: 'A piece of the history was not what the other device had sealed, again and again.',
    cause: 'A server that changes files, or a broken client at the other end.',
    advice: 'Ask again; if it repeats itself, report it. Nothing of the damaged piece was stored.',
  },
  CLI_TRANSFER_VERSION: {
    meaning: 'The two devices do not know the same form of a transferred history.',
    cause: 'One of them runs an earlier release.',
    advice: 'Update it and ask again.',
  },
  CLI_TRANSFER_UNSUITABLE: {
    meaning: 'The history is not transferred between these two devices.',
    cause:
      'It goes from the primary device to one that was linked to it; this one is the primary itself, or was not linked.',
    advice: 'Ask on the new device.',
  },
  CLI_INTERNAL: {
    meaning: 'The client found itself in a state that should not exist.',
    cause: 'A bug of this software.',
    advice: 'Report it, with the `cause` of the error.',
  },
} as const;

/** A code of this layer. */
export type ClientCode = keyof typeof CLIENT_CODES;

/** What travels as an error: a code of this layer, or one passed through from the server or the Signal half. */
export type ErrorCode = ClientCode | `APP_${string}` | `WIRE_${string}` | `SIG_${string}`;

const BRAND: unique symbol = Symbol.for('blindbeam.client.error') as never;

/** What the SDK's promises reject with. `code` is stable, `message` is for people and holds nothing secret. */
export class ClientError extends Error {
  readonly code: ErrorCode;
  /** Milliseconds after which trying again makes sense, where the server said so. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {}) {
    super(describeCode(code), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ClientError';
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Recognises an error of this layer, also one of another loaded copy of this module. */
  static is(value: unknown, code?: ErrorCode): value is ClientError {
    if (typeof value !== 'object' || value === null || !(BRAND in value)) return false;
    return code === undefined || (value as unknown as ClientError).code === code;
  }
}

/** A few words for people: what the code means and what to do about it. */
export function describeCode(code: ErrorCode): string {
  const entry: CodeEntry | undefined = CLIENT_CODES[code as ClientCode];
  if (entry !== undefined) return `${code}: ${entry.meaning} ${entry.advice}`;
  return `${code}: ${SERVER_WORDS[code] ?? 'refused by the server.'}`;
}

/** The code behind anything that was thrown; an error without one can only be a bug. */
export function codeOf(error: unknown): ErrorCode {
  return ClientError.is(error) ? error.code : 'CLI_INTERNAL';
}
