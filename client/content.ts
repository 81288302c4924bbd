/**
 * What a message says, as the bytes that are encrypted: an envelope of one version around a body of some kind.
 *
 *   field    form            meaning
 *   version  1 byte          2
 *   kind     1 byte          see `content-body.ts`
 *   flags    1 byte          bit 0: view once; bit 1: forwarded; the others are 0
 *   id       uint            message id within the conversation; the stanza's copy is checked against it
 *   phone    text            the sender's phone number, as the sender claims it
 *   sentAt   uint            the sender's wall time in milliseconds
 *   timer    uint            seconds after which both ends forget the message; 0: never
 *   body     bytes           as the kind has it
 *   padding  80 00 … 00      up to one of LIMITS.contentBucketsBytes
 *
 * Version 1 had no flags and timer, one kind (text), and its fields instead of a body; it is still read. Integers and
 * lengths as in `record.ts`. Later releases may append fields before the padding: a reader ignores them. A version, kind or
 * flag that this reader does not know is handed on as `unsupported`, never dropped: a person should see that something
 * came and that an update would show it. Format, buckets and rules for people: `CONTENT.md`. Vectors:
 * `testing/content-vectors.json`.
 */

import { decodeBody, encodeBody, kindOfNumber, numberOfKind } from './content-codec.ts';
import type { ContentBody } from './content-body.ts';
import { LIMITS } from './limits.ts';
import { RecordReader, RecordWriter } from './record.ts';

/** What every content has. */
export interface ContentHeader {
  /** Message id within the conversation, from 1. */
  readonly id: number;
  /** The sender's phone number; a claim until it has been looked up. */
  readonly phone: string;
  /** The sender's wall time, milliseconds. */
  readonly sentAt: number;
  /** Seconds that the message is kept; 0: for good. */
  readonly timerSeconds: number;
  readonly isViewOnce: boolean;
  /** The author passes on what somebody else may have written. */
  readonly isForwarded?: boolean;
}

/** A content that this release understands. */
export interface Content extends ContentHeader {
  readonly kind: 'content';
  readonly body: ContentBody;
}

/** Content of a future kind, or of a future version (then nothing but the version is known). */
export interface UnsupportedContent {
  readonly kind: 'unsupported';
  readonly version: number;
  readonly header?: ContentHeader & { readonly kind: number };
}

/** Content that no correct sender writes. */
export interface MalformedContent {
  readonly kind: 'malformed';
}

/** What is encrypted for everybody but the envelope's own fields: how the outbox keeps it. */
export interface OutgoingContent {
  readonly body: ContentBody;
  readonly timerSeconds: number;
  readonly isViewOnce: boolean;
  readonly isForwarded?: boolean;
}

const TEXT_ONLY_VERSION = 1;
const VERSION = 2;
const FLAG_VIEW_ONCE = 1;
const FLAG_FORWARDED = 2;
const FLAGS_KNOWN: number = FLAG_VIEW_ONCE | FLAG_FORWARDED;
const PADDING_MARK = 0x80;
const MALFORMED: MalformedContent = Object.freeze({ kind: 'malformed' });

/**
 * Encodes a content, padded.
 *
 * @returns Owned bytes, as long as one of the buckets; undefined where the content is larger than the largest of them.
 */
export function encodeContent(content: Omit<Content, 'kind'>): Uint8Array | undefined {
  const { id, phone, sentAt, timerSeconds, body } = content;
  const writer = new RecordWriter().byte(VERSION).byte(numberOfKind(body.kind));
  writer.byte(flagsOf(content));
  writer.uint(id).text(phone).uint(sentAt).uint(timerSeconds).bytes(encodeBody(body));
  return pad(writer.finish());
}

/**
 * Decodes what a peer encrypted. Never throws: the bytes are authentic, but their writer may be of any make.
 *
 * @param bytes - Borrowed.
 */
export function decodeContent(bytes: Uint8Array): Content | UnsupportedContent | MalformedContent {
  const record = unpad(bytes);
  if (record === undefined || record.length === 0) return MALFORMED;
  const reader = new RecordReader(record);
  const version = reader.byte();
  if (version === VERSION) return decodeVersion2(reader);
  return version === TEXT_ONLY_VERSION ? decodeVersion1(reader) : { kind: 'unsupported', version };
}

