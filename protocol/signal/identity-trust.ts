/**
 * What is believed of a correspondent's identity, and what the application is told when that changes.
 *
 *   unknown ──first key──▶ unverified ──compared──▶ verified
 *                             │  another key           │ another key
 *                             ▼                        ▼
 *                          unverified               broken ──compared, or accepted by the person──▶ verified, unverified
 *
 * Trust on first use: the first key is believed, a later one is told. Somebody who was verified and shows another key is
 * *broken*: whether messages then go out or come in is the application's decision, which a `TrustPolicy` takes for each
 * direction. Pure functions from state to state; the clock is a parameter. Read next: `safety-number.ts`.
 */
import { copyOf, requireBytes, samePublicBytes } from './bytes.ts';
import { LIMITS } from './limits.ts';

/** How sure we are of an identity. */
export type TrustLevel = 'unverified' | 'verified' | 'broken';

/** What is remembered of one person's identity. */
export interface IdentityTrust {
  /** 33 bytes: the key that they showed last. */
  readonly identityKey: Uint8Array;
  readonly level: TrustLevel;
  /** When the key was first seen, in milliseconds of wall time. */
  readonly sinceMs: number;
}

/** What a look at an identity has shown. */
export type IdentityEvent =
  | { readonly type: 'first-seen' }
  | {
      readonly type: 'changed';
      /** 33 bytes. */
      readonly formerKey: Uint8Array;
      /** True where the former key had been compared: the warning must not be overlooked. */
      readonly wasVerified: boolean;
    };

/** Which way a message is about to go. */
export type TrustDirection = 'send' | 'receive';

/** Decides whether a message may pass. Consulted before each ciphertext and each plaintext is released. */
export type TrustPolicy = (trust: IdentityTrust, direction: TrustDirection, nowMs: number) => boolean;

/**
 * The policy for applications that have none: everything is read; nothing is sent to somebody whose verified identity
 * changed, until a person has looked at it.
 */
export const cautiousPolicy: TrustPolicy = ({ level }, direction) => direction === 'receive' || level !== 'broken';

/**
 * Takes note of the identity key that a bundle or message came with.
 *
 * @returns The state to store, and what to tell, if anything.
 */
export function observeIdentity(
  known: IdentityTrust | undefined,
  identityKey: Uint8Array,
  nowMs: number,
): { readonly trust: IdentityTrust; readonly event: IdentityEvent | undefined } {
  requireBytes('identityKey', identityKey, LIMITS.publicKeyBytes);
  if (known !== undefined && samePublicBytes(known.identityKey, identityKey)) return { trust: known, event: undefined };
  const seen = { identityKey: copyOf(identityKey), sinceMs: nowMs };
  if (known === undefined) return { trust: { ...seen, level: 'unverified' }, event: { type: 'first-seen' } };
  const level = known.level === 'unverified' ? 'unverified' : 'broken';
  const event = { type: 'changed', formerKey: known.identityKey, wasVerified: known.level === 'verified' } as const;
  return { trust: { ...seen, level }, event };
}

/**
 * Marks an identity as compared.
 *
 * @param identityKey - The key that was compared. Another one than is known now verifies nothing: the key changed while
 *   two people were reading digits to each other.
 * @returns undefined in that case.
 */
export function verifyIdentity(trust: IdentityTrust, identityKey: Uint8Array): IdentityTrust | undefined {
  return samePublicBytes(trust.identityKey, identityKey) ? { ...trust, level: 'verified' } : undefined;
}

/** The person has seen that the identity changed and goes on without comparing. */
export function acceptIdentity(trust: IdentityTrust): IdentityTrust {
  return trust.level === 'broken' ? { ...trust, level: 'unverified' } : trust;
}
