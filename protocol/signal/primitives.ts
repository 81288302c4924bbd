/**
 * The one seam to cryptography: what the protocol needs of it, and who provides it.
 *
 * Two providers stand behind one interface: `nativePrimitives` over Node's own crypto, reached at run time and never
 * imported, and `noblePrimitives` in plain JavaScript, for browsers and as the oracle that the native one is compared
 * with (`primitives.test.ts`). This file and no other imports @noble. It knows bytes, not protocol: no key types, no
 * labels, no policy beyond "an all-zero shared secret is not a secret". Read next: `native-primitives.ts`, `keys.ts`.
 *
 * ML-KEM is native where Node has it (24.7 and later), but for encapsulating: Node's takes no randomness, and ours is given
 * by the caller, so that a run can be repeated.
 *
 * Every array returned is fresh and owned by the caller; every array passed is borrowed. Private keys may be cached by
 * object identity, so do not change their bytes in place.
 */
import { cbc, gcm } from '@noble/ciphers/aes.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { scryptAsync } from '@noble/hashes/scrypt.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { ml_kem1024 } from '@noble/post-quantum/ml-kem.js';
import { concat } from './bytes.ts';
import { createNativePrimitives, scryptMemoryBytes } from './native-primitives.ts';

/** Fresh bytes from a cryptographically strong source (or a recorded one, in tests), owned by the caller. */
export type RandomBytes = (length: number) => Uint8Array;

/** Arithmetic on edwards25519 that XEdDSA needs beyond Ed25519. Scalars are 32 bytes, little endian. */
export interface EdwardsArithmetic {
  /** `scalar · B`, encoded in 32 bytes. `scalar` is secret and taken modulo the group order; it must not be 0 there. */
  multiplyBase(scalar: Uint8Array): Uint8Array;
  /** `factor · scalar + addend` modulo the group order, 32 bytes. `factor` and `addend` may be 64-byte hashes. */
  multiplyAdd(factor: Uint8Array, scalar: Uint8Array, addend: Uint8Array): Uint8Array;
  /** `-scalar` modulo the group order, 32 bytes. */
  negate(scalar: Uint8Array): Uint8Array;
  /** A 64-byte hash modulo the group order, 32 bytes. */
  reduce(hash: Uint8Array): Uint8Array;
  /** The Edwards encoding of the point with Montgomery coordinate `u` (canonical, not -1) and the given sign of x. */
  fromMontgomery(u: Uint8Array, negativeX: boolean): Uint8Array;
}

/** SHA-256 over bytes that come piece by piece. */
export interface Sha256 {
  /** Takes the next bytes, borrowed. */
  update(bytes: Uint8Array): void;
  /** The hash of everything so far; more may follow. 32 bytes, owned by the caller. */
  digest(): Uint8Array;
}

/** What scrypt costs (RFC 7914): `blockSize × 128 × 2^costLog2` bytes of memory, `parallelism` times as long. */
export interface ScryptCost {
  readonly costLog2: number;
  readonly blockSize: number;
  readonly parallelism: number;
}

/** ML-KEM-1024 (FIPS 203). The private half is the seed `d ‖ z`. */
export interface KemPrimitives {
  /** The encapsulation key (1,568 bytes) of a seed (64 bytes). FIPS 203, algorithm 16. */
  kemPublicKey(seed: Uint8Array): Uint8Array;
  /**
   * A 32-byte secret and the ciphertext (1,568 bytes) that carries it. FIPS 203, algorithm 17.
   *
   * @param entropy - 32 secret bytes, used once.
   * @returns undefined where `publicKey` (1,568 bytes) has a coefficient that is not reduced.
   */
  kemEncapsulate(
    publicKey: Uint8Array,
    entropy: Uint8Array,
  ): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array } | undefined;
  /** The secret in a ciphertext, or an unrelated one where it was made for another key. FIPS 203, algorithm 18. */
  kemDecapsulate(seed: Uint8Array, ciphertext: Uint8Array): Uint8Array;
}

