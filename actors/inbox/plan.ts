/**
 * From the queue of an inbox to its next commit: takes what fits, decides each item, and notes what the commit changes.
 *
 * Planning tells nobody anything: whom to refuse stands in the plan. What it gives out (ids, positions) stands in memory from here on,
 * so that the next item of the same commit is decided rightly; `settle.ts` takes it back if the commit fails.
 * Submissions have a page of their own, `submit.ts`; so have losses, `plan-losses.ts`, and groups, `group-entries.ts`.
 */

import { samePid } from '../../runtime/index.ts';
import { planFanOut } from './group-entries.ts';
import type { FanOut } from '../groups/messages.ts';
import { planForget } from './devices.ts';
import { addEntry } from './entries.ts';
import { stamp, type Commit, type InboxState, type Now, type MoveFresh, type Queued } from './state.ts';
import { planSubmit } from './submit.ts';
import { LIMITS } from '../limits.ts';
import { noLosses } from './losses.ts';
import { planLoss, settleDoubt } from './plan-losses.ts';
import type { Acknowledge } from '../messages.ts';
import { countAcknowledged, findDevice, type Device } from './recipients.ts';

/** Takes from the queue what fits one commit and decides each item. */
export function planCommit(state: InboxState, now: Now): Commit {
  const { queuedBytesMax, store } = state.args;
  const commit = emptyCommit(now, stamp(state, now.wallMs), Math.min(queuedBytesMax, store.queuedBytesMax));
  const { queue } = state;
  let taken = 0;
  while (taken < queue.length && taken < operationsMax(commit) && hasRoomFor(commit)) {
    planItem(queue[taken++]!, commit, state);
  }
  state.queue = taken === queue.length ? [] : queue.slice(taken);
  return commit;
}

/** What a fan-out adds counts as well. */
function operationsMax({ groups }: Commit): number {
  return groups === undefined ? LIMITS.commitOperationsMax : LIMITS.commitOperationsMax - groups.entryCount;
}

/** A commit that removes a few windows takes as long as one that adds a few thousand messages. */
function hasRoomFor({ bytes, removals }: Commit): boolean {
  return bytes < LIMITS.commitBytesMax && removals < LIMITS.commitRemovalsMax;
}

function planItem(item: Queued, commit: Commit, state: InboxState): void {
  if (item.kind === 'submit') planSubmit(item, commit, state);
  else if (item.kind === 'acknowledge') planAcknowledge(item, commit, state);
  else if (item.kind === 'mark-read') commit.reads.push(item);
  else if (item.kind === 'move-fresh') planMove(item, commit, state);
  else if (item.kind === 'fan-out') planForGroup(item, commit, state);
  else if (item.kind === 'attach' || item.kind === 'gone') commit.passages.push(item);
  else if (item.kind !== 'forget-device') planLoss(item, commit, state);
  else planForget(item, commit, state);
}

function emptyCommit(now: Now, ts: number, bytesMax: number): Commit {
  return {
    now,
    told: [],
    ts,
    bytesMax,
    pin: { isSettled: false },
    submits: [],
    accepted: new Map(),
    pushes: new Map(),
    acknowledged: new Map(),
    delivered: new Map(),
    moves: new Map(),
    touched: new Map(),
    losses: noLosses(),
    forgotten: [],
    requests: new Map(),
    forgottenArrivals: [],
    reads: [],
    passages: [],
    bytes: 0,
    groups: undefined,
    forwarded: undefined,
    removals: 0,
  };
}

export function isEmpty(commit: Commit): boolean {
  const { accepted, acknowledged, moves, forgotten, losses } = commit;
  return (
    accepted.size === 0 &&
    acknowledged.size === 0 &&
    moves.size === 0 &&
    forgotten.length === 0 &&
    losses.removals.length === 0
  );
}

/** A message or change of a group, for its members here. */
function planForGroup(item: FanOut, commit: Commit, state: InboxState): void {
  const countOf = (device: Device): number => device.count + (commit.pushes.get(device)?.entries.length ?? 0);
  planFanOut(item, commit, {
    store: state.args.store,
    recipients: state.recipients,
    queuedBytes: state.queuedBytes,
    places: state.places,
    hasRoomFor: (device) => countOf(device) < LIMITS.inboxCountMax,
    add: (entry, recipient, device, conversation) => addEntry(entry, recipient, device, conversation, commit, state),
    tellLoss: (order, recipient, conversation) => settleDoubt(order, conversation, recipient, commit, state),
  });
}

function planAcknowledge(message: Acknowledge, commit: Commit, state: InboxState): void {
  const recipient = state.recipients.get(message.user);
  const device = recipient && findDevice(recipient, message.device);
  // Only what was pushed on the present connection counts; the client repeats the rest when it sees it again.
  if (recipient === undefined || device?.online === undefined) return;
  const { online } = device;
  if (!samePid(online.connection, message.connection)) return;
  const count = countAcknowledged(online, message.seq);
  if (count === 0) return;
  recipient.pin = commit.pin;
  const planned = commit.acknowledged.get(device);
  commit.removals += Math.max(0, count - (planned?.count ?? 0));
  if (planned === undefined) commit.acknowledged.set(device, { recipient, online, count, mark: 0, bytes: 0 });
  else planned.count = Math.max(planned.count, count);
}

/** Unless the device is back, what it has not acknowledged is moved in this commit. */
function planMove(message: MoveFresh, commit: Commit, state: InboxState): void {
  const recipient = state.recipients.get(message.user);
  const device = recipient && findDevice(recipient, message.device);
  const last = device?.fresh.at(-1);
  if (recipient === undefined || device === undefined || last === undefined || device.online !== undefined) return;
  // An entry is being removed: when that is settled, the move is asked for again.
  if (device.moving) return;
  recipient.pin = commit.pin;
  device.moving = true;
  commit.moves.set(device, { recipient, through: last.seq });
}
