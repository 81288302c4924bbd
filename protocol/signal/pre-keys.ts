/**
 * What a device makes of itself before anybody writes to it: identity, registration id, and pre-keys of four kinds.
 *
 *   kind               of            signed over                                                    used
 *   signed pre-key     X25519        its 33 bytes                                                   until rotated away
 *   one-time pre-key   X25519        not signed                                                     once
 *   KEM pre-key        ML-KEM-1024   label 00 ‖ 01 ‖ id, 4 bytes ‖ its 1,569 bytes                  once
 *   last-resort KEM    ML-KEM-1024   label 00 ‖ 02 ‖ id, 4 bytes ‖ its 1,569 bytes                  until rotated away
 *
 * The label is "blindbeam kem pre-key 1" in ASCII, the id big endian. Nothing else that an identity key signs begins so, and
 * the kind is part of it, so that a server cannot pass a key that is meant for one correspondent off as everybody's. Ids of
 * the two KEM kinds are drawn from one range.
 *
 * Ids are chosen by the caller, who stores the private halves and uploads the public ones. Nothing here decides when to
 * rotate or refill. Source: X3DH and PQXDH, sections 3.2 (publishing keys). Read next: `handshake.ts`.
 */
import { concat, requireBytes, requireInteger } from './bytes.ts';
import { signalError, type SignalError } from './errors.ts';
import { generateKemKeyPair, isKemPublicKey, type KemKeyPair } from './kem-keys.ts';
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

/** A pre-key for encapsulation, signed by the identity. */
export interface KemPreKey {
  readonly id: number;
  readonly keyPair: KemKeyPair;
  /** 64 bytes, see the table above. */
  readonly signature: Uint8Array;
  /** Whether it serves everybody who finds no one-time one, or one correspondent and is deleted when it is used. */
  readonly lastResort: boolean;
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
  /** Absent for a peer without the hybrid handshake, or taken out by the server: see `SECURITY.md`, "Downgrade". */
  readonly kemPreKey?: PublicKemPreKey | undefined;
}

export interface PublicKemPreKey {
  readonly id: number;
  /** 1,569 bytes. */
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
  readonly lastResort: boolean;
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
 * Makes `count` one-time KEM pre-keys with ids from `firstId` upward, each signed.
 *
 * @param random - Asked, for each, for 64 bytes (the seed), then 64 (the signature's nonce).
 * @throws {RangeError} more than `LIMITS.kemPreKeyBatchCountMax`, or ids that would pass `LIMITS.preKeyIdMax`.
 */
export function generateKemPreKeys(
  identityKeyPair: KeyPair,
  firstId: number,
  count: number,
  random: RandomBytes,
): KemPreKey[] {
  requireInteger('count', count, 0, LIMITS.kemPreKeyBatchCountMax);
  requireInteger('firstId', firstId, LIMITS.preKeyIdMin, LIMITS.preKeyIdMax - Math.max(0, count - 1));
  return Array.from({ length: count }, (_, index) => makeKemPreKey(identityKeyPair, firstId + index, false, random));
}

/** Makes the KEM pre-key that is handed out when there is no one-time one left. Otherwise as `generateKemPreKeys`. */
export function generateLastResortPreKey(identityKeyPair: KeyPair, id: number, random: RandomBytes): KemPreKey {
  requireInteger('id', id, LIMITS.preKeyIdMin, LIMITS.preKeyIdMax);
  return makeKemPreKey(identityKeyPair, id, true, random);
}

function makeKemPreKey(identityKeyPair: KeyPair, id: number, lastResort: boolean, random: RandomBytes): KemPreKey {
  const keyPair = generateKemKeyPair(random);
  const statement = kemStatement({ id, publicKey: keyPair.publicKey, lastResort });
  return { id, keyPair, signature: xeddsaSign(identityKeyPair.privateKey, statement, random), lastResort };
}

const kemLabel = Uint8Array.from('blindbeam kem pre-key 1\0', (character) => character.charCodeAt(0));

/** What the identity key signs about a KEM pre-key. */
function kemStatement({ id, publicKey, lastResort }: Omit<PublicKemPreKey, 'signature'>): Uint8Array {
  const head = Uint8Array.of(lastResort ? 2 : 1, id >>> 24, id >>> 16, id >>> 8, id);
  return concat(kemLabel, head, publicKey);
}

/**
 * Why a fetched bundle may not be used, or undefined where it may: ids that are none, keys that are weak, a signed or KEM
 * pre-key that the identity did not sign. Whether the identity is the right one is for its user to know.
 *
 * @returns SIG_MALFORMED, SIG_BAD_KEY, SIG_BAD_SIGNATURE.
 *
 * Source: X3DH and PQXDH, sections 3.3.
 */
export function refuseBundle(bundle: PreKeyBundle): SignalError | undefined {
  const { registrationId, identityKey, signedPreKey, oneTimePreKey, kemPreKey } = bundle;
  requireBundleBytes(bundle);
  const ids = [registrationId, signedPreKey.id, oneTimePreKey?.id ?? 0, kemPreKey?.id ?? 0];
  const keys = [identityKey, signedPreKey.publicKey, oneTimePreKey?.publicKey ?? identityKey];
  if (!ids.every(isUint32)) return signalError('SIG_MALFORMED');
  if (!keys.every(isValidPublicKey)) return signalError('SIG_BAD_KEY');
  if (kemPreKey !== undefined && !isKemPublicKey(kemPreKey.publicKey)) return signalError('SIG_BAD_KEY');
  const signed =
    xeddsaVerify(identityKey, signedPreKey.publicKey, signedPreKey.signature) &&
    (kemPreKey === undefined || xeddsaVerify(identityKey, kemStatement(kemPreKey), kemPreKey.signature));
  return signed ? undefined : signalError('SIG_BAD_SIGNATURE');
}

/** @throws {TypeError} naming the field that holds no bytes. */
function requireBundleBytes({ identityKey, signedPreKey, oneTimePreKey, kemPreKey }: PreKeyBundle): void {
  requireBytes('bundle.identityKey', identityKey);
  requireBytes('bundle.signedPreKey.publicKey', signedPreKey.publicKey);
  requireBytes('bundle.signedPreKey.signature', signedPreKey.signature);
  if (oneTimePreKey !== undefined) requireBytes('bundle.oneTimePreKey.publicKey', oneTimePreKey.publicKey);
  if (kemPreKey === undefined) return;
  requireBytes('bundle.kemPreKey.publicKey', kemPreKey.publicKey);
  requireBytes('bundle.kemPreKey.signature', kemPreKey.signature);
}

function isUint32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= LIMITS.uint32Max;
}
