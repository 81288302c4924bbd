/**
 * The write set of a commit of the owner of groups: from plan to store. The only place where it writes.
 *
 * Runs once, inside the store's batch, in the turn of the planning.
 */

import type { SignedGroupChange } from '../../protocol/wire/index.ts';
import { type GroupSender, recordOf } from './roll.ts';
import type { AcceptedChange, GroupsCommit } from './state.ts';
import { LIMITS } from '../limits.ts';
import type { StoreBatch } from '../store/inbox-store.ts';

/** Writes the plan. Runs once, inside the store's batch, in the same turn as the planning. */
export function writeCommit({ accepted, finished }: GroupsCommit, { groups: batch }: StoreBatch): void {
  const orders = new Map<string, number>();
  const senders = new Map<GroupSender, string>();
  for (const each of accepted) {
    batch.putOutgoing(each.body);
    orders.set(each.group.id, each.body.order);
    if (each.kind === 'message') senders.set(each.sender, each.group.id);
    else writeChange(each, batch);
  }
  for (const [group, order] of orders) batch.putOrder(group, order);
  for (const [{ address, accepted: id, order }, group] of senders)
    batch.putSender(group, address, { accepted: id, order });
  for (const { group, order } of finished) batch.removeOutgoing(group, order);
}

function writeChange({ group, change, state, body }: AcceptedChange, batch: StoreBatch['groups']): void {
  const { epoch } = change;
  batch.putGroup(recordOf(group.id, state));
  batch.putChange(group.id, { epoch, bytes: body.bytes });
  if (epoch > LIMITS.groupChangesKept) batch.removeChange(group.id, epoch - LIMITS.groupChangesKept);
  for (const user of leaversOf(change)) batch.removeSenders(group.id, user);
}

/** Who is a member no more. */
export function leaversOf({ author, actions }: SignedGroupChange): string[] {
  return actions.flatMap((action) => {
    if (action.kind === 'leave') return [author];
    return action.kind === 'remove' ? [action.user] : [];
  });
}
