/**
 * The bytes of one piece of a transferred history. Pure.
 *
 *   version 1 byte, 01 · any number of entries: kind, 1 byte · entry, bytes · 00, 1 byte · number of entries, uint
 *
 *   01 message   conversation, text · direction, 1 byte: 0 came, 1 sent · author, text; empty between two people and where we sent it ·
 *                device, 1 byte · message id, uint · sentAt, uint · storedAt, uint · place in the group, uint · editedAt, uint; 0: never ·
 *                failure, text · form, 1 byte: 1 content, 2 deleted, 3 of a later version · what it said, bytes ·
 *                count, uint · that many reactions: author, text · emoji, text
 *   02 marks     conversation, text · device, 1 byte · sent, uint · delivered, uint · read, uint: of the messages of that own device
 *   03 contact   user id, text · phone number, text · verified, 1 byte
 *   04 timer     conversation, text · seconds, uint
 *
 * A conversation is a user id or the name of a group. What a message said is in form 1 as kind 12 of the contents has it, in form 3 the
 * content as it came. A reader passes over kinds of entries that it does not know. It is its own form and not the store's, so that
 * either may change. For people: `TRANSFER.md`. Vectors: `testing/transfer-vectors.json`.
 */

import { isPhone, isUserId } from '../protocol/wire/index.ts';
import { encodeOutgoing, readOutgoing } from './content.ts';
import { byteLength } from './record.ts';
import type { ErrorCode } from './errors.ts';
import { groupOfName } from './group-layout.ts';
import { isStoredContent } from './history-layout.ts';
import { plainContent } from './record-codec.ts';
import type { MarksRecord, PeerRecord } from './layout.ts';
import type { HistoryBody, HistoryRecord, Reaction } from './history-layout.ts';
import { LIMITS } from './limits.ts';
import { RecordReader, RecordWriter } from './record.ts';

/** The newest version that this release reads, and the one that it writes. */
export const TRANSFER_VERSION = 1;

/** What of a stored message travels. */
export type TransferredMessage = Pick<
  HistoryRecord,
  | 'direction'
  | 'author'
  | 'device'
  | 'number'
  | 'sentAt'
  | 'storedAt'
  | 'order'
  | 'editedAt'
  | 'failure'
  | 'body'
  | 'reactions'
> &
  Partial<Pick<HistoryRecord, 'isForwarded'>>;

export type TransferEntry =
  | { readonly kind: 'message'; readonly conversation: string; readonly message: TransferredMessage }
  | ({ readonly kind: 'marks'; readonly conversation: string; readonly device: number } & MarksRecord)
  | ({ readonly kind: 'contact'; readonly user: string } & PeerRecord)
  | { readonly kind: 'timer'; readonly conversation: string; readonly seconds: number };

const KIND_END = 0;
const KINDS: readonly TransferEntry['kind'][] = ['message', 'marks', 'contact', 'timer'];
const FORM_CONTENT = 1;
const FORM_DELETED = 2;
const FORM_UNSUPPORTED = 3;

/** Writes one piece. */
export class ChunkWriter {
  readonly #writer = new RecordWriter().byte(TRANSFER_VERSION);
  #count = 0;

  get length(): number {
    return this.#writer.length;
  }

  add(entry: TransferEntry): void {
    const writer = new RecordWriter();
    writeEntry(writer, entry);
    this.#writer.byte(KINDS.indexOf(entry.kind) + 1).bytes(writer.finish());
    this.#count += 1;
  }

  /** The piece, owned by the caller. */
  finish(): Uint8Array {
    return this.#writer.byte(KIND_END).uint(this.#count).finish();
  }
}

function writeEntry(writer: RecordWriter, entry: TransferEntry): void {
  switch (entry.kind) {
    case 'message':
      return writeMessage(writer.text(entry.conversation), entry.message);
    case 'marks':
      writer.text(entry.conversation).byte(entry.device);
      return void writer.uint(entry.sentId).uint(entry.deliveredId).uint(entry.readId);
    case 'contact':
      return void writer
        .text(entry.user)
        .text(entry.phone)
        .byte(entry.verified ? 1 : 0);
    case 'timer':
      return void writer.text(entry.conversation).uint(entry.seconds);
  }
}

function writeMessage(writer: RecordWriter, message: TransferredMessage): void {
  const { direction, author, device, number, sentAt, storedAt, order, editedAt, failure, body, reactions } = message;
  const { isForwarded = false } = message;
  writer
    .byte(direction === 'out' ? 1 : 0)
    .text(author)
    .byte(device)
    .uint(number);
  writer.uint(sentAt).uint(storedAt).uint(order);
  writer.uint(editedAt ?? 0).text(failure ?? '');
  const [form, said] = formOf(body, isForwarded);
  writer.byte(form).bytes(said).uint(reactions.length);
  for (const { author: from, emoji } of reactions) writer.text(from).text(emoji);
}

