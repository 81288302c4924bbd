/**
 * What a device makes of itself before anybody writes to it: identity, registration id, signed and one-time pre-keys.
 *
 * Ids are chosen by the caller, who stores the private halves and uploads the public ones. Nothing here decides when to
 * rotate or refill. Source: X3DH, section 3.2 (publishing keys). Read next: `handshake.ts`.
 */
import { requireBytes, requireInteger } from './bytes.ts';
import { signalError, type SignalError } from './errors.ts';
import { generateKeyPair, isValidPublicKey, type KeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import type { RandomBytes } from './primitives.ts';
import { xeddsaSign, xeddsaVerify } from './xeddsa.ts';

/** One device's own identity. */
export interface LocalIdentity {
  readonly identityKeyPair: KeyPair;
  /** Chosen once for an installation, so that peers notice a reinstallation. */
  readonly registrationId: number;
}

/** A pre-key signed by the identity, used until it is rotated away. */
export interface SignedPreKey {
  readonly id: number;
  readonly keyPair: KeyPair;
  /** 64 bytes: XEdDSA by the identity key over the 33-byte public key. */
  readonly signature: Uint8Array;
}

/** A pre-key that one correspondent gets and that is deleted when it is used. */
export interface OneTimePreKey {
  readonly id: number;
  readonly keyPair: KeyPair;
}

/** The public half of it all, as the server hands it out for one device. Untrusted: `initiateSession` checks it. */
export interface PreKeyBundle {
  readonly registrationId: number;
  readonly deviceId: number;
  /** 33 bytes. */
  readonly identityKey: Uint8Array;
  readonly signedPreKey: { readonly id: number; readonly publicKey: Uint8Array; readonly signature: Uint8Array };
  /** Absent where the server has run out: the first message can then be replayed, see `SECURITY.md`. */
  readonly oneTimePreKey?: { readonly id: number; readonly publicKey: Uint8Array } | undefined;
}

/** Makes a long-term identity key pair. */
export function generateIdentityKeyPair(random: RandomBytes): KeyPair {
  return generateKeyPair(random);
}

/** Draws a registration id from 1 to `LIMITS.registrationIdMax`, each equally likely. */
export function generateRegistrationId(random: RandomBytes): number {
  for (;;) {
    const bytes = random(2);
    const candidate = ((bytes[0]! & 0x3f) << 8) | bytes[1]!; // 14 bits: all but 4 of 16,384 values are taken
    if (candidate >= LIMITS.registrationIdMin && candidate <= LIMITS.registrationIdMax) return candidate;
  }
}

/**
 * Makes a pre-key and signs it.
 *
 * @param id - 1 to `LIMITS.preKeyIdMax`; the caller's next free one.
 * @param random - Asked for 32 bytes (the key), then 64 (the signature's nonce).
 * @throws {RangeError} an id out of range.
 */
export function generateSignedPreKey(identityKeyPair: KeyPair, id: number, random: RandomBytes): SignedPreKey {
  requireInteger('id', id, LIMITS.preKeyIdMin, LIMITS.preKeyIdMax);
  const keyPair = generateKeyPair(random);
  return { id, keyPair, signature: xeddsaSign(identityKeyPair.privateKey, keyPair.publicKey, random) };
}

/**
 * Makes `count` one-time pre-keys with ids from `firstId` upward.
 *
 * @throws {RangeError} more than `LIMITS.oneTimePreKeyBatchCountMax`, or ids that would pass `LIMITS.preKeyIdMax`.
 */
export function generateOneTimePreKeys(firstId: number, count: number, random: RandomBytes): OneTimePreKey[] {
  requireInteger('count', count, 0, LIMITS.oneTimePreKeyBatchCountMax);
  requireInteger('firstId', firstId, LIMITS.preKeyIdMin, LIMITS.preKeyIdMax - Math.max(0, count - 1));
  return Array.from({ length: count }, (_, index) => ({ id: firstId + index, keyPair: generateKeyPair(random) }));
}

/**
 * Why a fetched bundle may not be used, or undefined where it may: ids that are none, keys that are weak, a signed
 * pre-key that the identity did not sign. Whether the identity is the right one is for its user to know.
 *
 * @returns SIG_MALFORMED, SIG_BAD_KEY, SIG_BAD_SIGNATURE.
 *
 * Source: X3DH, section 3.3.
 */
export function refuseBundle(bundle: PreKeyBundle): SignalError | undefined {
  const { registrationId, identityKey, signedPreKey, oneTimePreKey } = bundle;
  requireBytes('bundle.identityKey', identityKey);
  requireBytes('bundle.signedPreKey.publicKey', signedPreKey.publicKey);
  requireBytes('bundle.signedPreKey.signature', signedPreKey.signature);
  if (oneTimePreKey !== undefined) requireBytes('bundle.oneTimePreKey.publicKey', oneTimePreKey.publicKey);
  const ids = [registrationId, signedPreKey.id, oneTimePreKey?.id ?? 0];
  const keys = [identityKey, signedPreKey.publicKey, oneTimePreKey?.publicKey ?? identityKey];
  if (!ids.every(isUint32)) return signalError('SIG_MALFORMED');
  if (!keys.every(isValidPublicKey)) return signalError('SIG_BAD_KEY');
  const signed = xeddsaVerify(identityKey, signedPreKey.publicKey, signedPreKey.signature);
  return signed ? undefined : signalError('SIG_BAD_SIGNATURE');
}

function isUint32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= LIMITS.uint32Max;
}
