/**
 * The key derivations of the ratchet: root key, chain key, message keys. Pure functions from bytes to bytes.
 *
 *   root ──DH output──▶ new root ‖ chain        chain ──▶ seed, next chain        seed ──▶ cipher key ‖ MAC key ‖ IV
 *
 * A seed is what waits for a late message: 32 bytes instead of the 80 that it expands to. Every array returned is
 * secret and owned by the caller. Source: "The Double Ratchet Algorithm", sections 2.1 to 2.4 and 5.2; the labels are
 * those of session version 3. Read next: `double-ratchet.ts`.
 */
import { concat } from './bytes.ts';
import { primitives } from './primitives.ts';
import { Redacted } from './redacted.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

const handshakeLabel = ascii('WhisperText');
/** PQXDH, section 2.2: application, curve, hash and KEM. */
const hybridLabel = ascii('Blindbeam_CURVE25519_SHA-256_ML-KEM-1024');
const transcriptLabel = ascii('Blindbeam_PQXDH_transcript');
const turnLabel = ascii('WhisperRatchet');
const messageLabel = ascii('WhisperMessageKeys');
const groupLabel = ascii('WhisperGroup');
const seedInput = Uint8Array.of(1);
const chainInput = Uint8Array.of(2);
const noSalt = new Uint8Array(32);

/** The root key with which a handshake's secret begins a session. */
export function deriveFirstRootKey(handshakeSecret: Uint8Array): Uint8Array {
  // 64 bytes are defined. The second half would be a chain of messages under the signed pre-key as ratchet key, which
  // nobody sends: the responder turns the ratchet before its first message. Not keeping it is the safer half.
  return primitives.hkdfSha256(handshakeSecret, noSalt, handshakeLabel, 64).slice(0, 32);
}

/**
 * The root key with which a hybrid handshake begins a session.
 *
 * @param agreed - The agreements of X3DH behind their constant. @param kemSecret - 32 bytes.
 * @param transcript - What both ends said, see `pqxdh.ts`; another one gives another key.
 *
 * Source: PQXDH, section 3.3, then one derivation of ours.
 */
export function deriveHybridRootKey(agreed: Uint8Array, kemSecret: Uint8Array, transcript: Uint8Array): Uint8Array {
  const secret = primitives.hkdfSha256(concat(agreed, kemSecret), noSalt, hybridLabel, 32);
  return primitives.hkdfSha256(secret, noSalt, concat(transcriptLabel, transcript), 32);
}

/** Turns the DH ratchet once: the next root key, and a chain that starts from it. */
export function deriveTurn(rootKey: Uint8Array, shared: Uint8Array): { rootKey: Uint8Array; chainKey: Uint8Array } {
  const derived = primitives.hkdfSha256(shared, rootKey, turnLabel, 64);
  return { rootKey: derived.slice(0, 32), chainKey: derived.slice(32) };
}

/** The seed of this position's message keys. */
export function deriveSeed(chainKey: Uint8Array): Uint8Array {
  return primitives.hmacSha256(chainKey, seedInput);
}

/** The chain key of the next position; from it the present one cannot be found. */
export function deriveNextChainKey(chainKey: Uint8Array): Uint8Array {
  return primitives.hmacSha256(chainKey, chainInput);
}

/** What one message is encrypted and authenticated with, once. */
export class MessageKeys extends Redacted {
  readonly cipherKey: Uint8Array;
  readonly macKey: Uint8Array;
  readonly iv: Uint8Array;

  constructor(derived: Uint8Array) {
    super();
    this.cipherKey = derived.subarray(0, 32);
    this.macKey = derived.subarray(32, 64);
    this.iv = derived.subarray(64, 80);
  }
}

export function deriveMessageKeys(seed: Uint8Array): MessageKeys {
  return new MessageKeys(primitives.hkdfSha256(seed, noSalt, messageLabel, 80));
}

/** What one group message is encrypted with, once; a signature authenticates it. */
export class GroupMessageKeys extends Redacted {
  readonly iv: Uint8Array;
  readonly cipherKey: Uint8Array;

  constructor(derived: Uint8Array) {
    super();
    this.iv = derived.subarray(0, 16);
    this.cipherKey = derived.subarray(16, 48);
  }
}

export function deriveGroupMessageKeys(seed: Uint8Array): GroupMessageKeys {
  return new GroupMessageKeys(primitives.hkdfSha256(seed, noSalt, groupLabel, 48));
}
