/**
 * Stanzas to bytes and back. Written from protocol/wire/FORMAT.md.
 *
 * Plain rather than fast: buffers are joined, and what is refused is thrown, since a client of this size can only hang up.
 */

import { DICTIONARY } from './dictionary.ts';

export type Value = string | number;

export interface Stanza {
  readonly tag: string;
  /** In the order in which they stand. */
  readonly attributes: ReadonlyMap<string, Value>;
  readonly content: undefined | Buffer | readonly Stanza[];
}

/** Bytes that the format does not allow. */
export class WireRefusal extends Error {
  override readonly name = 'WireRefusal';
}

const MESSAGE_BYTES_MAX = 16_384;
const STANZA_BYTES_MAX = 16_381;
const BOUNDS = { depth: 8, nodes: 2_049, attributes: 16, children: 1_024, textBytes: 1_024 } as const;
const NAME = /^[a-z][a-z0-9-]{0,31}$/;
const DIGITS = /^[0-9+.-]{1,255}$/;
const HALVES = '0123456789+-.';
const EXTENDED = 256;

/** A stanza in short. */
export function stanza(
  tag: string,
  attributes: Readonly<Record<string, Value>> = {},
  content?: Buffer | readonly Stanza[],
): Stanza {
  return { tag, attributes: new Map(Object.entries(attributes)), content };
}

/** The only child of that tag, if there is one. */
export function child({ content }: Stanza, tag: string): Stanza | undefined {
  return Array.isArray(content) ? (content as readonly Stanza[]).find((each) => each.tag === tag) : undefined;
}

/** The content of a stanza that has bytes. @throws {Error} one that has none. */
export function bytesOf(found: Stanza | undefined): Buffer {
  if (!Buffer.isBuffer(found?.content)) throw new Error(`<${found?.tag ?? 'nothing'}> has no bytes`);
  return found.content;
}

// --- writing ------------------------------------------------------------------------------------------------------

/** One WebSocket message with one frame. */
export function encodeMessage(message: Stanza): Buffer {
  const bytes = encodeStanza(message);
  if (bytes.length > STANZA_BYTES_MAX) throw new RangeError(`a stanza of ${bytes.length} bytes`);
  const header = Buffer.alloc(3);
  header.writeUIntBE(bytes.length, 0, 3);
  return Buffer.concat([header, bytes]);
}

export function encodeStanza({ tag, attributes, content }: Stanza): Buffer {
  const kind = content === undefined ? 0 : Buffer.isBuffer(content) ? 1 : 2;
  const parts = [encodeValue(tag), Buffer.of(attributes.size * 4 + kind)];
  for (const [name, value] of attributes) parts.push(encodeValue(name), encodeValue(value));
  if (Buffer.isBuffer(content)) parts.push(encodeCount(content.length), content);
  else if (content !== undefined) parts.push(encodeCount(content.length), ...content.map(encodeStanza));
  return Buffer.concat(parts);
}

function encodeCount(count: number): Buffer {
  return count < 128 ? Buffer.of(count) : Buffer.of(128 + (count >> 8), count & 0xff);
}

function encodeValue(value: Value): Buffer {
  if (typeof value === 'number') return encodeInteger(value);
  if (DIGITS.test(value)) return packDigits(value);
  const number = DICTIONARY.numbers.get(value);
  if (number !== undefined) return number < EXTENDED ? Buffer.of(number) : Buffer.of(0xe8, number - EXTENDED);
  const text = Buffer.from(value, 'utf8');
  const header =
    text.length < 256 ? Buffer.of(0xed, text.length) : Buffer.of(0xee, text.length >> 8, text.length & 0xff);
  return Buffer.concat([header, text]);
}

function encodeInteger(value: number): Buffer {
  if (value < 32) return Buffer.of(0xc0 + value);
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.of(0xdf + bytes.length, ...bytes);
}

function packDigits(text: string): Buffer {
  const packed = [...text.matchAll(/../g)].map(([pair]) => (halfOf(pair[0]!) << 4) | halfOf(pair[1]!));
  if (text.length % 2 === 1) packed.push((halfOf(text.at(-1)!) << 4) | 0x0f);
  return Buffer.of(0xec, text.length, ...packed);
}

function halfOf(character: string): number {
  return HALVES.indexOf(character);
}

// --- reading ------------------------------------------------------------------------------------------------------

