/**
 * The inbox of one shard: accepts messages, keeps them until each device has them, pushes them, reports receipts.
 *
 * Work is collected while a commit is under way and goes into the next one (group commit). There is one commit in
 * flight: it gives the same batching as several would, and makes a failure simple, because nothing was built on it.
 *
 *   submit, acknowledge ──▶ queue ──▶ planCommit ──▶ store.commit … flushed ──▶ settle: sent, deliver, receipt
 *                             ▲                                                    │
 *                             └────────────── next commit, if the queue has work ◀─┘
 *
 * Nothing is told to anybody before the flush: not the first check mark, not the push, not the receipt.
 *
 * Order and exactly-once come from two counters: `id` within a conversation (a smaller one is a resend, a larger one
 * is refused) and `seq` within an inbox (given out here, pushed and acknowledged in order).
 *
 * Its parts, in `inbox/`:
 *
 *   state.ts    what it is made of                     attach.ts         devices that come and go
 *   queue.ts    what waits for the next commit         push.ts           pages of entries to a device
 *   plan.ts     from queue to commit                   catch-up.ts       whose turn it is to be read out of the store
 *   submit.ts   the fate of one message                staged-drain.ts   what comes first to a device that was away
 *   write.ts    the write set                          receipts.ts       what senders hear
 *   settle.ts   flushed or refused                     group-entries.ts  messages of groups
 *   company.ts  what waits for a fuller commit         devices.ts        devices that are no more
 *   claim.ts    one life after the other               online.ts         the connection of a device
 *   losses.ts, plan-losses.ts, settle-losses.ts, sweep.ts   what is given up, and the sweep that finds it
 *   pacing.ts   large groups, slice by slice
 *   recipients.ts, waiting-runs.ts  what is kept in memory of recipients, and of what waits for them
 *   strangers.ts, silence.ts        who may write at all; which devices sleep
 *   detour.ts, forwarded.ts         to the outbox of this shard, and from those of others
 *   trace.ts                        how long it took, for a sample
 */

import { type Behavior, type Context, isDown, NO_REPLY, type Ref } from '../runtime/index.ts';
import { NEXT_PLACES } from './inbox/catch-up.ts';
import { claimInbox } from './inbox/claim.ts';
import {
  attach,
  comeOrGo,
  detach,
  goOnCatchingUp,
  isAttached,
  isBehindAcknowledgement,
  startCatchingUp,
} from './inbox/attach.ts';
import { passOn } from './inbox/detour.ts';
import { forgetDevice, reloadDevices } from './inbox/devices.ts';
import { answerMarks, confirmFanOuts } from './inbox/groups.ts';
import { GO_ALONE, waitsForCompany } from './inbox/company.ts';
import { handOverSlice, NEXT_SLICE } from './inbox/pacing.ts';
import { isEmpty, planCommit } from './inbox/plan.ts';
import { enqueue } from './inbox/queue.ts';
import { queryConversation, relayReads, relayReceipt, tellDelivered } from './inbox/receipts.ts';
import { applyCommit, tellSent, TRY_AGAIN, undoCommit } from './inbox/settle.ts';
import { firstState, type Commit, type InboxArgs, type InboxState } from './inbox/state.ts';
import { tell, tellAll } from './inbox/tell.ts';
import { traceCommit } from './inbox/trace.ts';
import { writeCommit } from './inbox/write.ts';
import { LIMITS } from './limits.ts';
import { releaseUnheld } from './inbox/settle-losses.ts';
import { SWEEP, sweepExpired } from './inbox/sweep.ts';
import type { InboxMessage, Reconsider, TellDevice } from './messages.ts';
import { findDevice, reconsiderStandings } from './inbox/recipients.ts';
import { LOOK_FOR_SILENCE, lookForSilence } from './inbox/silence.ts';
import type { CommitResult } from './store/inbox-store.ts';
import { STAGES, tracing } from './tracing/message-trace.ts';

type Ctx = Context;

export const inbox: Behavior<InboxState, InboxArgs, InboxMessage, 'statistics', InboxStatistics> = {
  name: 'actors/inbox',

  init(args, ctx) {
    const claimed = claimInbox(args.store, args.committer);
    return claimed === undefined ? begin(args, ctx) : claimed.then(() => begin(args, ctx));
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'acknowledge':
        return isAttached(message, state) ? enqueue(message, state, ctx) : undefined;
      case 'submit':
      case 'mark-read':
      case 'fan-out':
        return enqueue(message, state, ctx);
      case 'detour':
        return passOn(message, state, ctx);
      case 'committed':
        return settle(message.result, state, ctx);
      case 'forget-device':
        return forgetDevice(message, state, ctx);
      case 'reload-devices': {
        const recipient = state.recipients.get(message.user);
        return recipient && reloadDevices(recipient, state, ctx);
      }
      case 'attach':
        return isBehindAcknowledgement(message, state) ? enqueue(message, state, ctx) : attach(message, state, ctx);
      case 'relay-receipt':
        return relayReceipt(message, state, ctx);
      case 'reconsider':
        return reconsider(message, state, ctx);
      case 'tell-device':
        return tellDevice(message, state, ctx);
      case 'query-conversation':
        return queryConversation(message, state, ctx);
      case 'find-marks':
        return answerMarks(message, state, ctx);
    }
  },

  handleCall(request, _from, state) {
    return request === 'statistics' ? statistics(state) : NO_REPLY;
  },

  handleInfo(info, state, ctx) {
    if (isDown(info)) connectionEnded(info.ref, state, ctx);
    else if (info === TRY_AGAIN) tryAgain(state, ctx);
    else if (info === GO_ALONE) ctx.requestTurnEnd();
    else if (info === SWEEP) sweepExpired(state, ctx);
    else if (info === NEXT_PLACES) goOnCatchingUp(state, ctx);
    else if (info === NEXT_SLICE) handOverSlice(state, ctx);
    else if (info === LOOK_FOR_SILENCE) lookForSilence(state, ctx);
  },

  handleTurnEnd(state, ctx) {
    startCommit(state, ctx);
    tellSent(state, ctx);
    if (state.catchUp.waiting.size > 0) startCatchingUp(state, ctx);
    state.args.load.queuedCount = state.queue.length;
  },
};

