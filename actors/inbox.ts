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
 */

import { formatPid, isDown, NO_REPLY, samePid, type Behavior, type Context, type Pid } from '../runtime/index.ts';
import { emptyCatchUp, givePlace, isWaiting, nextPlaces, takePlace, type CatchUp } from './catch-up.ts';
import { claimInbox } from './claim-inbox.ts';
import type { Committer } from './committer.ts';
import type { Refusal } from './errors.ts';
import {
  confirmations,
  findMarks,
  isOfGroup,
  MarkSheet,
  planFanOut,
  release,
  releaseInbox,
  settleBodies,
  withBodies,
  withdraw,
  writeBodies,
  undoFanOuts,
  type GroupPart,
  type GroupPlaces,
  type KnownBodies,
} from './group-entries.ts';
import type { FanOut, FindMarks, GroupsMessage } from './group-messages.ts';
import { LIMITS } from './limits.ts';
import { Distribution } from './metrics/meter.ts';
import {
  applyLosses,
  forgetLosses,
  newSweep,
  noLosses,
  planLoss,
  requestPrune,
  setAside,
  SWEEP,
  sweepExpired,
  undoLosses,
  writeLosses,
  type Losses,
  type LossItem,
  type Sweep,
} from './losses.ts';
import type {
  Acknowledge,
  Attach,
  ConnectionMessage,
  ForgetDevice,
  GapTold,
  InboxMessage,
  MarkRead,
  QueryConversation,
  Receipt,
  Reconsider,
  RelayReceipt,
  Submit,
  TellDevice,
} from './messages.ts';
import type { Buckets } from './rate-limit.ts';
import {
  countAcknowledged,
  dropAcknowledged,
  entryBytes,
  findConversation,
  findDevice,
  findRecipient,
  dropFresh,
  hasRoom,
  aheadOf,
  isCaughtUp,
  isPresent,
  markAfter,
  notePushedAhead,
  notePushed,
  pushedBytes,
  loadDevice,
  reconsiderStandings,
  senderKeyOf,
  trimConversations,
  type Conversation,
  type Device,
  type Online,
  type Pushed,
  type Recipient,
  type Recipients,
} from './recipients.ts';
import type { RemoteName } from './routes.ts';
import { planAhead, readPage } from './staged-drain.ts';
import type { CommitResult, InboxEntry, InboxStore, SenderAddress, StoreBatch } from './store/inbox-store.ts';
import { addToRun, dropRun, recordOf, restore, runOf, takeFromRun, touch, type Touched } from './waiting-runs.ts';
import type { StrangerRequest } from './store/protection-store.ts';
import { LOOK_FOR_SILENCE, lookForSilence, noteAwake, noteSilent } from './silence.ts';
import { countFirstContact, isBlocked, isUnasked, nextRequest } from './strangers.ts';

/** What the shell gives an inbox. */
export interface InboxArgs {
  readonly store: InboxStore;
  /** What waits for the next commit, for those who give way when it is much. Written here. */
  readonly load: { queuedCount: number };
  /** Bytes of undelivered messages that this shard may hold. */
  readonly queuedBytesMax: number;
  /** The inbox actor that owns a user's partition. */
  readonly inboxOf: (user: string) => RemoteName;
  /** The actor that owns a group. */
  readonly groupsOf: (group: string) => RemoteName;
  /** Who is told of silent devices; absent where the node wakes nobody. */
  readonly wakeups: RemoteName | undefined;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
}

/** A device has gone: what it has in the fresh tier is to wait for it. */
interface MoveFresh {
  readonly kind: 'move-fresh';
  readonly user: string;
  readonly device: number;
}

type Queued = Submit | Acknowledge | ForgetDevice | MarkRead | MoveFresh | FanOut | LossItem;

/** Entries of one device that the commit under way adds, each with its conversation. The first ones may be fresh. */
export interface Push {
  readonly recipient: Recipient;
  readonly device: Device;
  readonly entries: InboxEntry[];
  readonly conversations: Conversation[];
  /** Arrivals of the fresh entries, which stand before the waiting ones. */
  readonly arrivals: number[];
  bytes: number;
  /** Of the entries with the bodies that they stand for: what they add to the window. */
  pushedBytes: number;
}

/** An acknowledgement that a commit carries out. */
interface Acknowledged {
  readonly recipient: Recipient;
  /** The connection that it came on. */
  readonly online: Online;
  /** Entries at the front of its window. */
  count: number;
  /** Everything up to here is gone then. */
  mark: number;
  bytes: number;
}

/** A request of a stranger as the commit under way leaves it. */
interface RequestCount {
  readonly owner: string;
  readonly stranger: string;
  readonly request: StrangerRequest;
}

/** Fresh entries that the commit under way moves to the waiting tier. */
interface Move {
  readonly recipient: Recipient;
  readonly through: number;
}

/** Everything that one commit will change, kept until its outcome is known. */
export interface Commit {
  readonly ts: number;
  /** Bytes of undelivered messages that the shard may hold. */
  readonly bytesMax: number;
  /** Submissions of this commit, for refusing them if it fails. */
  readonly submits: Submit[];
  /** Conversations to acknowledge, with what they had accepted before. */
  readonly accepted: Map<
    Conversation,
    { readonly before: number; readonly known: boolean; readonly recipient: Recipient }
  >;
  readonly pushes: Map<Device, Push>;
  /** What each device has acknowledged. */
  readonly acknowledged: Map<Device, Acknowledged>;
  /** Conversations whose delivered mark moves, with the new mark. */
  readonly delivered: Map<Conversation, { readonly recipient: Recipient; id: number }>;
  readonly moves: Map<Device, Move>;
  /** Conversations whose runs or gaps change, with what they were. */
  readonly touched: Touched;
  readonly losses: Losses;
  readonly forgotten: ForgetDevice[];
  /** Strangers' requests to be counted, by `recipient<sender`. */
  readonly requests: Map<string, RequestCount>;
  /** Fresh entries of forgotten devices. */
  readonly forgottenArrivals: number[];
  /** Read marks that came before or with the acknowledgements of this commit, so that they are capped after these. */
  readonly reads: MarkRead[];
  bytes: number;
  /** What it changes of groups, if anything. */
  groups: GroupPart | undefined;
  /** Entries that it removes because they were acknowledged. */
  removals: number;
}

