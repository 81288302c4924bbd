/**
 * WebSocket framing of a client, as far as a load generator needs it. Bytes in, bytes out; no socket here.
 *
 * Why our own: a general client allocates an object and a promise or event for each message and writes each message
 * alone. A generator of a hundred thousand messages a second on one core can afford neither.
 *
 * Client frames must be masked (RFC 6455, section 5.3). The masking key here is zero: legal framing, since the key is
 * the client's choice and every receiver has to apply it, and XOR with zero leaves the payload as it is, so nothing is
 * computed on this side. The server still does its full unmasking, as it would for any client. What a zero key gives up, the
 * protection of proxies from chosen bytes on the wire, is no concern on loopback. Do not copy this into a client.
 *
 * Read next: `connection.ts`, which owns the socket.
 */

import { createHash } from 'node:crypto';
import { LIMITS } from '../limits.ts';

export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

const FIN = 0x80;
const RESERVED_BITS = 0x70;
const OPCODE_BITS = 0x0f;
const MASKED = 0x80;
const LENGTH_BITS = 0x7f;
/** A payload length below this stands in the second byte itself. */
const SHORT_LENGTH_MAX = 125;
const LENGTH_16 = 126;
const MASKING_KEY_BYTES = 4;
const SHORT_HEADER_BYTES: number = 2 + MASKING_KEY_BYTES;
const LONG_HEADER_BYTES: number = 4 + MASKING_KEY_BYTES;

/**
 * Writes masked frames one behind another, in a buffer that it owns and reuses: all that one socket says in a turn.
 *
 * The payload is written in place, between `open` and `close`.
 */
export class ClientFrameWriter {
  /** Where payload is written. Replaced by `detach`; do not keep it over a turn. */
  target: Uint8Array = new Uint8Array(LIMITS.turnBytesMax);
  #length = 0;
  #opcode: number = OPCODE.binary;

  /** Bytes of finished frames. */
  get length(): number {
    return this.#length;
  }

