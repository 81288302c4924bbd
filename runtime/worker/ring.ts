/**
 * A byte queue from one thread to another over shared memory: one writer, one reader, no locks.
 *
 *   offset   bytes  field
 *   0        4      written: bytes ever published by the writer, modulo 2^32
 *   64       4      read: bytes ever taken by the reader, modulo 2^32
 *   128      4      1 if the writer waits for room
 *   192      n      data; position p lies at p mod n, n is a power of two
 *
 * The two counters are on cache lines of their own, because each is written by one thread and read by the other all
 * the time. A packet is a length in 4 bytes, little endian, and that many bytes. The writer copies any number of whole
 * packets and then publishes them with one store, so the reader never sees part of one. It knows nothing of what is in
 * them. Docs: docs/internals/rings.md.
 */

const WRITTEN = 0;
const READ = 16;
const WAITING = 32;
const HEADER_BYTES = 192;

/** Bytes of the length before each packet. */
export const PACKET_HEADER_BYTES = 4;

/**
 * Shared memory for one ring.
 *
 * @param capacityBytes - A power of two, at least 64, below 2^31.
 */
export function createRingMemory(capacityBytes: number): SharedArrayBuffer {
  if (!Number.isInteger(Math.log2(capacityBytes)) || capacityBytes < 64 || capacityBytes >= 2 ** 31) {
    throw new RangeError(`"capacityBytes" expected a power of two from 64, got ${capacityBytes}`);
  }
  return new SharedArrayBuffer(HEADER_BYTES + capacityBytes);
}

/** The writing end; at most one exists for a ring. */
export class RingWriter {
  readonly capacityBytes: number;
  readonly #header: Int32Array;
  readonly #data: Uint8Array;
  // Our own counter: nobody else changes it, so it need not be read back.
  #written: number;

  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.#data = new Uint8Array(memory, HEADER_BYTES);
    this.capacityBytes = this.#data.length;
    this.#written = Atomics.load(this.#header, WRITTEN);
  }

  freeBytes(): number {
    return this.capacityBytes - ((this.#written - Atomics.load(this.#header, READ)) | 0);
  }

  /** Publishes `bytes`, whole packets, at once. Only if `freeBytes()` is at least their length. */
  write(bytes: Uint8Array): void {
    const { capacityBytes } = this;
    const at = this.#written & (capacityBytes - 1);
    const first = Math.min(bytes.length, capacityBytes - at);
    this.#data.set(first === bytes.length ? bytes : bytes.subarray(0, first), at);
    if (first < bytes.length) this.#data.set(bytes.subarray(first), 0);
    this.#written = (this.#written + bytes.length) | 0;
    Atomics.store(this.#header, WRITTEN, this.#written);
  }

  /** Says that the writer waits; the reader then tells it of room. Look at `freeBytes` again after this. */
  waitForRoom(): void {
    Atomics.store(this.#header, WAITING, 1);
  }
}

/** The reading end; at most one exists for a ring. */
export class RingReader {
  readonly capacityBytes: number;
  readonly #header: Int32Array;
  readonly #data: Uint8Array;
  #read: number;

  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.#data = new Uint8Array(memory, HEADER_BYTES);
    this.capacityBytes = this.#data.length;
    this.#read = Atomics.load(this.#header, READ);
  }

  /** Published bytes that were not taken yet: whole packets. */
  availableBytes(): number {
    return (Atomics.load(this.#header, WRITTEN) - this.#read) | 0;
  }

  /**
   * Copies everything available to the start of `target` and gives the room back to the writer.
   *
   * @param target - At least `capacityBytes` long.
   * @returns Bytes copied.
   */
  take(target: Uint8Array): number {
    const bytes = this.availableBytes();
    if (bytes === 0) return 0;
    const at = this.#read & (this.capacityBytes - 1);
    const first = Math.min(bytes, this.capacityBytes - at);
    target.set(this.#data.subarray(at, at + first), 0);
    if (first < bytes) target.set(this.#data.subarray(0, bytes - first), first);
    this.#read = (this.#read + bytes) | 0;
    Atomics.store(this.#header, READ, this.#read);
    return bytes;
  }

  /** Whether the writer said that it waits, since this was last asked. */
  writerWaits(): boolean {
    return Atomics.load(this.#header, WAITING) === 1 && Atomics.exchange(this.#header, WAITING, 0) === 1;
  }
}