/** An acknowledgement that is due. */
interface Sent {
  readonly conversation: Conversation;
  readonly to: string;
  readonly id: number;
  readonly ts: number;
}

export interface InboxState {
  readonly args: InboxArgs;
  readonly recipients: Recipients;
  readonly bodies: KnownBodies;
  readonly places: GroupPlaces;
  queue: Queued[];
  commit: Commit | undefined;
  queuedBytes: number;
  /** Until this time (monotonic) the disk is taken for full. */
  fullUntilMs: number;
  /** Connections by pid, for those that go down. */
  readonly attached: Map<string, { readonly user: string; readonly device: number }>;
  /** Devices that come back to a full inbox: so many are read out at a time. */
  readonly catchUp: CatchUp;
  /** Whether a look at those that wait is under way. */
  looksAgain: boolean;
  lastTs: number;
  readonly sweep: Sweep;
  /** The present round over the connected devices; see `silence.ts`. */
  silenceRound: IterableIterator<{ readonly user: string; readonly device: number }> | undefined;
  /** Conversations that senders begin here. */
  readonly firstContacts: Buckets;
  /** Next place in the fresh tier. */
  nextArrival: number;
  /** Conversations to acknowledge at the end of this turn. */
  sent: Sent[];
  commits: number;
  committedMessages: number;
}

type Ctx = Context;

/** A note to itself that the pause after a refused commit is over. */
const COMMIT_MESSAGES = new Distribution('blindbeam_store_commit_messages');
const TRY_AGAIN = 'try-again';

/** And that somebody may have kept a place for too long. */
const NEXT_PLACES = 'next-places';

export const inbox: Behavior<InboxState, InboxArgs, InboxMessage, 'statistics', InboxStatistics> = {
  name: 'actors/inbox',

  init(args, ctx) {
    const claimed = claimInbox(args.store, args.committer);
    return claimed === undefined ? begin(args, ctx) : claimed.then(() => begin(args, ctx));
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'submit':
      case 'acknowledge':
      case 'forget-device':
      case 'mark-read':
      case 'fan-out':
        return enqueue(message, state, ctx);
      case 'committed':
        return settle(message.result, state, ctx);
      case 'reload-devices': {
        const recipient = state.recipients.get(message.user);
        return recipient && reloadDevices(recipient, state);
      }
      case 'attach':
        return attach(message, state, ctx);
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
    if (isDown(info)) detach(info.pid, state, ctx);
    else if (info === TRY_AGAIN) ctx.requestTurnEnd();
    else if (info === SWEEP) sweepExpired(state, ctx);
    else if (info === NEXT_PLACES) goOnCatchingUp(state, ctx);
    else if (info === LOOK_FOR_SILENCE) lookForSilence(state, ctx);
  },

  handleTurnEnd(state, ctx) {
    startCommit(state, ctx);
    tellSent(state, ctx);
    if (state.catchUp.waiting.size > 0) startCatchingUp(state, ctx);
    state.args.load.queuedCount = state.queue.length;
  },
};

/** The first state of a life, once the store says everything. */
function begin(args: InboxArgs, ctx: Ctx): InboxState {
  ctx.sendAfter(LIMITS.expirySliceMs, SWEEP);
  if (args.wakeups !== undefined) ctx.sendAfter(LIMITS.silenceLookMs, LOOK_FOR_SILENCE);
  return {
    args,
    recipients: new Map(),
    bodies: new Map(),
    places: new Map(),
    queue: [],
    commit: undefined,
    queuedBytes: args.store.queuedBytes(),
    fullUntilMs: 0,
    attached: new Map(),
    catchUp: emptyCatchUp(),
    looksAgain: false,
    lastTs: 0,
    sweep: newSweep(),
    silenceRound: undefined,
    firstContacts: new Map(),
    nextArrival: 1,
    sent: [],
    commits: 0,
    committedMessages: 0,
  };
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
  /** When the oldest entry came that the last round over the inboxes saw, in milliseconds of wall time; 0 for none. */
  readonly oldestMs: number;
}

function statistics(state: InboxState): InboxStatistics {
  const { commits, committedMessages, queuedBytes, queue, attached, sweep } = state;
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
    oldestMs,
  };
}

export function enqueue(message: Queued, state: InboxState, ctx: Ctx): void {
  if (message.kind === 'submit') {
    const refusal = refuseEarly(message, state, ctx);
    if (refusal !== undefined) return refuse(message, refusal, ctx);
  } else if (state.queue.length >= LIMITS.repeatedQueueMax && REPEATED.has(message.kind)) return;
  state.queue.push(message);
  ctx.requestTurnEnd();
}

/**
 * What comes again if it is lost here: a connection says its last acknowledgement twice, a read mark is covered by the next, and
 * the owner of a group repeats what is not confirmed. Everything else in the queue is bounded by what there is of devices.
 */
const REPEATED: ReadonlySet<Queued['kind']> = new Set(['acknowledge', 'mark-read', 'fan-out']);

/** Refusals that need no look at the order of the conversation. */
function refuseEarly(message: Submit, state: InboxState, ctx: Ctx): Refusal | undefined {
  if (state.queue.length >= LIMITS.commitQueueMax) return { code: 'APP_OVERLOADED', retryAfter: 1 };
  if (ctx.clock.monotonicMs() < state.fullUntilMs) return storeFull();
  for (const { ciphertext } of message.envelopes) {
    if (ciphertext.length > LIMITS.ciphertextBytesMax) return { code: 'APP_MESSAGE_TOO_LARGE' };
  }
  return undefined;
}

function storeFull(): Refusal {
  return { code: 'APP_STORE_FULL', retryAfter: LIMITS.storeFullRetrySeconds };
}

// --- planning a commit ------------------------------------------------------------------------------------------

function startCommit(state: InboxState, ctx: Ctx): void {
  if (state.commit !== undefined || ctx.clock.monotonicMs() < state.fullUntilMs) return;
  while (state.queue.length > 0) {
    const commit = planCommit(state, ctx);
    if (isEmpty(commit)) {
      confirmFanOuts(commit, state, ctx);
      relayReads(commit, state, ctx);
      continue;
    }
    state.commit = commit;
    state.args.committer.commit(ctx.self, (batch) => writeCommit(commit, state, batch));
    return;
  }
}

