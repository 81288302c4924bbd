/**
 * What a handshake is to the rest: two ends, one secret. Interfaces only.
 *
 * A session begins from the root key that a handshake gives and from nothing else of it, so that a hybrid one (PQXDH)
 * can stand beside X3DH as another implementation with its own session version. Read next: `x3dh.ts`.
 */
import type { PreKeyMessage } from './ciphertext.ts';
import type { SignalError } from './errors.ts';
import type { KeyPair } from './keys.ts';
import type { PreKeyBundle } from './pre-keys.ts';

/** The responder's private halves of what a pre-key message names. */
export interface ResponderKeys {
  readonly identityKeyPair: KeyPair;
  readonly signedPreKey: KeyPair;
  /** Present if and only if the message names one. */
  readonly oneTimePreKey: KeyPair | undefined;
}

/** What both ends know after it. */
export interface HandshakeSecret {
  /** 32 bytes, secret. */
  readonly rootKey: Uint8Array;
}

export interface Handshake {
  readonly sessionVersion: number;

  /**
   * The initiator's half. The bundle's keys are valid and its signature has been verified.
   *
   * @param baseKeyPair - Fresh, for this handshake alone; its public half names the session.
   * @returns SIG_BAD_KEY where an agreement fails.
   */
  initiate(identityKeyPair: KeyPair, baseKeyPair: KeyPair, bundle: PreKeyBundle): HandshakeSecret | SignalError;

  /** The responder's half. The message's keys are valid; that its sender owns them shows when the MAC does. */
  accept(keys: ResponderKeys, message: PreKeyMessage): HandshakeSecret | SignalError;
}
