/**
 * What a connection has refused itself, for its rate or because a shard had no room, and lets nothing pass until it comes again.
 *
 * The shard knows nothing of such a message. Where it has no record of the conversation either, the next one would open it, and the
 * acknowledgement of that one would cover the refused one too. So what follows is refused here, as out of order; the connection does not know which
 * id the shard expects, and names none. With an acknowledgement there is a record, and the shard keeps the order from then on.
 *
 * A connection that refuses nothing has no such notes. Who keeps the order of what arrives: `../inbox/order.ts`.
 */

import type { Context } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { noteAcknowledged, noteRefusal } from './detours.ts';
import { closeWith, refusalStanza, refuseOfGroup } from './refusals.ts';
import { forgetThrough } from './runs.ts';
import type { ConnectionState } from './state.ts';

/** By recipient and by group, the first id that was refused here and has not come again. */
export interface Awaited {
  readonly messages: Map<string, number>;
  readonly groupMessages: Map<string, number>;
}

/** Refuses a message to a user; no shard has seen it. */
export function refuseHere(to: string, id: number, refusal: Refusal, state: ConnectionState, ctx: Context): void {
  const isNoted = noteRefused(awaitedOf(state).messages, to, id);
  if (!noteRefusal(to, id, refusal, state) || !isNoted) return closeWith('APP_OVERLOADED', state, ctx);
  state.socket.write(refusalStanza(to, id, refusal));
}

/** Refuses a message to a group; no shard has seen it. */
export function refuseHereOfGroup(
  group: string,
  id: number,
  refusal: Refusal,
  state: ConnectionState,
  ctx: Context,
): void {
  if (!noteRefused(awaitedOf(state).groupMessages, group, id)) return closeWith('APP_OVERLOADED', state, ctx);
  refuseOfGroup(group, id, refusal, state);
}

/** Whether `id` comes after one that was refused here. */
export function isPastRefused(awaited: Map<string, number> | undefined, name: string, id: number): boolean {
  return awaited !== undefined && id > (awaited.get(name) ?? id);
}

/** A shard has taken a message over: if it is the one that was refused, what follows may pass again. */
export function notePassed(awaited: Map<string, number> | undefined, name: string, id: number): void {
  if (awaited?.get(name) === id) awaited.delete(name);
}

/** A shard has acknowledged something, or told a receipt: it has a record, and its client may never say again what was refused here. */
export function noteRecord(awaited: Map<string, number> | undefined, name: string): void {
  awaited?.delete(name);
}

/**
 * Messages to a user are stored up to `id`. The outbox says so as well (`detours.ts`): then the recipient's shard may have no record, and what was refused after
 * `id` is still awaited.
 */
export function noteStored(to: string, id: number, state: ConnectionState): void {
  if (noteAcknowledged(to, id, state)) forgetThrough(state.awaited?.messages, to, id);
  else noteRecord(state.awaited?.messages, to);
}

/** A client that asks how far a conversation has come hears it here too. */
export function noteReceipts(
  { to, sent, delivered }: { readonly to: string; readonly sent?: number | undefined; readonly delivered: number },
  state: ConnectionState,
): void {
  const id = Math.max(sent ?? 0, delivered);
  if (id > 0) noteStored(to, id, state);
}

function awaitedOf(state: ConnectionState): Awaited {
  return (state.awaited ??= { messages: new Map(), groupMessages: new Map() });
}

/** @returns Whether there was room for the note. */
function noteRefused(awaited: Map<string, number>, name: string, id: number): boolean {
  awaited.set(name, Math.min(awaited.get(name) ?? id, id));
  return awaited.size <= LIMITS.awaitedCountMax;
}
