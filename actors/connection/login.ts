/**
 * From the first word of a client to a connection that is live: the decisions of `phase.ts`, carried out.
 *
 * A login by signature asks the accounts actor for the device, one by ticket asks nobody; both then ask the inbox to take the connection.
 * In a cluster a shard may be between two owners, and what was asked is asked again. Who answers: `../accounts.ts`, `../inbox/attach.ts`.
 */

import {
  failureStanza,
  FEATURES,
  successStanza,
  type AuthMessage,
  type ResumeMessage,
} from '../../protocol/wire/index.ts';
import type { Context, Pid, Ref } from '../../runtime/index.ts';
import { describe } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { AccountsMessage, ConnectionMessage, InboxMessage } from '../messages.ts';
import type { RemoteName } from '../routes.ts';
import { isAnother } from './greeting.ts';
import { decideLogin, decideResume, notAsked, NOTHING_HELD, type Asking, type HeldKeys, type Phase } from './phase.ts';
import { closeWith, putOff } from './refusals.ts';
import { understandsGaps, understandsGroups, type ConnectionState } from './state.ts';
import { isBetweenOwners, watchInbox } from './watching.ts';

/** Notes to itself: the inbox has not taken this connection yet; the shard's next owner may be there. */
export const ATTACH_TIMEOUT = 'attach-timeout';
export const ASK_AGAIN = 'ask-again';
/** What a later client may add means nothing here. */
const KNOWN_FEATURES: number = Object.values(FEATURES).reduce((sum, bit) => sum | bit, 0);

type Authenticating = Extract<Phase, { name: 'authenticating' }>;

type Attaching = Extract<Phase, { name: 'attaching' }>;

export type DeviceFound = Extract<ConnectionMessage, { kind: 'device-found' }>;

/** A login by signature: who is it that signs? */
export function beginLogin(message: AuthMessage, state: ConnectionState, ctx: Context): void {
  if (state.phase.name !== 'greeted') return;
  if (isAnother(message, state)) return closeWith('APP_PROTOCOL', state, ctx);
  const deferral = state.admission.verify();
  if (deferral !== undefined) return putOff(deferral, state, ctx);
  noteFeatures(message, state);
  const { user, device, signature } = message;
  const wantsTicket = (state.features & FEATURES.resumeTickets) !== 0;
  const { challenge } = state.phase;
  const claim = { user, device, signature };
  state.phase = { name: 'authenticating', asking: notAsked(), challenge, claim, wantsTicket };
  askForDevice(state.phase, state, ctx);
}

/** A login by ticket is decided here and now: nothing is looked up, and what is left of the pre-keys is not told. */
export function resume(message: ResumeMessage, state: ConnectionState, ctx: Context): void {
  if (state.phase.name !== 'greeted') return;
  if (isAnother(message, state)) return closeWith('APP_PROTOCOL', state, ctx);
  noteFeatures(message, state);
  const now = { monotonicMs: ctx.clock.monotonicMs(), wallMs: ctx.clock.nowMs() };
  const decision = decideResume(state.phase, message, state.tickets, now);
  if (decision.kind === 'refused') return closeWith(decision.code, state, ctx);
  if (decision.kind === 'admitted') return enter(decision.phase, NOTHING_HELD, state, ctx);
  state.phase = decision.phase;
  state.socket.write(failureStanza({ code: 'APP_BAD_TICKET', text: describe('APP_BAD_TICKET').text }));
}

/** The accounts actor has answered. */
export function finishLogin(found: DeviceFound, state: ConnectionState, ctx: Context): void {
  const { record, preKeys, kemPreKeys } = found;
  if (state.phase.name !== 'authenticating') return;
  endAsking(state.phase.asking, ctx);
  const decision = decideLogin(state.phase, record, ctx.clock.monotonicMs());
  if (decision.kind === 'refused') return closeWith(decision.code, state, ctx);
  enter(decision.phase, { preKeys, kemPreKeys }, state, ctx);
}

