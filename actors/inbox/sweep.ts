/**
 * The sweep over the inboxes of a shard, slice by slice: what has waited for too long, and what an account's former devices left behind.
 *
 * It needs no index: positions of an inbox ascend with time, so one look at the head of each inbox is enough. What it finds it asks
 * for, as items of the queue; what becomes of them: `plan-losses.ts`.
 */

import type { Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { isRegistered } from './devices.ts';
import { enqueue } from './queue.ts';
import type { InboxState } from './state.ts';

type Ctx = Context;

/** A note to itself: the next slice of the sweep is due. */
export const SWEEP = 'sweep';

/** Looks at the heads of some inboxes. Under load it waits: what expires has waited for thirty days. */
export function sweepExpired(state: InboxState, ctx: Ctx): void {
  const { sweep, args } = state;
  if (state.queue.length > LIMITS.commitOperationsMax) return void ctx.sendAfter(LIMITS.expirySliceMs, SWEEP);
  const heads = args.store.inboxHeads(sweep.after, LIMITS.expiryLooksMax);
  const before = ctx.clock.nowMs() - LIMITS.messageAgeMsMax;
  for (const { user, device, ts } of heads) {
    sweep.oldestSoFarMs = sweep.oldestSoFarMs === 0 ? ts : Math.min(sweep.oldestSoFarMs, ts);
    // What an account lost while nobody could be told: the process was killed between that and the removal.
    if (!isRegistered(user, device, state))
      enqueue({ kind: 'forget-device', user, device, known: undefined }, state, ctx);
    else if (ts < before) enqueue({ kind: 'expire', user, device }, state, ctx);
  }
  const isRoundOver = heads.length < LIMITS.expiryLooksMax;
  sweep.after = isRoundOver ? undefined : heads.at(-1);
  if (isRoundOver) {
    sweep.oldestMs = sweep.oldestSoFarMs;
    sweep.oldestSoFarMs = 0;
  }
  ctx.sendAfter(isRoundOver ? LIMITS.expiryRoundMs : LIMITS.expirySliceMs, SWEEP);
}
