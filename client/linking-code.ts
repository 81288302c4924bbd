/**
 * The code that a new device shows and the primary device scans: text for a QR code or for typing.
 *
 *   bytes     version 01 ‖ link id, 20 digits in 10 B ‖ key for this linking, 32 B ‖ hash of the identity key, 32 B
 *             ‖ length of the name, 1 B ‖ name in UTF-8 ‖ checksum, 4 B
 *   text      the bytes in base 32 (RFC 4648, capitals, no padding), which a QR code holds compactly and people can read out
 *
 * The key is what keeps everybody else from opening what the primary seals, so it travels here and never through the server. The
 * hash lets the primary see that the device which waits at the server is the one whose screen it looks at.
 */

import { codeChecksum, isValidPublicKey } from '../protocol/signal/index.ts';
import { LIMITS } from './limits.ts';
import { isSameKey } from './public-keys.ts';

/** What a code says. */
export interface LinkCode {
  /** 20 digits. */
  readonly id: string;
  /** X25519, 33 bytes. */
  readonly provisioningKey: Uint8Array;
  /** 32 bytes. */
  readonly identityHash: Uint8Array;
  /** What the new device calls itself: for the person who approves. */
  readonly name: string;
}

const VERSION = 1;
const FIXED_BYTES = 1 + 10 + 32 + 32 + 1;
const CHECKSUM_BYTES = 4;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Writes a code. @throws {RangeError} Where the name is longer than `LIMITS.linkNameBytesMax`. */
export function encodeLinkCode({ id, provisioningKey, identityHash, name }: LinkCode): string {
  const nameBytes = new TextEncoder().encode(name);
  if (nameBytes.length > LIMITS.linkNameBytesMax) {
    throw new RangeError(`"name" expected at most ${LIMITS.linkNameBytesMax} bytes`);
  }
  const body = new Uint8Array(FIXED_BYTES + nameBytes.length);
  body[0] = VERSION;
  for (let index = 0; index < 10; index += 1) body[1 + index] = Number(id.slice(index * 2, index * 2 + 2));
  body.set(provisioningKey.subarray(1), 11);
  body.set(identityHash, 43);
  body[75] = nameBytes.length;
  body.set(nameBytes, FIXED_BYTES);
  return toBase32(Uint8Array.of(...body, ...codeChecksum(body)));
}

/** Reads a code as a person types it: blanks, dashes and small letters do not matter. @returns undefined where it is none. */
export function decodeLinkCode(text: string): LinkCode | undefined {
  const bytes =
    text.length > LIMITS.linkCodeLengthMax ? undefined : fromBase32(text.replace(/[\s-]/g, '').toUpperCase());
  if (bytes === undefined || bytes.length < FIXED_BYTES + CHECKSUM_BYTES || bytes[0] !== VERSION) return undefined;
  const body = bytes.subarray(0, -CHECKSUM_BYTES);
  if (!isSameKey(codeChecksum(body), bytes.subarray(-CHECKSUM_BYTES))) return undefined;
  const pairs = [...body.subarray(1, 11)];
  const provisioningKey = Uint8Array.of(5, ...body.subarray(11, 43));
  const isWhole = body.length === FIXED_BYTES + body[75]! && pairs.every((pair) => pair < 100);
  if (!isWhole || !isValidPublicKey(provisioningKey)) return undefined;
  const id = pairs.map((pair) => String(pair).padStart(2, '0')).join('');
  const name = new TextDecoder().decode(body.subarray(FIXED_BYTES));
  return { id, provisioningKey, identityHash: body.slice(43, 75), name };
}

function toBase32(bytes: Uint8Array): string {
  let [text, buffer, bits] = ['', 0, 0];
  for (const byte of bytes) {
    buffer = ((buffer & 31) << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(buffer >> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + ALPHABET[(buffer << (5 - bits)) & 31];
}

function fromBase32(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  let [buffer, bits] = [0, 0];
  for (const letter of text) {
    const value = ALPHABET.indexOf(letter);
    if (value === -1) return undefined;
    buffer = ((buffer & 0xff) << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((buffer >> bits) & 0xff);
  }
  return Uint8Array.from(bytes);
}
