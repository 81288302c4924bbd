/**
 * Where the WebSocket messages of a client begin and end in its stream of bytes. Pure: bytes in, pieces out; all pieces
 * together are the stream, unchanged.
 *
 * The upgrade request stands before the first frame and passes as it is. Read next: `slow-proxy.ts`.
 */

const OPCODE_BITS = 0x0f;
const LENGTH_BITS = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const FIRST_CONTROL_OPCODE = 0x8;
const MASKING_KEY_BYTES = 4;
const HEAD_END = '\r\n\r\n';

/** A part of the stream. */
export interface Piece {
  readonly bytes: Buffer;
  /** Whether it is a message, and no upgrade request and no ping, pong or close. */
  readonly isMessage: boolean;
}

export class FrameCutter {
  #pending: Buffer = Buffer.alloc(0);
  #isUpgraded = false;

  /**
   * Takes the next bytes.
   *
   * @param chunk - Owned by the cutter from now on: pieces may lie in it.
   * @returns What has become whole, in order. The rest is kept for the next call.
   */
  take(chunk: Buffer): Piece[] {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const pieces: Piece[] = [];
    let at = 0;
    if (!this.#isUpgraded) {
      const end = bytes.indexOf(HEAD_END);
      if (end < 0) return this.#keep(bytes, pieces);
      at = end + HEAD_END.length;
      pieces.push({ bytes: bytes.subarray(0, at), isMessage: false });
      this.#isUpgraded = true;
    }
    for (let end = endOfFrame(bytes, at); end <= bytes.length; end = endOfFrame(bytes, at)) {
      const isMessage = (bytes[at]! & OPCODE_BITS) < FIRST_CONTROL_OPCODE;
      pieces.push({ bytes: bytes.subarray(at, end), isMessage });
      at = end;
    }
    return this.#keep(bytes.subarray(at), pieces);
  }

  #keep(rest: Buffer, pieces: Piece[]): Piece[] {
    this.#pending = rest;
    return pieces;
  }
}

/** Where the frame at `at` ends; Infinity when not even its length is there. */
function endOfFrame(bytes: Buffer, at: number): number {
  if (bytes.length < at + 2) return Infinity;
  const short = bytes[at + 1]! & LENGTH_BITS;
  const lengthBytes = short === LENGTH_16 ? 2 : short === LENGTH_64 ? 8 : 0;
  const start = at + 2 + lengthBytes + MASKING_KEY_BYTES;
  if (bytes.length < start) return Infinity;
  if (lengthBytes === 0) return start + short;
  return start + (lengthBytes === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2)));
}
