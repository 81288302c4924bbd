/**
 * The life of a connection as a state machine: which stanza is allowed when, and what a login leads to. Pure.
 *
 *      ┌──────────────────── ticket fits ────────────────────────────┐
 *      │                                                             ▼
 *   greeted ──auth──▶ authenticating ──device found, signature fits──▶ attaching ──attached──▶ live
 *      │                    │                                           │                     │
 *      └────────── refused, timed out, closed, replaced ────────────────┴─────────────────────┴──▶ closed
 *
 * A connection that is live is greeted a second time where a shard has moved, and goes on from there (`greeting.ts`).
 *
 * A ticket that does not fit leaves the connection greeted, once: then only a signature is taken. One that fits may be of a device that
 * has been removed since: only its inbox knows. So nobody is logged in, nor told so, before the inbox has taken the connection; a
 * client waits for `<success>`, and what comes earlier is a violation.
 * `login.ts` carries the decisions out.
 */

import type { ClientMessage } from '../../protocol/wire/index.ts';
import type { Ref } from '../../runtime/index.ts';
import { checkResume, refuseLogin, type Challenge, type LoginClaim, type Now } from '../auth.ts';
import type { AppCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { ResumeClaim, ResumeTickets } from '../resume-ticket.ts';
import type { DeviceRecord, SenderAddress } from '../store/inbox-store.ts';

/** What a login waits for: in a cluster its shard may be between two owners, and then it asks again. */
export interface Asking {
  /** The monitor of the actor that was asked last, where that is on a node of a cluster. */
  watch: Ref | undefined;
  /** How often nobody was there, since the client asked to be logged in. */
  misses: number;
}

/** What a login tells of the pre-keys that are left. */
export type HeldKeys = { readonly preKeys?: number; readonly kemPreKeys?: number };

export const NOTHING_HELD: HeldKeys = {};

export type Phase =
  | { readonly name: 'greeted'; readonly challenge: Challenge; readonly ticketRefused: boolean }
  | {
      readonly name: 'authenticating';
      readonly asking: Asking;
      readonly challenge: Challenge;
      readonly claim: LoginClaim;
      /** Whether the client takes a ticket. */
      readonly wantsTicket: boolean;
    }
  | {
      readonly name: 'attaching';
      readonly asking: Asking;
      readonly self: SenderAddress;
      readonly wantsTicket: boolean;
      held: HeldKeys;
    }
  | {
      readonly name: 'live';
      readonly self: SenderAddress;
      /** Made with the first message; see `keyOf`. */
      key: string | undefined;
    }
  | { readonly name: 'closed' };

const BEFORE_LOGIN: ReadonlySet<string> = new Set(['register', 'confirm', 'link-begin']);

/** Whether `message` is allowed in `phase`; the code of the refusal if not. */
export function refuseInPhase(phase: Phase, message: ClientMessage): AppCode | undefined {
  if (message.kind === 'ping') return undefined;
  if (phase.name === 'live') return refuseWhenLive(message);
  if (phase.name !== 'greeted') return 'APP_PROTOCOL';
  if (message.kind === 'auth') return undefined;
  if (message.kind === 'resume') return phase.ticketRefused ? 'APP_PROTOCOL' : undefined;
  return message.kind === 'iq-set' && BEFORE_LOGIN.has(message.request.kind) ? undefined : 'APP_PROTOCOL';
}

function refuseWhenLive(message: ClientMessage): AppCode | undefined {
  if (message.kind === 'auth' || message.kind === 'resume') return 'APP_PROTOCOL';
  return message.kind === 'iq-set' && BEFORE_LOGIN.has(message.request.kind) ? 'APP_PROTOCOL' : undefined;
}

type Attaching = Extract<Phase, { name: 'attaching' }>;

/** What became of a login. `admitted`: who it says it is; whether the device still is one, its inbox says. */
export type LoginDecision =
  { readonly kind: 'admitted'; readonly phase: Attaching } | { readonly kind: 'refused'; readonly code: AppCode };

/** What became of a login by ticket. `greeted`: refused, and the connection waits for a signature. */
export type ResumeDecision =
  LoginDecision | { readonly kind: 'greeted'; readonly phase: Extract<Phase, { name: 'greeted' }> };

/** Decides a login by ticket, at once. */
export function decideResume(
  phase: Extract<Phase, { name: 'greeted' }>,
  claim: ResumeClaim,
  tickets: ResumeTickets,
  now: Now,
): ResumeDecision {
  const resumed = checkResume(claim, phase.challenge, tickets, now);
  if (resumed === 'APP_BAD_TICKET') return { kind: 'greeted', phase: { ...phase, ticketRefused: true } };
  if (typeof resumed === 'string') return { kind: 'refused', code: resumed };
  const wantsTicket = resumed.expiresAtMs - now.wallMs <= LIMITS.resumeTicketRenewMs;
  return { kind: 'admitted', phase: attaching(claim.user, claim.device, resumed.creation, wantsTicket) };
}

function attaching(user: string, device: number, creation: number, wantsTicket: boolean): Attaching {
  const self = { user, device, creation };
  return { name: 'attaching', asking: notAsked(), self, wantsTicket, held: NOTHING_HELD };
}

export function notAsked(): Asking {
  return { watch: undefined, misses: 0 };
}

/** Decides a login once the accounts actor has answered. */
export function decideLogin(
  phase: Extract<Phase, { name: 'authenticating' }>,
  record: DeviceRecord | undefined,
  nowMs: number,
): LoginDecision {
  const code = refuseLogin(phase.claim, record, phase.challenge, nowMs);
  if (code !== undefined || record === undefined) return { kind: 'refused', code: code ?? 'APP_UNKNOWN_DEVICE' };
  const { user, device } = phase.claim;
  const next = attaching(user, device, record.creation, phase.wantsTicket);
  next.asking.misses = phase.asking.misses;
  return { kind: 'admitted', phase: next };
}

/**
 * `user.device.creation`, by which an inbox knows a sender. In one piece: a template would be kept as a tree of its parts for as long as
 * the connection lives, three times the size.
 */
export function keyOf(phase: Extract<Phase, { name: 'live' }>): string {
  return (phase.key ??= keyOfDevice(phase.self));
}

/** The same, of a device that is not logged in at the moment. */
export function keyOfDevice({ user, device, creation }: SenderAddress): string {
  return [user, device, creation].join('.');
}
