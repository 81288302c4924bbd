/**
 * What presence does where the shard is behind: nothing that can wait or be lost, for a message is worth more; and it counts that.
 *
 * Also how a presence actor speaks to connections at all: whoever does not keep up is spared.
 */

import type { Context, Pid } from '../../runtime/index.ts';
import { refuse, type Destination } from '../answering.ts';
import { LIMITS } from '../limits.ts';
import type { ConnectionMessage } from '../messages.ts';
import type { PresenceState } from './state.ts';

type Ctx = Context;

/** A note to itself: there is something to do once a second. */
export const TICK = 'tick';

/** A connection that does not keep up is spared: messages come before this. */
export function tell(connection: Pid, message: ConnectionMessage, state: PresenceState, ctx: Ctx): void {
  if (ctx.cast(connection, message) === 'full') noteShed(state, ctx);
}

/** Whether the shard is behind: with presence itself, or with messages. */
export function isShedding(state: PresenceState, ctx: Ctx): boolean {
  return ctx.mailboxCount() > LIMITS.presenceShedCount || state.args.isBusy();
}

/** Something was dropped, refused or put off. */
export function noteShed(state: PresenceState, ctx: Ctx): void {
  state.counts.shed++;
  state.unreportedShed++;
  armTick(state, ctx);
}

/** To be asked again in a while. */
export function refuseShed(to: Destination, state: PresenceState, ctx: Ctx): void {
  noteShed(state, ctx);
  refuse(to, 'APP_OVERLOADED', ctx, LIMITS.presenceRetrySeconds);
}

/** Looks at what is to be done in a second. */
export function armTick(state: PresenceState, ctx: Ctx): void {
  if (state.isTicking) return;
  state.isTicking = true;
  ctx.sendAfter(LIMITS.presenceTickMs, TICK);
}
