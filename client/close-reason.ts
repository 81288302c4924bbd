/**
 * What the end of a connection means: try again, and how soon, or stop.
 *
 * The table is the one of `docs/protocol.md`, "Refusals". A close code that it does not list (1006, 1011, a proxy's own)
 * is bad luck of the network and retried.
 */

import type { ErrorCode } from './errors.ts';
import { LIMITS } from './limits.ts';

/** How a connection ended, as the transport saw it. */
export interface TransportClose {
  /** WebSocket close code; 1006 when there was no close frame or no connection. */
  readonly code: number;
  /** The reason of the close frame: a stable code of the protocol, or whatever an intermediary wrote. */
  readonly reason: string;
  /** When the server, or a proxy of its, asked to be left alone: the HTTP answer in place of the upgrade may say. */
  readonly retryAfterMs?: number | undefined;
  /** The server's certificate was refused on this side. A browser does not tell. */
  readonly isUntrusted?: boolean | undefined;
}

/** The consequence. `fatal`: reconnecting would end the same way. */
export type CloseVerdict =
  | { readonly type: 'retry'; readonly code: ErrorCode; readonly floorMs: number }
  | { readonly type: 'fatal'; readonly code: ErrorCode };

/** Close codes after which reconnecting by itself would do harm, with the code used when the reason names none. */
const FATAL: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [4400, 'APP_PROTOCOL'],
  [4401, 'APP_BAD_SIGNATURE'],
  [4409, 'APP_REPLACED'],
  [4410, 'APP_UNREGISTERED'],
  [4413, 'WIRE_FRAME_TOO_LARGE'],
  [4415, 'APP_TEXT_FRAME'],
]);

/** Refused logins that a new nonce mends. */
const RETRYABLE_LOGIN: ReadonlySet<string> = new Set(['APP_NONCE_EXPIRED', 'APP_LOGIN_TIMEOUT']);

/** Refused logins that every further one would repeat. */
const FATAL_LOGIN: ReadonlySet<string> = new Set(['APP_BAD_SIGNATURE', 'APP_UNKNOWN_DEVICE', 'APP_UNREGISTERED']);

/** Judges a close. */
export function judgeClose(close: TransportClose): CloseVerdict {
  const named = asProtocolCode(close.reason);
  if (close.code === 4401 && named !== undefined && RETRYABLE_LOGIN.has(named)) return retry(named);
  const fatal = FATAL.get(close.code);
  if (fatal !== undefined) return { type: 'fatal', code: named ?? fatal };
  if (close.code === 4429) return retry(named ?? 'APP_RATE_LIMITED', LIMITS.backoffRateLimitedMsMin);
  // Retried as well: the next certificate, or a corrected clock, may be right.
  if (close.isUntrusted === true) return retry('CLI_UNTRUSTED');
  return retry(named ?? 'CLI_UNREACHABLE', close.retryAfterMs);
}

/**
 * Judges a `<failure>` to the login, which comes before its close frame and says the same.
 *
 * Only what a new login cannot mend is fatal; a code of a later server is retried, since the backoff makes that harmless.
 *
 * @param retryAfterMs - The pause that the server asks for, if it does.
 */
export function judgeFailure(code: ErrorCode, retryAfterMs?: number): CloseVerdict {
  return FATAL_LOGIN.has(code) ? { type: 'fatal', code } : retry(code, retryAfterMs);
}

/** The text as a code of the server's, or `undefined` if it is none: an intermediary may write anything. */
export function asProtocolCode(text: string): ErrorCode | undefined {
  return /^(?:APP|WIRE)_[A-Z0-9_]{1,60}$/.test(text) ? (text as ErrorCode) : undefined;
}

function retry(code: ErrorCode, floorMs: number = 0): CloseVerdict {
  return { type: 'retry', code, floorMs: Math.min(floorMs, LIMITS.backoffFloorMsMax) };
}
