/**
 * XEdDSA: signatures by X25519 keys, so that one identity key both agrees and signs.
 *
 * Published form: the signer picks the Edwards key whose x is even, by negating its scalar, and the top bit of the
 * signature stays clear. Deployed signers of session version 3 keep their scalar and carry the sign of x in that bit,
 * the top bit of byte 63. We sign in the published form, which both kinds verify, and verify both.
 *
 * Knows X25519 keys and messages; not what is signed. Source: "The XEdDSA and VXEdDSA Signature Schemes", revision 1,
 * sections 2 to 5. Vectors: `vectors/xeddsa.json`. Read next: `pre-keys.ts`.
 */
import { concat } from './bytes.ts';
import { coordinateOf, isValidPublicKey } from './keys.ts';
import { LIMITS } from './limits.ts';
import { primitives, type RandomBytes } from './primitives.ts';

/** hash1 of the specification: SHA-512 under 2^256 - 2, little endian, which no encoded point or key begins with. */
const noncePrefix = new Uint8Array(32).fill(0xff);
noncePrefix[0] = 0xfe;

const nonceRandomBytes = 64;
const signBit = 0x80;

/** Edwards keys remembered: those of a lively group. Finding one takes an inversion, half as long as verifying natively. */
const edwardsKeyCountMax = 256;
const edwardsKeys: Map<string, Uint8Array> = new Map();

/** The Edwards form of an X25519 public key. Public, so remembered by value. */
function edwardsKeyOf(publicKey: Uint8Array, negativeX: boolean): Uint8Array {
  const name = String.fromCharCode(negativeX ? 1 : 0, ...publicKey);
  const known = edwardsKeys.get(name);
  if (known !== undefined) return known;
  const point = primitives.edwards.fromMontgomery(coordinateOf(publicKey), negativeX);
  if (edwardsKeys.size === edwardsKeyCountMax) edwardsKeys.delete(edwardsKeys.keys().next().value!);
  edwardsKeys.set(name, point);
  return point;
}

/** The scalar and the Edwards key with even x. */
function signingKey(privateKey: Uint8Array): { scalar: Uint8Array; point: Uint8Array } {
  const { edwards } = primitives;
  const point = edwards.multiplyBase(privateKey);
  if ((point[31]! & signBit) === 0) return { scalar: privateKey, point };
  point[31]! &= ~signBit;
  return { scalar: edwards.negate(privateKey), point };
}

/**
 * Signs `message`.
 *
 * @param privateKey - 32 bytes, clamped, secret.
 * @param random - Asked for 64 bytes. Even bad ones do not give the key away: the nonce depends on key and message, too.
 * @returns 64 bytes: R ‖ s.
 */
export function xeddsaSign(privateKey: Uint8Array, message: Uint8Array, random: RandomBytes): Uint8Array {
  const { edwards, sha512 } = primitives;
  const { scalar, point } = signingKey(privateKey);
  // With scalars below the group order, as the specification has it: the hash must not depend on the representative.
  const reduced = edwards.reduce(scalar);
  const nonce = edwards.reduce(sha512(noncePrefix, reduced, message, random(nonceRandomBytes)));
  const commitment = edwards.multiplyBase(nonce);
  const challenge = sha512(commitment, point, message);
  return concat(commitment, edwards.multiplyAdd(challenge, reduced, nonce));
}

/**
 * Whether `signature` over `message` is by the owner of `publicKey`.
 *
 * @param publicKey - 33 bytes; a key that `isValidPublicKey` refuses verifies nothing.
 * @param signature - 64 bytes; another length is not a signature.
 */
export function xeddsaVerify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== LIMITS.signatureBytes || !isValidPublicKey(publicKey)) return false;
  const negativeX = (signature[63]! & signBit) !== 0;
  const plainSignature = new Uint8Array(signature);
  plainSignature[63]! &= ~signBit;
  const point = edwardsKeyOf(publicKey, negativeX);
  return primitives.verifyEd25519(point, message, plainSignature);
}