export interface Primitives extends KemPrimitives {
  readonly name: 'native' | 'noble';
  /** Who decapsulates: an older Node has native primitives, but no native ML-KEM. */
  readonly kemName: 'native' | 'noble';
  /** The X25519 public key (32 bytes) of a private key (32 bytes, clamped when used). */
  x25519PublicKey(privateKey: Uint8Array): Uint8Array;
  /** X25519 (RFC 7748): 32 bytes, or undefined where the result would be all zero. */
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** HMAC-SHA-256 (RFC 2104) over the parts as if they were joined. */
  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  /** HKDF with SHA-256 (RFC 5869). An empty `salt` stands for 32 zero bytes. */
  hkdfSha256(input: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  sha512(...parts: readonly Uint8Array[]): Uint8Array;
  /** AES-256-CBC with PKCS#7 padding: always longer than `plaintext`, by 1 to 16 bytes. */
  aesCbcEncrypt(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** The plaintext, or undefined where the length or the padding is wrong. Call it only on authenticated bytes. */
  aesCbcDecrypt(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined;
  /** AES-256-GCM (SP 800-38D) without additional data, `nonce` of 12 bytes: the ciphertext and its 16-byte tag. */
  aesGcmEncrypt(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** The plaintext, or undefined where the tag is wrong or missing. */
  aesGcmDecrypt(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined;
  createSha256(): Sha256;
  /** scrypt (RFC 7914), off the caller's turn: `length` bytes. The caller bounds the cost. */
  scrypt(password: Uint8Array, salt: Uint8Array, cost: ScryptCost, length: number): Promise<Uint8Array>;
  /** Compares in time that depends on the length alone. False for different lengths. */
  equal(left: Uint8Array, right: Uint8Array): boolean;
  /**
   * Verifies an Ed25519 signature without the cofactor: s below the group order, and the encoding of `sB - hA` equal to
   * R byte for byte. `publicKey` is an Edwards encoding of `fromMontgomery`.
   */
  verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** The Ed25519 public key (RFC 8032, section 5.1.5), 32 bytes, of a 32-byte seed. */
  ed25519PublicKey(seed: Uint8Array): Uint8Array;
  /** Signs with Ed25519 (RFC 8032, section 5.1.6): 64 bytes, the same ones for the same seed and message. */
  signEd25519(seed: Uint8Array, message: Uint8Array): Uint8Array;
  readonly edwards: EdwardsArithmetic;
}

const { Point } = ed25519;
const { Fp, Fn } = Point;

/** Little-endian bytes as a number modulo the group order. */
function scalarFrom(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let index = bytes.length - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index]!);
  return Fn.create(value);
}

const edwards: EdwardsArithmetic = {
  multiplyBase: (scalar) => Point.BASE.multiply(scalarFrom(scalar)).toBytes(),
  multiplyAdd: (factor, scalar, addend) =>
    Fn.toBytes(Fn.add(Fn.mul(scalarFrom(factor), scalarFrom(scalar)), scalarFrom(addend))),
  negate: (scalar) => Fn.toBytes(Fn.neg(scalarFrom(scalar))),
  reduce: (hash) => Fn.toBytes(scalarFrom(hash)),
  fromMontgomery(u, negativeX) {
    // y = (u - 1) / (u + 1), RFC 7748 section 4.1.
    const coordinate = Fp.fromBytes(u);
    const encoded = Fp.toBytes(Fp.div(Fp.sub(coordinate, Fp.ONE), Fp.add(coordinate, Fp.ONE)));
    if (negativeX) encoded[31]! |= 0x80;
    return encoded;
  },
};

/**
 * The cofactorless check, spelled out: the library's own verification multiplies by the cofactor and would accept a few
 * signatures, made by the key's owner on purpose, that OpenSSL refuses. Two clients must never disagree on a bundle.
 */
function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  const nonce = signature.subarray(0, 32);
  try {
    const challenge = scalarFrom(sha512(concat(nonce, publicKey, message)));
    const response = Fn.fromBytes(signature.subarray(32)); // throws from the group order upward
    const key = Point.fromBytes(publicKey); // throws where there is no such point
    const expected = Point.BASE.multiplyUnsafe(response).subtract(key.multiplyUnsafe(challenge));
    return equal(expected.toBytes(), nonce);
  } catch {
    return false;
  }
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let index = 0; index < left.length; index++) difference |= left[index]! ^ right[index]!;
  return difference === 0;
}

function x25519Shared(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return x25519.getSharedSecret(privateKey, publicKey);
  } catch (error) {
    // The library throws for wrong lengths (our bug) and for small-order points (the peer's).
    if (privateKey.length !== 32 || publicKey.length !== 32) throw error;
    return undefined;
  }
}

