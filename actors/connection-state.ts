/**
 * The life of a connection as a state machine: which stanza is allowed when, and what a login leads to. Pure.
 *
 *   greeted ──auth──▶ authenticating ──device found, signature fits──▶ live
 *      │                    │                                           │
 *      └────────── refused, timed out, closed, replaced ────────────────┴──▶ closed
 *
 * `connection.ts` carries the decisions out and owns everything else.
 */

import type { ClientMessage } from '../protocol/wire/index.ts';
import { refuseLogin, type Challenge, type LoginClaim } from './auth.ts';
import type { AppCode } from './errors.ts';
import type { DeviceRecord, SenderAddress } from './store/inbox-store.ts';

export type Phase =
  | { readonly name: 'greeted'; readonly challenge: Challenge }
  | { readonly name: 'authenticating'; readonly challenge: Challenge; readonly claim: LoginClaim }
  | { readonly name: 'live'; readonly self: SenderAddress; readonly key: string }
  | { readonly name: 'closed' };

const BEFORE_LOGIN: ReadonlySet<string> = new Set(['register', 'confirm']);

/** Whether `message` is allowed in `phase`; the code of the refusal if not. */
export function refuseInPhase(phase: Phase, message: ClientMessage): AppCode | undefined {
  if (message.kind === 'ping') return undefined;
  if (phase.name === 'live') return refuseWhenLive(message);
  if (phase.name !== 'greeted') return 'APP_PROTOCOL';
  if (message.kind === 'auth') return undefined;
  return message.kind === 'iq-set' && BEFORE_LOGIN.has(message.request.kind) ? undefined : 'APP_PROTOCOL';
}

function refuseWhenLive(message: ClientMessage): AppCode | undefined {
  if (message.kind === 'auth') return 'APP_PROTOCOL';
  return message.kind === 'iq-set' && BEFORE_LOGIN.has(message.request.kind) ? 'APP_PROTOCOL' : undefined;
}

/** What became of a login. */
export type LoginDecision =
  | { readonly kind: 'live'; readonly phase: Extract<Phase, { name: 'live' }> }
  | { readonly kind: 'refused'; readonly code: AppCode };

/** Decides a login once the accounts actor has answered. */
export function decideLogin(
  phase: Extract<Phase, { name: 'authenticating' }>,
  record: DeviceRecord | undefined,
  nowMs: number,
): LoginDecision {
  const code = refuseLogin(phase.claim, record, phase.challenge, nowMs);
  if (code !== undefined || record === undefined) return { kind: 'refused', code: code ?? 'APP_UNKNOWN_DEVICE' };
  const { user, device } = phase.claim;
  const self = { user, device, creation: record.creation };
  return { kind: 'live', phase: { name: 'live', self, key: `${user}.${device}.${record.creation}` } };
}
