/**
 * What a message says, as the bytes that are encrypted.
 *
 *   field    form            meaning
 *   version  1 byte          1
 *   kind     1 byte          1 = text
 *   id       uint            message id within the conversation; the envelope's copy is checked against it
 *   phone    text            the sender's phone number, as the sender claims it
 *   sentAt   uint            the sender's wall time in milliseconds
 *   body     bytes           kind 1: the text in UTF-8
 *   padding  80 00 … 00      up to a multiple of LIMITS.contentBlockBytes
 *
 * Integers and lengths as in `record.ts`. Later versions of us may append fields before the padding: a reader ignores
 * them. A version or kind that this reader does not know is handed on as `unsupported`, never dropped: a person should
 * see that something came and that an update would show it. Vectors: `testing/content-vectors.json`.
 */

import { LIMITS } from './limits.ts';
import { RecordReader, RecordWriter } from './record.ts';

/** A text message. */
export interface TextContent {
  readonly kind: 'text';
  /** Message id within the conversation. */
  readonly id: number;
  /** The sender's phone number; a claim until it has been looked up. */
  readonly phone: string;
  /** The sender's wall time, milliseconds. */
  readonly sentAt: number;
  readonly text: string;
}

/** Content of a future kind, or of a future version (then nothing but the version is known). */
export interface UnsupportedContent {
  readonly kind: 'unsupported';
  readonly version: number;
  readonly header?: { readonly kind: number; readonly id: number; readonly phone: string; readonly sentAt: number };
}

/** Content that no correct sender writes. */
export interface MalformedContent {
  readonly kind: 'malformed';
}

const VERSION = 1;
const KIND_TEXT = 1;
const PADDING_MARK = 0x80;

/**
 * Encodes a text message, padded.
 *
 * @returns Owned bytes, a multiple of `LIMITS.contentBlockBytes`.
 */
export function encodeContent(content: TextContent): Uint8Array {
  const record = new RecordWriter()
    .byte(VERSION)
    .byte(KIND_TEXT)
    .uint(content.id)
    .text(content.phone)
    .uint(content.sentAt)
    .text(content.text)
    .finish();
  return pad(record);
}

/**
 * Decodes what a peer encrypted. Never throws: the bytes are authentic, but their writer may be of any make.
 *
 * @param bytes - Borrowed.
 */
export function decodeContent(bytes: Uint8Array): TextContent | UnsupportedContent | MalformedContent {
  const record = unpad(bytes);
  if (record === undefined || record.length === 0) return { kind: 'malformed' };
  const reader = new RecordReader(record);
  const version = reader.byte();
  if (version !== VERSION) return { kind: 'unsupported', version };
  const kind = reader.byte();
  const header = { id: reader.uint(), phone: reader.text(), sentAt: reader.uint() };
  if (reader.failed || header.id === 0) return { kind: 'malformed' };
  if (kind !== KIND_TEXT) return { kind: 'unsupported', version, header: { kind, ...header } };
  const text = reader.text();
  return reader.failed ? { kind: 'malformed' } : { kind: 'text', ...header, text };
}

function pad(record: Uint8Array): Uint8Array {
  const block = LIMITS.contentBlockBytes;
  const padded = new Uint8Array(Math.ceil((record.length + 1) / block) * block);
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
