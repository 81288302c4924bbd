/** What an inbox tells the owners of groups: what is flushed here, and how far members have come. The entries: `group-entries.ts`. */

import type { Context } from '../../runtime/index.ts';
import { confirmations, findMarks, type GroupPart, isOfGroup, MarkSheet, settleBodies } from './group-entries.ts';
import type { FindMarks, GroupsMessage } from '../groups/messages.ts';
import type { Commit, InboxState } from './state.ts';

type Ctx = Context;

/** Tells the owners of groups what became true of them on this shard. */
export function settleGroups(commit: Commit, part: GroupPart, state: InboxState, ctx: Ctx): void {
  settleBodies(part, state.bodies);
  const sheet = new MarkSheet();
  for (const [conversation, { recipient, id }] of commit.delivered) {
    if (isOfGroup(conversation)) sheet.add(conversation.sender.user, recipient.user, id);
  }
  for (const reached of sheet.reached('delivered')) tellOwner(reached, state, ctx);
  confirmFanOuts(commit, state, ctx);
}

export function confirmFanOuts({ groups }: Commit, state: InboxState, ctx: Ctx): void {
  if (groups === undefined) return;
  for (const confirmation of confirmations(groups)) tellOwner(confirmation, state, ctx);
}

/** What is lost here comes again: fan-outs are repeated until they are confirmed, marks are cumulative. */
export function tellOwner(message: Extract<GroupsMessage, { group: string }>, state: InboxState, ctx: Ctx): void {
  ctx.cast(state.args.groupsOf(message.group), message);
}

export function answerMarks({ group, ticket, members }: FindMarks, state: InboxState, ctx: Ctx): void {
  const marks = findMarks(group, members, state.recipients, state.args.store);
  ctx.cast(state.args.groupsOf(group), { kind: 'marks-found', ticket, marks } satisfies GroupsMessage);
}
