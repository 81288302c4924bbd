/**
 * Key pairs that only sign: X25519 public keys as XEdDSA wants them, made so that an ordinary Ed25519 signature serves.
 *
 *   seed, 32 bytes ──SHA-512──▶ first half, clamped = X25519 private key ──▶ public key, 33 bytes
 *        └──Ed25519 sign──▶ R ‖ s, a valid XEdDSA signature by that key
 *
 * Platforms sign with Ed25519 natively and with X25519 keys not at all; a sender key signs every message, and this
 * makes it twenty times as fast as arithmetic in JavaScript. Seeds are drawn until the Edwards key's x is even: the
 * signature then has the published form (top bit clear), which every verifier takes. Half of all seeds will do.
 * The nonce is Ed25519's, derived from seed and message; identity keys, which also agree, sign with `xeddsa.ts` instead.
 *
 * Knows no messages. Source: XEdDSA, section 2.3; RFC 8032, section 5.1.5. Read next: `sender-key.ts`.
 */
import { requireBytes } from './bytes.ts';
import { clamp, encodePublicKey } from './keys.ts';
import { LIMITS } from './limits.ts';
import { primitives, type RandomBytes } from './primitives.ts';
import { Redacted } from './redacted.ts';

const signBit = 0x80;

export class SigningKeyPair extends Redacted {
  /** 33 bytes. */
  readonly publicKey: Uint8Array;
  readonly #seed: Uint8Array;

  /** @param seed - 32 bytes, secret, owned from here on; of a pair that `generateSigningKeyPair` made. */
  constructor(publicKey: Uint8Array, seed: Uint8Array) {
    super();
    requireBytes('publicKey', publicKey, LIMITS.publicKeyBytes);
    requireBytes('seed', seed, LIMITS.privateKeyBytes);
    this.publicKey = publicKey;
    this.#seed = seed;
  }

  /** 32 bytes, secret: what is stored. */
  get seed(): Uint8Array {
    return this.#seed;
  }
}

function hasEvenX(seed: Uint8Array): boolean {
  return (primitives.ed25519PublicKey(seed)[31]! & signBit) === 0;
}

/** The X25519 public key, with its type byte, of the scalar that Ed25519 signs with. */
function publicKeyOf(seed: Uint8Array): Uint8Array {
  const scalar = clamp(primitives.sha512(seed).slice(0, LIMITS.privateKeyBytes));
  return encodePublicKey(primitives.x25519PublicKey(scalar));
}

/**
 * Makes a pair.
 *
 * @param random - Asked for 32 bytes, twice on average. @throws {RangeError} where it gives another length.
 */
export function generateSigningKeyPair(random: RandomBytes): SigningKeyPair {
  for (;;) {
    const fresh = random(LIMITS.privateKeyBytes);
    requireBytes('random(32)', fresh, LIMITS.privateKeyBytes);
    const seed = new Uint8Array(fresh);
    if (hasEvenX(seed)) return new SigningKeyPair(publicKeyOf(seed), seed);
  }
}

/** Signs `message`: 64 bytes that `xeddsaVerify` accepts under `pair.publicKey`. */
export function signWith(pair: SigningKeyPair, message: Uint8Array): Uint8Array {
  return primitives.signEd25519(pair.seed, message);
}
