/**
 * A message as the history keeps it: what it is, what has been done to it, and the bytes of its record. Its key is in `layout.ts`.
 */

import { writeOutgoing } from './content.ts';
import type { ContentBody } from './content-body.ts';
import { ClientError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import type { RecordReader, RecordWriter } from './record.ts';
import { codec, plainContent, readMany, requireOutgoing } from './record-codec.ts';
import type { RecordCodec } from './record-codec.ts';

/** Contents that are messages of their own; the others change something, and are not stored as messages. */
export type StoredContentBody = Extract<ContentBody, { readonly kind: 'text' | 'reply' | 'attachment' | 'timer' }>;

/** What a stored message is. */
export type HistoryBody =
  | StoredContentBody
  /** Deleted for everyone by its author. */
  | { readonly kind: 'deleted' }
  /** To be viewed once: viewed, or sent by ourselves. Nothing of it is kept. */
  | { readonly kind: 'view-once' }
  /** Of a later version of the content; kept so that an update may show it. */
  | { readonly kind: 'unsupported'; readonly content: Uint8Array }
  /** It arrived and could not be opened. */
  | { readonly kind: 'undecryptable'; readonly code: ErrorCode };

/** What somebody thinks of a message. */
export interface Reaction {
  /** User id. */
  readonly author: string;
  readonly emoji: string;
}

/** A message of either direction. */
export interface HistoryRecord {
  readonly direction: 'in' | 'out';
  /** Message id within its conversation. */
  readonly number: number;
  /** The sending device; our own for outgoing ones. */
  readonly device: number;
  /** User id of who wrote a message of a group; empty between two people, where the other one did, and for our own. */
  readonly author: string;
  /** Place of a message in its group; 0 where there is none, or not yet. */
  readonly order: number;
  /** The sender's wall time; for an undecryptable message the server's. Milliseconds. */
  readonly sentAt: number;
  /** When it was stored here. Milliseconds. */
  readonly storedAt: number;
  readonly body: HistoryBody;
  /** Set when an outgoing message was refused for good. */
  readonly failure: ErrorCode | undefined;
  /** The author's wall time of the last edit. */
  readonly editedAt: number | undefined;
  /** At most one of each author, in the order of their coming. */
  readonly reactions: readonly Reaction[];
  /** When this device forgets it. */
  readonly expiresAt: number | undefined;
  readonly isViewOnce: boolean;
  /** When the recipient viewed what may be viewed once; the recipient's wall time. */
  readonly viewedAt: number | undefined;
  /** Its author passed on what somebody had written. */
  readonly isForwarded: boolean;
}

/** A message that nothing has been done to. */
export const UNTOUCHED: Pick<
  HistoryRecord,
  'author' | 'order' | 'failure' | 'editedAt' | 'reactions' | 'expiresAt' | 'isViewOnce' | 'viewedAt' | 'isForwarded'
> = Object.freeze({
  author: '',
  order: 0,
  failure: undefined,
  editedAt: undefined,
  reactions: [],
  expiresAt: undefined,
  isViewOnce: false,
  viewedAt: undefined,
  isForwarded: false,
});

/** Version 1 had the fields up to the body, and the first three kinds of body; version 2 ended with the reactions, 3 with the place. */
export const HISTORY: RecordCodec<HistoryRecord> = codec(writeHistory, readHistory, 4);

const BODY_TEXT = 1;

const BODY_UNSUPPORTED = 2;

const BODY_UNDECRYPTABLE = 3;

const BODY_CONTENT = 4;

const BODY_DELETED = 5;

const BODY_VIEW_ONCE = 6;

function writeHistory(writer: RecordWriter, record: HistoryRecord): void {
  const { direction, number, device, sentAt, storedAt, failure, body } = record;
  writer
    .byte(direction === 'out' ? 1 : 0)
    .uint(number)
    .byte(device);
  writer
    .uint(sentAt)
    .uint(storedAt)
    .text(failure ?? '');
  writeBody(writer, body);
  // Times are written with 0 for none: nothing was sent at the beginning of 1970.
  writer
    .uint(record.editedAt ?? 0)
    .uint(record.expiresAt ?? 0)
    .byte(record.isViewOnce ? 1 : 0)
    .uint(record.viewedAt ?? 0);
  writer.uint(record.reactions.length);
  for (const { author, emoji } of record.reactions) writer.text(author).text(emoji);
  writer
    .text(record.author)
    .uint(record.order)
    .byte(record.isForwarded ? 1 : 0);
}

function readHistory(reader: RecordReader, version: number): HistoryRecord {
  const head = {
    direction: reader.byte() === 1 ? ('out' as const) : ('in' as const),
    number: reader.uint(),
    device: reader.byte(),
    sentAt: reader.uint(),
    storedAt: reader.uint(),
    failure: readCode(reader),
    body: readBody(reader),
  };
  if (version === 1) return { ...UNTOUCHED, ...head };
  const traits = {
    editedAt: reader.uint() || undefined,
    expiresAt: reader.uint() || undefined,
    isViewOnce: reader.byte() === 1,
    viewedAt: reader.uint() || undefined,
    reactions: readMany(reader, () => ({ author: reader.text(), emoji: reader.text() })),
  };
  const place = version === 2 ? { author: '', order: 0 } : { author: reader.text(), order: reader.uint() };
  const isForwarded = version > 3 && reader.byte() === 1;
  return { ...head, ...traits, ...place, isForwarded };
}

function writeBody(writer: RecordWriter, body: HistoryBody): void {
  switch (body.kind) {
    case 'text':
      return void writer.byte(BODY_TEXT).text(body.text);
    case 'unsupported':
      return void writer.byte(BODY_UNSUPPORTED).bytes(body.content);
    case 'undecryptable':
      return void writer.byte(BODY_UNDECRYPTABLE).text(body.code);
    case 'deleted':
      return void writer.byte(BODY_DELETED);
    case 'view-once':
      return void writer.byte(BODY_VIEW_ONCE);
    default:
      return writeOutgoing(writer.byte(BODY_CONTENT), plainContent(body));
  }
}

function readBody(reader: RecordReader): HistoryBody {
  switch (reader.byte()) {
    case BODY_TEXT:
      return { kind: 'text', text: reader.text() };
    case BODY_UNSUPPORTED:
      return { kind: 'unsupported', content: reader.bytes() };
    case BODY_UNDECRYPTABLE:
      return { kind: 'undecryptable', code: reader.text() as ErrorCode };
    case BODY_DELETED:
      return { kind: 'deleted' };
    case BODY_VIEW_ONCE:
      return { kind: 'view-once' };
    case BODY_CONTENT:
      return requireStored(requireOutgoing(reader).body);
    default:
      throw new ClientError('CLI_STORE_CORRUPT');
  }
}

function requireStored(body: ContentBody): StoredContentBody {
  if (!isStoredContent(body)) throw new ClientError('CLI_STORE_CORRUPT');
  return body;
}

/** Whether a content is a message of its own. */
export function isStoredContent(body: ContentBody | HistoryBody): body is StoredContentBody {
  return body.kind === 'text' || body.kind === 'reply' || body.kind === 'attachment' || body.kind === 'timer';
}

function readCode(reader: RecordReader): ErrorCode | undefined {
  const text = reader.text();
  return text === '' ? undefined : (text as ErrorCode);
}
