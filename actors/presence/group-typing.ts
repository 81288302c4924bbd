/**
 * Typing in groups: who shows the chat of a group hears who types in it, by way of the group's shard. What a room allows: `rooms.ts`.
 */

import { formatPid, type Context } from '../../runtime/index.ts';
import type { PresenceMessage } from '../messages.ts';
import { takeToken } from '../rate-limit.ts';
import { joinRoom, leaveRoom, noteTyping, refuseRoom, strangersAmong, watchersOf } from './rooms.ts';
import { isShedding, noteShed, refuseShed, tell } from './shedding.ts';
import { refuse } from '../answering.ts';
import { profile, ROOM_RULE, type Message, type PresenceState } from './state.ts';
import { findVisitor, releaseVisitor } from './visitors.ts';

type Ctx = Context;

/** Members hear who types while they show the chat. Asked again, it counts as shown anew. */
export function watchGroup(message: Message<'watch-group'>, state: PresenceState, ctx: Ctx): void {
  if (isShedding(state, ctx)) return refuseShed(message, state, ctx);
  const { connection, iq, user, group } = message;
  const code = refuseRoom(state.args.store.groups, group, user);
  const name = formatPid(connection);
  if (code !== undefined) {
    unwatchGroup(name, group, state, ctx);
    return refuse(message, code, ctx);
  }
  const evicted = joinRoom(state.rooms, group, name, { connection, user }, ctx.clock.monotonicMs());
  const visitor = findVisitor(connection, name, state, ctx);
  (visitor.rooms ??= new Set()).add(group);
  if (evicted !== undefined) unwatchGroup(evicted, group, state, ctx);
  tell(connection, { kind: 'answer', iq, answer: { kind: 'group-subscribe', group } }, state, ctx);
}

/** A connection shows the chat no more. */
export function unwatchGroup(name: string, group: string, state: PresenceState, ctx: Ctx): void {
  leaveRoom(state.rooms, group, name);
  const visitor = state.visitors.get(name);
  if (visitor?.rooms?.delete(group)) releaseVisitor(name, visitor, state, ctx);
}

/** With what the privacy of who types leaves over, to the shard of the group. Contacts do not matter: members see each other write. */
export function passTyping(
  { user, group, state: typing }: Message<'group-typing'>,
  state: PresenceState,
  ctx: Ctx,
): void {
  if (isShedding(state, ctx)) return noteShed(state, ctx);
  const { audience, shown, hidden } = profile(user, state).privacy;
  const only = audience === 'nobody' ? shown : undefined;
  if (only?.length === 0) return;
  const relayed = { kind: 'relay-typing', user, group, state: typing, shown: only, hidden } satisfies PresenceMessage;
  if (ctx.cast(state.args.presenceOf(group), relayed) !== 'ok') noteShed(state, ctx);
}

/** Tells those who show the chat, but for those from whom it is to be kept. */
export function tellRoom(message: Message<'relay-typing'>, state: PresenceState, ctx: Ctx): void {
  const { user, group, state: typing, shown, hidden } = message;
  const room = state.rooms.get(group);
  if (room === undefined) return;
  if (isShedding(state, ctx)) return noteShed(state, ctx);
  const now = ctx.clock.monotonicMs();
  if (!noteTyping(room, user, typing, now)) return;
  const notice = { kind: 'group-typing', group, user, state: typing } as const;
  for (const watcher of room.watchers.values()) {
    const viewer = watcher.user;
    if (viewer === user || hidden.includes(viewer) || shown?.includes(viewer) === false) continue;
    if (takeToken(state.roomBudget, ROOM_RULE, now) > 0) return noteShed(state, ctx);
    state.counts.typings++;
    tell(watcher.connection, notice, state, ctx);
  }
}

/** Who is no member any more hears and says nothing there. */
export function dropMembers({ group, users }: Message<'members-left'>, state: PresenceState, ctx: Ctx): void {
  const room = state.rooms.get(group);
  if (room === undefined) return;
  const left = strangersAmong(state.args.store.groups, group, users);
  for (const name of watchersOf(room, left)) unwatchGroup(name, group, state, ctx);
  for (const user of left) room.typists.delete(user);
}
