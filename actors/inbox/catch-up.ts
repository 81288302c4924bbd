/**
 * Which devices are read out of the store at a time, when many come back to full inboxes. Plain data and functions, for the
 * inbox.
 *
 * A device that has something waiting takes one of `LIMITS.catchUpCountMax` places and gives it back when it has caught up or
 * gone; the others wait in the order of their logins. So the messages that were pushed and are held for slow sockets
 * are bounded by places times window, and no turn of the inbox reads more than that. A device that does not acknowledge
 * keeps its place for `LIMITS.catchUpMsMax` and then goes on without one: its window moves only as it acknowledges.
 */

import { LIMITS } from '../limits.ts';
import type { Device, Online, Recipient } from './recipients.ts';

/** A note of the inbox to itself: somebody may have kept a place for too long. */
export const NEXT_PLACES = 'next-places';

/** A device that waits for a place, or has one. */
export interface CatchingUp {
  readonly recipient: Recipient;
  readonly device: Device;
}

export interface CatchUp {
  /** Who has a place, and since when (monotonic), the oldest first. */
  readonly reading: Map<Online, number>;
  readonly waiting: Map<Online, CatchingUp>;
}

export function emptyCatchUp(): CatchUp {
  return { reading: new Map(), waiting: new Map() };
}

/** A device has logged in with something waiting. @returns Whether it may be read now; otherwise its turn comes. */
export function takePlace(catchUp: CatchUp, online: Online, who: CatchingUp, nowMs: number): boolean {
  const isFree = catchUp.reading.size < LIMITS.catchUpCountMax && catchUp.waiting.size === 0;
  if (isFree) catchUp.reading.set(online, nowMs);
  else catchUp.waiting.set(online, who);
  return isFree;
}

/** Whether the device waits for a place: nothing is read for it then. */
export function isWaiting(catchUp: CatchUp, online: Online): boolean {
  return catchUp.waiting.size > 0 && catchUp.waiting.has(online);
}

/** The device has caught up, or gone. */
export function givePlace(catchUp: CatchUp, online: Online): void {
  catchUp.reading.delete(online);
  catchUp.waiting.delete(online);
}

/** Gives free places to those who wait longest; they are read now. */
export function nextPlaces(catchUp: CatchUp, nowMs: number): CatchingUp[] {
  for (const [online, sinceMs] of catchUp.reading) {
    if (catchUp.waiting.size === 0 || nowMs - sinceMs < LIMITS.catchUpMsMax) break;
    catchUp.reading.delete(online);
  }
  const next: CatchingUp[] = [];
  for (const [online, who] of catchUp.waiting) {
    if (catchUp.reading.size >= LIMITS.catchUpCountMax) break;
    catchUp.waiting.delete(online);
    catchUp.reading.set(online, nowMs);
    next.push(who);
  }
  return next;
}
