/**
 * Key pairs and public keys: making them, checking them, agreeing with them.
 *
 * A public key is 33 bytes: the type byte `05` and the X25519 coordinate. A private key is 32 bytes, clamped when it is
 * made and stored so (as every recorded private key is; `vectors/README.md`). No other key type exists here, and
 * nothing here knows what a key is for. Read next: `pre-keys.ts`, `xeddsa.ts`.
 */
import { concat, requireBytes } from './bytes.ts';
import { LIMITS } from './limits.ts';
import { primitives, type RandomBytes } from './primitives.ts';
import { Redacted } from './redacted.ts';

/** The type byte of X25519 public keys. */
const keyType = 0x05;

/** Ours do not print their private half, and a spread or `structuredClone` of one is without it: store both arrays. */
export interface KeyPair {
  /** 33 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes, secret. */
  readonly privateKey: Uint8Array;
}

class SecretKeyPair extends Redacted implements KeyPair {
  readonly publicKey: Uint8Array;
  readonly #privateKey: Uint8Array;

  constructor(publicKey: Uint8Array, privateKey: Uint8Array) {
    super();
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  get privateKey(): Uint8Array {
    return this.#privateKey;
  }
}

/**
 * Puts a stored pair together so that it does not print its private half. Takes ownership of both arrays; the halves
 * are trusted to belong together.
 *
 * @throws {TypeError|RangeError} an argument that is not 33 and 32 bytes.
 */
export function keyPair(publicKey: Uint8Array, privateKey: Uint8Array): KeyPair {
  requireBytes('publicKey', publicKey, LIMITS.publicKeyBytes);
  requireBytes('privateKey', privateKey, LIMITS.privateKeyBytes);
  return new SecretKeyPair(publicKey, privateKey);
}

/** Sets the bits that RFC 7748 (section 5) fixes, in place. */
export function clamp(privateKey: Uint8Array): Uint8Array {
  privateKey[0]! &= 0xf8;
  privateKey[31]! = (privateKey[31]! & 0x7f) | 0x40;
  return privateKey;
}

/** Makes a pair from 32 fresh bytes of `random`. @throws {RangeError} where `random` gives another length. */
export function generateKeyPair(random: RandomBytes): KeyPair {
  const fresh = random(LIMITS.privateKeyBytes);
  requireBytes('random(32)', fresh, LIMITS.privateKeyBytes);
  const privateKey = clamp(new Uint8Array(fresh));
  return new SecretKeyPair(encodePublicKey(primitives.x25519PublicKey(privateKey)), privateKey);
}

/** Puts the type byte before a 32-byte coordinate. */
export function encodePublicKey(coordinate: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(keyType), coordinate);
}

/** The 32 bytes after the type byte: a view. */
export function coordinateOf(publicKey: Uint8Array): Uint8Array {
  return publicKey.subarray(1);
}

/** The coordinates, little endian, whose multiples by the cofactor vanish, on the curve and on its twist. */
const smallOrderCoordinates: readonly Uint8Array[] = [
  '0000000000000000000000000000000000000000000000000000000000000000', // 0
  '0100000000000000000000000000000000000000000000000000000000000000', // 1
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', // order 8
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157', // order 8
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // -1
].map((hex) => Uint8Array.from(hex.match(/../g)!, (pair) => Number.parseInt(pair, 16)));

/** Whether the little-endian coordinate is below 2^255 - 19; the unused top bit must be clear. */
function isCanonical(coordinate: Uint8Array): boolean {
  if (coordinate[31]! < 0x7f) return true;
  if (coordinate[31]! > 0x7f) return false;
  for (let index = 30; index > 0; index--) if (coordinate[index]! < 0xff) return true;
  return coordinate[0]! < 0xed;
}

function isSmallOrder(coordinate: Uint8Array): boolean {
  return smallOrderCoordinates.some((small) => small.every((byte, index) => byte === coordinate[index]));
}

/**
 * Whether `publicKey` is one that we use: 33 bytes, type `05`, canonical, not of small order. Public input; not
 * constant time. RFC 7748 lets receivers reduce non-canonical coordinates; refusing them gives each key one encoding.
 */
export function isValidPublicKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== LIMITS.publicKeyBytes || publicKey[0] !== keyType) return false;
  const coordinate = coordinateOf(publicKey);
  return isCanonical(coordinate) && !isSmallOrder(coordinate);
}

/** Diffie-Hellman: 32 secret bytes, or undefined where the result would be all zero (RFC 7748, section 6.1). */
export function agree(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  return primitives.x25519(privateKey, coordinateOf(publicKey));
}