function aesCbcDecrypt(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
  try {
    return cbc(key, iv).decrypt(ciphertext);
  } catch (error) {
    if (key.length !== 32 || iv.length !== 16) throw error;
    return undefined;
  }
}

function aesGcmDecrypt(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
  try {
    return gcm(key, nonce).decrypt(ciphertext);
  } catch (error) {
    if (key.length !== 32 || nonce.length !== 12) throw error;
    return undefined;
  }
}

function createSha256(): Sha256 {
  const hash = sha256.create();
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.clone().digest(),
  };
}
const kem: KemPrimitives = {
  kemPublicKey: (seed) => ml_kem1024.keygen(seed).publicKey,
  kemEncapsulate(publicKey, entropy) {
    try {
      const { cipherText, sharedSecret } = ml_kem1024.encapsulate(publicKey, entropy);
      return { ciphertext: cipherText, secret: sharedSecret };
    } catch (error) {
      // The library throws for wrong lengths (our bug) and for coefficients that are not reduced (the peer's).
      if (publicKey.length !== 1_568 || entropy.length !== 32) throw error;
      return undefined;
    }
  },
  kemDecapsulate: (seed, ciphertext) => ml_kem1024.decapsulate(ciphertext, ml_kem1024.keygen(seed).secretKey),
};

/** Plain JavaScript, the same on every platform. */
export const noblePrimitives: Primitives = Object.freeze({
  name: 'noble',
  kemName: 'noble',
  x25519PublicKey: (privateKey: Uint8Array) => x25519.getPublicKey(privateKey),
  x25519: x25519Shared,
  hmacSha256: (key: Uint8Array, ...parts: readonly Uint8Array[]) => hmac(sha256, key, concat(...parts)),
  hkdfSha256: (input: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number) =>
    hkdf(sha256, input, salt, info, length),
  sha512: (...parts: readonly Uint8Array[]) => sha512(concat(...parts)),
  aesCbcEncrypt: (key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array) => cbc(key, iv).encrypt(plaintext),
  aesCbcDecrypt,
  aesGcmEncrypt: (key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array) => gcm(key, nonce).encrypt(plaintext),
  aesGcmDecrypt,
  createSha256,
  scrypt: (password: Uint8Array, salt: Uint8Array, cost: ScryptCost, length: number) =>
    scryptAsync(password, salt, {
      N: 2 ** cost.costLog2,
      r: cost.blockSize,
      p: cost.parallelism,
      dkLen: length,
      maxmem: scryptMemoryBytes(cost),
    }),
  equal,
  verifyEd25519,
  ed25519PublicKey: (seed: Uint8Array) => ed25519.getPublicKey(seed),
  signEd25519: (seed: Uint8Array, message: Uint8Array) => ed25519.sign(message, seed),
  edwards,
  ...kem,
});

/** Over Node's crypto, several times faster; undefined where it is missing or fails its self-test. */
export const nativePrimitives: Primitives | undefined = createNativePrimitives({ edwards, kem });

/** The provider in use: native where it runs. */
export const primitives: Primitives = nativePrimitives ?? noblePrimitives;
