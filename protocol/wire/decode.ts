/**
 * Bytes to stanza, or the reason why not.
 *
 * Input is hostile here. Nothing throws on it, nothing recurses beyond LIMITS.depthMax, no length is believed before
 * the bytes behind it have been seen, and every value has exactly one accepted form, so that encoding the result gives
 * the same bytes again. The first refusal wins and names its offset.
 *
 * Content bytes of the result are views into the input (borrowed): valid as long as the input is, which for a WebSocket
 * handler means until it returns. `copyStanza` makes a stanza that owns them. Strings are always owned.
 *
 * What the stanzas mean is not known here; see `messages.ts`. Read next: `frame.ts`, which finds the stanzas in a message.
 */

import { BAD_DIGIT, BAD_FILLER, isDigits, readDigits } from './digits.ts';
import { wireError, type WireError, type WireErrorCode } from './errors.ts';
import * as layout from './layout.ts';
import { LIMITS } from './limits.ts';
import { NO_ATTRIBUTES, type Attributes, type AttributeValue, type Content, type Stanza } from './stanza.ts';
import { readUtf8 } from './text.ts';
import { EXTENDED_BASE, isName, nameOf, tokenOf, WORD_LENGTH_MAX, wordOf } from './tokens.ts';

/**
 * Decodes bytes that are exactly one stanza, without frame header.
 *
 * @param bytes - Borrowed, and borrowed on by the content of the result.
 * @returns The stanza, or a WireError: any code of the catalogue but WIRE_BAD_STANZA. Tell them apart by `isWireError`.
 */
export function decodeStanza(bytes: Uint8Array): Stanza | WireError {
  return decodeStanzaAt(bytes, 0, bytes.length);
}

/**
 * Decodes the stanza that fills the bytes from `start` to before `end`.
 *
 * @param bytes - Borrowed, and borrowed on by the content of the result.
 * @returns As `decodeStanza`; offsets count from the start of `bytes`.
 */
export function decodeStanzaAt(bytes: Uint8Array, start: number, end: number): Stanza | WireError {
  if (end - start > LIMITS.stanzaBytesMax) return wireError('WIRE_FRAME_TOO_LARGE', undefined, start);
  return reader.read(bytes, start, end);
}

/** One reader serves every call: reading never calls out, so calls do not overlap. */
class StanzaReader {
  #bytes: Uint8Array = NOTHING;
  #at = 0;
  #end = 0;
  #nodesLeft = 0;
  #refusal: WireError | undefined = undefined;

  read(bytes: Uint8Array, start: number, end: number): Stanza | WireError {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#nodesLeft = LIMITS.nodesMax;
    this.#refusal = undefined;
    const stanza = this.#stanza(1);
    if (stanza !== undefined && this.#at !== end) this.#refuse('WIRE_TRAILING_BYTES', this.#at);
    // Do not keep the input alive: it may be the only reference to a detached message.
    this.#bytes = NOTHING;
    return this.#refusal ?? stanza!;
  }

  /** Records the first refusal. Returns `undefined`, which every reading method returns after a refusal. */
  #refuse(code: WireErrorCode, offset: number): undefined {
    this.#refusal ??= wireError(code, undefined, offset);
    return undefined;
  }

