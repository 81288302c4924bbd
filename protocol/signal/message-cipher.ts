/**
 * One ratchet message under one seed: encrypt then MAC, and back.
 *
 * The MAC covers who sends, who receives, and every byte of the message; nothing is decrypted before it is checked, so
 * wrong padding tells a forger nothing. Knows no state: the caller brings the seed and never uses it twice.
 * Source: Double Ratchet, sections 3.4, 3.5 and 5.2. Read next: `session.ts`.
 */
import { concat } from './bytes.ts';
import {
  encodeRatchetBody,
  macBytesOf,
  versionByteOf,
  type RatchetHeader,
  type RatchetMessage,
  type SessionVersion,
} from './ciphertext.ts';
import { signalError, type SignalError } from './errors.ts';
import { primitives } from './primitives.ts';
import { deriveMessageKeys } from './ratchet-keys.ts';

/** The two ends in the direction of the message, and the session's version. All public. */
export interface Direction {
  readonly version: SessionVersion;
  /** 33 bytes each. */
  readonly senderIdentityKey: Uint8Array;
  readonly receiverIdentityKey: Uint8Array;
}

function computeMac(
  macKey: Uint8Array,
  { version, senderIdentityKey, receiverIdentityKey }: Direction,
  bytes: Uint8Array,
): Uint8Array {
  return primitives
    .hmacSha256(macKey, concat(senderIdentityKey, receiverIdentityKey, bytes))
    .subarray(0, macBytesOf(version));
}

/** Encodes, encrypts and authenticates. @returns A ratchet message, owned by the caller. */
export function sealMessage(
  seed: Uint8Array,
  direction: Direction,
  header: RatchetHeader,
  plaintext: Uint8Array,
): Uint8Array {
  const { cipherKey, macKey, iv } = deriveMessageKeys(seed);
  const ciphertext = primitives.aesCbcEncrypt(cipherKey, iv, plaintext);
  const body = encodeRatchetBody(versionByteOf(direction.version), header, ciphertext);
  return concat(body, computeMac(macKey, direction, body));
}

/**
 * Authenticates and decrypts.
 *
 * @returns The plaintext, owned by the caller; SIG_BAD_MAC; SIG_MALFORMED where a genuine sender padded wrongly.
 */
export function openMessage(seed: Uint8Array, direction: Direction, message: RatchetMessage): Uint8Array | SignalError {
  const { cipherKey, macKey, iv } = deriveMessageKeys(seed);
  const mac = computeMac(macKey, direction, message.authenticated);
  if (!primitives.equal(mac, message.mac)) return signalError('SIG_BAD_MAC');
  return primitives.aesCbcDecrypt(cipherKey, iv, message.ciphertext) ?? signalError('SIG_MALFORMED');
}
