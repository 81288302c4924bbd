/**
 * What an inbox loses, as records: the gaps of a conversation, and the notice that stands in the recipient's inbox.
 *
 * A notice is an inbox entry whose body the server wrote itself: it has a position, is pushed, acknowledged and removed like
 * a message. Its sender is the one whose messages are gone, its id the last of them; the body holds the rest:
 *
 *   offset  bytes  field
 *   0       6      first lost message id
 *   6       1      why: 1 expired, 2 pruned, 3 undeliverable, 4 restored from a backup without them, 5 encrypted for other devices
 */

/** Why messages were lost; codes of `../errors.ts`. */
export type LossCode = 'APP_EXPIRED' | 'APP_PRUNED' | 'APP_UNDELIVERABLE' | 'APP_RESTORED' | 'APP_DEVICES_CHANGED';

/** Message ids of a conversation that no device will get. */
export interface GapRecord {
  readonly since: number;
  readonly until: number;
  readonly code: LossCode;
}

/** By the byte on the disk; the first has number 1. Append only. */
const CODES: readonly LossCode[] = [
  'APP_EXPIRED',
  'APP_PRUNED',
  'APP_UNDELIVERABLE',
  'APP_RESTORED',
  'APP_DEVICES_CHANGED',
];

/** The body of a notice. */
export function encodeNotice({ since, code }: GapRecord): Uint8Array {
  const body = Buffer.alloc(7);
  body.writeUIntBE(since, 0, 6);
  body[6] = lossByte(code);
  return body;
}

/** Reads the body of a notice. @param until - Id of the entry. */
export function decodeNotice(until: number, body: Uint8Array): GapRecord {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return { since: bytes.readUIntBE(0, 6), until, code: lossCodeOf(bytes[6]!) };
}

/** The byte of a code on the disk. */
export function lossByte(code: LossCode): number {
  return CODES.indexOf(code) + 1;
}

/** The code of a byte. Throws on one that this version does not know: the store is newer than we are. */
export function lossCodeOf(byte: number): LossCode {
  const code = CODES[byte - 1];
  if (code === undefined) throw new RangeError(`loss code ${byte} expected 1 to ${CODES.length}`);
  return code;
}
