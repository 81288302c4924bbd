/**
 * The owner of the groups of one shard: applies their changes, gives each message and change its place, and sees to it that
 * every shard with members has them.
 *
 *   submit, change ──▶ queue ──▶ plan ──▶ store.commit … flushed ──▶ settle: sent, answer ──▶ fan-out to each shard
 *                        ▲                                                                       │
 *                        └── what waited for a change ◀── outgoing is empty ◀── fanned-out ◀─────┘
 *
 * A message is acknowledged when it is flushed here, as *outgoing*; from then on it is sent to the inboxes of its members'
 * shards until each has confirmed that it is flushed there. So it is in the inbox of every member or of none, whatever is
 * killed in between. A change waits until everything before it has arrived, and what follows waits for the change:
 * all that is outgoing was accepted under one roster, the present one, and a restart finds the same recipients.
 *
 * Its parts, in `groups/`; the members' side, in their inboxes, is `inbox/group-entries.ts`:
 *
 *   state.ts   what it is made of             settle.ts    flushed or refused
 *   roll.ts    what is kept of each group     outgoing.ts  to every shard, until it is there
 *   plan.ts    the fate of a message          marks.ts     how far members have come
 *   change.ts  the fate of a change           answers.ts   to those who look, and refusals
 *   write.ts   the write set                  messages.ts  what is said about groups
 *   trace.ts   how long it took, for a sample
 *
 * See docs/internals/groups.md.
 */

import type { Behavior, Context } from '../runtime/index.ts';
import { onceClaimed } from './committer.ts';
import type { Refusal } from './errors.ts';
import { answerQuery, refusalTo, storeFull, tellAll } from './groups/answers.ts';
import { askMarks, collectMarks, noteMarks, RECEIPTS, tellWatchers } from './groups/marks.ts';
import type { GroupChangeSubmit, GroupsMessage, GroupSubmit } from './groups/messages.ts';
import {
  armRetry,
  castAgain,
  FINISHED_COUNT,
  noteFannedOut,
  refuseStuck,
  resumeOutgoing,
  RETRY,
  tellUntold,
} from './groups/outgoing.ts';
import { noteTurnedAway, planItem, stamp } from './groups/plan.ts';
import { applyAccepted, undoCommit } from './groups/settle.ts';
import { traceAccepted } from './groups/trace.ts';
import type { GroupsArgs, GroupsCommit, GroupsState } from './groups/state.ts';
import { writeCommit } from './groups/write.ts';
import { LIMITS } from './limits.ts';
import type { CommitResult } from './store/inbox-store.ts';
import { STAGES, tracing } from './tracing/message-trace.ts';

type Ctx = Context;

export const groups: Behavior<GroupsState, GroupsArgs, GroupsMessage> = {
  name: 'actors/groups',

  init(args, ctx) {
    return onceClaimed(args.committer, () => begin(args, ctx));
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'group-submit':
      case 'group-change':
        return enqueue(message, state, ctx);
      case 'committed':
        return settle(message.result, state, ctx);
      case 'fanned-out':
        return noteFannedOut(message, state, ctx);
      case 'marks-reached':
        return noteMarks(message, state, ctx);
      case 'marks-found':
        return collectMarks(message, state, ctx);
      case 'group-query':
        return answerQuery(message, state, ctx);
      case 'group-marks-query':
        return askMarks(message, state, ctx);
    }
  },

  handleInfo(info, state, ctx) {
    if (info === RETRY) retry(state, ctx);
    else if (info === RECEIPTS) tellWatchers(state, ctx);
    else if (info === TRY_AGAIN) {
      state.args.committer.looksAgain();
      ctx.requestTurnEnd();
    }
  },

  handleTurnEnd(state, ctx) {
    startCommit(state, ctx, FINISHED_COUNT);
  },
};

/** The first state of a life: what was accepted and had not arrived everywhere goes out again. */
function begin(args: GroupsArgs, ctx: Ctx): GroupsState {
  const state: GroupsState = {
    args,
    roll: new Map(),
    queue: [],
    commit: undefined,
    finished: [],
    busy: new Set(),
    outgoingBytes: 0,
    marked: new Set(),
    fullUntilMs: 0,
    requests: new Map(),
    untold: undefined,
    nextTicket: 1,
    creators: new Map(),
    lastTs: 0,
    isRetryArmed: false,
    isReceiptArmed: false,
  };
  resumeOutgoing(state, ctx);
  return state;
}

