/**
 * Frames: a 3-byte big-endian length, then one stanza of that length.
 *
 * A WebSocket message holds one or more whole frames and is at most LIMITS.messageBytesMax long. On a byte stream (TCP,
 * a pipe) frames follow each other and are cut anywhere. Nothing here knows sockets; whoever owns one lends its bytes
 * and sends the writer's. Read next: `messages.ts`, which says what the stanzas mean.
 */

import { decodeStanzaAt } from './decode.ts';
import { encodeStanza } from './encode.ts';
import { isWireError, wireError, type WireError } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { Stanza } from './stanza.ts';

const HEADER = LIMITS.frameHeaderBytes;

/** The stanza length in a frame header; the caller has checked that three bytes are there. */
function lengthAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
}

/** Where the frame at `at` ends if its header tells the truth. */
function frameEnd(bytes: Uint8Array, at: number): number {
  return at + HEADER + lengthAt(bytes, at);
}

/**
 * Decodes a whole message.
 *
 * All or nothing: if one frame is refused, none is returned, since the connection closes anyway.
 *
 * @param bytes - One WebSocket message. Borrowed, and borrowed on by content bytes: copy what outlives the handler (`copyStanza`).
 * @returns At least one stanza, in the order sent, or a WireError.
 */
export function decodeMessage(bytes: Uint8Array): Stanza[] | WireError {
  const refusal = checkMessageLength(bytes);
  if (refusal !== undefined) return refusal;
  const stanzas: Stanza[] = [];
  for (let at = 0; at < bytes.length; at = frameEnd(bytes, at)) {
    const stanza = decodeFrame(bytes, at);
    if (isWireError(stanza)) return stanza;
    stanzas.push(stanza);
  }
  return stanzas;
}

/**
 * Decodes a message stanza by stanza, so that only one is alive at a time.
 *
 * The stanzas before a refused one have been taken by then.
 *
 * @param bytes - As for `decodeMessage`. Not to be changed by `take`.
 * @param take - Called for each stanza in the order sent. Its own exceptions pass through.
 * @returns `undefined` when the message ended well, else the refusal.
 */
export function eachStanza(bytes: Uint8Array, take: (stanza: Stanza) => void): WireError | undefined {
  const refusal = checkMessageLength(bytes);
  if (refusal !== undefined) return refusal;
  for (let at = 0; at < bytes.length; at = frameEnd(bytes, at)) {
    const stanza = decodeFrame(bytes, at);
    if (isWireError(stanza)) return stanza;
    take(stanza);
  }
  return undefined;
}

function checkMessageLength({ length }: Uint8Array): WireError | undefined {
  if (length > LIMITS.messageBytesMax) return wireError('WIRE_FRAME_TOO_LARGE', undefined, 0);
  return length === 0 ? wireError('WIRE_TRUNCATED', 'a message without a frame', 0) : undefined;
}

function decodeFrame(bytes: Uint8Array, at: number): Stanza | WireError {
  if (bytes.length - at < HEADER) return wireError('WIRE_TRUNCATED', undefined, at);
  const end = frameEnd(bytes, at);
  if (end - at > LIMITS.messageBytesMax) return wireError('WIRE_FRAME_TOO_LARGE', undefined, at);
  if (end > bytes.length) return wireError('WIRE_TRUNCATED', undefined, at);
  return decodeStanzaAt(bytes, at + HEADER, end);
}

/**
 * Collects frames into one message, in a buffer that it owns and reuses.
 *
 * One writer serves a whole thread, not one connection: append what a turn has for a socket, send `bytes()`, `reset()`.
 */
export class FrameWriter {
  readonly #buffer: Uint8Array = new Uint8Array(LIMITS.messageBytesMax);
  #length = 0;

