/**
 * What groups push to many devices at once is handed to their connections in slices, so that others get their turn in between.
 *
 *   commit of 256 entries ─ flushed ─▶ 8 connections │ sockets, other actors │ 8 connections │ … one slice a millisecond
 *
 * One message of a large group makes as many deliveries as a few hundred messages between two people, and everything that follows from
 * each: a turn of a connection, a write to a socket, and soon an acknowledgement that is read, planned and written. All at once that holds up everybody
 * else on the thread for several milliseconds, and the receivers' machines where these are the same. Nobody misses those milliseconds in a group.
 *
 * A slice is never less than a share of what waits: under full load, what is held stays a fraction of a second behind, and what comes for
 * one connection meanwhile leaves with the rest in one write. To the inbox what is held is pushed: it stands in the window, bounded by it,
 * and keeps its order, because whatever else is said to the connection takes it along first. Messages between two people are never held.
 *
 * Read next: `push.ts`, whose `deliver` takes along what is held.
 */

import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { InboxEntry } from '../store/inbox-store.ts';
import { handOver } from './push.ts';
import type { Online } from './recipients.ts';
import type { Commit, InboxState, Push } from './state.ts';

type Ctx = Context;

/** A note of the inbox to itself: time for the next slice. */
export const NEXT_SLICE = 'next-slice';

/** Connections for which something is held. */
export interface Pacing {
  /** In the order in which their first entry came. One for which nothing is held any more is passed over. */
  waiting: Online[];
  /** Whether a note is under way. */
  isArmed: boolean;
  /** Connections of a slice, until nothing waits: of a share of what is left at each there would be three times as many slices. */
  sliceCount: number;
}

/** Whether what a commit pushes for groups is more than one slice. */
export function isPaced({ groups }: Commit): boolean {
  return groups !== undefined && groups.entryCount > LIMITS.groupSliceCount;
}

/** Whether all that is pushed to the device comes from groups. */
export function mayBeHeld({ entries }: Push): boolean {
  for (const { type } of entries) if (type !== 'group') return false;
  return true;
}

/** Puts what is pushed behind what is held for the connection. @param entries - Owned from here on. */
export function hold(online: Online, entries: InboxEntry[], state: InboxState): void {
  if (online.held !== undefined) return void online.held.push(...entries);
  online.held = entries;
  pacingOf(state).waiting.push(online);
}

function pacingOf(state: InboxState): Pacing {
  return (state.pacing ??= { waiting: [], isArmed: false, sliceCount: 0 });
}

/** Hands the first slice over, unless one is due anyway. */
export function startSlices(state: InboxState, ctx: Ctx): void {
  if (!pacingOf(state).isArmed) handOverSlice(state, ctx);
}

/** Hands over what is held for the next connections, and sets the time of the slice after it. */
export function handOverSlice(state: InboxState, ctx: Ctx): void {
  const pacing = pacingOf(state);
  const { waiting } = pacing;
  const share = Math.ceil(waiting.length / LIMITS.groupSliceShare);
  const count = (pacing.sliceCount = Math.max(LIMITS.groupSliceCount, pacing.sliceCount, share));
  let taken = 0;
  for (let handed = 0; taken < waiting.length && handed < count; taken++) {
    const online = waiting[taken]!;
    if (online.held === undefined) continue;
    handOver(online, ctx);
    handed++;
  }
  pacing.waiting = waiting.slice(taken);
  pacing.isArmed = pacing.waiting.length > 0;
  if (pacing.isArmed) ctx.sendAfter(LIMITS.groupSlicePauseMs, NEXT_SLICE);
  else pacing.sliceCount = 0;
}