function enqueue(item: GroupSubmit | GroupChangeSubmit, state: GroupsState, ctx: Ctx): void {
  const refusal = refuseEarly(item, state, ctx);
  if (refusal !== undefined) {
    noteTurnedAway(item, state);
    return tellAll([refusalTo(item, refusal)], ctx);
  }
  state.queue.push(item);
  ctx.requestTurnEnd();
}

/** Refusals that need no look at the group. */
function refuseEarly(
  item: GroupSubmit | GroupChangeSubmit,
  { args, queue, fullUntilMs }: GroupsState,
  ctx: Ctx,
): Refusal | undefined {
  if (queue.length >= LIMITS.commitQueueMax) return { code: 'APP_OVERLOADED', retryAfter: 1 };
  if (ctx.clock.monotonicMs() < fullUntilMs) return storeFull();
  if (args.committer.isCutOff()) return { code: 'APP_UNAVAILABLE', retryAfter: 1 };
  const isLarge = item.kind === 'group-submit' && item.ciphertext.length > LIMITS.ciphertextBytesMax;
  return isLarge ? { code: 'APP_MESSAGE_TOO_LARGE' } : undefined;
}

/** A note to itself that the log of the shard may answer again. */
const TRY_AGAIN = 'try-again';

/** @param finishedMin - So much that is finished is worth a commit without anything else. */
function startCommit(state: GroupsState, ctx: Ctx, finishedMin: number): void {
  if (state.commit !== undefined || ctx.clock.monotonicMs() < state.fullUntilMs) return;
  if (state.queue.length > 0 && state.args.committer.holdsBack(ctx, TRY_AGAIN)) return;
  const { store, queuedBytesMax } = state.args;
  const room = Math.min(queuedBytesMax, store.queuedBytesMax) - store.queuedBytes();
  const now = { wallMs: ctx.clock.nowMs(), monotonicMs: ctx.clock.monotonicMs() };
  const ts = stamp(state, now.wallMs);
  const { finished } = state;
  const commit: GroupsCommit = { now, self: ctx.self, ts, told: [], room, bytes: 0, accepted: [], finished };
  const { queue } = state;
  // What an item lets go joins the present queue, not the one that is being gone through.
  state.queue = [];
  let taken = 0;
  while (taken < queue.length && taken < LIMITS.commitOperationsMax && commit.bytes < LIMITS.commitBytesMax) {
    planItem(queue[taken++]!, commit, state);
  }
  tellAll(commit.told, ctx);
  state.queue = [...queue.slice(taken), ...state.queue];
  if (state.queue.length > 0) ctx.requestTurnEnd();
  if (commit.accepted.length === 0 && commit.finished.length < finishedMin) return;
  state.finished = [];
  state.commit = commit;
  if (tracing.isOn) traceAccepted(STAGES.began, commit.accepted);
  state.args.committer.commit(ctx.self, (batch) => writeCommit(commit, batch));
}

function settle(result: CommitResult, state: GroupsState, ctx: Ctx): void {
  const { commit } = state;
  if (commit === undefined) return;
  state.commit = undefined;
  if (tracing.isOn && result === 'ok') traceAccepted(STAGES.flushed, commit.accepted);
  for (const { group } of commit.accepted) group.planned--;
  if (result === 'ok') for (const each of commit.accepted) applyAccepted(each, state, ctx);
  else undoCommit(commit, state, ctx);
  ctx.requestTurnEnd();
}

/** Sends again what is not confirmed, tells again what was not taken, and takes what is finished off the disk. */
function retry(state: GroupsState, ctx: Ctx): void {
  state.isRetryArmed = false;
  for (const group of state.busy) {
    castAgain(group, ctx);
    refuseStuck(group, state, ctx);
  }
  tellUntold(state, ctx);
  startCommit(state, ctx, 1);
  if (state.busy.size + state.finished.length + state.queue.length > 0) armRetry(state, ctx);
}
