/**
 * What a handshake is to the rest: two ends, one secret. Interfaces only.
 *
 * A session begins from the root key that a handshake gives, and the ciphertext that the hybrid one sends along, and from
 * nothing else of it. Which one is used: the hybrid one wherever the bundle has a KEM pre-key. Read next: `x3dh.ts`,
 * `pqxdh.ts`.
 */
import type { PreKeyMessage, SessionVersion } from './ciphertext.ts';
import type { SignalError } from './errors.ts';
import type { KemKeyPair } from './kem-keys.ts';
import type { KeyPair } from './keys.ts';
import type { LocalIdentity, PreKeyBundle } from './pre-keys.ts';
import type { RandomBytes } from './primitives.ts';

/** The responder's private halves of what a pre-key message names. */
export interface ResponderKeys {
  readonly identityKeyPair: KeyPair;
  readonly signedPreKey: KeyPair;
  /** Present if and only if the message names one. */
  readonly oneTimePreKey: KeyPair | undefined;
  /** Present if and only if the message names one. */
  readonly kemPreKey: KemKeyPair | undefined;
}

/** What both ends know after it. */
export interface HandshakeSecret {
  /** 32 bytes, secret. */
  readonly rootKey: Uint8Array;
}

/** What the initiator has after its half. */
export interface Initiation extends HandshakeSecret {
  /** 1,568 bytes for the responder; only of the hybrid handshake. */
  readonly kemCiphertext: Uint8Array | undefined;
}

export interface Handshake {
  readonly sessionVersion: SessionVersion;

  /**
   * The initiator's half. The bundle's keys are valid and its signatures have been verified.
   *
   * @param baseKeyPair - Fresh, for this handshake alone; its public half names the session.
   * @param random - Asked for 32 bytes by the hybrid handshake, for nothing by the other.
   * @returns SIG_BAD_KEY where an agreement or the encapsulation fails.
   */
  initiate(
    local: LocalIdentity,
    baseKeyPair: KeyPair,
    bundle: PreKeyBundle,
    random: RandomBytes,
  ): Initiation | SignalError;

  /** The responder's half. The message's keys are valid; that its sender owns them shows when the MAC does. */
  accept(keys: ResponderKeys, message: PreKeyMessage): HandshakeSecret | SignalError;
}
