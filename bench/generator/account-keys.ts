/**
 * Keys of a benchmark account. Adapter to the system's randomness.
 *
 * The login key is a real Ed25519 key, because the server verifies the login. The Signal keys only have their form: the
 * server stores them without looking, and nobody encrypts to these accounts.
 */

import { createHmac, generateKeyPairSync, randomBytes, randomInt, sign } from 'node:crypto';
import type { SignedKey } from '../../protocol/wire/index.ts';

export interface AccountKeys {
  readonly registration: number;
  /** Ed25519 public key, 32 bytes. */
  readonly login: Uint8Array;
  /** 33 bytes, the first of them 05. */
  readonly identity: Uint8Array;
  readonly signed: SignedKey;
  /** The login signature of docs/protocol.md, "Opening": 64 bytes. */
  signLogin(nonce: Uint8Array, user: string, device: number): Uint8Array;
}

const LOGIN_LABEL = 'blindbeam login 1\0';
const RESUME_LABEL = 'blindbeam resume 1\0';
const PUBLIC_KEY_TYPE = 5;
/** An Ed25519 public key in DER ends with its 32 bytes. */
const LOGIN_KEY_BYTES = 32;

/** Makes the keys of one account. */
export function makeAccountKeys(): AccountKeys {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    registration: 1,
    login: publicKey.export({ format: 'der', type: 'spki' }).subarray(-LOGIN_KEY_BYTES),
    identity: signalKeyForm(),
    signed: { id: 1, key: signalKeyForm(), signature: randomBytes(64) },
    signLogin: (nonce, user, device) => sign(null, loginBytes(nonce, user, device), privateKey),
  };
}

/** The bytes that a login signs. */
export function loginBytes(nonce: Uint8Array, user: string, device: number): Uint8Array {
  return Buffer.concat([Buffer.from(LOGIN_LABEL), nonce, Buffer.from(`${user}\0`), Buffer.from([device])]);
}

function signalKeyForm(): Uint8Array {
  return Buffer.concat([Buffer.from([PUBLIC_KEY_TYPE]), randomBytes(32)]);
}

/** What answers a nonce in place of a signature; docs/protocol.md, "Tickets". */
export function resumeProof(secret: Uint8Array, nonce: Uint8Array): Uint8Array {
  return createHmac('sha256', secret).update(RESUME_LABEL).update(nonce).digest();
}

/** Random bytes that stand for a ciphertext; to the server they are the same thing. */
export function opaqueBytes(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length));
}

/** A uniform integer from 0 to below `bound`. */
export function drawInteger(bound: number): number {
  return randomInt(bound);
}
