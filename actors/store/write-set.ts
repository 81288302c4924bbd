/**
 * The writes of a commit as bytes: what a shard's log carries and what every copy of the shard applies.
 *
 * One operation after the other; integers are big endian:
 *
 *   bytes  field
 *   1      number of the table; with the highest bit set the key is removed
 *   2      length of the key
 *   n      key
 *   4      length of the value, and
 *   n      the value: both missing in a removal
 *
 * Operations are absolute, never relative to what was there: applying a write set twice is applying it once. It knows no tables
 * but by number, and no logs; `raw-tables.ts` has the numbers.
 */

const REMOVE_BIT = 0x80;
/** A commit of a busy shard has about this much; a larger one makes the buffer grow. */
const START_BYTES = 16_384;

/** What is done with the operations of a write set. Keys and values are views of its bytes. */
export interface WriteTarget {
  put(table: number, key: Buffer, value: Buffer): void;
  remove(table: number, key: Buffer): void;
}

/** Collects the writes of one or several commits, in their order. */
export class WriteSet implements WriteTarget {
  #bytes: Buffer = Buffer.allocUnsafe(START_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  put(table: number, key: Uint8Array, value: Uint8Array): void {
    this.#reserve(7 + key.length + value.length);
    this.#writeKey(table, key);
    this.#length = this.#bytes.writeUInt32BE(value.length, this.#length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  remove(table: number, key: Uint8Array): void {
    this.#reserve(3 + key.length);
    this.#writeKey(table | REMOVE_BIT, key);
  }

  #writeKey(table: number, key: Uint8Array): void {
    this.#bytes[this.#length] = table;
    this.#length = this.#bytes.writeUInt16BE(key.length, this.#length + 1);
    this.#bytes.set(key, this.#length);
    this.#length += key.length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  /** Forgets everything from `length` on: the writes of a commit whose collecting threw. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** The collected bytes: a view, valid until the next change. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/**
 * Hands the operations of `bytes` to `target` one by one, in their order.
 *
 * @param bytes - Borrowed: keys and values are views of it.
 * @throws {RangeError} bytes that are no write set; what came before has been handed over.
 */
export function applyWrites(bytes: Buffer, target: WriteTarget): void {
  let at = 0;
  while (at < bytes.length) {
    const table = bytes[at]!;
    const keyAt = at + 3;
    const keyEnd = keyAt + bytes.readUInt16BE(at + 1);
    const key = slice(bytes, keyAt, keyEnd);
    if ((table & REMOVE_BIT) !== 0) {
      target.remove(table & ~REMOVE_BIT, key);
      at = keyEnd;
      continue;
    }
    const valueAt = keyEnd + 4;
    at = valueAt + bytes.readUInt32BE(keyEnd);
    target.put(table, key, slice(bytes, valueAt, at));
  }
}

function slice(bytes: Buffer, start: number, end: number): Buffer {
  if (end > bytes.length) throw new RangeError(`write set ends at ${bytes.length}, an operation at ${end}`);
  return bytes.subarray(start, end);
}
