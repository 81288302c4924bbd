/**
 * The key that a device logs in with: plain Ed25519, so that the server verifies natively.
 *
 * The signature is computed from the primitives of the Signal half, which every platform has; WebCrypto's Ed25519 is
 * missing in many browsers still in use, and would make login asynchronous for nothing. One login takes a millisecond.
 *
 * Source: RFC 8032, section 5.1.5 and 5.1.6. Vectors: section 7.1, in `login-key.test.ts`.
 */

import { primitives } from '../protocol/signal/primitives.ts';
import type { Random } from './environment.ts';

const encoder = new TextEncoder();

/** Sets the proof of one login apart from every other signature by any key of ours. */
const LOGIN_LABEL = encoder.encode('blindbeam login 1\0');

/** An Ed25519 key pair. The private half shows neither in JSON nor when inspected. */
export class LoginKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly #seed: Uint8Array;
  readonly #scalar: Uint8Array;
  readonly #prefix: Uint8Array;

  /** @param seed - 32 secret bytes, owned by the key from now on. */
  constructor(seed: Uint8Array) {
    if (seed.length !== 32) throw new RangeError('"seed" expected 32 bytes');
    const hash = primitives.sha512(seed);
    this.#seed = seed;
    this.#scalar = clamp(hash.slice(0, 32));
    this.#prefix = hash.slice(32);
    this.publicKey = primitives.edwards.multiplyBase(this.#scalar);
  }

  /** Makes a key from fresh randomness. */
  static generate(random: Random): LoginKey {
    return new LoginKey(random.bytes(32));
  }

  /** Signs `message`: 64 bytes, owned by the caller. */
  sign(message: Uint8Array): Uint8Array {
    const { edwards, sha512 } = primitives;
    const nonce = edwards.reduce(sha512(this.#prefix, message));
    const commitment = edwards.multiplyBase(nonce);
    const challenge = sha512(commitment, this.publicKey, message);
    const signature = new Uint8Array(64);
    signature.set(commitment);
    signature.set(edwards.multiplyAdd(challenge, this.#scalar, nonce), 32);
    return signature;
  }

  /** The 32 secret bytes, for the store alone. Borrowed. */
  exportSeed(): Uint8Array {
    return this.#seed;
  }

  toJSON(): string {
    return '[LoginKey redacted]';
  }
}

/**
 * What a login signs: the label, the server's nonce, the user id, and the device id in one byte.
 *
 * Source: `docs/protocol.md`, "Opening".
 */
export function loginStatement(nonce: Uint8Array, user: string, device: number): Uint8Array {
  const name = encoder.encode(`${user}\0`);
  const statement = new Uint8Array(LOGIN_LABEL.length + nonce.length + name.length + 1);
  statement.set(LOGIN_LABEL);
  statement.set(nonce, LOGIN_LABEL.length);
  statement.set(name, LOGIN_LABEL.length + nonce.length);
  statement[statement.length - 1] = device;
  return statement;
}

function clamp(scalar: Uint8Array): Uint8Array {
  scalar[0]! &= 0xf8;
  scalar[31] = (scalar[31]! & 0x7f) | 0x40;
  return scalar;
}
