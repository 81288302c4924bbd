/**
 * When people were last there, to the minute, on its way to the disk: once a minute for all of them, a bounded number in a commit.
 *
 * A crash costs at most what was not written yet; somebody who stays is written from time to time.
 */

import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { CommitResult, StoreBatch } from '../store/inbox-store.ts';
import type { Person } from './people.ts';
import { armTick, isShedding } from './shedding.ts';
import { MINUTES_TICKET, type PresenceState } from './state.ts';

type Ctx = Context;

export const MINUTE_MS = 60_000;

/** The person was there in this minute; the disk hears of it with the next write. */
export function noteSeen(person: Person, state: PresenceState, ctx: Ctx): void {
  const minute = currentMinute(ctx);
  if (person.profile !== undefined) person.profile.seenMinute = minute;
  state.unsaved.set(person.user, minute);
  armTick(state, ctx);
}

/** Minutes since 1970. */
export function currentMinute(ctx: Ctx): number {
  return Math.floor(ctx.clock.nowMs() / MINUTE_MS);
}

/** Once a minute: hands the minutes of all to the disk, and reports what was shed. */
export function keepMinutes(state: PresenceState, ctx: Ctx): void {
  state.savedAtMs = ctx.clock.monotonicMs();
  if (state.unreportedShed > 0) ctx.log.warn('presence_shed', { count: state.unreportedShed });
  state.unreportedShed = 0;
  refreshPresent(state, ctx);
  saveMinutes(state, ctx);
}

/** Hands as many minutes to the disk as one commit takes, if none is under way. */
export function saveMinutes(state: PresenceState, ctx: Ctx): void {
  if (state.saving !== undefined || state.unsaved.size === 0 || isShedding(state, ctx)) return;
  const minutes = takeUnsaved(state);
  state.saving = minutes;
  state.args.committer.commit(ctx.self, (batch) => writeMinutes(minutes, batch), MINUTES_TICKET);
}

/** People who stay are written from time to time, a few at a time, so that a crash does not take them back to their coming. */
function refreshPresent({ present, unsaved }: PresenceState, ctx: Ctx): void {
  const minute = currentMinute(ctx);
  let looks = 0;
  for (const [user, writtenMinute] of present) {
    if (minute - writtenMinute < LIMITS.presenceRefreshMinutes || ++looks > LIMITS.presenceSaveCountMax) return;
    present.delete(user);
    present.set(user, minute);
    unsaved.set(user, minute);
  }
}

/** What the next commit writes, no longer among what waits. */
export function takeUnsaved(state: PresenceState): Map<string, number> {
  const { unsaved } = state;
  if (unsaved.size <= LIMITS.presenceSaveCountMax) {
    state.unsaved = new Map();
    return unsaved;
  }
  const minutes = new Map<string, number>();
  for (const [user, minute] of unsaved) {
    if (minutes.size === LIMITS.presenceSaveCountMax) break;
    minutes.set(user, minute);
    unsaved.delete(user);
  }
  return minutes;
}

/** Puts minutes into a commit. */
export function writeMinutes(minutes: ReadonlyMap<string, number>, batch: StoreBatch): void {
  for (const [user, minute] of minutes) batch.putSeenMinute(user, minute);
}

/** What was not written waits again. */
export function settleMinutes(result: CommitResult, state: PresenceState, ctx: Ctx): void {
  const { saving, unsaved } = state;
  state.saving = undefined;
  if (result === 'ok' || saving === undefined) return;
  for (const [user, minute] of saving) if (!unsaved.has(user)) unsaved.set(user, minute);
  armTick(state, ctx);
}