function formOf(body: HistoryBody, isForwarded: boolean): [form: number, said: Uint8Array] {
  if (body.kind === 'unsupported') return [FORM_UNSUPPORTED, body.content];
  const isContent = body.kind !== 'deleted' && body.kind !== 'view-once' && body.kind !== 'undecryptable';
  return isContent
    ? [FORM_CONTENT, encodeOutgoing({ ...plainContent(body), isForwarded })]
    : [FORM_DELETED, new Uint8Array(0)];
}

/**
 * Reads one piece. Never throws: what another device of ours has sealed may still be of another make.
 *
 * @param bytes - Borrowed.
 * @returns CLI_TRANSFER_VERSION for a later version; CLI_TRANSFER_DAMAGED for what no correct writer writes.
 */
export function decodeChunk(bytes: Uint8Array): readonly TransferEntry[] | ErrorCode {
  const reader = new RecordReader(bytes);
  const version = reader.byte();
  if (version !== TRANSFER_VERSION) return version > TRANSFER_VERSION ? 'CLI_TRANSFER_VERSION' : DAMAGED;
  const entries: TransferEntry[] = [];
  for (let count = 0; !reader.failed; count += 1) {
    const kind = reader.byte();
    if (kind === KIND_END) {
      const isWhole = reader.uint() === count && !reader.failed && reader.remainingBytes === 0;
      return isWhole ? entries : DAMAGED;
    }
    const inner = new RecordReader(reader.bytes());
    const name = KINDS[kind - 1];
    const entry = name && readEntry(inner, name);
    if (name !== undefined && (entry === undefined || inner.failed)) return DAMAGED;
    if (entry !== undefined) entries.push(entry);
  }
  return DAMAGED;
}

const DAMAGED = 'CLI_TRANSFER_DAMAGED';

function readEntry(reader: RecordReader, kind: TransferEntry['kind']): TransferEntry | undefined {
  const name = reader.text();
  if (!isUserId(name) && (kind === 'contact' || groupOfName(name) === undefined)) return undefined;
  switch (kind) {
    case 'message': {
      const message = readMessage(reader);
      return message && { kind, conversation: name, message };
    }
    case 'marks': {
      const device = reader.byte();
      const marks = { sentId: reader.uint(), deliveredId: reader.uint(), readId: reader.uint() };
      return isDevice(device) ? { kind, conversation: name, device, ...marks } : undefined;
    }
    case 'contact': {
      const peer = { phone: reader.text(), verified: reader.byte() === 1 };
      return peer.phone === '' || isPhone(peer.phone) ? { kind, user: name, ...peer } : undefined;
    }
    case 'timer': {
      const seconds = reader.uint();
      return seconds <= LIMITS.timerSecondsMax ? { kind, conversation: name, seconds } : undefined;
    }
  }
}

function readMessage(reader: RecordReader): TransferredMessage | undefined {
  const direction = reader.byte() === 1 ? 'out' : 'in';
  const [author, device, number] = [reader.text(), reader.byte(), reader.uint()];
  const times = { sentAt: reader.uint(), storedAt: reader.uint(), order: reader.uint() };
  const [editedAt, failure] = [reader.uint(), reader.text()];
  const said = readBody(reader.byte(), reader.bytes());
  const reactions = readReactions(reader);
  const isNamed = isDevice(device) && number > 0 && (author === '' || isUserId(author));
  if (!isNamed || said === undefined || reactions === undefined || !FAILURE.test(failure)) return undefined;
  const did = { editedAt: editedAt || undefined, failure: failure === '' ? undefined : (failure as ErrorCode) };
  return { direction, author, device, number, ...times, ...did, ...said, reactions };
}

const FAILURE = /^((APP|CLI|SIG|WIRE)_[A-Z0-9_]{1,60})?$/;

function isDevice(device: number): boolean {
  return device >= 1 && device <= 127;
}

function readBody(form: number, said: Uint8Array): Pick<TransferredMessage, 'body' | 'isForwarded'> | undefined {
  if (form === FORM_DELETED) return { body: { kind: 'deleted' } };
  if (form === FORM_UNSUPPORTED) {
    return said.length <= LIMITS.contentBytesMax ? { body: { kind: 'unsupported', content: said } } : undefined;
  }
  const content = form === FORM_CONTENT ? readOutgoing(new RecordReader(said)) : undefined;
  if (content === undefined || !isStoredContent(content.body)) return undefined;
  return content.isForwarded === true ? { body: content.body, isForwarded: true } : { body: content.body };
}

function readReactions(reader: RecordReader): Reaction[] | undefined {
  const reactions: Reaction[] = [];
  for (let left = reader.uint(); left > 0 && !reader.failed; left -= 1) {
    const reaction = { author: reader.text(), emoji: reader.text() };
    if (!isUserId(reaction.author) || byteLength(reaction.emoji) > LIMITS.emojiBytesMax) return undefined;
    reactions.push(reaction);
  }
  return reactions;
}
