/**
 * X3DH: three or four Diffie-Hellman agreements between keys of one device and pre-keys of another.
 *
 *   initiator A         responder B
 *   identity ─────────▶ signed pre-key        A is A
 *   base     ─────────▶ identity              B is B
 *   base     ─────────▶ signed pre-key        forward secrecy, in days
 *   base     ─────────▶ one-time pre-key      forward secrecy at once, and no replay
 *
 * Knows keys alone. Source: "The X3DH Key Agreement Protocol", revision 1, sections 3.3 and 3.4. Vectors:
 * `vectors/session-transcripts.json`. Read next: `double-ratchet.ts`.
 */
import { concat } from './bytes.ts';
import { sessionVersion, type PreKeyMessage } from './ciphertext.ts';
import { signalError, type SignalError } from './errors.ts';
import type { Handshake, HandshakeSecret, ResponderKeys } from './handshake.ts';
import { agree, type KeyPair } from './keys.ts';
import type { PreKeyBundle } from './pre-keys.ts';
import { deriveFirstRootKey } from './ratchet-keys.ts';

/** Begins the input, so that it can never be an encoded X25519 or Edwards key (section 2.2). */
const discontinuity = new Uint8Array(32).fill(0xff);

/** One agreement to make: whose private half with whose public half. */
type Agreement = readonly [ours: KeyPair, theirs: Uint8Array];

function combine(agreements: readonly Agreement[]): HandshakeSecret | SignalError {
  const shared: Uint8Array[] = [discontinuity];
  for (const [ours, theirs] of agreements) {
    const secret = agree(ours.privateKey, theirs);
    if (secret === undefined) return signalError('SIG_BAD_KEY');
    shared.push(secret);
  }
  return { rootKey: deriveFirstRootKey(concat(...shared)) };
}

function initiate(identity: KeyPair, base: KeyPair, bundle: PreKeyBundle): HandshakeSecret | SignalError {
  const agreements: Agreement[] = [
    [identity, bundle.signedPreKey.publicKey],
    [base, bundle.identityKey],
    [base, bundle.signedPreKey.publicKey],
  ];
  if (bundle.oneTimePreKey !== undefined) agreements.push([base, bundle.oneTimePreKey.publicKey]);
  return combine(agreements);
}

function accept(keys: ResponderKeys, message: PreKeyMessage): HandshakeSecret | SignalError {
  const agreements: Agreement[] = [
    [keys.signedPreKey, message.identityKey],
    [keys.identityKeyPair, message.baseKey],
    [keys.signedPreKey, message.baseKey],
  ];
  if (keys.oneTimePreKey !== undefined) agreements.push([keys.oneTimePreKey, message.baseKey]);
  return combine(agreements);
}

export const x3dh: Handshake = Object.freeze({ sessionVersion, initiate, accept });
