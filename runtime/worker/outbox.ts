/**
 * What waits on its sender's side for one ring or channel: packets in order, in one growing buffer that they are written
 * into.
 */

import { PACKET_HEADER_BYTES } from './ring.ts';

const FIRST_BYTES = 4_096;
// A buffer that a burst made larger than this is let go when it has drained.
const KEPT_BYTES = 256 * 1_024;

/** Where packets go from an outbox: a ring, or a channel to another node. */
export interface PacketWriter {
  /** Bytes that it takes now. */
  freeBytes(): number;
  /** Takes whole packets. `bytes` is borrowed. */
  write(bytes: Uint8Array): void;
  /** Asks to be told when there is room. */
  waitForRoom(): void;
}

export class Outbox {
  readonly #writer: PacketWriter;
  readonly #firstBytes: number;
  #bytes: Buffer;
  #start: number = 0;
  #end: number = 0;

  /** @param firstBytes - Held while nothing waits. */
  constructor(writer: PacketWriter, firstBytes: number = FIRST_BYTES) {
    this.#writer = writer;
    this.#firstBytes = firstBytes;
    this.#bytes = Buffer.allocUnsafeSlow(firstBytes);
  }

  get pendingBytes(): number {
    return this.#end - this.#start;
  }

  /** Where packets are written: the next one from `at` on. Both hold until the next `reserve`, `commit` or `flush`. */
  get bytes(): Buffer {
    return this.#bytes;
  }
  get at(): number {
    return this.#end + PACKET_HEADER_BYTES;
  }

  /** Takes what was written from `at` to `end` as a packet. */
  commit(end: number): void {
    const length = end - this.#end - PACKET_HEADER_BYTES;
    const bytes = this.#bytes;
    const at = this.#end;
    bytes[at] = length;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length >>> 16;
    bytes[at + 3] = length >>> 24;
    this.#end = end;
  }

  /** Makes room for a packet of `bytes`. */
  reserve(bytes: number): void {
    const packet = bytes + PACKET_HEADER_BYTES;
    if (this.#end + packet <= this.#bytes.length) return;
    const pending = this.#bytes.subarray(this.#start, this.#end);
    const needed = pending.length + packet;
    // Moving the rest to the front is enough if that frees half; otherwise each packet would move everything again.
    const target =
      needed * 2 <= this.#bytes.length ? this.#bytes : Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(needed * 2)));
    target.set(pending, 0);
    this.#bytes = target;
    this.#end = pending.length;
    this.#start = 0;
  }

  /** Moves as many whole packets as fit into the ring. Returns whether any moved. */
  flush(): boolean {
    const moved = this.#move();
    if (this.pendingBytes === 0) {
      this.#reset();
      return moved;
    }
    // Ask to be told of room, and look again: the reader may have made some in between.
    this.#writer.waitForRoom();
    return this.#move() || moved;
  }

  #move(): boolean {
    const bytes = this.#wholePackets(this.#writer.freeBytes());
    if (bytes === 0) return false;
    this.#writer.write(this.#bytes.subarray(this.#start, this.#start + bytes));
    this.#start += bytes;
    return true;
  }

  /** The length of the longest run of whole packets that is at most `bytesMax`. */
  #wholePackets(bytesMax: number): number {
    if (this.pendingBytes <= bytesMax) return this.pendingBytes;
    let at = this.#start;
    for (;;) {
      const next = at + PACKET_HEADER_BYTES + this.#bytes.readUInt32LE(at);
      if (next - this.#start > bytesMax) return at - this.#start;
      at = next;
    }
  }

  #reset(): void {
    this.#start = 0;
    this.#end = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafeSlow(this.#firstBytes);
  }
}
