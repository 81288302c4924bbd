/**
 * The server's side of WebSocket framing, written apart from the client's in `../generator/websocket.ts`, so that the two check
 * each other in tests. Source: RFC 6455, section 5.2.
 */

/** A whole binary frame around `payload`, at most 65,535 bytes. */
export function serverFrame(payload: Uint8Array, opcode: number = 2, isLast: boolean = true): Buffer {
  const lead = (isLast ? 0x80 : 0) | opcode;
  const header = payload.length < 126 ? [lead, payload.length] : [lead, 126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from(header), payload]);
}

/** A frame of a client, unmasked. */
export interface MaskedFrame {
  readonly opcode: number;
  readonly payload: Uint8Array;
  /** Length of the whole frame. */
  readonly bytes: number;
}

/**
 * Reads the frame at the start of `received`.
 *
 * @returns The frame, or `undefined` when it is not whole.
 * @throws {Error} A frame that a client must not send.
 */
export function readMaskedFrame(received: Buffer): MaskedFrame | undefined {
  if (received.length < 2) return undefined;
  const [lead, second] = [received[0]!, received[1]!];
  if ((second & 0x80) === 0) throw new Error('a client frame is masked');
  if ((lead & 0xf0) !== 0x80) throw new Error('a client frame of ours is whole and has no reserved bits');
  const isLong = (second & 0x7f) === 126;
  if (isLong && received.length < 4) return undefined;
  const length = isLong ? received.readUInt16BE(2) : second & 0x7f;
  if (isLong && length < 126) throw new Error('a length has one legal form');
  const start = (isLong ? 4 : 2) + 4;
  if (received.length < start + length) return undefined;
  const key = received.subarray(start - 4, start);
  const payload = Uint8Array.from(received.subarray(start, start + length), (byte, index) => byte ^ key[index % 4]!);
  return { opcode: lead & 15, payload, bytes: start + length };
}
