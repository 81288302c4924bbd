/**
 * Fixed fields as bytes, for what is signed or hashed: group changes and rosters.
 *
 * Not the stanza format: there values have lengths and words, here every field has its place and its size, so that one value has one
 * form and a hash over it means one thing. Multi-byte numbers are big endian; a user id of 15 digits is the number that it writes,
 * in 7 bytes. Read next: `group-change.ts`.
 */

const USER_DIGITS = 15;
const USER_ID_END = 10 ** USER_DIGITS;

/** Bytes of a user id or group id. */
export const ID_BYTES: 7 = 7;

/** Writes fields into a growing buffer. Values are checked by whoever builds them; see `encodeGroupChange`. */
export class FieldWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** An unsigned integer in `size` bytes, 1 to 7. */
  uint(value: number, size: number): this {
    this.#reserve(size);
    let rest = value;
    for (let index = this.#length + size - 1; index >= this.#length; index -= 1) {
      this.#bytes[index] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.#length += size;
    return this;
  }

  /** A user id or a group id: 15 digits. */
  id(digits: string): this {
    return this.uint(Number(digits), ID_BYTES);
  }

  bytes(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** What was written, owned by the caller. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * Reads fields. Past the end, and where a field makes no sense, `failed` turns true and values are zeros: look at it once, at the end.
 */
export class FieldReader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether every byte was read and every field made sense. */
  get isComplete(): boolean {
    return !this.failed && this.#offset === this.#bytes.length;
  }

  /** What was not read yet; borrowed. */
  get rest(): Uint8Array {
    return this.#bytes.subarray(this.#offset);
  }

  uint(size: number): number {
    if (!this.#has(size)) return 0;
    let value = 0;
    for (const end = this.#offset + size; this.#offset < end; this.#offset += 1) {
      value = value * 256 + this.#bytes[this.#offset]!;
    }
    return value;
  }

  id(): string {
    const value = this.uint(ID_BYTES);
    if (value >= USER_ID_END) this.failed = true;
    return String(value).padStart(USER_DIGITS, '0');
  }

  /** Owned by the caller. */
  bytes(length: number): Uint8Array {
    if (!this.#has(length)) return new Uint8Array(0);
    const value = new Uint8Array(this.#bytes.subarray(this.#offset, this.#offset + length));
    this.#offset += length;
    return value;
  }

  #has(count: number): boolean {
    if (this.#offset + count > this.#bytes.length) this.failed = true;
    return !this.failed;
  }
}

/** Whether two public values are equal. Not constant time. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}