function begin(args: InboxArgs, ctx: Ctx): InboxState {
  ctx.sendAfter(LIMITS.expirySliceMs, SWEEP);
  if (args.wakeups !== undefined) ctx.sendAfter(LIMITS.silenceLookMs, LOOK_FOR_SILENCE);
  return firstState(args);
}

/** Figures of one shard since it started. */
export interface InboxStatistics {
  readonly commits: number;
  readonly committedMessages: number;
  readonly queuedBytes: number;
  /** Operations that wait for the next commit. */
  readonly queuedCount: number;
  readonly online: number;
  /** Messages that were lost to a device, by reason. */
  readonly expiredMessages: number;
  readonly prunedMessages: number;
  readonly undeliverableMessages: number;
  readonly restoredMessages: number;
  /** When the oldest entry came that the last round over the inboxes saw, in milliseconds of wall time; 0 for none. */
  readonly oldestMs: number;
  /** Messages in the outbox of the shard, their bytes, and when the oldest was taken; 0 for none. */
  readonly outboxCount: number;
  readonly outboxBytes: number;
  readonly outboxOldestMs: number;
}

function statistics(state: InboxState): InboxStatistics {
  const { args, commits, committedMessages, queuedBytes, queue, attached, sweep } = state;
  const { lost, oldestMs } = sweep;
  return {
    commits,
    committedMessages,
    queuedBytes,
    queuedCount: queue.length,
    online: attached.size,
    expiredMessages: lost.expiredMessages,
    prunedMessages: lost.prunedMessages,
    undeliverableMessages: lost.undeliverableMessages,
    restoredMessages: lost.restoredMessages,
    oldestMs,
    outboxCount: args.load.outbox.count,
    outboxBytes: args.load.outbox.bytes,
    outboxOldestMs: args.load.outbox.oldestMs,
  };
}

/** It goes when everything that it may have acknowledged is on its way to the disk. */
function connectionEnded(monitor: Ref, state: InboxState, ctx: Ctx): void {
  if (state.queue.length === 0) detach(monitor, state, ctx);
  else enqueue({ kind: 'gone', monitor }, state, ctx);
}

function tryAgain(state: InboxState, ctx: Ctx): void {
  state.args.committer.looksAgain();
  ctx.requestTurnEnd();
}

function startCommit(state: InboxState, ctx: Ctx): void {
  if (state.commit !== undefined || ctx.clock.monotonicMs() < state.fullUntilMs) return;
  if (state.queue.length === 0 || state.args.committer.holdsBack(ctx, TRY_AGAIN) || waitsForCompany(state, ctx)) return;
  state.aloneSinceMs = undefined;
  while (state.commit === undefined && state.queue.length > 0) {
    const commit = planCommit(state, { wallMs: ctx.clock.nowMs(), monotonicMs: ctx.clock.monotonicMs() });
    if (isEmpty(commit)) confirmEmpty(commit, state, ctx);
    else {
      state.commit = commit;
      if (tracing.isOn) traceCommit(STAGES.began, commit.submits);
      state.args.committer.commit(ctx.self, (batch) => writeCommit(commit, state, batch));
    }
    for (const passage of commit.passages) comeOrGo(passage, state, ctx);
    tellAll(commit.told, ctx);
    releaseUnheld(commit, state, ctx);
  }
}

/** What is so without a write: nobody here is in the group any more, or there is something to be read. */
function confirmEmpty(commit: Commit, state: InboxState, ctx: Ctx): void {
  confirmFanOuts(commit, state, ctx);
  relayReads(commit, state, ctx);
}

function settle(result: CommitResult, state: InboxState, ctx: Ctx): void {
  const commit = state.commit;
  if (commit === undefined) return;
  state.commit = undefined;
  commit.pin.isSettled = true;
  if (result === 'ok') applyCommit(commit, state, ctx);
  else undoCommit(commit, state, ctx);
  ctx.requestTurnEnd();
}

/** What was accepted before goes on; what comes from now on meets the new decision. Who is no stranger any more learns what has arrived until now. */
function reconsider({ user, sender, answered }: Reconsider, state: InboxState, ctx: Ctx): void {
  const recipient = state.recipients.get(user);
  if (recipient !== undefined) {
    for (const conversation of reconsiderStandings(recipient, state.args.store, sender)) {
      tellDelivered(conversation, user, state, ctx);
    }
  }
  tell(answered.connection, answered.message, ctx);
}

function tellDevice({ user, device: id, message }: TellDevice, state: InboxState, ctx: Ctx): void {
  const recipient = state.recipients.get(user);
  const device = recipient && findDevice(recipient, id);
  if (device?.online !== undefined) tell(device.online.connection, message, ctx);
}
