/**
 * The second greeting: a client that is logged in is asked to log in again on the same connection, because what it waits for was lost with the owner of a
 * shard, and another one serves it now.
 *
 * For the client it is a new connection without the way there: nothing that was not answered is, and it says all of it again behind its `<success>`. What it
 * said before it read the greeting is from the time before, and passed by; since that may be the end of its presence or of a subscription, all of them end. Bounds
 * go on. Who decides on it: `watching.ts`; the login: `login.ts`; for clients: docs/protocol.md, "A second greeting".
 */

import type { AuthMessage, ClientMessage, ResumeMessage } from '../../protocol/wire/index.ts';
import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { add, gauge } from '../metrics/meter.ts';
import { takeBackPresence } from './presence-signals.ts';
import { livePhase, type ConnectionState } from './state.ts';
import { forgetUnanswered } from './unanswered.ts';

/** A note to itself: nobody has logged in. */
export const LOGIN_TIMEOUT = 'login-timeout';

const GREETINGS = gauge('blindbeam_second_greetings_total');

/** From here on the connection is as one that has just been opened, but for who may log in on it. */
export function greetAgain(state: ConnectionState, ctx: Context): void {
  const { self } = livePhase(state);
  add(GREETINGS);
  forgetUnanswered(state);
  takeBackPresence(self.user, state, ctx);
  state.awaited = undefined;
  state.lost = undefined;
  state.former = self;
  state.admission.ended();
  state.phase = { name: 'greeted', challenge: state.socket.greet(), ticketRefused: false };
  state.loginTimer = ctx.sendAfter(LIMITS.nonceAgeMsMax, LOGIN_TIMEOUT);
}

/** Whether the client said this before it read that it is greeted again. Behind its answer it keeps to the order of a login. */
export function isFromBefore(message: ClientMessage, { former, phase }: ConnectionState): boolean {
  if (former === undefined || phase.name !== 'greeted') return false;
  return message.kind !== 'auth' && message.kind !== 'resume' && message.kind !== 'ping';
}

/** Whether the connection that is replaced is the one that logs in: an inbox of an earlier version, which it has not left, tells it so before it takes it. */
export function replacesItself({ former, phase }: ConnectionState): boolean {
  return former !== undefined && phase.name === 'attaching';
}

/** Whether somebody else than before wants to log in: what the connection has of the former one is not theirs. */
export function isAnother({ user, device }: AuthMessage | ResumeMessage, { former }: ConnectionState): boolean {
  return former !== undefined && (former.user !== user || former.device !== device);
}
