/**
 * Bytes of records: a writer that grows and a reader that cannot overrun.
 *
 * Integers are unsigned LEB128 up to 2^53 - 1, texts and byte strings carry their length. The reader serves both our own
 * store and content from a peer, so it never throws: it turns `failed` and answers zeros from then on, and the caller
 * looks once at the end. It knows no record's meaning; see `content.ts` and `layout.ts`.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });
const EMPTY = new Uint8Array(0);

/** Appends fields to a growing buffer. */
export class RecordWriter {
  #buffer = new Uint8Array(128);
  #length = 0;

  /** Appends one byte. */
  byte(value: number): this {
    this.#reserve(1)[this.#length++] = value;
    return this;
  }

  /** Appends an unsigned integer of up to 53 bits, in 1 to 8 bytes. */
  uint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`"value" expected a safe unsigned integer`);
    let rest = value;
    // Division, not shifts: shifts would cut the number to 32 bits.
    for (; rest > 127; rest = Math.floor(rest / 128)) this.byte(128 + (rest % 128));
    return this.byte(rest);
  }

  /** Appends a length and the bytes, which are copied. */
  bytes(value: Uint8Array): this {
    this.uint(value.length);
    this.#reserve(value.length).set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** Appends a length in bytes and the text in UTF-8. */
  text(value: string): this {
    return this.bytes(encoder.encode(value));
  }

  /** How many bytes there are so far. */
  get length(): number {
    return this.#length;
  }

  /** The bytes so far, owned by the caller. */
  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  #reserve(count: number): Uint8Array {
    if (this.#length + count > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + count));
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    return this.#buffer;
  }
}

/** Takes fields off the front of a buffer. */
export class RecordReader {
  readonly #source: Uint8Array;
  #offset = 0;
  #failed = false;

  /** @param source - Borrowed; byte strings read from it are copies. */
  constructor(source: Uint8Array) {
    this.#source = source;
  }

  /** True once a field was not there, too long, not UTF-8, or beyond 53 bits. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Bytes not yet read. */
  get remainingBytes(): number {
    return this.#source.length - this.#offset;
  }

  byte(): number {
    if (this.#failed || this.remainingBytes < 1) return this.#fail(0);
    return this.#source[this.#offset++]!;
  }

  uint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.byte();
      value += (byte % 128) * scale;
      if (byte < 128) return Number.isSafeInteger(value) ? value : this.#fail(0);
    }
    return this.#fail(0);
  }

  bytes(): Uint8Array {
    const length = this.uint();
    if (this.#failed || length > this.remainingBytes) return this.#fail(EMPTY);
    this.#offset += length;
    return this.#source.slice(this.#offset - length, this.#offset);
  }

  text(): string {
    const bytes = this.bytes();
    try {
      return decoder.decode(bytes);
    } catch {
      return this.#fail('');
    }
  }

  #fail<Value>(value: Value): Value {
    this.#failed = true;
    return value;
  }
}

/** Bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
