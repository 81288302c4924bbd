/**
 * Looks at all rows in turns: what had no answer goes again, and so does what its shard did not take; what is too old is given up.
 *
 * An outbox may have as many rows as messages, so a round over them goes slice by slice, with others in between.
 */

import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { armLook, sendNext } from './forward.ts';
import { isOld } from './plan.ts';
import type { Look, OutboxState, Row } from './state.ts';

/** A note to itself to look at the next rows of a round. */
export const NEXT_ROWS = 'next-rows';

/** Begins a round, unless one is under way: that one arms the next when it is over. */
export function startLooking(state: OutboxState, ctx: Context): void {
  if (state.look !== undefined) return;
  state.isLookArmed = true;
  state.look = { keys: [...state.rows.keys()], next: 0, oldestMs: 0, away: new Set() };
  goOnLooking(state, ctx);
}

export function goOnLooking(state: OutboxState, ctx: Context): void {
  const { look } = state;
  if (look === undefined) return;
  const end = Math.min(look.keys.length, look.next + LIMITS.outboxLookCount);
  for (; look.next < end; look.next++) {
    const row = state.rows.get(look.keys[look.next]!);
    if (row !== undefined) lookAt(row, look, state, ctx);
  }
  if (state.old.size > 0) ctx.requestTurnEnd();
  if (look.next < look.keys.length) return void ctx.sendAfter(0, NEXT_ROWS);
  state.args.load.oldestMs = look.oldestMs;
  state.look = undefined;
  state.isLookArmed = false;
  if (state.rows.size > 0) armLook(state, ctx);
}

/** One row of a shard that is away stands for all. */
function lookAt(row: Row, look: Look, state: OutboxState, ctx: Context): void {
  const [first] = row.heads;
  if (first !== undefined && (look.oldestMs === 0 || first.ts < look.oldestMs)) look.oldestMs = first.ts;
  if (first !== undefined && isOld(first, ctx.clock.nowMs())) state.old.add(row);
  if (row.flight !== undefined && ctx.clock.monotonicMs() - row.flight.beganMs >= LIMITS.outboxAnswerMs) {
    row.flight = undefined;
    row.isOpen = false;
  }
  const { name } = row.inbox;
  if (!look.away.has(name) && sendNext(row, state, ctx) === false) look.away.add(name);
}