  /** Payload bytes that a frame opened now can hold; the bound of a message is the caller's to keep. */
  get room(): number {
    return Math.max(0, this.target.length - this.#length - LONG_HEADER_BYTES);
  }

  /** Begins a frame. Returns where in `target` its payload goes. */
  open(opcode: number = OPCODE.binary): number {
    this.#opcode = opcode;
    return this.#length + LONG_HEADER_BYTES;
  }

  /** Ends the frame whose payload stands from `open()` to before `end`. */
  close(end: number): void {
    const start = this.#length;
    const payloadBytes = end - start - LONG_HEADER_BYTES;
    const { target } = this;
    target[start] = FIN | this.#opcode;
    if (payloadBytes > SHORT_LENGTH_MAX) {
      target[start + 1] = MASKED | LENGTH_16;
      target[start + 2] = payloadBytes >> 8;
      target[start + 3] = payloadBytes;
      target.fill(0, start + 4, start + LONG_HEADER_BYTES);
      this.#length = end;
      return;
    }
    // Lengths have one legal form. The room kept for the longer header is closed up; these payloads are a few bytes.
    target[start + 1] = MASKED | payloadBytes;
    target.fill(0, start + 2, start + SHORT_HEADER_BYTES);
    target.copyWithin(start + SHORT_HEADER_BYTES, start + LONG_HEADER_BYTES, end);
    this.#length = start + SHORT_HEADER_BYTES + payloadBytes;
  }

  /** A whole frame with a copy of `payload`. */
  frame(opcode: number, payload: Uint8Array): void {
    const at = this.open(opcode);
    this.target.set(payload, at);
    this.close(at + payload.length);
  }

  /** The finished frames. Borrowed: valid until the next `open`, `reset` or `detach`. */
  bytes(): Uint8Array {
    return this.target.subarray(0, this.#length);
  }

  /** Begins anew in the same memory. */
  reset(): void {
    this.#length = 0;
  }

  /** Begins anew in fresh memory; who holds the old bytes owns them now. */
  detach(): void {
    this.target = new Uint8Array(LIMITS.turnBytesMax);
    this.#length = 0;
  }
}

/** What a reader tells its owner. Bytes are borrowed until the call returns. */
export interface FrameTaker {
  /** One whole message, in `bytes` from `start` to before `end`. */
  message(bytes: Uint8Array, start: number, end: number): void;
  /** A ping, pong or close frame. */
  control(opcode: number, payload: Uint8Array): void;
}

/** Why bytes of the server are not WebSocket frames of this protocol. */
export type FramingFault =
  'masked' | 'reserved-bits' | 'text' | 'bad-opcode' | 'too-large' | 'bad-control' | 'bad-sequence';

/**
 * Finds messages in the bytes of a server.
 *
 * A message that lies whole in the chunk is handed over where it lies. A cut frame is kept, at most one, and completed by
 * the next chunk. A message in several frames (servers may, ours does not) is put together.
 */
export class ServerFrameReader {
  #pending: Uint8Array = new Uint8Array(0);
  #pendingBytes = 0;
  /** Frames of a message whose last one has not come. */
  #parts: Uint8Array[] = [];
  #partsBytes = 0;
  #inMessage = false;
  #fault: FramingFault | undefined = undefined;

  /** Whether every byte so far has been handed over. */
  get isBetweenMessages(): boolean {
    return this.#pendingBytes === 0 && this.#parts.length === 0;
  }

  /**
   * Reads the next bytes of the stream.
   *
   * @param chunk - Borrowed until this returns; cut anywhere.
   * @param take - Called for each message and control frame, in order. Its exceptions pass through and end the stream.
   * @returns `undefined`, or what is wrong; a fault is final.
   */
  read(chunk: Uint8Array, take: FrameTaker): FramingFault | undefined {
    if (this.#fault !== undefined) return this.#fault;
    if (this.#pendingBytes === 0) return this.#readAll(chunk, chunk.length, take);
    this.#append(chunk);
    const bytes = this.#pending;
    const length = this.#pendingBytes;
    this.#pendingBytes = 0;
    // `#readAll` may keep the rest of `bytes` in fresh memory, never in the memory it reads from.
    this.#pending = new Uint8Array(0);
    return this.#readAll(bytes, length, take);
  }

  #append(chunk: Uint8Array): void {
    const bytes = this.#pendingBytes + chunk.length;
    if (bytes > this.#pending.length) {
      const grown = new Uint8Array(bytes);
      grown.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = grown;
    }
    this.#pending.set(chunk, this.#pendingBytes);
    this.#pendingBytes = bytes;
  }

  #readAll(bytes: Uint8Array, length: number, take: FrameTaker): FramingFault | undefined {
    let at = 0;
    while (at < length && this.#fault === undefined) {
      const next = this.#readFrame(bytes, at, length, take);
      if (next === at) break;
      at = next;
    }
    if (this.#fault === undefined && at < length) this.#append(bytes.subarray(at, length));
    return this.#fault;
  }

  /** Reads one frame; returns where the next begins, or `at` when this one is not whole. */
  #readFrame(bytes: Uint8Array, at: number, end: number, take: FrameTaker): number {
    if (end - at < 2) return at;
    const lead = bytes[at]!;
    const second = bytes[at + 1]!;
    const fault = faultOfHeader(lead, second);
    if (fault !== undefined) return this.#refuse(fault, at);
    let payloadBytes = second & LENGTH_BITS;
    let start = at + 2;
    if (payloadBytes === LENGTH_16) {
      if (end - at < 4) return at;
      payloadBytes = (bytes[at + 2]! << 8) | bytes[at + 3]!;
      start = at + 4;
    }
    if (payloadBytes > LIMITS.webSocketPayloadBytesMax) return this.#refuse('too-large', at);
    const next = start + payloadBytes;
    if (next > end) return at;
    this.#take(lead, bytes, start, next, take);
    return next;
  }

  #take(lead: number, bytes: Uint8Array, start: number, end: number, take: FrameTaker): void {
    const opcode = lead & OPCODE_BITS;
    if (opcode >= OPCODE.close) return take.control(opcode, bytes.subarray(start, end));
    if ((opcode === OPCODE.continuation) !== this.#inMessage) {
      this.#refuse('bad-sequence', start);
      return;
    }
    const isLast = (lead & FIN) !== 0;
    if (isLast && !this.#inMessage) return take.message(bytes, start, end);
    this.#inMessage = !isLast;
    this.#partsBytes += end - start;
    if (this.#partsBytes > LIMITS.webSocketPayloadBytesMax) return void this.#refuse('too-large', start);
    this.#parts.push(bytes.slice(start, end));
    if (isLast) this.#takeParts(take);
  }

  #takeParts(take: FrameTaker): void {
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#partsBytes = 0;
    take.message(whole, 0, whole.length);
  }

  #refuse(fault: FramingFault, at: number): number {
    this.#fault = fault;
    return at;
  }
}

function faultOfHeader(lead: number, second: number): FramingFault | undefined {
  const opcode = lead & OPCODE_BITS;
  if ((lead & RESERVED_BITS) !== 0) return 'reserved-bits';
  if ((second & MASKED) !== 0) return 'masked';
  if (opcode === OPCODE.text) return 'text';
  if (opcode >= OPCODE.close) {
    const isWhole = (lead & FIN) !== 0 && (second & LENGTH_BITS) <= SHORT_LENGTH_MAX;
    if (!isWhole) return 'bad-control';
    return opcode <= OPCODE.pong ? undefined : 'bad-opcode';
  }
  if (opcode > OPCODE.binary) return 'bad-opcode';
  // 127 announces a 64-bit length, which is always above our bound.
  return (second & LENGTH_BITS) > LENGTH_16 ? 'too-large' : undefined;
}

/** The code and reason of a close frame; 1005 stands for a frame without a code. */
export function parseClose(payload: Uint8Array): { readonly code: number; readonly reason: string } {
  if (payload.length < 2) return { code: 1005, reason: '' };
  return { code: (payload[0]! << 8) | payload[1]!, reason: new TextDecoder().decode(payload.subarray(2)) };
}

// --- the upgrade ------------------------------------------------------------------------------------------------

const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * The HTTP request that opens a WebSocket.
 *
 * @param key - 16 random bytes in base64.
 */
export function upgradeRequest(url: URL, subprotocol: string, key: string): string {
  return [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    `Sec-WebSocket-Protocol: ${subprotocol}`,
    '\r\n',
  ].join('\r\n');
}

/** What `Sec-WebSocket-Accept` must say to a request with `key`. Source: RFC 6455, section 1.3. */
export function acceptOf(key: string): string {
  if (key !== lastKey) {
    lastAccept = createHash('sha1')
      .update(key + ACCEPT_GUID)
      .digest('base64');
    lastKey = key;
  }
  return lastAccept;
}

/** A generator uses one key for all its connections. */
let lastKey = '';
let lastAccept = '';

/** The outcome of an upgrade: how many bytes the answer took, or why it is none. */
export type UpgradeAnswer =
  | { readonly bytes: number }
  | {
      readonly fault: string;
      /** Of a whole HTTP answer that is no upgrade. */
      readonly status?: number;
      readonly retryAfterSeconds?: number | undefined;
    }
  | 'need-more';

/**
 * Reads the answer to an upgrade request.
 *
 * @param received - All bytes since the request. What follows the answer is WebSocket frames.
 */
export function parseUpgradeAnswer(received: Uint8Array, subprotocol: string, key: string): UpgradeAnswer {
  const text = Buffer.from(received).toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return received.length > LIMITS.upgradeAnswerBytesMax ? { fault: 'an endless answer' } : 'need-more';
  const [status = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map(lines.map(splitHeader));
  if (!/^HTTP\/1\.1 101\b/.test(status)) return refusalOf(status, headers.get('retry-after'));
  if (headers.get('sec-websocket-accept') !== acceptOf(key)) return { fault: 'a wrong Sec-WebSocket-Accept' };
  if (headers.get('sec-websocket-protocol') !== subprotocol) return { fault: `not the subprotocol ${subprotocol}` };
  return { bytes: end + 4 };
}

function refusalOf(statusLine: string, retryAfter: string | undefined): UpgradeAnswer {
  const status = /^HTTP\/1\.1 (\d{3})\b/.exec(statusLine)?.[1];
  if (status === undefined) return { fault: statusLine };
  const retryAfterSeconds = retryAfter === undefined ? undefined : Number(retryAfter);
  return { fault: statusLine, status: Number(status), retryAfterSeconds };
}

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
}
