/**
 * The connections that presence knows: who says to be there, who watches, and what goes with a connection when it ends.
 */

import { formatPid, type Context, type Pid } from '../../runtime/index.ts';
import { currentMinute, noteSeen } from './minutes.ts';
import { findPerson, type Visitor } from './people.ts';
import { leaveRoom } from './rooms.ts';
import type { Message, PresenceState } from './state.ts';
import { noteChange } from './telling.ts';

type Ctx = Context;

/** Somebody is at this connection, or no longer. */
export function announce(
  { connection, user, state: announced }: Message<'announce'>,
  state: PresenceState,
  ctx: Ctx,
): void {
  const name = formatPid(connection);
  if (announced === 'unavailable') return leave(name, state, ctx);
  const visitor = findVisitor(connection, name, state, ctx);
  if (visitor.present !== undefined) return;
  visitor.present = user;
  const person = findPerson(state.people, user);
  person.devices.add(name);
  if (person.devices.size > 1) return;
  state.present.set(user, currentMinute(ctx));
  noteSeen(person, state, ctx);
  noteChange(person, state, ctx);
}

/** Nobody is at this connection any more. */
function leave(name: string, state: PresenceState, ctx: Ctx): void {
  const visitor = state.visitors.get(name);
  if (visitor?.present === undefined) return;
  const person = findPerson(state.people, visitor.present);
  visitor.present = undefined;
  releaseVisitor(name, visitor, state, ctx);
  person.devices.delete(name);
  if (person.devices.size > 0) return;
  state.present.delete(person.user);
  noteSeen(person, state, ctx);
  noteChange(person, state, ctx);
}

/** What is known of a connection, from its first word on. */
export function findVisitor(connection: Pid, name: string, state: PresenceState, ctx: Ctx): Visitor {
  let visitor = state.visitors.get(name);
  if (visitor === undefined) {
    visitor = { monitor: ctx.monitor(connection), present: undefined, watched: new Set(), rooms: undefined };
    state.visitors.set(name, visitor);
  }
  return visitor;
}

/** Forgets a connection that says and asks nothing any more. */
export function releaseVisitor(name: string, visitor: Visitor, state: PresenceState, ctx: Ctx): void {
  if (visitor.present !== undefined || visitor.watched.size + (visitor.rooms?.size ?? 0) > 0) return;
  ctx.demonitor(visitor.monitor);
  state.visitors.delete(name);
}

/** The connection has ended, and with it everything that it said and asked. */
export function forgetVisitor(name: string, state: PresenceState, ctx: Ctx): void {
  const visitor = state.visitors.get(name);
  if (visitor === undefined) return;
  for (const owner of visitor.watched) state.people.get(owner)?.watchers.delete(name);
  visitor.watched.clear();
  for (const group of visitor.rooms ?? []) leaveRoom(state.rooms, group, name);
  visitor.rooms = undefined;
  leave(name, state, ctx);
  state.visitors.delete(name);
}
