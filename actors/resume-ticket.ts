/**
 * Resume tickets: what a device shows at its next login in place of a signature. No store is read and no public key used.
 *
 *   token, 16 bytes, base64url on the wire             secret, 32 bytes
 *   offset  bytes  field                               HMAC-SHA-256(key of the day, token ‖ user id ‖ device)
 *   0       1      version, 01
 *   1       3      day of its key, since 1970          proof, 32 bytes
 *   4       4      creation of the device              HMAC-SHA-256(secret, label ‖ nonce of the connection)
 *   8       8      expires, ms since 1970
 *
 * The secret is the token's MAC. It travels once, with `<success>`; afterwards only what is computed with it does, over a
 * nonce that is good for one connection. So the server keeps no record of a ticket, and a recorded login is worth nothing.
 * Which of its registrations a device means stands in the token; that it is the present one, the inbox checks at `attach`.
 *
 * The key changes with the day (UTC), derived from the installation's secret: workers agree without talking, and a key that
 * leaked signs nothing new after its day and is worthless a ticket's age later.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ResumeTicket } from '../protocol/wire/index.ts';
import { LIMITS } from './limits.ts';

const TOKEN_BYTES = 16;
const VERSION = 1;
const DAY_MS = 86_400_000;
const KEY_LABEL = 'blindbeam resume ticket 1';
const PROOF_LABEL = Buffer.from('blindbeam resume 1\0');

/** Whose ticket it is. */
export interface TicketOwner {
  readonly user: string;
  readonly device: number;
  readonly creation: number;
}

/** A login by ticket, as claimed. */
export interface ResumeClaim {
  readonly user: string;
  readonly device: number;
  /** The token, in base64url. */
  readonly ticket: string;
  readonly proof: Uint8Array;
}

/** What an accepted ticket says. */
export interface Resumed {
  readonly creation: number;
  readonly expiresAtMs: number;
}

/** What shows that the secret of a ticket is held, on the connection with this nonce. 32 bytes, owned. */
export function resumeProof(secret: Uint8Array, nonce: Uint8Array): Uint8Array {
  return createHmac('sha256', secret).update(PROOF_LABEL).update(nonce).digest();
}

/** Gives out tickets and takes them; one for each worker, all alike. */
export class ResumeTickets {
  readonly #installation: Buffer;
  /** Keys by day: those whose tickets can be alive, made when first needed. */
  readonly #keys: Map<number, Buffer> = new Map();

  /** @param secret - Of the installation, in hex. */
  constructor(secret: string) {
    this.#installation = Buffer.from(secret, 'hex');
  }

  /** A ticket for `owner`, good from `nowMs` (wall clock) for `LIMITS.resumeTicketAgeMs`. Its bytes are owned. */
  seal(owner: TicketOwner, nowMs: number): ResumeTicket {
    const day = Math.floor(nowMs / DAY_MS);
    const token = Buffer.alloc(TOKEN_BYTES);
    token.writeUIntBE(day, 1, 3);
    token[0] = VERSION;
    token.writeUInt32BE(owner.creation, 4);
    token.writeBigUInt64BE(BigInt(Math.floor(nowMs) + LIMITS.resumeTicketAgeMs), 8);
    const secret = secretOf(this.#key(day), token, owner.user, owner.device);
    return { token: token.toString('base64url'), secret, expires: LIMITS.resumeTicketAgeMs / 1000 };
  }

  /**
   * Checks a claim. The cheap refusals come first: what is not of our form, or too old, costs no MAC.
   *
   * @param nowMs - Wall clock.
   * @returns `undefined` for a ticket that this installation did not give to that device, that has expired, or whose secret
   * the other side does not hold.
   */
  open(claim: ResumeClaim, nonce: Uint8Array, nowMs: number): Resumed | undefined {
    const token = Buffer.from(claim.ticket, 'base64url');
    if (token.length !== TOKEN_BYTES || token[0] !== VERSION) return undefined;
    const day = token.readUIntBE(1, 3);
    const expiresAtMs = Number(token.readBigUInt64BE(8));
    if (expiresAtMs <= nowMs || expiresAtMs > (day + 1) * DAY_MS + LIMITS.resumeTicketAgeMs) return undefined;
    // A day ahead at most: the clock of another worker or node, never a key of the far future.
    if (day > Math.floor(nowMs / DAY_MS) + 1) return undefined;
    const expected = resumeProof(secretOf(this.#key(day), token, claim.user, claim.device), nonce);
    const holds = claim.proof.length === expected.length && timingSafeEqual(expected, claim.proof);
    return holds ? { creation: token.readUInt32BE(4), expiresAtMs } : undefined;
  }

  #key(day: number): Buffer {
    const known = this.#keys.get(day);
    if (known !== undefined) return known;
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(day);
    const key = createHmac('sha256', this.#installation).update(KEY_LABEL).update(counter).digest();
    this.#keys.set(day, key);
    if (this.#keys.size > KEY_COUNT_MAX) this.#keys.delete(this.#keys.keys().next().value!);
    return key;
  }
}

/** Days on which a ticket that is alive may have been given out, and the day ahead. */
const KEY_COUNT_MAX: number = Math.ceil(LIMITS.resumeTicketAgeMs / DAY_MS) + 2;

function secretOf(key: Buffer, token: Buffer, user: string, device: number): Buffer {
  return createHmac('sha256', key).update(token).update(user).update(Uint8Array.of(device)).digest();
}
