/**
 * A fast, exact, partial decoder: recognises the three stanzas that make up a measured conversation, and leaves every
 * other byte to the real decoder.
 *
 * Of a conversation's deliveries only id, seq, ts and ciphertext differ; everything in front of the id is the same
 * bytes, made here by the real encoder. A stanza whose bytes match is read without an object; one that differs anywhere,
 * be it one byte, goes to `decodeStanza` and `parseServerMessage`. So the scanner accepts nothing that the decoder
 * refuses, and understands nothing differently: `stanza-scanner.test.ts` compares the two on random and on damaged bytes.
 *
 * Measured: 55 ns of CPU a delivery, against 220 ns by the real decoder and parser, and nothing left to collect (one core of a
 * virtual EPYC, Node 20.20, November 2026).
 */

import {
  ackStanza,
  decodeStanza,
  deliveryStanza,
  encode,
  isWireError,
  LIMITS as WIRE,
  parseServerMessage,
  receiptStanza,
  type ServerMessage,
  type WireError,
} from '../../protocol/wire/index.ts';

const HEADER = WIRE.frameHeaderBytes;
const LEAD_SMALL_INTEGER = 0xc0;
const LEAD_INTEGER = 0xe0;
const LEAD_INTEGER_MAX = 0xe6;
const SMALL_INTEGER_MAX = 31;
const LONG_COUNT = 0x80;

/** Who a conversation is with. */
export interface Correspondent {
  readonly user: string;
  readonly device: number;
}

/** What a scanner tells its owner. Bytes are borrowed until the call returns. */
export interface StanzaTaker {
  /** `<message>` from the correspondent, type ratchet; the ciphertext stands in `bytes` from `start` to before `end`. */
  delivery(id: number, seq: number, bytes: Uint8Array, start: number, end: number): void;
  /** `<ack to id>` of the conversation to the correspondent. */
  ack(id: number): void;
  /** `<receipt type="delivered">` of the conversation to the correspondent. */
  receipt(id: number): void;
  /** Anything else that the server says, by the real decoder. Bytes in it are borrowed. */
  other(message: ServerMessage): void;
}

/** The stanzas as the server encodes them, up to where they begin to differ. */
export interface Patterns {
  readonly delivery: Uint8Array;
  readonly ack: Uint8Array;
  readonly receipt: Uint8Array;
  /** Between `ts` and the count of a delivery's ciphertext. */
  readonly envelope: Uint8Array;
  /** The names `seq` and `ts` as they stand between integers. */
  readonly seqName: number;
  readonly tsName: number;
}

/** Makes the patterns from stanzas with the ids 1, 2, 3, each of which is one byte. */
export function patternsOf({ user, device }: Correspondent): Patterns {
  const ciphertext = new Uint8Array(1);
  const delivery = encode(deliveryStanza({ from: user, device, id: 1, seq: 2, ts: 3, type: 'ratchet', ciphertext }));
  const ack = encode(ackStanza({ to: user, id: 1, ts: 3 }));
  const receipt = encode(receiptStanza({ type: 'delivered', from: user, id: 1, ts: 3 }));
  const idAt = delivery.lastIndexOf(LEAD_SMALL_INTEGER | 1);
  return {
    delivery: delivery.slice(0, idAt),
    ack: ack.slice(0, -3),
    receipt: receipt.slice(0, -3),
    envelope: delivery.slice(idAt + 5, -2),
    seqName: delivery[idAt + 1]!,
    tsName: delivery[idAt + 3]!,
  };
}

/** Scans the messages of one connection, whose conversation is with one correspondent. */
export class StanzaScanner {
  readonly #patterns: Patterns;
  readonly #take: StanzaTaker;
  /** Where reading goes on, and the integer read last. Fields and not results, so that nothing is allocated. */
  #at = 0;
  #value = 0;

  constructor(correspondent: Correspondent, take: StanzaTaker) {
    this.#patterns = patternsOf(correspondent);
    this.#take = take;
  }

