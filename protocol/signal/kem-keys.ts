/**
 * Key pairs of the key encapsulation mechanism, ML-KEM-1024: making them, encapsulating to them, decapsulating.
 *
 * A public key is 1,569 bytes: the type byte `06` and the encapsulation key of FIPS 203. Its private half is the 64-byte
 * seed `d ‖ z` from which FIPS 203 derives all the rest: a fiftieth of the expanded key at rest, the same bytes on every
 * provider, and nothing in it that could disagree with the public half. Expanding it again costs one key generation.
 *
 * Nothing here knows what a key is for. Source: FIPS 203, algorithms 19 to 21; PQXDH, section 2.1 (EncodeKEM). Read
 * next: `pqxdh.ts`.
 */
import { concat, requireBytes } from './bytes.ts';
import { LIMITS } from './limits.ts';
import { primitives, type RandomBytes } from './primitives.ts';
import { Redacted } from './redacted.ts';

/** The type byte of ML-KEM-1024 public keys. */
const keyType = 0x06;

/** Ours do not print their private half, and a spread or `structuredClone` of one is without it: store both arrays. */
export interface KemKeyPair {
  /** 1,569 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes, secret. */
  readonly seed: Uint8Array;
}

class SecretKemKeyPair extends Redacted implements KemKeyPair {
  readonly publicKey: Uint8Array;
  readonly #seed: Uint8Array;

  constructor(publicKey: Uint8Array, seed: Uint8Array) {
    super();
    this.publicKey = publicKey;
    this.#seed = seed;
  }

  get seed(): Uint8Array {
    return this.#seed;
  }
}

/**
 * Puts a stored pair together so that it does not print its private half. Takes ownership of both arrays; the halves
 * are trusted to belong together.
 *
 * @throws {TypeError|RangeError} an argument that is not 1,569 and 64 bytes.
 */
export function kemKeyPair(publicKey: Uint8Array, seed: Uint8Array): KemKeyPair {
  requireBytes('publicKey', publicKey, LIMITS.kemPublicKeyBytes);
  requireBytes('seed', seed, LIMITS.kemSeedBytes);
  return new SecretKemKeyPair(publicKey, seed);
}

/** Makes a pair from 64 fresh bytes of `random`. @throws {RangeError} where `random` gives another length. */
export function generateKemKeyPair(random: RandomBytes): KemKeyPair {
  const seed = new Uint8Array(random(LIMITS.kemSeedBytes));
  requireBytes('random(64)', seed, LIMITS.kemSeedBytes);
  return new SecretKemKeyPair(concat(Uint8Array.of(keyType), primitives.kemPublicKey(seed)), seed);
}

/** Whether `publicKey` has the form of one. That its coefficients are reduced shows in `encapsulate`, which costs more. */
export function isKemPublicKey(publicKey: Uint8Array): boolean {
  return publicKey.length === LIMITS.kemPublicKeyBytes && publicKey[0] === keyType;
}

/** A secret for the owner of a public key, and what tells it to them. */
export interface Encapsulation {
  /** 1,568 bytes, public. */
  readonly ciphertext: Uint8Array;
  /** 32 bytes, secret. */
  readonly secret: Uint8Array;
}

/**
 * Makes a secret that only the owner of `publicKey` learns.
 *
 * @param random - Asked for 32 bytes.
 * @returns undefined where the key is none: FIPS 203, section 7.2, "modulus check".
 */
export function encapsulate(publicKey: Uint8Array, random: RandomBytes): Encapsulation | undefined {
  if (!isKemPublicKey(publicKey)) return undefined;
  return primitives.kemEncapsulate(publicKey.subarray(1), random(LIMITS.kemSecretBytes));
}

/**
 * The secret in `ciphertext`, 32 bytes. A ciphertext that was not made for this key gives another secret and no error
 * ("implicit rejection"): it shows when a MAC fails.
 *
 * @param ciphertext - 1,568 bytes; the decoder of messages has checked that.
 */
export function decapsulate(pair: KemKeyPair, ciphertext: Uint8Array): Uint8Array {
  return primitives.kemDecapsulate(pair.seed, ciphertext);
}
