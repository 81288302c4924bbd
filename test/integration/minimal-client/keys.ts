/**
 * X25519, Ed25519 and XEdDSA with node:crypto alone. Written from protocol/signal/FORMAT.md, "Keys and signatures".
 *
 * The identity key is made of an Ed25519 seed, as that page allows: then signing is Ed25519 with one bit carried over.
 */

import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  randomBytes,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';

const TYPE = 0x05;
const P = 2n ** 255n - 19n;
/** What stands before the 32 bytes of a key in PKCS#8 and SPKI (RFC 8410). */
const DER = {
  x25519Private: Buffer.from('302e020100300506032b656e04220420', 'hex'),
  x25519Public: Buffer.from('302a300506032b656e032100', 'hex'),
  ed25519Private: Buffer.from('302e020100300506032b657004220420', 'hex'),
  ed25519Public: Buffer.from('302a300506032b6570032100', 'hex'),
} as const;

export interface KeyPair {
  /** 33 bytes. */
  readonly publicKey: Buffer;
  readonly privateKey: KeyObject;
}

export interface IdentityKeyPair extends KeyPair {
  /** Ed25519, of the same scalar. */
  readonly signingKey: KeyObject;
}

export function generateKeyPair(): KeyPair {
  return keyPairOf(clamp(randomBytes(32)));
}

/** The pair of a clamped private key. */
export function keyPairOf(privateBytes: Buffer): KeyPair {
  const privateKey = privateKeyOf(DER.x25519Private, privateBytes);
  return { publicKey: Buffer.concat([Buffer.of(TYPE), rawPublicKey(privateKey)]), privateKey };
}

export function generateIdentity(): IdentityKeyPair {
  const seed = randomBytes(32);
  const scalar = clamp(createHash('sha512').update(seed).digest().subarray(0, 32));
  return { ...keyPairOf(scalar), signingKey: privateKeyOf(DER.ed25519Private, seed) };
}

/** Diffie-Hellman; OpenSSL refuses a result of zeros. */
export function agree(ours: KeyPair, theirs: Buffer): Buffer {
  if (theirs.length !== 33 || theirs[0] !== TYPE) throw new Error('not a public key');
  return diffieHellman({ privateKey: ours.privateKey, publicKey: publicKeyOf(DER.x25519Public, theirs.subarray(1)) });
}

/** XEdDSA in the form that carries the sign of the Edwards key in the last byte. */
export function signWith(identity: IdentityKeyPair, bytes: Buffer): Buffer {
  const signature = sign(null, bytes, identity.signingKey);
  signature[63]! |= rawPublicKey(identity.signingKey)[31]! & 0x80;
  return signature;
}

export function verifies(publicKey: Buffer, bytes: Buffer, signature: Buffer): boolean {
  const point = edwardsOf(publicKey.subarray(1));
  point[31]! |= signature[63]! & 0x80;
  const plain = Buffer.from(signature);
  plain[63]! &= 0x7f;
  return verify(null, bytes, publicKeyOf(DER.ed25519Public, point), plain);
}

export function hmac(key: Buffer, bytes: Buffer): Buffer {
  return createHmac('sha256', key).update(bytes).digest();
}

export function hkdf(secret: Buffer, salt: Buffer, label: string | Buffer, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, label, length));
}

/** The 32 bytes of a public key, or of the public half. */
export function rawPublicKey(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
}

function privateKeyOf(prefix: Buffer, bytes: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([prefix, bytes]), format: 'der', type: 'pkcs8' });
}

function publicKeyOf(prefix: Buffer, bytes: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([prefix, bytes]), format: 'der', type: 'spki' });
}

function clamp(bytes: Buffer): Buffer {
  bytes[0]! &= 0xf8;
  bytes[31] = (bytes[31]! & 0x7f) | 0x40;
  return bytes;
}

/** y = (u - 1) / (u + 1), little endian. */
function edwardsOf(coordinate: Buffer): Buffer {
  const u = BigInt(`0x${Buffer.from(coordinate).reverse().toString('hex')}`);
  const y = ((u - 1n + P) * power(u + 1n, P - 2n)) % P;
  return Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse();
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let [square, rest] = [base % P, exponent]; rest > 0n; rest >>= 1n, square = (square * square) % P) {
    if ((rest & 1n) === 1n) result = (result * square) % P;
  }
  return result;
}