  #stanza(depth: number): Stanza | undefined {
    if (depth > LIMITS.depthMax) return this.#refuse('WIRE_TOO_DEEP', this.#at);
    if (--this.#nodesLeft < 0) return this.#refuse('WIRE_TOO_MANY_NODES', this.#at);
    const tag = this.#name();
    if (tag === undefined) return undefined;
    if (this.#at >= this.#end) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const head = this.#bytes[this.#at++]!;
    const attrs = this.#attributes(head >> layout.HEAD_CONTENT_BITS);
    if (attrs === undefined) return undefined;
    const kind = head & layout.HEAD_CONTENT_MASK;
    if (kind === layout.CONTENT_NONE) return { tag, attrs, content: undefined };
    const content = this.#content(kind, depth);
    return content === undefined ? undefined : { tag, attrs, content };
  }

  #attributes(count: number): Attributes | undefined {
    if (count === 0) return NO_ATTRIBUTES;
    if (count > LIMITS.attributesMax) return this.#refuse('WIRE_TOO_MANY_ATTRIBUTES', this.#at - 1);
    // Sized once: a list that grows by pushing takes 17 places for its first two values.
    const attrs: AttributeValue[] = new Array<AttributeValue>(count * 2);
    for (let index = 0; index < count * 2; index += 2) {
      const start = this.#at;
      const name = this.#name();
      if (name === undefined) return undefined;
      if (hasName(attrs, index, name)) return this.#refuse('WIRE_DUPLICATE_ATTRIBUTE', start);
      const value = this.#value();
      if (value === undefined) return undefined;
      attrs[index] = name;
      attrs[index + 1] = value;
    }
    return attrs;
  }

  #name(): string | undefined {
    if (this.#at >= this.#end) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const start = this.#at;
    const lead = this.#bytes[this.#at++]!;
    const word = nameOf(lead);
    if (word !== undefined) return word;
    // The other forms are rare here: read whatever value it is, then ask whether it could be a name.
    this.#at = start;
    const value = this.#value();
    if (value === undefined || isName(value)) return value;
    return this.#refuse('WIRE_BAD_NAME', start);
  }

  #value(): AttributeValue | undefined {
    if (this.#at >= this.#end) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const start = this.#at;
    const lead = this.#bytes[this.#at++]!;
    if (lead < layout.LEAD_SMALL_INTEGER) return this.#word(lead, start);
    if (lead < layout.LEAD_INTEGER) return lead - layout.LEAD_SMALL_INTEGER;
    if (lead < layout.LEAD_INTEGER + layout.INTEGER_BYTES_MAX) return this.#integer(lead - layout.LEAD_INTEGER + 1);
    switch (lead) {
      case layout.LEAD_DIGITS:
        return this.#digits(start);
      case layout.LEAD_EXTENDED:
        return this.#extendedWord(start);
      case layout.LEAD_TEXT:
        return this.#text(start);
      case layout.LEAD_LONG_TEXT:
        return this.#longText(start);
      default:
        return this.#refuse('WIRE_RESERVED', start);
    }
  }

