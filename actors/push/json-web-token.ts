/**
 * Signed tokens by which this server names itself to push services: JWT with ES256 (VAPID, APNs) or RS256 (FCM).
 *
 * Only written, never read. Source: RFC 7515, section 3; RFC 7518, sections 3.3 and 3.4.
 */

import { sign, type KeyObject } from 'node:crypto';

export interface TokenClaims {
  readonly [name: string]: string | number;
}

/**
 * @param key - Private: P-256 for ES256, RSA for RS256.
 * @param header - Beyond `alg` and `typ`.
 */
export function signToken(
  algorithm: 'ES256' | 'RS256',
  key: KeyObject,
  claims: TokenClaims,
  header: TokenClaims = {},
): string {
  const head = encodeJson({ typ: 'JWT', alg: algorithm, ...header });
  const text = `${head}.${encodeJson(claims)}`;
  // JWS wants the two numbers of an ECDSA signature side by side, and not the DER that OpenSSL makes.
  const options = algorithm === 'ES256' ? ({ key, dsaEncoding: 'ieee-p1363' } as const) : key;
  return `${text}.${sign('sha256', Buffer.from(text), options).toString('base64url')}`;
}

function encodeJson(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A token that is used until it is near its end, then made anew. */
export class KeptToken {
  readonly #make: (nowMs: number) => string;
  readonly #ageMsMax: number;
  #token = '';
  #madeAtMs = -Infinity;

  constructor(ageMsMax: number, make: (nowMs: number) => string) {
    this.#ageMsMax = ageMsMax;
    this.#make = make;
  }

  /** @param nowMs - Wall time; a clock that was set back makes a new token, too. */
  get(nowMs: number): string {
    const ageMs = nowMs - this.#madeAtMs;
    if (ageMs >= 0 && ageMs < this.#ageMsMax) return this.#token;
    this.#madeAtMs = nowMs;
    return (this.#token = this.#make(nowMs));
  }
}