/** The stanzas of a WebSocket message. @throws {WireRefusal} */
export function decodeMessage(message: Buffer): Stanza[] {
  if (message.length > MESSAGE_BYTES_MAX) throw new WireRefusal('a message over its bound');
  const stanzas: Stanza[] = [];
  let rest = message;
  do {
    if (rest.length < 3) throw new WireRefusal('a frame without a header');
    const end = 3 + rest.readUIntBE(0, 3);
    if (end > rest.length) throw new WireRefusal('a frame that is cut off');
    stanzas.push(decodeStanza(rest.subarray(3, end)));
    rest = rest.subarray(end);
  } while (rest.length > 0);
  return stanzas;
}

/** One stanza that fills `bytes`. @throws {WireRefusal} */
export function decodeStanza(bytes: Buffer): Stanza {
  if (bytes.length > STANZA_BYTES_MAX) throw new WireRefusal('a stanza over its bound');
  const reader = new Reader(bytes);
  const read = reader.stanza(1);
  if (!reader.isAtEnd) throw new WireRefusal('bytes behind the stanza');
  return read;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #nodes = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  stanza(depth: number): Stanza {
    if (depth > BOUNDS.depth || ++this.#nodes > BOUNDS.nodes) throw new WireRefusal('too deep or too many');
    const tag = this.#name();
    const head = this.#byte();
    if (head >> 2 > BOUNDS.attributes) throw new WireRefusal('too many attributes');
    const attributes = new Map<string, Value>();
    for (let left = head >> 2; left > 0; left--) {
      const name = this.#name();
      if (attributes.has(name)) throw new WireRefusal(`"${name}" twice`);
      attributes.set(name, this.#value());
    }
    return { tag, attributes, content: this.#content(head & 3, depth) };
  }

  #content(kind: number, depth: number): Stanza['content'] {
    if (kind === 0) return undefined;
    if (kind === 3) throw new WireRefusal('a reserved kind of content');
    const count = this.#count();
    if (kind === 1) return this.#take(count);
    if (count === 0 || count > BOUNDS.children) throw new WireRefusal(`${count} children`);
    return Array.from({ length: count }, () => this.stanza(depth + 1));
  }

  #count(): number {
    const first = this.#byte();
    if (first < 128) return first;
    const count = ((first - 128) << 8) | this.#byte();
    if (count < 128 || first > 0xbf) throw new WireRefusal('a count in the wrong form');
    return count;
  }

  #name(): string {
    const name = this.#value();
    if (typeof name !== 'string' || !NAME.test(name)) throw new WireRefusal('not a name');
    return name;
  }

  #value(): Value {
    const start = this.#at;
    const value = this.#anyForm(this.#byte());
    const form = encodeValue(value);
    if (!form.equals(this.#bytes.subarray(start, this.#at))) throw new WireRefusal('not the one form of a value');
    return value;
  }

  #anyForm(lead: number): Value {
    if (lead >= 0x01 && lead <= 0xbf) return this.#word(lead);
    if (lead >= 0xc0 && lead <= 0xdf) return lead - 0xc0;
    if (lead >= 0xe0 && lead <= 0xe6) return this.#integer(lead - 0xdf);
    if (lead === 0xe8) return this.#word(EXTENDED + this.#byte());
    if (lead === 0xec) return this.#digits(this.#byte());
    if (lead === 0xed) return this.#text(this.#byte());
    if (lead === 0xee) return this.#text((this.#byte() << 8) | this.#byte());
    throw new WireRefusal('a reserved byte');
  }

  #word(number: number): string {
    const word = DICTIONARY.words.get(number);
    if (word === undefined) throw new WireRefusal(`no word ${number}`);
    return word;
  }

  #integer(length: number): number {
    const value = [...this.#take(length)].reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value)) throw new WireRefusal('an integer above 2^53 - 1');
    return value;
  }

  #digits(length: number): string {
    const halves = [...this.#take(Math.ceil(length / 2))].flatMap((byte) => [byte >> 4, byte & 0x0f]);
    if (halves.slice(0, length).some((half) => half >= HALVES.length)) throw new WireRefusal('not a digit');
    return halves
      .slice(0, length)
      .map((half) => HALVES[half])
      .join('');
  }

  #text(length: number): string {
    if (length > BOUNDS.textBytes) throw new WireRefusal('a text over its bound');
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#take(length));
    } catch {
      throw new WireRefusal('not UTF-8');
    }
  }

  #byte(): number {
    return this.#take(1)[0]!;
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new WireRefusal('the bytes end');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
