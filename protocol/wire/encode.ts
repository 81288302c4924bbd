/**
 * Stanza to bytes, into a buffer of the caller.
 *
 * One pass: every function writes at a position and returns the next one. A value that does not fit is not written,
 * but its length is still counted, so the position at the end says exactly how much room the stanza needs. Single bytes
 * beyond the end are dropped by the typed array itself.
 *
 * The encoder obeys the bounds of the decoder and writes only what the decoder accepts; a stanza that breaks a rule is a
 * mistake of its author and throws. `encode-simple.ts` is the slow twin that the tests compare with. Read next: `frame.ts`.
 */

import { isDigits, writeDigits } from './digits.ts';
import * as layout from './layout.ts';
import { LIMITS } from './limits.ts';
import { isChildren, type AttributeValue, type Content, type Stanza } from './stanza.ts';
import { utf8Length, writeUtf8 } from './text.ts';
import { EXTENDED_BASE, isName, nameOf, tokenOf, WORD_LENGTH_MAX } from './tokens.ts';

/** Stanzas that the current call may still write. Encoding never calls out, so one counter serves all calls. */
let nodesLeft = 0;

/**
 * Writes one stanza.
 *
 * @param stanza - Obeys the rules of FORMAT.md.
 * @param target - Written from `offset`. When the result is beyond its end, what stands there from `offset` on is unspecified.
 * @param offset - Bytes from the start of `target`.
 * @returns Where the stanza ends, or would end if `target` were long enough: it fitted if the result is at most
 * `target.length`.
 * @throws {TypeError} A name that is no name, a name twice, a value that is neither text nor integer, a lone surrogate, an empty list.
 * @throws {RangeError} A bound of LIMITS exceeded; an integer that is negative, fractional or above 2^53 - 1.
 */
export function encodeStanza(stanza: Stanza, target: Uint8Array, offset: number): number {
  nodesLeft = LIMITS.nodesMax;
  const end = writeStanza(stanza, target, offset, 1);
  if (end - offset > LIMITS.stanzaBytesMax)
    throw new RangeError(`a stanza has more than ${LIMITS.stanzaBytesMax} bytes`);
  return end;
}

/**
 * Length of the encoded stanza in bytes, without frame header. Unlike `encodeStanza` it also measures a stanza above
 * LIMITS.stanzaBytesMax, so a sender can ask before it fails; for other mistakes it throws the same.
 */
export function encodedLength(stanza: Stanza): number {
  nodesLeft = LIMITS.nodesMax;
  return writeStanza(stanza, NOTHING, 0, 1);
}

/** Encodes into fresh memory that the caller owns. For storage and tests; connections use a FrameWriter. */
export function encode(stanza: Stanza): Uint8Array {
  const bytes = new Uint8Array(encodedLength(stanza));
  encodeStanza(stanza, bytes, 0);
  return bytes;
}

const NOTHING: Uint8Array = new Uint8Array(0);

function writeStanza(stanza: Stanza, target: Uint8Array, offset: number, depth: number): number {
  if (depth > LIMITS.depthMax) throw new RangeError(`stanza nests deeper than ${LIMITS.depthMax}`);
  if (--nodesLeft < 0) throw new RangeError(`stanza holds more than ${LIMITS.nodesMax} stanzas`);
  const { attrs, content } = stanza;
  let at = writeName(stanza.tag, target, offset);
  checkAttributes(attrs);
  target[at++] = ((attrs.length >> 1) << layout.HEAD_CONTENT_BITS) | contentKind(content);
  for (let index = 0; index < attrs.length; index += 2) {
    at = writeName(attrs[index] as string, target, at);
    at = writeValue(attrs[index + 1]!, target, at);
  }
  if (content === undefined) return at;
  return isChildren(content) ? writeChildren(content, target, at, depth + 1) : writeBytes(content, target, at);
}

function contentKind(content: Content): number {
  if (content === undefined) return layout.CONTENT_NONE;
  return isChildren(content) ? layout.CONTENT_CHILDREN : layout.CONTENT_BYTES;
}

function checkAttributes(attrs: readonly AttributeValue[]): void {
  const { length } = attrs;
  if (length & 1) throw new TypeError('attributes are names and values by turns; the last value is missing');
  if (length > LIMITS.attributesMax * 2) throw new RangeError(`more than ${LIMITS.attributesMax} attributes`);
  for (let index = 2; index < length; index += 2) {
    for (let other = 0; other < index; other += 2) {
      if (attrs[index] === attrs[other]) throw new TypeError(`attribute "${attrs[index]}" stands twice`);
    }
  }
}