  #word(token: number, start: number): string | undefined {
    return wordOf(token) ?? this.#refuse(token === 0 ? 'WIRE_RESERVED' : 'WIRE_BAD_TOKEN', start);
  }

  #extendedWord(start: number): string | undefined {
    if (this.#at >= this.#end) return this.#refuse('WIRE_TRUNCATED', this.#at);
    return wordOf(EXTENDED_BASE + this.#bytes[this.#at++]!) ?? this.#refuse('WIRE_BAD_TOKEN', start);
  }

  #integer(length: number): number | undefined {
    const start = this.#at;
    if (length > this.#end - start) return this.#refuse('WIRE_TRUNCATED', start);
    let value = 0;
    for (let index = 0; index < length; index += 1) value = value * 256 + this.#bytes[start + index]!;
    this.#at = start + length;
    if (this.#bytes[start] === 0 || value <= layout.SMALL_INTEGER_MAX) return this.#refuse('WIRE_NOT_CANONICAL', start);
    // Seven bytes may exceed the safe integers; the sum is then rounded, but never rounded down to a safe one.
    return value <= LIMITS.integerMax ? value : this.#refuse('WIRE_BAD_INTEGER', start);
  }

  #digits(start: number): string | undefined {
    if (this.#at >= this.#end) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const length = this.#bytes[this.#at++]!;
    if (length === 0) return this.#refuse('WIRE_NOT_CANONICAL', start);
    const at = this.#at;
    const end = at + ((length + 1) >> 1);
    if (end > this.#end) return this.#refuse('WIRE_TRUNCATED', at);
    this.#at = end;
    const digits = readDigits(this.#bytes, at, length);
    if (digits === BAD_DIGIT) return this.#refuse('WIRE_BAD_DIGITS', start);
    return digits === BAD_FILLER ? this.#refuse('WIRE_NOT_CANONICAL', end - 1) : digits;
  }

  /** A text with a length of one byte, which must not be one of the shorter forms in disguise. */
  #text(start: number): string | undefined {
    if (this.#at >= this.#end) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const text = this.#utf8(this.#bytes[this.#at++]!, start);
    if (text === undefined) return undefined;
    const hasShorterForm = isDigits(text) || (text.length <= WORD_LENGTH_MAX && tokenOf(text) !== undefined);
    return hasShorterForm ? this.#refuse('WIRE_NOT_CANONICAL', start) : text;
  }

  #longText(start: number): string | undefined {
    if (this.#end - this.#at < 2) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const length = (this.#bytes[this.#at]! << 8) | this.#bytes[this.#at + 1]!;
    if (length <= layout.SHORT_TEXT_BYTES_MAX) return this.#refuse('WIRE_NOT_CANONICAL', start);
    if (length > LIMITS.textBytesMax) return this.#refuse('WIRE_TEXT_TOO_LONG', start);
    this.#at += 2;
    return this.#utf8(length, start);
  }

  #utf8(length: number, start: number): string | undefined {
    const at = this.#at;
    const end = at + length;
    if (end > this.#end) return this.#refuse('WIRE_TRUNCATED', at);
    this.#at = end;
    return readUtf8(this.#bytes, at, end) ?? this.#refuse('WIRE_BAD_TEXT', start);
  }

  /** A count in one or two bytes, or `undefined`. */
  #count(): number | undefined {
    if (this.#at >= this.#end) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const first = this.#bytes[this.#at++]!;
    if (first < layout.LONG_COUNT) return first;
    if (this.#at >= this.#end) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const count = ((first - layout.LONG_COUNT) << 8) | this.#bytes[this.#at++]!;
    return count >= layout.LONG_COUNT ? count : this.#refuse('WIRE_NOT_CANONICAL', this.#at - 2);
  }

  #content(kind: number, depth: number): Content {
    if (kind !== layout.CONTENT_BYTES && kind !== layout.CONTENT_CHILDREN)
      return this.#refuse('WIRE_RESERVED', this.#at);
    const start = this.#at;
    const count = this.#count();
    if (count === undefined) return undefined;
    return kind === layout.CONTENT_BYTES ? this.#view(count) : this.#children(count, depth + 1, start);
  }

  #view(length: number): Uint8Array | undefined {
    const at = this.#at;
    if (length > this.#end - at) return this.#refuse('WIRE_TRUNCATED', at);
    this.#at = at + length;
    // Not `subarray`: on a Node Buffer that gives another Buffer.
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + at, length);
  }

  #children(count: number, depth: number, start: number): readonly Stanza[] | undefined {
    if (count === 0) return this.#refuse('WIRE_NOT_CANONICAL', start);
    if (count > LIMITS.childrenMax) return this.#refuse('WIRE_TOO_MANY_CHILDREN', start);
    // The shortest stanza has two bytes: with this, the list below is no larger than what was really sent.
    if (count * 2 > this.#end - this.#at) return this.#refuse('WIRE_TRUNCATED', this.#at);
    const children: Stanza[] = new Array<Stanza>(count);
    for (let index = 0; index < count; index += 1) {
      const child = this.#stanza(depth);
      if (child === undefined) return undefined;
      children[index] = child;
    }
    return children;
  }
}

/** Whether one of the values before `end` that are names is `name`. */
function hasName(attrs: readonly AttributeValue[], end: number, name: string): boolean {
  for (let index = 0; index < end; index += 2) if (attrs[index] === name) return true;
  return false;
}

const NOTHING: Uint8Array = new Uint8Array(0);
const reader: StanzaReader = new StanzaReader();