  /**
   * Reads one WebSocket message, which holds whole frames.
   *
   * @param bytes - Borrowed; read from `start` to before `end`.
   * @returns `undefined`, or what is wrong. The stanzas before it have been taken.
   */
  scan(bytes: Uint8Array, start: number, end: number): WireError | undefined {
    let at = start;
    while (at < end) {
      if (end - at < HEADER) return decodeStanza(bytes.subarray(at, at)) as WireError;
      const stanza = at + HEADER;
      const next = stanza + ((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!);
      if (next > end) return decodeStanza(bytes.subarray(stanza, stanza)) as WireError;
      if (!this.#scanKnown(bytes, stanza, next)) {
        const refusal = this.#decode(bytes.subarray(stanza, next));
        if (refusal !== undefined) return refusal;
      }
      at = next;
    }
    return undefined;
  }

  #scanKnown(bytes: Uint8Array, start: number, end: number): boolean {
    const { delivery, ack, receipt } = this.#patterns;
    switch (bytes[start]) {
      case delivery[0]:
        return this.#scanDelivery(bytes, start, end);
      case ack[0]:
        return this.#scanMark(ack, bytes, start, end) && (this.#take.ack(this.#value), true);
      case receipt[0]:
        return this.#scanMark(receipt, bytes, start, end) && (this.#take.receipt(this.#value), true);
      default:
        return false;
    }
  }

  /** `<ack to id ts/>` and `<receipt type from id ts/>` differ in their prefix only. Leaves the id in `#value`. */
  #scanMark(prefix: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
    this.#at = start;
    if (!this.#matches(prefix, bytes, end) || !this.#counter(bytes, end)) return false;
    const id = this.#value;
    if (!this.#name(this.#patterns.tsName, bytes, end) || !this.#integer(bytes, end)) return false;
    this.#value = id;
    return this.#at === end;
  }

  #scanDelivery(bytes: Uint8Array, start: number, end: number): boolean {
    const { delivery, envelope, seqName, tsName } = this.#patterns;
    this.#at = start;
    if (!this.#matches(delivery, bytes, end) || !this.#counter(bytes, end)) return false;
    const id = this.#value;
    if (!this.#name(seqName, bytes, end) || !this.#counter(bytes, end)) return false;
    const seq = this.#value;
    if (!this.#name(tsName, bytes, end) || !this.#integer(bytes, end)) return false;
    if (!this.#matches(envelope, bytes, end) || !this.#count(bytes, end)) return false;
    if (this.#value === 0 || this.#at + this.#value !== end) return false;
    this.#take.delivery(id, seq, bytes, this.#at, end);
    return true;
  }

  #matches(pattern: Uint8Array, bytes: Uint8Array, end: number): boolean {
    const at = this.#at;
    const { length } = pattern;
    if (end - at < length) return false;
    for (let index = 0; index < length; index += 1) if (bytes[at + index] !== pattern[index]) return false;
    this.#at = at + length;
    return true;
  }

  #name(token: number, bytes: Uint8Array, end: number): boolean {
    return this.#at < end && bytes[this.#at++] === token;
  }

  /** An integer that is at least 1, as ids and positions are. */
  #counter(bytes: Uint8Array, end: number): boolean {
    return this.#integer(bytes, end) && this.#value > 0;
  }

  /** An integer in the one form that the format gives it, up to 6 bytes; seven-byte ones go to the real decoder. */
  #integer(bytes: Uint8Array, end: number): boolean {
    if (this.#at >= end) return false;
    const lead = bytes[this.#at]!;
    const length = lead < LEAD_INTEGER ? 0 : lead - LEAD_INTEGER + 1;
    if (lead < LEAD_SMALL_INTEGER || lead >= LEAD_INTEGER_MAX || length >= end - this.#at) return false;
    if (length === 0) {
      this.#value = lead - LEAD_SMALL_INTEGER;
      this.#at += 1;
      return true;
    }
    let value = 0;
    for (let index = 1; index <= length; index += 1) value = value * 256 + bytes[this.#at + index]!;
    if (bytes[this.#at + 1] === 0 || value <= SMALL_INTEGER_MAX) return false;
    this.#value = value;
    this.#at += length + 1;
    return true;
  }

  /** A count in one or two bytes, the second form only for counts that need it. */
  #count(bytes: Uint8Array, end: number): boolean {
    if (this.#at >= end) return false;
    const first = bytes[this.#at++]!;
    this.#value = first;
    if (first < LONG_COUNT) return true;
    if (this.#at >= end) return false;
    this.#value = ((first & ~LONG_COUNT) << 8) | bytes[this.#at++]!;
    return this.#value >= LONG_COUNT && this.#value < 1 << 14;
  }

  #decode(bytes: Uint8Array): WireError | undefined {
    const stanza = decodeStanza(bytes);
    if (isWireError(stanza)) return stanza;
    const message = parseServerMessage(stanza);
    if (isWireError(message)) return message;
    this.#take.other(message);
    return undefined;
  }
}