function writeName(name: string, target: Uint8Array, at: number): number {
  const token = tokenOf(name);
  if (token !== undefined && nameOf(token) !== undefined) return writeWord(token, target, at);
  if (typeof name !== 'string' || !isName(name)) {
    throw new TypeError(`a name is 1 to ${LIMITS.nameBytesMax} of a-z, 0-9 and "-", a letter first`);
  }
  return writeText(name, target, at);
}

function writeValue(value: AttributeValue, target: Uint8Array, at: number): number {
  if (typeof value === 'number') return writeInteger(value, target, at);
  if (typeof value !== 'string') throw new TypeError(`an attribute value is a string or a number, not ${typeof value}`);
  // Digits first: a word begins with a letter, so for one this test ends at its first character.
  if (isDigits(value)) return writeDigits(value, target, at);
  const token = value.length > WORD_LENGTH_MAX ? undefined : tokenOf(value);
  return token === undefined ? writeText(value, target, at) : writeWord(token, target, at);
}

function writeWord(token: number, target: Uint8Array, at: number): number {
  if (token < EXTENDED_BASE) {
    target[at] = token;
    return at + 1;
  }
  target[at] = layout.LEAD_EXTENDED;
  target[at + 1] = token - EXTENDED_BASE;
  return at + 2;
}

function writeInteger(value: number, target: Uint8Array, at: number): number {
  if (value >= 0 && value <= layout.SMALL_INTEGER_MAX && Number.isInteger(value)) {
    target[at] = layout.LEAD_SMALL_INTEGER | value;
    return at + 1;
  }
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('an integer value is 0 to 2^53 - 1');
  const length = integerBytes(value);
  target[at] = layout.LEAD_INTEGER + length - 1;
  // Shifts work on 32 bits: the part above them is written on its own.
  let low = value >>> 0;
  let high = (value - low) / 0x1_0000_0000;
  for (let index = at + length; index > at; index -= 1) {
    target[index] = low;
    low = (low >>> 8) | (high << 24);
    high >>>= 8;
  }
  return at + 1 + length;
}

function integerBytes(value: number): number {
  if (value < 0x1_0000_0000) {
    if (value < 0x100) return 1;
    if (value < 0x1_0000) return 2;
    return value < 0x100_0000 ? 3 : 4;
  }
  if (value < 0x100_0000_0000) return 5;
  return value < 0x1_0000_0000_0000 ? 6 : 7;
}

function writeText(text: string, target: Uint8Array, offset: number): number {
  // A unit is at least one byte: without this, a text of megabytes would be measured before it is refused.
  const length = text.length > LIMITS.textBytesMax ? text.length : utf8Length(text);
  if (length < 0) throw new TypeError('a text holds a surrogate that stands alone and has no UTF-8 form');
  if (length > LIMITS.textBytesMax) throw new RangeError(`a text has more than ${LIMITS.textBytesMax} bytes`);
  let at = offset;
  if (length <= layout.SHORT_TEXT_BYTES_MAX) {
    target[at++] = layout.LEAD_TEXT;
  } else {
    target[at++] = layout.LEAD_LONG_TEXT;
    target[at++] = length >> 8;
  }
  target[at++] = length;
  if (at + length <= target.length) writeUtf8(text, target, at);
  return at + length;
}

function writeCount(count: number, target: Uint8Array, at: number): number {
  if (count < layout.LONG_COUNT) {
    target[at] = count;
    return at + 1;
  }
  target[at] = layout.LONG_COUNT | (count >> 8);
  target[at + 1] = count;
  return at + 2;
}

function writeBytes(content: Uint8Array, target: Uint8Array, offset: number): number {
  const { length } = content;
  // A length beyond the count's 14 bits makes the stanza too long, which `encodeStanza` refuses at the end.
  const at = writeCount(length, target, offset);
  if (at + length <= target.length) target.set(content, at);
  return at + length;
}

function writeChildren(children: readonly Stanza[], target: Uint8Array, offset: number, depth: number): number {
  const { length } = children;
  if (length === 0) throw new TypeError('a list of children is never empty; leave the content undefined');
  if (length > LIMITS.childrenMax) throw new RangeError(`more than ${LIMITS.childrenMax} children`);
  let at = writeCount(length, target, offset);
  for (let index = 0; index < length; index += 1) at = writeStanza(children[index]!, target, at, depth);
  return at;
}