/** Takes from the queue what fits one commit and decides each item. Refusals are sent at once: they change nothing. */
function planCommit(state: InboxState, ctx: Ctx): Commit {
  const { queuedBytesMax, store } = state.args;
  const commit = emptyCommit(stamp(state, ctx), Math.min(queuedBytesMax, store.queuedBytesMax));
  const { queue } = state;
  let taken = 0;
  while (taken < queue.length && taken < operationsMax(commit) && hasRoomFor(commit)) {
    planItem(queue[taken++]!, commit, state, ctx);
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

function planItem(item: Queued, commit: Commit, state: InboxState, ctx: Ctx): void {
  if (item.kind === 'submit') planSubmit(item, commit, state, ctx);
  else if (item.kind === 'acknowledge') planAcknowledge(item, commit, state);
  else if (item.kind === 'mark-read') commit.reads.push(item);
  else if (item.kind === 'move-fresh') planMove(item, commit, state);
  else if (item.kind === 'fan-out') planForGroup(item, commit, state);
  else if (item.kind !== 'forget-device') planLoss(item, commit, state, ctx);
  else planForget(item, commit, state, ctx);
}

/** Server time, made monotone: two messages of one shard never carry times that contradict their order. */
function stamp(state: InboxState, ctx: Ctx): number {
  state.lastTs = Math.max(state.lastTs, Math.floor(ctx.clock.nowMs()));
  return state.lastTs;
}

function emptyCommit(ts: number, bytesMax: number): Commit {
  return {
    ts,
    bytesMax,
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
    bytes: 0,
    groups: undefined,
    removals: 0,
  };
}

function isEmpty(commit: Commit): boolean {
  const { accepted, acknowledged, moves, forgotten, losses } = commit;
  return (
    accepted.size === 0 &&
    acknowledged.size === 0 &&
    moves.size === 0 &&
    forgotten.length === 0 &&
    losses.removals.length === 0
  );
}

function planSubmit(message: Submit, commit: Commit, state: InboxState, ctx: Ctx): void {
  const recipient = findRecipient(state.recipients, state.args.store, message.to);
  if (recipient === undefined) return refuse(message, { code: 'APP_UNKNOWN_USER' }, ctx);
  const conversation = findConversation(recipient, state.args.store, message.sender, message.senderKey);
  noteConnection(conversation, message.connection);
  if (conversation.known && message.id <= conversation.accepted) return acceptAgain(conversation, recipient, commit);
  const refusal =
    refuseSubmit(message, recipient, conversation, commit, state) ??
    refuseStranger(message, recipient, conversation, commit, state, ctx);
  if (refusal !== undefined) return refuse(message, refusal, ctx);
  accept(message, recipient, conversation, commit, state);
}

/** A resend is answered like the first time, after the flush that may still be under way for it. */
function acceptAgain(conversation: Conversation, recipient: Recipient, commit: Commit): void {
  if (commit.accepted.has(conversation)) return;
  commit.accepted.set(conversation, { before: conversation.accepted, known: conversation.known, recipient });
}

function refuseSubmit(
  message: Submit,
  recipient: Recipient,
  conversation: Conversation,
  commit: Commit,
  state: InboxState,
): Refusal | undefined {
  const expected = conversation.accepted + 1;
  if (conversation.known && message.id !== expected) return { code: 'APP_OUT_OF_ORDER', expected };
  const devices = devicesFor(message, recipient);
  if (!fitsDevices(message, devices)) {
    if (devices.length === 0) return { code: 'APP_NO_OTHER_DEVICE' };
    return { code: 'APP_DEVICES_CHANGED', devices: devices.map((device) => device.id) };
  }
  if (state.queuedBytes + commit.bytes + submitBytes(message) > commit.bytesMax) return storeFull();
  for (const device of recipient.devices) {
    const push = commit.pushes.get(device);
    // Over the bound in bytes it is pruned; what comes faster than that is refused.
    const isFlooded =
      device.pruning && device.bytes + (push?.bytes ?? 0) > LIMITS.inboxBytesMax + LIMITS.inboxPruneBytes;
    if (isFlooded) return { code: 'APP_INBOX_FULL', retryAfter: 1 };
    if (device.count + (push?.entries.length ?? 0) >= LIMITS.inboxCountMax)
      return { code: 'APP_INBOX_FULL', retryAfter: 60 };
  }
  return undefined;
}

/** Last of the refusals, since it counts: those who begin conversations with everybody, and strangers to those who ask. */
function refuseStranger(
  message: Submit,
  recipient: Recipient,
  { known, standing }: Conversation,
  commit: Commit,
  state: InboxState,
  ctx: Ctx,
): Refusal | undefined {
  if (known && standing === 'open') return undefined;
  const { user: stranger } = message.sender;
  const { user: owner } = recipient;
  if (!known && owner !== stranger) {
    const refusal = countFirstContact(state.firstContacts, stranger, ctx.clock.monotonicMs());
    if (refusal !== undefined) return refusal;
  }
  const { protection } = state.args.store;
  if (!isUnasked(standing)) return undefined;
  const name = `${owner}<${stranger}`;
  const request = nextRequest(commit.requests.get(name)?.request ?? protection.request(owner, stranger), commit.ts);
  if ('code' in request) return request;
  commit.requests.set(name, { owner, stranger, request });
  return undefined;
}

/** The devices that a message must be encrypted for: all of the recipient's; of one's own account, all others. */
function devicesFor({ sender, to }: Submit, { devices }: Recipient): readonly Device[] {
  return sender.user === to ? devices.filter(({ id }) => id !== sender.device) : devices;
}

function fitsDevices(message: Submit, devices: readonly Device[]): boolean {
  if (message.envelopes.length !== devices.length || devices.length === 0) return false;
  return devices.every((device) => message.envelopes.some((envelope) => envelope.device === device.id));
}

function submitBytes(message: Submit): number {
  let bytes = 0;
  for (const envelope of message.envelopes) bytes += envelope.ciphertext.length;
  return bytes;
}

function accept(
  message: Submit,
  recipient: Recipient,
  conversation: Conversation,
  commit: Commit,
  state: InboxState,
): void {
  acceptAgain(conversation, recipient, commit);
  conversation.accepted = message.id;
  conversation.known = true;
  commit.submits.push(message);
  // To the sender it is as if nobody ever came to fetch it.
  if (isBlocked(conversation.standing)) return;
  for (const envelope of message.envelopes) {
    const device = findDevice(recipient, envelope.device)!;
    const entry: InboxEntry = {
      seq: ++device.assigned,
      sender: message.sender.user,
      senderDevice: message.sender.device,
      senderCreation: message.sender.creation,
      id: message.id,
      ts: commit.ts,
      type: envelope.type,
      ciphertext: envelope.ciphertext,
    };
    addEntry(entry, recipient, device, conversation, commit, state);
  }
}

/** Puts an entry with the device's next position into the commit: fresh if it goes out at once, else into a run. */
export function addEntry(
  entry: InboxEntry,
  recipient: Recipient,
  device: Device,
  conversation: Conversation,
  commit: Commit,
  state: InboxState,
): void {
  const push = pushOf(commit, recipient, device);
  const { length } = push.entries;
  const bytes = entryBytes(entry);
  if (push.arrivals.length === length && isCaughtUp(device, length, push.pushedBytes))
    push.arrivals.push(state.nextArrival++);
  else if (entry.type !== 'pruned') {
    touch(commit.touched, conversation, recipient);
    addToRun(conversation, device.id, entry.seq, bytes);
  }
  commit.bytes += bytes;
  push.bytes += bytes;
  push.pushedBytes += pushedBytes(entry);
  push.entries.push(entry);
  push.conversations.push(conversation);
  if (device.bytes + push.bytes > LIMITS.inboxBytesMax) requestPrune(recipient, device, state);
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
  });
}

