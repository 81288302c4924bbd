/**
 * What a message says: the envelope and the two kinds that this client shows, text and attachment. Written from
 * client/CONTENT.md.
 */

export interface Attachment {
  readonly locator: string;
  readonly key: Buffer;
  readonly digest: Buffer;
  readonly bytes: number;
  readonly type: string;
  readonly name: string;
  readonly caption: string;
}

export interface Content {
  readonly id: number;
  readonly phone: string;
  readonly sentAt: number;
  readonly body:
    | { readonly kind: 'text'; readonly text: string }
    | { readonly kind: 'attachment'; readonly attachment: Attachment }
    /** The number of a kind that this client does not show. */
    | { readonly kind: 'other'; readonly number: number };
}

const VERSION = 2;
const KIND = { text: 1, attachment: 7 } as const;
const PADDED_BYTES = [160, 320, 640, 1_280, 2_560, 4_480] as const;

/** A text in its envelope, padded. @throws {RangeError} a text that no envelope holds. */
export function encodeText(id: number, phone: string, sentAt: number, text: string): Buffer {
  const fields = [integer(id), encodeString(phone), integer(sentAt), integer(0), lengthAnd(encodeString(text))];
  const envelope = Buffer.concat([Buffer.of(VERSION, KIND.text, 0), ...fields, Buffer.of(0x80)]);
  const padded = PADDED_BYTES.find((bytes) => bytes >= envelope.length);
  if (padded === undefined) throw new RangeError('the text is too long');
  return Buffer.concat([envelope, Buffer.alloc(padded - envelope.length)]);
}

export function decodeContent(padded: Buffer): Content {
  const end = padded.findLastIndex((byte) => byte !== 0);
  if (padded[end] !== 0x80) throw new Error('no padding');
  const fields = new FieldReader(padded.subarray(0, end));
  const version = fields.byte();
  if (version !== VERSION) throw new Error(`content of version ${version}`);
  const [number] = [fields.byte(), fields.byte()];
  const [id, phone, sentAt] = [fields.integer(), fields.text(), fields.integer()];
  fields.integer(); // the timer: this client keeps nothing
  return { id, phone, sentAt, body: decodeBody(number, new FieldReader(fields.bytes())) };
}

function decodeBody(number: number, fields: FieldReader): Content['body'] {
  if (number === KIND.text) return { kind: 'text', text: fields.text() };
  if (number !== KIND.attachment) return { kind: 'other', number };
  const [locator, key, digest, bytes] = [fields.text(), fields.bytes(), fields.bytes(), fields.integer()];
  const [type, name, caption] = [fields.text(), fields.text(), fields.text()];
  return { kind: 'attachment', attachment: { locator, key, digest, bytes, type, name, caption } };
}

class FieldReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error('the content ends within a field');
    return byte;
  }

  /** Unsigned LEB128. */
  integer(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 128) return value;
    }
  }

  bytes(): Buffer {
    const length = this.integer();
    if (this.#at + length > this.#bytes.length) throw new Error('the content ends within a field');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.bytes().toString('utf8');
  }
}

function integer(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  return Buffer.of(...bytes, rest);
}

function lengthAnd(bytes: Buffer): Buffer {
  return Buffer.concat([integer(bytes.length), bytes]);
}

function encodeString(text: string): Buffer {
  return lengthAnd(Buffer.from(text, 'utf8'));
}
