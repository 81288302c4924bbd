/**
 * Packets on their way to one other worker, here or on another node: they are encoded when they are sent, and wait in
 * order in an outbox for the ring or the channel behind it.
 */

import type { SendResult } from '../envelope.ts';
import type { Pid } from '../pid.ts';
import { LIMITS } from '../limits.ts';
import type { Packet, PACKET } from '../transport.ts';
import { type Encoder, TooLarge } from './encoder.ts';
import type { Outbox } from './outbox.ts';

export class Lane {
  readonly outbox: Outbox;
  readonly #encoder: Encoder;

  /** Both are made for this lane alone. */
  constructor(outbox: Outbox, encoder: Encoder) {
    this.outbox = outbox;
    this.#encoder = encoder;
  }

  /** Appends a message to the outbox. */
  appendMessage(kind: typeof PACKET.info | typeof PACKET.cast, to: Pid | string, message: unknown): SendResult {
    const { outbox } = this;
    if (outbox.pendingBytes >= LIMITS.workerOverflowBytesMax) return 'full';
    try {
      for (;;) {
        const end = this.#encoder.message(outbox.bytes, outbox.at, kind, to, message);
        if (this.#written(end)) return 'ok';
      }
    } catch (thrown) {
      return refusalOf(thrown);
    }
  }

  /**
   * Appends any packet to the outbox.
   *
   * @param bounded - Whether it is refused, as `full`, when the outbox is at its bound.
   */
  append(packet: Packet, bounded: boolean): SendResult {
    const { outbox } = this;
    if (bounded && outbox.pendingBytes >= LIMITS.workerOverflowBytesMax) return 'full';
    try {
      for (;;) {
        const end = this.#encoder.packet(outbox.bytes, outbox.at, packet);
        if (this.#written(end)) return 'ok';
      }
    } catch (thrown) {
      return refusalOf(thrown);
    }
  }

  /** Takes what the encoder wrote up to `end`, or makes what it lacked, and says that it must write again. */
  #written(end: number): boolean {
    const { outbox } = this;
    const shapes = this.#encoder.takeDefined();
    if (shapes === null && end <= outbox.bytes.length) {
      outbox.commit(end);
      return true;
    }
    const length = end - outbox.at;
    for (const shape of shapes ?? []) this.#define((bytes, at) => this.#encoder.definition(bytes, at, shape));
    outbox.reserve(length);
    return false;
  }

  #define(write: (bytes: Buffer, at: number) => number): void {
    const { outbox } = this;
    const end = write(outbox.bytes, outbox.at);
    if (end <= outbox.bytes.length) return outbox.commit(end);
    outbox.reserve(end - outbox.at);
    outbox.commit(write(outbox.bytes, outbox.at));
  }
}

function refusalOf(thrown: unknown): SendResult {
  return thrown instanceof TooLarge ? 'too_large' : 'unencodable';
}
