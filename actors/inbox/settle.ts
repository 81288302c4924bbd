/**
 * What follows when a commit of an inbox has settled: flushed, it is told; refused, it is taken back.
 *
 * Flushed: acknowledgements, pushes, receipts, one of each however many messages it covers. Refused: nothing was written, so the numbers
 * go back, submissions are refused, and everything else is planned again.
 */

import type { Context } from '../../runtime/index.ts';
import { isOfGroup, undoFanOuts } from './group-entries.ts';
import { moveLater } from './attach.ts';
import { tellOutboxes } from './forwarded.ts';
import { settleGroups } from './groups.ts';
import { hold, isPaced, mayBeHeld, startSlices } from './pacing.ts';
import { acknowledgeNotice, deliver, pump } from './push.ts';
import { relayReads, sendReceipt } from './receipts.ts';
import type { Acknowledged, Commit, InboxState, Move, Push, Queued } from './state.ts';
import { refuse, storeFull, tell } from './tell.ts';
import { traceAcknowledged, traceCommit, traceFanOuts } from './trace.ts';
import { LIMITS } from '../limits.ts';
import { Distribution } from '../metrics/meter.ts';
import { STAGES, tracing } from '../tracing/message-trace.ts';
import { applyLosses, undoLosses } from './settle-losses.ts';
import { noteTurnedAway } from './order.ts';
import type { Submit } from '../messages.ts';
import {
  type Device,
  dropAcknowledged,
  dropFresh,
  NOT_SILENT,
  notePushed,
  type Online,
  trimConversations,
} from './recipients.ts';
import { noteAwake, noteSilent } from './silence.ts';
import { isUnasked } from './strangers.ts';
import { restore } from './waiting-runs.ts';

type Ctx = Context;

const COMMIT_MESSAGES = new Distribution('blindbeam_store_commit_messages');

/** A note to itself that the pause after a refused commit is over. */
export const TRY_AGAIN = 'try-again';

export function applyCommit(commit: Commit, state: InboxState, ctx: Ctx): void {
  state.queuedBytes = Math.max(0, state.queuedBytes + commit.bytes);
  state.commits++;
  state.committedMessages += commit.submits.length;
  COMMIT_MESSAGES.note(commit.submits.length);
  if (tracing.isOn) {
    traceCommit(STAGES.flushed, commit.submits);
    if (commit.groups !== undefined) traceFanOuts(commit.groups);
  }
  for (const [conversation, { recipient }] of commit.accepted) {
    if (isOfGroup(conversation)) continue;
    state.sent.push({ conversation, to: recipient.user, id: conversation.accepted, ts: commit.ts });
  }
  for (const [device, move] of commit.moves) applyMove(device, move, state, ctx);
  applyPushes(commit, state, ctx);
  for (const [device, acknowledged] of commit.acknowledged) applyAcknowledged(device, acknowledged, state, ctx);
  applyLosses(commit, state, ctx);
  for (const [conversation, { recipient, id }] of commit.delivered) {
    conversation.delivered = Math.max(conversation.delivered, id);
    if (isOfGroup(conversation) || isUnasked(conversation.standing)) continue;
    sendReceipt(
      conversation,
      { kind: 'receipt', type: 'delivered', from: recipient.user, id, ts: commit.ts },
      state,
      ctx,
    );
  }
  if (commit.groups !== undefined) settleGroups(commit, commit.groups, state, ctx);
  relayReads(commit, state, ctx);
  tellOutboxes(commit, ctx);
}

/**
 * Acknowledges what was flushed, after the next commit has begun: a conversation that goes on in that one is acknowledged
 * with it, for acknowledgements are cumulative and a write to a socket is dear. It waits for one commit at most.
 */
export function tellSent(state: InboxState, ctx: Ctx): void {
  const due = state.sent;
  if (due.length === 0) return;
  state.sent = [];
  for (const { conversation, to, id, ts } of due) {
    conversation.held = !conversation.held && state.commit?.accepted.has(conversation) === true;
    if (conversation.held || conversation.connection === undefined) continue;
    tell(conversation.connection, { kind: 'sent', to, id, ts }, ctx);
  }
}

function applyPushes(commit: Commit, state: InboxState, ctx: Ctx): void {
  const paced = isPaced(commit);
  for (const push of commit.pushes.values()) applyPush(push, paced && mayBeHeld(push), state, ctx);
  if (paced) startSlices(state, ctx);
}

/**
 * What was committed fresh goes out at once, unless the device has gone or changed its connection meanwhile.
 *
 * @param isHeld - It goes out with a later slice.
 */