  /** Whether there is nothing to send. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /**
   * Appends one frame.
   *
   * @returns False, and nothing appended, when the message would exceed its bound: send `bytes()`, `reset()`, append again.
   * @throws What `encodeStanza` throws, a stanza that no message can hold among it; nothing is appended then.
   */
  append(stanza: Stanza): boolean {
    const start = this.#length + HEADER;
    const end = encodeStanza(stanza, this.#buffer, start);
    const length = end - start;
    if (end > LIMITS.messageBytesMax) return false;
    const header = this.#length;
    this.#buffer[header] = length >> 16;
    this.#buffer[header + 1] = length >> 8;
    this.#buffer[header + 2] = length;
    this.#length = end;
    return true;
  }

  /** The message so far. Borrowed: valid until the next `append` or `reset`. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Begins a new message. The bytes of the old one stay in memory until they are overwritten. */
  reset(): void {
    this.#length = 0;
  }
}

/** What a FrameReader begins with for a cut frame; doubled as its bytes really arrive. */
const PENDING_BYTES_MIN = 64;

/**
 * Finds frames in a byte stream.
 *
 * Whole frames are decoded where they lie in the chunk. Only the cut frame at the end is kept: at most one, in a buffer
 * that grows with the bytes received and not with the length promised, up to LIMITS.messageBytesMax.
 */
export class FrameReader {
  #pending: Uint8Array = NOTHING;
  #pendingBytes = 0;
  /** Where in the stream the next frame, or the pending one, begins. */
  #position = 0;
  #refusal: WireError | undefined = undefined;

  /** How many bytes of an unfinished frame wait for the rest. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Reads the next bytes of the stream.
   *
   * @param chunk - Any number of bytes, cut anywhere. Borrowed until this returns.
   * @param take - Called for each stanza that is complete. The stanza's content is borrowed until `take` returns.
   * Its own exceptions pass through, and the rest of the chunk is then lost.
   * @returns `undefined`, or the refusal, its offset counted from the start of the stream. A refusal is final: the place of
   * the next frame is unknown, so every later call returns the same one.
   */
  read(chunk: Uint8Array, take: (stanza: Stanza) => void): WireError | undefined {
    let at = 0;
    while (this.#refusal === undefined && at < chunk.length) {
      at = this.#pendingBytes > 0 ? this.#complete(chunk, at, take) : this.#whole(chunk, at, take);
    }
    return this.#refusal;
  }

  /** Takes one frame from the chunk itself, or keeps the rest of the chunk. Returns where to go on. */
  #whole(chunk: Uint8Array, at: number, take: (stanza: Stanza) => void): number {
    if (chunk.length - at < HEADER) return this.#keep(chunk, at, chunk.length);
    const end = frameEnd(chunk, at);
    if (end - at > LIMITS.messageBytesMax) return this.#refuse(wireError('WIRE_FRAME_TOO_LARGE'), 0);
    if (end > chunk.length) return this.#keep(chunk, at, chunk.length);
    return this.#decode(chunk, at, end, take) ? end : chunk.length;
  }

  /** Adds to the pending frame what it lacks, and takes it when that is all. Returns where to go on. */
  #complete(chunk: Uint8Array, at: number, take: (stanza: Stanza) => void): number {
    const wanted = this.#pendingBytes < HEADER ? HEADER : frameEnd(this.#pending, 0);
    const next = this.#keep(chunk, at, Math.min(chunk.length, at + wanted - this.#pendingBytes));
    if (this.#pendingBytes < HEADER) return next;
    const end = frameEnd(this.#pending, 0);
    if (end > LIMITS.messageBytesMax) return this.#refuse(wireError('WIRE_FRAME_TOO_LARGE'), 0);
    if (this.#pendingBytes < end) return next;
    this.#pendingBytes = 0;
    this.#decode(this.#pending, 0, end, take);
    return next;
  }

  #decode(bytes: Uint8Array, at: number, end: number, take: (stanza: Stanza) => void): boolean {
    const stanza = decodeStanzaAt(bytes, at + HEADER, end);
    if (isWireError(stanza)) {
      this.#refuse(stanza, (stanza.offset ?? at) - at);
      return false;
    }
    this.#position += end - at;
    take(stanza);
    return true;
  }

  /** Records a refusal, its offset counted from the start of the frame, and lets go of the memory. */
  #refuse(refusal: WireError, offset: number): number {
    this.#refusal = { ...refusal, offset: this.#position + offset };
    this.#pending = NOTHING;
    this.#pendingBytes = 0;
    return 0;
  }

  #keep(chunk: Uint8Array, at: number, end: number): number {
    const bytes = this.#pendingBytes + end - at;
    if (bytes > this.#pending.length) this.#grow(bytes);
    this.#pending.set(chunk.subarray(at, end), this.#pendingBytes);
    this.#pendingBytes = bytes;
    return end;
  }

  #grow(bytes: number): void {
    const doubled = Math.max(PENDING_BYTES_MIN, this.#pending.length * 2, bytes);
    const grown = new Uint8Array(Math.min(doubled, LIMITS.messageBytesMax));
    grown.set(this.#pending.subarray(0, this.#pendingBytes));
    this.#pending = grown;
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
