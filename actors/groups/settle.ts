/** What follows when a commit of the owner of groups has settled: flushed, it is told and goes out; refused, it is taken back. */

import type { Context } from '../../runtime/index.ts';
import { answerTo, refusalTo, storeFull, tell, tellAll } from './answers.ts';
import { armRetry, letGo, recipientsOfChange, sendOut, tellLeft } from './outgoing.ts';
import { forgetSenders, type Group, targetsOf } from './roll.ts';
import type { Accepted, GroupsCommit, GroupsState } from './state.ts';
import { leaversOf } from './write.ts';
import { LIMITS } from '../limits.ts';

type Ctx = Context;

export function applyAccepted(each: Accepted, state: GroupsState, ctx: Ctx): void {
  const { group, body } = each;
  if (each.kind === 'message') {
    each.sender.flushed = body.id;
    const { connection = each.item.connection } = each.sender;
    tell(connection, { kind: 'group-sent', group: group.id, id: body.id, order: body.order, ts: body.ts }, ctx);
    return sendOut(group, body, targetsOf(group, state.args.inboxOf), state, ctx);
  }
  const leavers = leaversOf(each.change);
  for (const user of leavers) dropMember(group, user);
  tellLeft(group, leavers, state, ctx);
  tellAll([answerTo(each.item, group)], ctx);
  sendOut(group, body, recipientsOfChange(group, leavers, state), state, ctx);
}

function dropMember(group: Group, user: string): void {
  forgetSenders(group, user);
  for (const [name, watcher] of group.watchers) if (watcher.user === user) group.watchers.delete(name);
}

/** Nothing was written: take it all back, the last first, and refuse. */
export function undoCommit(commit: GroupsCommit, state: GroupsState, ctx: Ctx): void {
  state.fullUntilMs = ctx.clock.monotonicMs() + LIMITS.storeFullPauseMs;
  ctx.log.error('group_commit_refused', { reason: 'store full', submissions: commit.accepted.length });
  state.finished = [...commit.finished, ...state.finished];
  for (const each of commit.accepted.toReversed()) {
    const { group } = each;
    group.order = each.body.order - 1;
    if (each.kind === 'message') {
      Object.assign(each.sender, each.before);
      tellAll([refusalTo(each.item, storeFull(), each.sender.connection)], ctx);
    } else {
      Object.assign(group, { state: each.before, targets: undefined, changing: false });
      tellAll([refusalTo(each.item, storeFull())], ctx);
    }
  }
  for (const { group } of commit.accepted) letGo(group, state, ctx);
  armRetry(state, ctx);
}
