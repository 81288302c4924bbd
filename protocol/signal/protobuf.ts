/**
 * The two wire types of Protocol Buffers that this protocol needs: varint (a uint32) and length-delimited bytes.
 *
 * The reader is canonical: fields in ascending order of number (equal numbers only where a field repeats), shortest
 * varints, nothing left over. Bytes that decode therefore re-encode to themselves, and nobody can make two messages of
 * one. It never throws on input and allocates nothing beyond views. Field numbers are 1 to 15, so a tag is one byte.
 * Read next: `ciphertext.ts`.
 */
import { LIMITS } from './limits.ts';

const wireTypeVarint = 0;
const wireTypeBytes = 2;

/** Appends fields; the caller writes them in ascending order. */
export class ProtobufWriter {
  #bytes: Uint8Array;
  #length = 0;

  /** @param capacityBytes - A guess of the result's size; growth doubles it. */
  constructor(capacityBytes: number) {
    this.#bytes = new Uint8Array(Math.max(16, capacityBytes));
  }

  /** One byte outside any field, such as a version. */
  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** `value` is a uint32; undefined writes nothing. */
  uint32(field: number, value: number | undefined): this {
    if (value === undefined) return this;
    this.#reserve(6);
    this.#bytes[this.#length++] = (field << 3) | wireTypeVarint;
    this.#varint(value);
    return this;
  }

  /** Undefined writes nothing; an empty array writes an empty field. */
  bytes(field: number, value: Uint8Array | undefined): this {
    if (value === undefined) return this;
    this.#reserve(6 + value.length);
    this.#bytes[this.#length++] = (field << 3) | wireTypeBytes;
    this.#varint(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** Ends the message with bytes that belong to no field. */
  raw(value: Uint8Array): this {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** What was written, in a buffer of its own size, owned by the caller. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * Takes fields in order. A wrong byte makes the reader fail for good: later calls return undefined and `complete` says
 * false, so that a decoder asks for all its fields and checks once.
 */
export class ProtobufReader {
  readonly #bytes: Uint8Array;
  #offset: number;
  #failed = false;

  /** @param bytes - Borrowed; what `bytes()` returns are views of it. */
  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  /** The uint32 of `field`, or undefined where the next field is another one. */
  uint32(field: number): number | undefined {
    return this.#take(field, wireTypeVarint) ? this.#varint() : undefined;
  }

  /** The bytes of `field`: a view; undefined where the next field is another one. */
  bytes(field: number): Uint8Array | undefined {
    if (!this.#take(field, wireTypeBytes)) return undefined;
    const length = this.#varint();
    if (length === undefined || length > this.#bytes.length - this.#offset) return this.#fail();
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  /** All bytes of a field that repeats, or undefined above `countMax`. */
  repeatedBytes(field: number, countMax: number): Uint8Array[] | undefined {
    const values: Uint8Array[] = [];
    for (let value = this.bytes(field); value !== undefined; value = this.bytes(field)) {
      if (values.length === countMax) return this.#fail();
      values.push(value);
    }
    return values;
  }

  /** Whether everything was well formed and nothing is left. */
  complete(): boolean {
    return !this.#failed && this.#offset === this.#bytes.length;
  }

  /** Steps over the tag of `field`, if that is what comes next. */
  #take(field: number, wireType: number): boolean {
    if (this.#failed || this.#bytes[this.#offset] !== ((field << 3) | wireType)) return false;
    this.#offset++;
    return true;
  }

  #varint(): number | undefined {
    let value = 0;
    for (let index = 0; index < 5; index++) {
      const byte = this.#bytes[this.#offset++];
      if (byte === undefined) return this.#fail();
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return (byte === 0 && index > 0) || value > LIMITS.uint32Max ? this.#fail() : value;
    }
    return this.#fail();
  }

  #fail(): undefined {
    this.#failed = true;
    return undefined;
  }
}
