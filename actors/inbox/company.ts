/**
 * On a crowded machine acknowledgements wait a moment for company: a commit that stores messages takes their removals along.
 *
 * A message has two commits, one that stores it and one that removes it again. Where messages come in numbers they share both with
 * others; where a machine has many nodes with a few messages a second each, every one of them is a commit, a flush and two wake-ups of its own, and
 * the processors go into these. So while processors are scarce, removals alone begin no commit before `removalWaitMs`: most ride on the next
 * message's. What waits is lost with the process at worst, and then comes again and is known to its client, as with any
 * acknowledgement that was not flushed; receipts wait with it, since they are told after the flush.
 *
 * A connection that ends or is replaced stands in the queue behind what it has acknowledged, which then waits no longer: it counts only while
 * the connection has its place (`attach.ts`).
 *
 * Never for a device that has more waiting than its window holds: it is catching up, and its next page waits for this one.
 */

import type { Context } from '../../runtime/index.ts';
import type { InboxState, Queued } from './state.ts';
import { LIMITS } from '../limits.ts';
import { findDevice } from './recipients.ts';

/** A note of the inbox to itself: what has waited for company goes alone now. */
export const GO_ALONE = 'go-alone';

/** Whether the queue should wait for more; a note comes back when it has waited long enough. */
export function waitsForCompany(state: InboxState, ctx: Context): boolean {
  if (!hasOnlyRemovals(state) || state.args.isCrowded?.() !== true) return false;
  const nowMs = ctx.clock.monotonicMs();
  if (state.aloneSinceMs === undefined) {
    state.aloneSinceMs = nowMs;
    ctx.sendAfter(LIMITS.removalWaitMs, GO_ALONE);
  }
  return nowMs - state.aloneSinceMs < LIMITS.removalWaitMs;
}

function hasOnlyRemovals(state: InboxState): boolean {
  const { queue } = state;
  if (queue.length >= LIMITS.removalCompanyCount) return false;
  for (const item of queue) if (item.kind !== 'acknowledge' || isCatchingUp(item, state)) return false;
  return true;
}

function isCatchingUp({ user, device: id }: Extract<Queued, { kind: 'acknowledge' }>, state: InboxState): boolean {
  const recipient = state.recipients.get(user);
  const device = recipient && findDevice(recipient, id);
  return device?.online !== undefined && device.online.cursor < device.head;
}
