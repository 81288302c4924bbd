/**
 * Login: the challenge, and the check of the signature or the ticket that answers it. Pure; `connection/login.ts` carries it out.
 *
 * The nonce is fresh for each connection and never accepted on another, so a recorded login is worth nothing. The
 * label in front keeps a login signature from meaning anything elsewhere.
 */

import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { AppCode } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { ResumeClaim, Resumed, ResumeTickets } from './resume-ticket.ts';
import type { DeviceRecord } from './store/inbox-store.ts';

const NONCE_BYTES = 32;

const LABEL = 'blindbeam login 1';
const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

export interface Challenge {
  readonly nonce: Uint8Array;
  /** Monotonic milliseconds. */
  readonly issuedAtMs: number;
}

export interface LoginClaim {
  readonly user: string;
  readonly device: number;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
}

/**
 * Draws nonces out of larger pieces of randomness: a piece for 128 of them costs little more than one nonce by itself.
 *
 * @param draw - Makes random bytes, owned.
 */
export function nonceSource(draw: (length: number) => Uint8Array): () => Uint8Array {
  let piece: Uint8Array = new Uint8Array(0);
  let used = 0;
  return () => {
    if (used === piece.length) {
      piece = draw(NONCE_BYTES * NONCES_IN_PIECE);
      used = 0;
    }
    used += NONCE_BYTES;
    return piece.subarray(used - NONCE_BYTES, used);
  };
}

const NONCES_IN_PIECE = 128;

/** The bytes that a device signs; docs/protocol.md, "Opening". */
export function loginBytes(nonce: Uint8Array, user: string, device: number): Uint8Array {
  return Buffer.concat([Buffer.from(`${LABEL}\0`), nonce, Buffer.from(`${user}\0`), Buffer.from([device])]);
}

/**
 * Decides a login.
 *
 * @param record - What the store knows of the claimed device; `undefined` if nothing.
 * @returns The refusal, or `undefined` when the device is who it says.
 */
export function refuseLogin(
  claim: LoginClaim,
  record: DeviceRecord | undefined,
  challenge: Challenge,
  nowMs: number,
): AppCode | undefined {
  if (isExpired(challenge, nowMs)) return 'APP_NONCE_EXPIRED';
  if (record === undefined) return 'APP_UNKNOWN_DEVICE';
  const key = loginKey(record.loginKey);
  const bytes = loginBytes(challenge.nonce, claim.user, claim.device);
  return key !== undefined && verify(null, bytes, key, claim.signature) ? undefined : 'APP_BAD_SIGNATURE';
}

/** The present time, by both clocks. */
export interface Now {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/**
 * Decides a login by ticket. APP_BAD_TICKET does not end the connection: the device may sign the same nonce instead.
 *
 * @returns What the ticket says, or the refusal.
 */
export function checkResume(
  claim: ResumeClaim,
  challenge: Challenge,
  tickets: ResumeTickets,
  now: Now,
): Resumed | AppCode {
  if (isExpired(challenge, now.monotonicMs)) return 'APP_NONCE_EXPIRED';
  return tickets.open(claim, challenge.nonce, now.wallMs) ?? 'APP_BAD_TICKET';
}

function isExpired({ issuedAtMs }: Challenge, nowMs: number): boolean {
  return nowMs - issuedAtMs > LIMITS.nonceAgeMsMax;
}

function loginKey(raw: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.concat([ED25519_SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