/** The inbox pushes to us from now on; should it end, we do. */
export function goLive(inbox: Pid, state: ConnectionState, ctx: Context): void {
  if (state.phase.name !== 'attaching') return;
  const { self, wantsTicket, asking, held } = state.phase;
  watchInbox(inbox, state, ctx);
  endAsking(asking, ctx);
  state.phase = { name: 'live', self, key: undefined };
  state.pushes = 0;
  if (state.former !== undefined) state.former = undefined;
  if (state.loginTimer !== undefined) ctx.cancelTimer(state.loginTimer);
  state.loginTimer = undefined;
  state.admission.finished();
  const nowMs = Math.floor(ctx.clock.nowMs());
  const ticket = wantsTicket ? state.tickets.seal(self, nowMs) : undefined;
  const { preKeys, kemPreKeys } = held;
  state.socket.write(successStanza({ user: self.user, device: self.device, ts: nowMs, preKeys, kemPreKeys, ticket }));
}

/** The question or its answer was lost, or the inbox ended before it took us. */
export function endUnattached(state: ConnectionState, ctx: Context): void {
  if (state.phase.name === 'attaching') closeWith('APP_OVERLOADED', state, ctx);
}

export function askAgain(state: ConnectionState, ctx: Context): void {
  const { phase } = state;
  if (phase.name === 'authenticating') askForDevice(phase, state, ctx);
  else if (phase.name === 'attaching') askToAttach(phase, state, ctx);
}

/** The shard is between two owners: a login waits for the next one, since its client could only come back to ask the same. */
export function askAgainSoon(state: ConnectionState, ctx: Context): void {
  const { phase } = state;
  if (!('asking' in phase)) return;
  phase.asking.watch = undefined;
  if (++phase.asking.misses > LIMITS.shardMissesMax) {
    return closeWith('APP_RESTARTING', state, ctx, state.admission.comeBackSoon());
  }
  ctx.sendAfter(LIMITS.shardLookMs, ASK_AGAIN);
}

export function wasAsked(ref: Ref, phase: Phase): boolean {
  return 'asking' in phase && phase.asking.watch === ref;
}

function askForDevice({ claim, asking }: Authenticating, state: ConnectionState, ctx: Context): void {
  const { user, device } = claim;
  ask(state.routes.accountsOf(user), { kind: 'find-device', connection: ctx.self, user, device }, asking, state, ctx);
}

function askToAttach({ self, asking }: Attaching, state: ConnectionState, ctx: Context): void {
  const { user, device, creation } = self;
  const isLate = asking.misses > 0;
  const known = { staged: understandsGaps(state), groups: understandsGroups(state), isLate };
  const attach: InboxMessage = { kind: 'attach', user, device, creation, connection: ctx.self, ...known };
  ask(state.routes.inboxOf(user), attach, asking, state, ctx);
}

/** Asks an actor of the user's shard what the login hangs on. */
function ask(
  target: RemoteName,
  question: AccountsMessage | InboxMessage,
  asking: Asking,
  state: ConnectionState,
  ctx: Context,
): void {
  const result = ctx.cast(target, question);
  if (isBetweenOwners(target, result)) return askAgainSoon(state, ctx);
  if (result !== 'ok') return closeWith('APP_OVERLOADED', state, ctx);
  // A copy: an address follows its shard, the monitor stays with the actor.
  if (target.node !== undefined) asking.watch = ctx.monitor({ ...target });
}

/** It has answered. */
function endAsking({ watch }: Asking, ctx: Context): void {
  if (watch !== undefined) ctx.demonitor(watch);
}

function noteFeatures({ features = 0 }: AuthMessage | ResumeMessage, state: ConnectionState): void {
  state.features = features & KNOWN_FEATURES;
}

/** Asks the inbox of the device to take this connection. Until it has, nobody is logged in. */
function enter(phase: Attaching, held: HeldKeys, state: ConnectionState, ctx: Context): void {
  const before = state.phase;
  if ('challenge' in before) {
    const tookMs = ctx.clock.monotonicMs() - before.challenge.issuedAtMs;
    state.admission.noteLogin(before.name === 'greeted' ? 'ticket' : 'signature', tookMs);
  }
  phase.held = held;
  state.phase = phase;
  if (state.loginTimer !== undefined) ctx.cancelTimer(state.loginTimer);
  state.loginTimer = ctx.sendAfter(LIMITS.answerLookMs, ATTACH_TIMEOUT);
  askToAttach(phase, state, ctx);
}