function pushOf(commit: Commit, recipient: Recipient, device: Device): Push {
  let push = commit.pushes.get(device);
  if (push === undefined) {
    push = { recipient, device, entries: [], conversations: [], arrivals: [], bytes: 0, pushedBytes: 0 };
    commit.pushes.set(device, push);
  }
  return push;
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
  device.moving = true;
  commit.moves.set(device, { recipient, through: last.seq });
}

function planForget(message: ForgetDevice, commit: Commit, state: InboxState, ctx: Ctx): void {
  commit.forgotten.push(message);
  const recipient = state.recipients.get(message.user);
  const device = recipient && findDevice(recipient, message.device);
  if (recipient === undefined || device === undefined) return;
  if (device.online !== undefined) {
    tell(device.online.connection, { kind: 'unregistered' }, ctx);
    dropOnline(device, device.online, state, ctx);
  }
  // What this commit was to add for the device must not outlive the removal of its inbox.
  const planned = commit.pushes.get(device)?.entries ?? [];
  for (const entry of planned) commit.bytes -= entryBytes(entry);
  withdraw(commit, planned);
  forgetRuns(recipient, device, commit, state);
  for (const { arrival } of device.fresh) commit.forgottenArrivals.push(arrival);
  commit.pushes.delete(device);
  commit.acknowledged.delete(device);
  commit.moves.delete(device);
  reloadDevices(recipient, state);
}

/** Nothing waits for the device any more, whichever conversation it was of. */
function forgetRuns(recipient: Recipient, device: Device, commit: Commit, state: InboxState): void {
  forgetLosses(device, commit);
  for (const { sender } of state.args.store.waitingConversations(recipient.user)) {
    findConversation(recipient, state.args.store, sender, senderKeyOf(sender));
  }
  for (const conversation of recipient.conversations.values()) {
    if (runOf(conversation, device.id) === undefined) continue;
    touch(commit.touched, conversation, recipient);
    dropRun(conversation, device.id);
  }
}

/** Takes the devices that the store now names; those that stay keep their positions and connections. */
function reloadDevices(recipient: Recipient, state: InboxState): void {
  const devices = state.args.store.account(recipient.user)?.devices ?? [];
  recipient.devices = devices.map(
    (id) => findDevice(recipient, id) ?? loadDevice(state.args.store, recipient.user, id),
  );
}

// --- writing it down and settling -------------------------------------------------------------------------------

/** Writes the plan. Runs once, inside the store's batch, in the same turn as the planning. */
function writeCommit(commit: Commit, state: InboxState, batch: StoreBatch): void {
  for (const push of commit.pushes.values()) writePush(push, batch);
  for (const [device, acknowledged] of commit.acknowledged) writeAcknowledged(device, acknowledged, commit, batch);
  for (const [device, move] of commit.moves) writeMove(device, move, commit, state, batch);
  writeLosses(commit, batch);
  writeConversations(commit, batch);
  for (const { owner, stranger, request } of commit.requests.values()) {
    batch.protection.putRequest(owner, stranger, request);
  }
  for (const arrival of commit.forgottenArrivals) forgetFresh(arrival, commit, state, batch);
  for (const { user, device } of commit.forgotten) {
    releaseInbox(commit, user, device, state.args.store);
    commit.bytes -= batch.forgetInbox(user, device);
  }
  writeBodies(commit, state.bodies, state.args.store, batch);
  batch.putQueuedBytes(Math.max(0, state.queuedBytes + commit.bytes));
}

function writePush({ recipient, device, entries, arrivals }: Push, batch: StoreBatch): void {
  for (let index = 0; index < entries.length; index++) {
    const arrival = arrivals[index];
    if (arrival === undefined) batch.putEntry(recipient.user, device.id, entries[index]!);
    else batch.putFresh(arrival, recipient.user, device.id, entries[index]!);
  }
}

function writeMove(device: Device, { recipient }: Move, commit: Commit, state: InboxState, batch: StoreBatch): void {
  for (const { arrival } of device.fresh) {
    const entry = state.args.store.fresh(arrival);
    batch.removeFresh(arrival);
    if (entry === undefined) continue;
    batch.putEntry(recipient.user, device.id, entry);
    if (entry.type === 'pruned') continue;
    const conversation = conversationOf(entry, recipient, state);
    touch(commit.touched, conversation, recipient);
    addToRun(conversation, device.id, entry.seq, entryBytes(entry));
  }
}