function decodeVersion2(reader: RecordReader): Content | UnsupportedContent | MalformedContent {
  const kind = reader.byte();
  const flags = reader.byte();
  const header: ContentHeader = {
    id: reader.uint(),
    phone: reader.text(),
    sentAt: reader.uint(),
    timerSeconds: reader.uint(),
    ...readFlags(flags),
  };
  const bytes = reader.bytes();
  if (reader.failed || header.id === 0 || header.timerSeconds > LIMITS.timerSecondsMax) return MALFORMED;
  const name = kindOfNumber(kind);
  // A flag that we do not know may ask for something that we would not do.
  if (name === undefined || (flags & ~FLAGS_KNOWN) !== 0) {
    return { kind: 'unsupported', version: VERSION, header: { ...header, kind } };
  }
  const body = decodeBody(name, bytes);
  return body === undefined ? MALFORMED : { kind: 'content', ...header, body };
}

function decodeVersion1(reader: RecordReader): Content | UnsupportedContent | MalformedContent {
  const kind = reader.byte();
  const [id, phone, sentAt] = [reader.uint(), reader.text(), reader.uint()];
  const header: ContentHeader = { id, phone, sentAt, timerSeconds: 0, isViewOnce: false };
  if (reader.failed || id === 0) return MALFORMED;
  if (kindOfNumber(kind) !== 'text') {
    return { kind: 'unsupported', version: TEXT_ONLY_VERSION, header: { ...header, kind } };
  }
  const text = reader.text();
  return reader.failed ? MALFORMED : { kind: 'content', ...header, body: { kind: 'text', text } };
}

/** What the outbox keeps of a content, as bytes of their own: what travels when it is sent once more. */
export function encodeOutgoing(content: OutgoingContent): Uint8Array {
  const writer = new RecordWriter();
  writeOutgoing(writer, content);
  return writer.finish();
}

/**
 * The envelope that a content would have come in which is sent once more. So it is decoded like every other one: a kind or
 * a flag of a later version is `unsupported`, too, and can be shown after an update.
 *
 * @param bytes - What `encodeOutgoing` wrote, in this release or a later one; borrowed. Never throws.
 * @returns Owned; undefined where it is no content.
 */
export function envelopeOf(
  { id, sentAt }: Pick<ContentHeader, 'id' | 'sentAt'>,
  bytes: Uint8Array,
): Uint8Array | undefined {
  const reader = new RecordReader(bytes);
  const [kind, flags, timerSeconds, body] = [reader.byte(), reader.byte(), reader.uint(), reader.bytes()];
  if (reader.failed) return undefined;
  const writer = new RecordWriter().byte(VERSION).byte(kind).byte(flags);
  return pad(writer.uint(id).text('').uint(sentAt).uint(timerSeconds).bytes(body).finish());
}

/** Encodes what the outbox and the history keep of a content. */
export function writeOutgoing(writer: RecordWriter, content: OutgoingContent): void {
  const { body, timerSeconds } = content;
  writer.byte(numberOfKind(body.kind)).byte(flagsOf(content));
  writer.uint(timerSeconds).bytes(encodeBody(body));
}

/** Reads what `writeOutgoing` wrote; undefined where it is damaged. */
export function readOutgoing(reader: RecordReader): OutgoingContent | undefined {
  const kind = kindOfNumber(reader.byte());
  const flags = readFlags(reader.byte());
  const [timerSeconds, bytes] = [reader.uint(), reader.bytes()];
  const body = kind === undefined || reader.failed ? undefined : decodeBody(kind, bytes);
  return body && { body, timerSeconds, ...flags };
}

function flagsOf({ isViewOnce, isForwarded = false }: Pick<OutgoingContent, 'isViewOnce' | 'isForwarded'>): number {
  return (isViewOnce ? FLAG_VIEW_ONCE : 0) | (isForwarded ? FLAG_FORWARDED : 0);
}

function readFlags(flags: number): Pick<OutgoingContent, 'isViewOnce' | 'isForwarded'> {
  const isViewOnce = (flags & FLAG_VIEW_ONCE) !== 0;
  return (flags & FLAG_FORWARDED) === 0 ? { isViewOnce } : { isViewOnce, isForwarded: true };
}

function pad(record: Uint8Array): Uint8Array | undefined {
  const bucketBytes = LIMITS.contentBucketsBytes.find((bytes) => bytes > record.length);
  if (bucketBytes === undefined) return undefined;
  const padded = new Uint8Array(bucketBytes);
  padded.set(record);
  padded[record.length] = PADDING_MARK;
  return padded;
}

function unpad(padded: Uint8Array): Uint8Array | undefined {
  if (padded.length > LIMITS.contentBytesMax) return undefined;
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end -= 1;
  return end >= 0 && padded[end] === PADDING_MARK ? padded.subarray(0, end) : undefined;
}
