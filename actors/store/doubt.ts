/**
 * Conversations of a store that was restored from a backup: between the backup and the loss of the original, messages may have been
 * accepted that nobody has here.
 *
 *   backup            lost            restored
 *   1 2 3 4 │ 5 6 7 acknowledged ✝ │  8 comes: 5 to 7 are gone, and both ends are told
 *
 * A conversation in doubt has a gap without an end after the last id that is known. The next message ends it, whatever its id: its
 * sender's client counts on, since the server had confirmed what it does not know any more. An id that is known is a resend, as ever. The
 * recipient may have got some of what is told as lost, before the loss: its client knows what it has.
 *
 * Numbers that the server gives out itself, places of a group and positions of an inbox, have to go on beyond every one that was given out,
 * also by a return that this store knows nothing of: the same backup may have been used an hour ago, or a second. Nothing on the disk tells,
 * but the clock does. A row goes on at the *clock's number*, of which there are 256 in a millisecond since 2026. No row gives numbers out
 * that fast, so what one has given out since it came back is below the clock's number of any later moment, whichever backups came
 * back between. And a place says by itself that there was a loss before it, also to a shard that has lost nothing: by the jump.
 *
 *   1 2 3 …              a store that was never restored     place 7
 *   256 · ms since 2026  where it goes on when it comes back place 256 · ms + 1
 */

import type { ConversationRecord } from './inbox-store.ts';
import type { GapRecord } from './loss.ts';

/** Until any id: the largest that a record holds. */
const UNTIL_ANY = 2 ** 48 - 1;
/** More than a whole worker takes in one, so by far more than any of its rows gives out. */
const NUMBERS_PER_MS = 2 ** 8;
const FIRST_MS = Date.UTC(2026, 0, 1);
/** Of the numbers of 48 bits, as many as the clock may ask for: up to 2060. The rest is for stores that come back later still. */
const CLOCK_NUMBER_MAX = 2 ** 48 - 2 ** 38;
/** How far a row goes on that is ahead of the clock: more than can have been given out since a backup. Below it are the rows that were never restored. */
const WITHOUT_CLOCK = 2 ** 28;
/** So many places are missing after a loss only: those of sixteen seconds by the clock, and more than anybody leaves out or writes alone. */
const JUMP_MIN = 2 ** 22;

/** The record of a conversation of which the newest messages may be missing. Behind the largest id there are none. */
export function doubted(record: ConversationRecord, gapCountMax: number): ConversationRecord {
  const { accepted, delivered, waiting = [] } = record;
  const gaps = (record.gaps ?? []).filter((gap) => gap.until !== UNTIL_ANY);
  if (accepted < UNTIL_ANY) gaps.push({ since: accepted + 1, until: UNTIL_ANY, code: 'APP_RESTORED' });
  return { accepted, delivered, waiting, gaps: gaps.slice(-gapCountMax) };
}

export function isInDoubt({ gaps }: { readonly gaps: readonly GapRecord[] }): boolean {
  return gaps.length > 0 && gaps.at(-1)!.until === UNTIL_ANY;
}

/** The gaps that can be told: what is in doubt is known when the next message has come. */
export function settledGaps(gaps: readonly GapRecord[]): readonly GapRecord[] {
  return gaps.at(-1)?.until === UNTIL_ANY ? gaps.slice(0, -1) : gaps;
}

/** What is lost before message `id`, the first one since; undefined if nothing is. */
export function lossBefore({ accepted }: { readonly accepted: number }, id: number): GapRecord | undefined {
  return id === accepted + 1 ? undefined : { since: accepted + 1, until: id - 1, code: 'APP_RESTORED' };
}

/** The clock's number: above all that rows have given out by now which went on by this clock. */
function clockNumber(nowMs: number): number {
  return Math.floor((nowMs - FIRST_MS) * NUMBERS_PER_MS);
}

/**
 * From where a row of places or positions goes on whose newest numbers may be missing here.
 *
 * @param last - The last number that is known to have been given out.
 * @param nowMs - Wall time. One that is behind what it was at an earlier return costs the promise about a backup that is used twice.
 * @returns What counts as the last from now on: everything that was given out is below the next number.
 */
export function beyondAll(last: number, nowMs: number): number {
  const byClock = clockNumber(nowMs);
  return byClock > last && byClock < CLOCK_NUMBER_MAX ? byClock : last + WITHOUT_CLOCK;
}

/**
 * From where the places of a group go on that the store does not know. One that came back may have known it: the group may be made a second time,
 * by a client whose first request was answered before the loss, or not at all, and members hold places of its first life.
 *
 * @param doubtedMs - When the store came back last, wall time; 0 for never.
 */
export function placesOfUnknown(doubtedMs: number): number {
  return doubtedMs === 0 ? 0 : beyondAll(0, doubtedMs);
}

/** Whether a place was given out after a return: such places are beyond all others. */
export function isAfterReturn(place: number): boolean {
  return place >= WITHOUT_CLOCK;
}

/** Whether something may be missing between the last place that a row knows and `place`: its group went on after a loss, or the row itself did. */
export function mayMissBefore(
  row: { readonly accepted: number; readonly gaps: readonly GapRecord[] },
  place: number,
): boolean {
  return isInDoubt(row) || (isAfterReturn(place) && place - row.accepted >= JUMP_MIN);
}