function applyPush(push: Push, isHeld: boolean, state: InboxState, ctx: Ctx): void {
  const { device, entries, conversations, arrivals, recipient } = push;
  const caughtUp = device.online?.cursor === device.head && !device.moving;
  device.head = entries[entries.length - 1]!.seq;
  device.count += entries.length;
  device.bytes += push.bytes;
  for (let index = 0; index < arrivals.length; index++) {
    device.fresh.push({ seq: entries[index]!.seq, arrival: arrivals[index]! });
  }
  const { online } = device;
  if (online === undefined) {
    noteSilent(recipient, device, ctx.clock.monotonicMs(), state, ctx);
    return moveLater(recipient, device, state, ctx);
  }
  if (!caughtUp || arrivals.length === 0) return pump(recipient, device, online, state, ctx);
  for (let index = 0; index < arrivals.length; index++) {
    notePushed(online, entries[index]!, conversations[index]!, arrivals[index]!);
  }
  const fresh = arrivals.length === entries.length ? entries : entries.slice(0, arrivals.length);
  if (isHeld) hold(online, fresh, state);
  else deliver(online, fresh, ctx);
  acknowledgeNotice(recipient, device, online, state, ctx);
}

function applyAcknowledged(device: Device, acknowledged: Acknowledged, state: InboxState, ctx: Ctx): void {
  const { recipient, online: acknowledging, count, mark, bytes } = acknowledged;
  device.acknowledged = Math.max(device.acknowledged, mark);
  device.count = Math.max(0, device.count - count);
  device.bytes = Math.max(0, device.bytes - bytes);
  device.fruitless = 0;
  if (device.silentAtMs !== NOT_SILENT) noteAwake(recipient, device, state, ctx);
  dropFresh(device, mark);
  const { online } = device;
  if (online === undefined) return;
  if (tracing.isOn && online === acknowledging) traceAcknowledged(online, count, recipient.user, state.bodies);
  if (online === acknowledging) noteProgress(online, count);
  else online.cursor = Math.max(online.cursor, mark);
  pump(recipient, device, online, state, ctx);
  acknowledgeNotice(recipient, device, online, state, ctx);
  trimConversations(recipient);
}

function noteProgress(online: Online, count: number): void {
  dropAcknowledged(online, count);
  online.progressed = true;
  online.windowMax = LIMITS.windowCountMax;
}

/** The fresh entries wait now; whoever came back meanwhile gets them from there. */
function applyMove(device: Device, { recipient, through }: Move, state: InboxState, ctx: Ctx): void {
  device.moving = false;
  dropFresh(device, through);
  if (device.online !== undefined) pump(recipient, device, device.online, state, ctx);
  else moveLater(recipient, device, state, ctx);
}

/** Nothing of the commit was written: take back the numbers, refuse the submissions, try the deletions again. */
export function undoCommit(commit: Commit, state: InboxState, ctx: Ctx): void {
  state.fullUntilMs = ctx.clock.monotonicMs() + LIMITS.storeFullPauseMs;
  ctx.sendAfter(LIMITS.storeFullPauseMs, TRY_AGAIN);
  ctx.log.error('commit_refused', { reason: 'store full', submissions: commit.submits.length });
  for (const [conversation, { before, known, recipient }] of commit.accepted) {
    conversation.accepted = before;
    conversation.known = known;
    // What was flushed before and waited to be acknowledged with this commit.
    if (conversation.held) state.sent.push({ conversation, to: recipient.user, id: before, ts: commit.ts });
  }
  for (const { device } of commit.pushes.values()) device.assigned = device.head;
  restore(commit.touched);
  undoFanOuts(commit, state.places);
  for (const message of commit.submits) refuse(message, storeFull(), ctx);
  const deletions: Queued[] = [...commit.forgotten, ...commit.reads];
  for (const [device, { recipient, online, count }] of commit.acknowledged) {
    if (device.online !== online) {
      // Whoever came back meanwhile was not to be read what was being removed; now it gets it once more.
      if (device.online !== undefined) pump(recipient, device, device.online, state, ctx);
      continue;
    }
    const { seq } = online.window[count - 1]!;
    const { connection } = online;
    deletions.push({ kind: 'acknowledge', connection, user: recipient.user, device: device.id, seq });
  }
  deletions.push(...undoLosses(commit, state, ctx));
  for (const [device, { recipient }] of commit.moves) {
    device.moving = false;
    deletions.push({ kind: 'move-fresh', user: recipient.user, device: device.id });
  }
  const [submits, others] = partition(state.queue);
  noteTurnedAway(submits, state);
  for (const message of submits) refuse(message, storeFull(), ctx);
  state.queue = [...deletions, ...others];
}

function partition(queue: readonly Queued[]): [Submit[], Queued[]] {
  const submits: Submit[] = [];
  const others: Queued[] = [];
  for (const item of queue) {
    if (item.kind === 'submit') submits.push(item);
    else others.push(item);
  }
  return [submits, others];
}