function forgetFresh(arrival: number, commit: Commit, state: InboxState, batch: StoreBatch): void {
  const entry = state.args.store.fresh(arrival);
  if (entry !== undefined) commit.bytes -= entryBytes(entry);
  if (entry?.type === 'group') release(commit, entry.sender, entry.id);
  batch.removeFresh(arrival);
}

function writeAcknowledged(device: Device, planned: Acknowledged, commit: Commit, batch: StoreBatch): void {
  const { recipient, online, count } = planned;
  for (let index = 0; index < count; index++) {
    const { seq, conversation, id, bytes, arrival } = online.window[index]!;
    if (arrival === 0) {
      batch.removeEntry(recipient.user, device.id, seq);
      if (id > 0) {
        touch(commit.touched, conversation, recipient);
        takeFromRun(conversation, device.id, seq, bytes, true);
      }
    } else batch.removeFresh(arrival);
    planned.bytes += bytes;
    if (id > 0 && isOfGroup(conversation)) release(commit, conversation.sender.user, id);
    noteDelivered(commit, conversation, recipient, id);
  }
  commit.bytes -= planned.bytes;
  planned.mark = markAfter(online, count);
  batch.putAcknowledged(recipient.user, device.id, planned.mark, device.assigned);
}

function noteDelivered(commit: Commit, conversation: Conversation, recipient: Recipient, id: number): void {
  const noted = commit.delivered.get(conversation);
  if (noted !== undefined) noted.id = Math.max(noted.id, id);
  else if (id > conversation.delivered) commit.delivered.set(conversation, { recipient, id });
}

/** One record for each conversation that the commit touches, however many of its messages it holds. */
function writeConversations(commit: Commit, batch: StoreBatch): void {
  for (const [conversation, { recipient }] of commit.accepted) {
    const delivered = commit.delivered.get(conversation)?.id ?? conversation.delivered;
    batch.putConversation(recipient.user, conversation.sender, recordOf(conversation, delivered));
  }
  for (const [conversation, { recipient, id }] of commit.delivered) {
    if (commit.accepted.has(conversation)) continue;
    batch.putConversation(recipient.user, conversation.sender, recordOf(conversation, id));
  }
  for (const [conversation, { recipient }] of commit.touched) {
    if (commit.accepted.has(conversation) || commit.delivered.has(conversation)) continue;
    batch.putConversation(recipient.user, conversation.sender, recordOf(conversation, conversation.delivered));
  }
}

function settle(result: CommitResult, state: InboxState, ctx: Ctx): void {
  const commit = state.commit;
  if (commit === undefined) return;
  state.commit = undefined;
  if (result === 'ok') applyCommit(commit, state, ctx);
  else undoCommit(commit, state, ctx);
  ctx.requestTurnEnd();
}

function applyCommit(commit: Commit, state: InboxState, ctx: Ctx): void {
  state.queuedBytes = Math.max(0, state.queuedBytes + commit.bytes);
  state.commits++;
  state.committedMessages += commit.submits.length;
  COMMIT_MESSAGES.note(commit.submits.length);
  for (const [conversation, { recipient }] of commit.accepted) {
    if (isOfGroup(conversation)) continue;
    state.sent.push({ conversation, to: recipient.user, id: conversation.accepted, ts: commit.ts });
  }
  for (const [device, move] of commit.moves) applyMove(device, move, state, ctx);
  for (const push of commit.pushes.values()) applyPush(push, state, ctx);
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
}

/**
 * Acknowledges what was flushed, after the next commit has begun: a conversation that goes on in that one is acknowledged
 * with it, for acknowledgements are cumulative and a write to a socket is dear. It waits for one commit at most.
 */
function tellSent(state: InboxState, ctx: Ctx): void {
  const due = state.sent;
  if (due.length === 0) return;
  state.sent = [];
  for (const { conversation, to, id, ts } of due) {
    conversation.held = !conversation.held && state.commit?.accepted.has(conversation) === true;
    if (conversation.held || conversation.connection === undefined) continue;
    tell(conversation.connection, { kind: 'sent', to, id, ts }, ctx);
  }
}

/** What was committed fresh goes out at once, unless the device has gone or changed its connection meanwhile. */
function applyPush(push: Push, state: InboxState, ctx: Ctx): void {
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
  deliver(online, arrivals.length === entries.length ? entries : entries.slice(0, arrivals.length), ctx);
  acknowledgeNotice(recipient, device, online, state, ctx);
}

