/**
 * X3DH: three or four Diffie-Hellman agreements between keys of one device and pre-keys of another.
 *
 *   initiator A         responder B
 *   identity ─────────▶ signed pre-key        A is A
 *   base     ─────────▶ identity              B is B
 *   base     ─────────▶ signed pre-key        forward secrecy, in days
 *   base     ─────────▶ one-time pre-key      forward secrecy at once, and no replay
 *
 * Knows keys alone. The agreements serve the hybrid handshake, too. Source: "The X3DH Key Agreement Protocol", revision 1,
 * sections 3.3 and 3.4. Vectors: `vectors/session-transcripts.json`. Read next: `pqxdh.ts`.
 */
import { concat } from './bytes.ts';
import { classicVersion, type PreKeyMessage } from './ciphertext.ts';
import { isSignalError, signalError, type SignalError } from './errors.ts';
import type { Handshake, HandshakeSecret, Initiation, ResponderKeys } from './handshake.ts';
import { agree, type KeyPair } from './keys.ts';
import type { LocalIdentity, PreKeyBundle } from './pre-keys.ts';
import { deriveFirstRootKey } from './ratchet-keys.ts';

/** Begins the input, so that it can never be an encoded X25519 or Edwards key (section 2.2). */
const discontinuity = new Uint8Array(32).fill(0xff);

/** One agreement to make: whose private half with whose public half. */
type Agreement = readonly [ours: KeyPair, theirs: Uint8Array];

/** The input of the key derivation: a constant, then the agreements in order. SIG_BAD_KEY where one of them fails. */
function agreeOnEach(agreements: readonly Agreement[]): Uint8Array | SignalError {
  const shared: Uint8Array[] = [discontinuity];
  for (const [ours, theirs] of agreements) {
    const secret = agree(ours.privateKey, theirs);
    if (secret === undefined) return signalError('SIG_BAD_KEY');
    shared.push(secret);
  }
  return concat(...shared);
}

/** What the initiator agrees on, as input of a key derivation: 128 or 160 secret bytes. SIG_BAD_KEY. */
export function agreeAsInitiator(identity: KeyPair, base: KeyPair, bundle: PreKeyBundle): Uint8Array | SignalError {
  const agreements: Agreement[] = [
    [identity, bundle.signedPreKey.publicKey],
    [base, bundle.identityKey],
    [base, bundle.signedPreKey.publicKey],
  ];
  if (bundle.oneTimePreKey !== undefined) agreements.push([base, bundle.oneTimePreKey.publicKey]);
  return agreeOnEach(agreements);
}

/** The same bytes at the other end. SIG_BAD_KEY. */
export function agreeAsResponder(keys: ResponderKeys, message: PreKeyMessage): Uint8Array | SignalError {
  const agreements: Agreement[] = [
    [keys.signedPreKey, message.identityKey],
    [keys.identityKeyPair, message.baseKey],
    [keys.signedPreKey, message.baseKey],
  ];
  if (keys.oneTimePreKey !== undefined) agreements.push([keys.oneTimePreKey, message.baseKey]);
  return agreeOnEach(agreements);
}

function initiate(local: LocalIdentity, base: KeyPair, bundle: PreKeyBundle): Initiation | SignalError {
  const agreed = agreeAsInitiator(local.identityKeyPair, base, bundle);
  return isSignalError(agreed) ? agreed : { rootKey: deriveFirstRootKey(agreed), kemCiphertext: undefined };
}

function accept(keys: ResponderKeys, message: PreKeyMessage): HandshakeSecret | SignalError {
  const agreed = agreeAsResponder(keys, message);
  return isSignalError(agreed) ? agreed : { rootKey: deriveFirstRootKey(agreed) };
}

export const x3dh: Handshake = Object.freeze({ sessionVersion: classicVersion, initiate, accept });
