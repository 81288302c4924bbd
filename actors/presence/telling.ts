/**
 * Telling those who watch a person: what they see of him when that has changed, and that he types to them.
 *
 * Bounded by time: a change at once, what follows after a pause and in one; and so many a second for the whole shard.
 */

import type { PresenceMessage as PresenceNotice } from '../../protocol/wire/index.ts';
import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { takeToken } from '../rate-limit.ts';
import { MINUTE_MS } from './minutes.ts';
import { HERE, maySee, UNKNOWN, viewOf, type Person, type View } from './people.ts';
import { armTick, isShedding, noteShed, tell } from './shedding.ts';
import { BUDGET_RULE, profile, type Message, type PresenceState } from './state.ts';

type Ctx = Context;

/** Tells the watchers now, if they have heard nothing for a while, or later, together with what else happens until then. */
export function noteChange(person: Person, state: PresenceState, ctx: Ctx): void {
  if (person.watchers.size === 0) return;
  if (isShedding(state, ctx)) noteShed(state, ctx);
  else if (!isPaused(person, ctx) && tellWatchers(person, state, ctx)) return;
  state.due.add(person.user);
  armTick(state, ctx);
}

function isPaused(person: Person, ctx: Ctx): boolean {
  return ctx.clock.monotonicMs() < person.toldAtMs + LIMITS.presencePauseMs;
}

/** Tells each watcher for whom something has changed. @returns Whether the budget was enough for all of them. */
function tellWatchers(person: Person, state: PresenceState, ctx: Ctx): boolean {
  const now = ctx.clock.monotonicMs();
  const known = profile(person.user, state);
  for (const watcher of person.watchers.values()) {
    const view = viewOf(person, known, watcher.viewer, watcher.tie);
    if (view === watcher.told) continue;
    if (takeToken(state.budget, BUDGET_RULE, now) > 0) return false;
    watcher.told = view;
    person.toldAtMs = now;
    state.counts.notices++;
    tell(watcher.connection, noticeOf(person.user, view), state, ctx);
  }
  return true;
}

/** A view in the words of the wire. */
export function noticeOf(from: string, view: View): PresenceNotice {
  if (view === HERE) return { kind: 'presence', from, state: 'available', lastSeen: undefined };
  const lastSeen = view === UNKNOWN ? undefined : view * MINUTE_MS;
  return { kind: 'presence', from, state: 'unavailable', lastSeen };
}

/** To the connections of one user that show the chat, if he may see that the other is there at all. */
export function relayTyping({ user, to, state: typing }: Message<'typing'>, state: PresenceState, ctx: Ctx): void {
  const person = state.people.get(user);
  if (person === undefined || person.watchers.size === 0) return;
  if (isShedding(state, ctx)) return noteShed(state, ctx);
  const { privacy } = profile(user, state);
  for (const { viewer, tie, connection } of person.watchers.values()) {
    if (viewer !== to || !maySee(privacy, user, viewer, tie)) continue;
    if (takeToken(state.budget, BUDGET_RULE, ctx.clock.monotonicMs()) > 0) return noteShed(state, ctx);
    state.counts.typings++;
    tell(connection, { kind: 'typing', from: user, state: typing }, state, ctx);
  }
}

/** Tells those whose pause is over, as far as the budget goes. */
export function tellDue(state: PresenceState, ctx: Ctx): void {
  for (const user of state.due) {
    const person = state.people.get(user);
    if (person !== undefined && isPaused(person, ctx)) continue;
    if (person !== undefined && !tellWatchers(person, state, ctx)) return;
    state.due.delete(user);
  }
}