function applyAcknowledged(device: Device, acknowledged: Acknowledged, state: InboxState, ctx: Ctx): void {
  const { recipient, online: acknowledging, count, mark, bytes } = acknowledged;
  device.acknowledged = Math.max(device.acknowledged, mark);
  device.count = Math.max(0, device.count - count);
  device.bytes = Math.max(0, device.bytes - bytes);
  device.fruitless = 0;
  if (device.silentAtMs !== -Infinity) noteAwake(recipient, device, state, ctx);
  dropFresh(device, mark);
  const { online } = device;
  if (online === undefined) return;
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

/** To a client that knows no notices, or no groups, they are as good as stored: one at the front of its window would stay there. */
function acknowledgeNotice(recipient: Recipient, device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  const first = online.window[0];
  if (first === undefined || understands(online, first)) return;
  const { connection } = online;
  enqueue({ kind: 'acknowledge', connection, user: recipient.user, device: device.id, seq: first.seq }, state, ctx);
}

function understands({ staged, groups }: Online, { id, conversation }: Pushed): boolean {
  return id === 0 ? staged : groups || !isOfGroup(conversation);
}

/** The fresh entries wait now; whoever came back meanwhile gets them from there. */
function applyMove(device: Device, { recipient, through }: Move, state: InboxState, ctx: Ctx): void {
  device.moving = false;
  dropFresh(device, through);
  if (device.online !== undefined) pump(recipient, device, device.online, state, ctx);
  else moveLater(recipient, device, state, ctx);
}

/** Asks for a move of what the device has in the fresh tier, if there is anything. */
function moveLater(recipient: Recipient, device: Device, state: InboxState, ctx: Ctx): void {
  if (device.fresh.length > 0) enqueue({ kind: 'move-fresh', user: recipient.user, device: device.id }, state, ctx);
}

/** Nothing of the commit was written: take back the numbers, refuse the submissions, try the deletions again. */
function undoCommit(commit: Commit, state: InboxState, ctx: Ctx): void {
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
    if (device.online !== online) continue;
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

// --- pushing ----------------------------------------------------------------------------------------------------

/** Pushes from the store what comes after the cursor, as far as the window has room. */
export function pump(recipient: Recipient, device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  if (device.moving || isWaiting(state.catchUp, online) || isBeingAcknowledged(device, online, state)) return;
  if (online.ahead !== undefined && !pumpAhead(recipient, device, online, state, ctx)) return;
  while (online.cursor < device.head && hasRoom(online)) {
    const page = nextFresh(device, online, state) ?? nextWaiting(recipient, device, online, state);
    if (page.entries.length === 0) continue;
    notePage(page, recipient, online, state);
    deliver(online, page.entries, ctx);
    acknowledgeNotice(recipient, device, online, state, ctx);
  }
  if (online.cursor < device.head || online.drained) return;
  online.drained = true;
  givePlace(state.catchUp, online);
  if (state.catchUp.waiting.size > 0) ctx.requestTurnEnd();
  tell(online.connection, { kind: 'drained', push: ++online.pushes }, ctx);
}

/** What a former connection acknowledged is being removed: it is not to be read once more. */
function isBeingAcknowledged(device: Device, online: Online, state: InboxState): boolean {
  const acknowledged = state.commit?.acknowledged.get(device);
  return acknowledged !== undefined && acknowledged.online !== online;
}

/** Pushes what comes ahead of its turn. Returns whether all of it is pushed. */
function pumpAhead(recipient: Recipient, device: Device, online: Online, state: InboxState, ctx: Ctx): boolean {
  const { store } = state.args;
  if (online.ahead === 'due') online.ahead = planAhead(recipient, device, store);
  const ahead = aheadOf(online);
  if (ahead === undefined) return true;
  while (ahead.pages.length > 0 && hasRoom(online)) {
    const page = readPage(ahead.pages.shift()!, recipient, device, online, store);
    const entries = withBodies(page, state.bodies, store);
    for (const entry of entries) notePushedAhead(online, ahead, entry, conversationOf(entry, recipient, state));
    if (entries.length > 0) deliver(online, entries, ctx, online.cursor);
  }
  return ahead.pages.length === 0;
}

/** Neighbours in an inbox often have one sender, which then is looked up once. */
function notePage({ entries, arrival }: Page, recipient: Recipient, online: Online, state: InboxState): void {
  let last: InboxEntry | undefined;
  let conversation: Conversation | undefined;
  for (const entry of entries) {
    if (conversation === undefined || last === undefined || !isSameSender(entry, last)) {
      conversation = conversationOf(entry, recipient, state);
    }
    notePushed(online, entry, conversation, arrival);
    last = entry;
  }
}

function isSameSender(left: InboxEntry, right: InboxEntry): boolean {
  if (left.senderDevice !== right.senderDevice || left.senderCreation !== right.senderCreation) return false;
  return left.sender === right.sender;
}

interface Page {
  readonly entries: readonly InboxEntry[];
  /** Of the one fresh entry; 0 for waiting ones. */
  readonly arrival: number;
}

/** The entry after the cursor, if it is a fresh one. Moves the cursor over one that is gone. */
function nextFresh(device: Device, online: Online, state: InboxState): Page | undefined {
  const fresh = device.fresh.find(({ seq }) => seq > online.cursor);
  if (fresh === undefined || fresh.seq !== online.cursor + 1) return undefined;
  const entry = state.args.store.fresh(fresh.arrival);
  if (entry !== undefined) {
    return { entries: withBodies([entry], state.bodies, state.args.store), arrival: fresh.arrival };
  }
  online.cursor = fresh.seq;
  return { entries: [], arrival: 0 };
}

/** A page of waiting entries after the cursor, up to the next fresh one. Moves the cursor over a place that is empty. */
function nextWaiting(recipient: Recipient, device: Device, online: Online, state: InboxState): Page {
  const fresh = device.fresh.find(({ seq }) => seq > online.cursor);
  const through = fresh === undefined ? device.head : fresh.seq - 1;
  const count = online.windowMax - online.window.length;
  const bytes = LIMITS.windowBytesMax - online.windowBytes;
  const { store } = state.args;
  const read = store.entries(recipient.user, device.id, online.cursor, through, count, bytes);
  const entries = fitting(withBodies(withoutThoseAhead(read, online), state.bodies, store), bytes);
  if (entries.length === 0) online.cursor = read.at(-1)?.seq ?? through;
  return { entries, arrival: 0 };
}

/** As many as fit with the bodies that they stand for, and one at least. */
function fitting(entries: readonly InboxEntry[], bytesMax: number): readonly InboxEntry[] {
  let bytes = 0;
  for (let index = 0; index < entries.length; index++) {
    bytes += pushedBytes(entries[index]!);
    if (bytes > bytesMax && index > 0) return entries.slice(0, index);
  }
  return entries;
}

function withoutThoseAhead(entries: readonly InboxEntry[], online: Online): readonly InboxEntry[] {
  const ahead = aheadOf(online);
  return ahead === undefined ? entries : entries.filter(({ seq }) => !ahead.pushed.has(seq));
}

export function conversationOf(entry: InboxEntry, recipient: Recipient, state: InboxState): Conversation {
  const sender: SenderAddress = { user: entry.sender, device: entry.senderDevice, creation: entry.senderCreation };
  return findConversation(recipient, state.args.store, sender, senderKeyOf(sender));
}

/** In parts that a packet between threads holds: a window may be larger than that. */
function deliver(online: Online, entries: readonly InboxEntry[], ctx: Ctx, after?: number): void {
  let start = 0;
  let bytes = 0;
  for (let index = 0; index < entries.length; index++) {
    const size = pushedBytes(entries[index]!);
    if (bytes + size > LIMITS.pushBytesMax && index > start) {
      tell(online.connection, delivery(online, entries.slice(start, index), after), ctx);
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  tell(online.connection, delivery(online, start === 0 ? entries : entries.slice(start), after), ctx);
}

function delivery(online: Online, entries: readonly InboxEntry[], after: number | undefined): ConnectionMessage {
  const push = ++online.pushes;
  return after === undefined ? { kind: 'deliver', push, entries } : { kind: 'deliver', push, entries, after };
}

// --- connections ------------------------------------------------------------------------------------------------

function attach(message: Attach, state: InboxState, ctx: Ctx): void {
  const recipient = findRecipient(state.recipients, state.args.store, message.user);
  if (recipient !== undefined && findDevice(recipient, message.device) === undefined) reloadDevices(recipient, state);
  const device = recipient && findDevice(recipient, message.device);
  if (recipient === undefined || device === undefined) return tell(message.connection, { kind: 'unregistered' }, ctx);
  if (!isPresent(device, message.user, message.creation, state.args.store)) {
    return tell(message.connection, { kind: 'unregistered' }, ctx);
  }
  if (device.online !== undefined) {
    tell(device.online.connection, { kind: 'replaced' }, ctx);
    dropOnline(device, device.online, state, ctx);
  }
  const online = goOnline(device, message, ctx);
  noteAwake(recipient, device, state, ctx);
  state.attached.set(formatPid(message.connection), { user: message.user, device: message.device });
  tell(message.connection, { kind: 'attached', inbox: ctx.self }, ctx);
  if (device.fruitless >= LIMITS.undeliverableCountMax) setAside(recipient, device, state, ctx);
  const isBehind = online.cursor < device.head;
  if (isBehind && !takePlace(state.catchUp, online, { recipient, device }, ctx.clock.monotonicMs())) {
    return ctx.requestTurnEnd();
  }
  pump(recipient, device, online, state, ctx);
}

/** A device that got messages on several connections and acknowledged none gets them one at a time, in their turn. */
function goOnline(device: Device, { connection, staged, groups = false }: Attach, ctx: Ctx): Online {
  const isStuck = device.fruitless >= LIMITS.fruitlessCountMax;
  const online: Online = {
    connection,
    monitor: ctx.monitor(connection),
    pushes: 0,
    cursor: device.acknowledged,
    window: [],
    windowBytes: 0,
    windowMax: isStuck ? 1 : LIMITS.windowCountMax,
    drained: false,
    staged,
    groups,
    ahead: staged && !isStuck ? 'due' : undefined,
    progressed: false,
    headSeq: 0,
    headSinceMs: 0,
  };
  device.online = online;
  return online;
}

/** Reads out those whose turn has come, and looks again later while others wait. */
function startCatchingUp(state: InboxState, ctx: Ctx): void {
  for (const { recipient, device } of nextPlaces(state.catchUp, ctx.clock.monotonicMs())) {
    if (device.online !== undefined) pump(recipient, device, device.online, state, ctx);
  }
  if (state.catchUp.waiting.size === 0 || state.looksAgain) return;
  state.looksAgain = true;
  ctx.sendAfter(LIMITS.catchUpLookMs, NEXT_PLACES);
}

function goOnCatchingUp(state: InboxState, ctx: Ctx): void {
  state.looksAgain = false;
  if (state.catchUp.waiting.size > 0) startCatchingUp(state, ctx);
}

function dropOnline(device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  ctx.demonitor(online.monitor);
  releaseOnline(device, online, state);
}

function releaseOnline(device: Device, online: Online, state: InboxState): void {
  noteFruit(device, online);
  dropAcknowledged(online, online.window.length);
  givePlace(state.catchUp, online);
  state.attached.delete(formatPid(online.connection));
  device.online = undefined;
}

/** Counts connections on which everything that was pushed stayed unacknowledged. */
function noteFruit(device: Device, { window, windowMax, progressed }: Online): void {
  const [first] = window;
  if (first === undefined || progressed) return;
  device.fruitless++;
  device.stuckSeq = windowMax === 1 ? first.seq : 0;
}

function detach(connection: Pid, state: InboxState, ctx: Ctx): void {
  const owner = state.attached.get(formatPid(connection));
  const recipient = owner && state.recipients.get(owner.user);
  const device = recipient && findDevice(recipient, owner!.device);
  if (recipient === undefined || device?.online === undefined || !samePid(device.online.connection, connection)) return;
  releaseOnline(device, device.online, state);
  if (device.count > 0) noteSilent(recipient, device, ctx.clock.monotonicMs(), state, ctx);
  moveLater(recipient, device, state, ctx);
}

// --- receipts ---------------------------------------------------------------------------------------------------

/** To the connection that sent last; where that is unknown or gone, to the inbox that knows the sender's connections. */
function sendReceipt(conversation: Conversation, receipt: Receipt, state: InboxState, ctx: Ctx): void {
  // A delivered receipt covers all smaller ids but those in gaps, so these are told first.
  if (conversation.gaps.length > 0 && !conversation.gapsTold) tellGaps(conversation, receipt, state, ctx);
  tellSender(conversation, receipt, state, ctx);
}

function tellGaps(conversation: Conversation, { from, ts }: Receipt, state: InboxState, ctx: Ctx): void {
  for (const gap of conversation.gaps) tellSender(conversation, { kind: 'gap', to: from, ...gap, ts }, state, ctx);
  conversation.gapsTold = conversation.connection !== undefined;
}

/** Says something about a conversation to its sender: a receipt, or that messages are lost. */
export function tellSender(conversation: Conversation, word: Receipt | GapTold, state: InboxState, ctx: Ctx): void {
  const { connection, sender } = conversation;
  // A group has many senders: each member sees for himself where the row of places has a hole.
  if (isOfGroup(conversation)) return;
  if (connection !== undefined && ctx.cast(connection, word) !== 'noproc') return;
  conversation.connection = undefined;
  const relay = { kind: 'relay-receipt', to: sender.user, device: sender.device, receipt: word } as const;
  ctx.cast(state.args.inboxOf(sender.user), relay);
}

/** Another connection of the sender has not been told of gaps. */
function noteConnection(conversation: Conversation, connection: Pid): void {
  if (conversation.connection === connection) return;
  if (conversation.connection === undefined || !samePid(conversation.connection, connection))
    conversation.gapsTold = false;
  conversation.connection = connection;
}

function relayReceipt(message: RelayReceipt, state: InboxState, ctx: Ctx): void {
  const recipient = state.recipients.get(message.to);
  const device = recipient && findDevice(recipient, message.device);
  if (device?.online !== undefined) tell(device.online.connection, message.receipt, ctx);
}

/** Tells senders what was read, once the acknowledgements that came before are settled. */
function relayReads(commit: Commit, state: InboxState, ctx: Ctx): void {
  if (commit.reads.length === 0) return;
  // A read mark covers all smaller ones: of each conversation the largest goes.
  const largest = new Map<string, MarkRead>();
  for (const message of commit.reads) {
    const name = `${message.user}<${message.sender.user}.${message.sender.device}`;
    if (message.id > (largest.get(name)?.id ?? 0)) largest.set(name, message);
  }
  for (const message of largest.values()) markRead(message, state, ctx);
}

/** Only what was delivered can be read, and only a conversation that exists is answered: strangers learn nothing. */
function markRead(message: MarkRead, state: InboxState, ctx: Ctx): void {
  const { store, inboxOf } = state.args;
  const { user, device } = message.sender;
  const recipient = findRecipient(state.recipients, store, message.user);
  const creation = store.latestCreation(message.user, user, device);
  if (recipient === undefined || creation === undefined) return;
  const sender: SenderAddress = { user, device, creation };
  const conversation = findConversation(recipient, store, sender, senderKeyOf(sender));
  const id = Math.min(message.id, conversation.delivered);
  if (id === 0) return;
  if (isOfGroup(conversation)) {
    const marks = [{ user: message.user, order: id }];
    return tellOwner({ kind: 'marks-reached', type: 'read', group: user, marks }, state, ctx);
  }
  if (conversation.standing !== 'open') return;
  const receipt: Receipt = { kind: 'receipt', type: 'read', from: message.user, id, ts: stamp(state, ctx) };
  ctx.cast(inboxOf(user), { kind: 'relay-receipt', to: user, device, receipt });
}

// --- groups -----------------------------------------------------------------------------------------------------

/** Tells the owners of groups what became true of them on this shard. */
function settleGroups(commit: Commit, part: GroupPart, state: InboxState, ctx: Ctx): void {
  settleBodies(part, state.bodies);
  const sheet = new MarkSheet();
  for (const [conversation, { recipient, id }] of commit.delivered) {
    if (isOfGroup(conversation)) sheet.add(conversation.sender.user, recipient.user, id);
  }
  for (const reached of sheet.reached('delivered')) tellOwner(reached, state, ctx);
  confirmFanOuts(commit, state, ctx);
}

function confirmFanOuts({ groups }: Commit, state: InboxState, ctx: Ctx): void {
  if (groups === undefined) return;
  for (const confirmation of confirmations(groups)) tellOwner(confirmation, state, ctx);
}

/** What is lost here comes again: fan-outs are repeated until they are confirmed, marks are cumulative. */
function tellOwner(message: Extract<GroupsMessage, { group: string }>, state: InboxState, ctx: Ctx): void {
  ctx.cast(state.args.groupsOf(message.group), message);
}

function answerMarks({ group, ticket, members }: FindMarks, state: InboxState, ctx: Ctx): void {
  const marks = findMarks(group, members, state.recipients, state.args.store);
  ctx.cast(state.args.groupsOf(group), { kind: 'marks-found', ticket, marks } satisfies GroupsMessage);
}

function queryConversation(message: QueryConversation, state: InboxState, ctx: Ctx): void {
  const recipient = findRecipient(state.recipients, state.args.store, message.to);
  if (recipient === undefined) {
    const refusal: Refusal = { code: 'APP_UNKNOWN_USER' };
    return tell(message.connection, { kind: 'answer-refused', iq: message.iq, refusal }, ctx);
  }
  const conversation = findConversation(recipient, state.args.store, message.sender, message.senderKey);
  noteConnection(conversation, message.connection);
  // While a commit is under way the accepted mark may be ahead of the disk, so the mark before it is given.
  const sent = state.commit?.accepted.get(conversation)?.before ?? conversation.accepted;
  // No receipts to strangers: neither when it happens nor when they ask.
  const isShown = !isUnasked(conversation.standing);
  const gaps = state.commit?.touched.get(conversation)?.gaps ?? conversation.gaps;
  const delivered = isShown ? conversation.delivered : 0;
  const marks = { kind: 'receipts', to: message.to, sent, delivered } as const;
  const answer = message.withGaps && isShown && gaps.length > 0 ? { ...marks, gaps } : marks;
  tell(message.connection, { kind: 'answer', iq: message.iq, answer }, ctx);
}

// --- what recipients decide -------------------------------------------------------------------------------------

/** What was accepted before goes on; what comes from now on meets the new decision. */
function reconsider({ user, sender, answered }: Reconsider, state: InboxState, ctx: Ctx): void {
  const recipient = state.recipients.get(user);
  if (recipient !== undefined) reconsiderStandings(recipient, state.args.store, sender);
  tell(answered.connection, answered.message, ctx);
}

function tellDevice({ user, device: id, message }: TellDevice, state: InboxState, ctx: Ctx): void {
  const recipient = state.recipients.get(user);
  const device = recipient && findDevice(recipient, id);
  if (device?.online !== undefined) tell(device.online.connection, message, ctx);
}

// --- telling connections ----------------------------------------------------------------------------------------

function refuse(message: Submit, refusal: Refusal, ctx: Ctx): void {
  tell(message.connection, { kind: 'refused', to: message.to, id: message.id, refusal }, ctx);
}

/**
 * A connection that cannot be told something is ended, and its client finds everything in the inbox when it comes back.
 * Most likely its mailbox is full, and it does not keep up with its own acknowledgements. Going on without the message
 * would lose it: the next acknowledgement is cumulative. One that is gone already comes as a down.
 */
export function tell(connection: Pid, message: ConnectionMessage, ctx: Ctx): void {
  const result = ctx.cast(connection, message);
  if (result === 'ok' || result === 'noproc' || result === 'noconnection') return;
  if (result !== 'full') ctx.log.error('push_failed', { kind: message.kind, result });
  ctx.exit(connection, { shutdown: 'overload' });
}
