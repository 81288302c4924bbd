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
import type { Refusal } from './errors.ts';
import { LIMITS } from './limits.ts';
import type {
  Acknowledge,
  Attach,
  ConnectionMessage,
  ForgetDevice,
  InboxMessage,
  MarkRead,
  QueryConversation,
  Receipt,
  RelayReceipt,
  Submit,
} from './messages.ts';
import {
  countAcknowledged,
  dropAcknowledged,
  entryBytes,
  findConversation,
  findDevice,
  findRecipient,
  dropFresh,
  hasRoom,
  isCaughtUp,
  isPresent,
  notePushed,
  loadDevice,
  senderKeyOf,
  trimConversations,
  type Conversation,
  type Device,
  type Online,
  type Recipient,
  type Recipients,
} from './recipients.ts';
import type { RemoteName } from './routes.ts';
import type { CommitResult, InboxEntry, InboxStore, SenderAddress, StoreBatch } from './store/inbox-store.ts';

/** What the shell gives an inbox. */
export interface InboxArgs {
  readonly store: InboxStore;
  /** What waits for the next commit, for those who give way when it is much. Written here. */
  readonly load: { queuedCount: number };
  /** Bytes of undelivered messages that this shard may hold. */
  readonly queuedBytesMax: number;
  /** The inbox actor that owns a user's partition. */
  readonly inboxOf: (user: string) => RemoteName;
  /** Starts a commit and casts its outcome to `self` as a `committed` message. */
  readonly commit: (self: Pid, write: (batch: StoreBatch) => void) => void;
}

/** A device has gone: what it has in the fresh tier is to wait for it. */
interface MoveFresh {
  readonly kind: 'move-fresh';
  readonly user: string;
  readonly device: number;
}

type Queued = Submit | Acknowledge | ForgetDevice | MarkRead | MoveFresh;

/** Entries of one device that the commit under way adds, each with its conversation. The first ones may be fresh. */
interface Push {
  readonly recipient: Recipient;
  readonly device: Device;
  readonly entries: InboxEntry[];
  readonly conversations: Conversation[];
  /** Arrivals of the fresh entries, which stand before the waiting ones. */
  readonly arrivals: number[];
}

/** Fresh entries that the commit under way moves to the waiting tier. */
interface Move {
  readonly recipient: Recipient;
  readonly through: number;
}

/** Everything that one commit will change, kept until its outcome is known. */
interface Commit {
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
  /** Highest acknowledged position of each device. */
  readonly acknowledged: Map<Device, { readonly recipient: Recipient; seq: number }>;
  /** Conversations whose delivered mark moves, with the new mark. */
  readonly delivered: Map<Conversation, { readonly recipient: Recipient; id: number }>;
  readonly moves: Map<Device, Move>;
  readonly forgotten: ForgetDevice[];
  /** Fresh entries of forgotten devices. */
  readonly forgottenArrivals: number[];
  /** Read marks that came before or with the acknowledgements of this commit, so that they are capped after these. */
  readonly reads: MarkRead[];
  bytes: number;
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
  queue: Queued[];
  commit: Commit | undefined;
  queuedBytes: number;
  /** Until this time (monotonic) the disk is taken for full. */
  fullUntilMs: number;
  /** Connections by pid, for those that go down. */
  readonly attached: Map<string, { readonly user: string; readonly device: number }>;
  lastTs: number;
  /** Next place in the fresh tier. */
  nextArrival: number;
  /** Conversations to acknowledge at the end of this turn. */
  sent: Sent[];
  commits: number;
  committedMessages: number;
}

type Ctx = Context;

/** A note to itself that the pause after a refused commit is over. */
const TRY_AGAIN = 'try-again';

export const inbox: Behavior<InboxState, InboxArgs, InboxMessage, 'statistics', InboxStatistics> = {
  name: 'actors/inbox',

  init(args) {
    return {
      args,
      recipients: new Map(),
      queue: [],
      commit: undefined,
      queuedBytes: args.store.queuedBytes(),
      fullUntilMs: 0,
      attached: new Map(),
      lastTs: 0,
      nextArrival: 1,
      sent: [],
      commits: 0,
      committedMessages: 0,
    };
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'submit':
      case 'acknowledge':
      case 'forget-device':
      case 'mark-read':
        return enqueue(message, state, ctx);
      case 'committed':
        return settle(message.result, state, ctx);
      case 'attach':
        return attach(message, state, ctx);
      case 'relay-receipt':
        return relayReceipt(message, state, ctx);
      case 'query-conversation':
        return queryConversation(message, state, ctx);
    }
  },

  handleCall(request, _from, state) {
    return request === 'statistics' ? statistics(state) : NO_REPLY;
  },

  handleInfo(info, state, ctx) {
    if (isDown(info)) detach(info.pid, state, ctx);
    else if (info === TRY_AGAIN) ctx.requestTurnEnd();
  },

  handleTurnEnd(state, ctx) {
    startCommit(state, ctx);
    tellSent(state, ctx);
    state.args.load.queuedCount = state.queue.length;
  },
};

/** Figures of one shard since it started. */
export interface InboxStatistics {
  readonly commits: number;
  readonly committedMessages: number;
  readonly queuedBytes: number;
  readonly online: number;
}

function statistics(state: InboxState): InboxStatistics {
  const { commits, committedMessages, queuedBytes, attached } = state;
  return { commits, committedMessages, queuedBytes, online: attached.size };
}

function enqueue(message: Queued, state: InboxState, ctx: Ctx): void {
  if (message.kind === 'submit') {
    const refusal = refuseEarly(message, state, ctx);
    if (refusal !== undefined) return refuse(message, refusal, ctx);
  }
  state.queue.push(message);
  ctx.requestTurnEnd();
}

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
      relayReads(commit, state, ctx);
      continue;
    }
    state.commit = commit;
    state.args.commit(ctx.self, (batch) => writeCommit(commit, state, batch));
    return;
  }
}

/** Takes from the queue what fits one commit and decides each item. Refusals are sent at once: they change nothing. */
function planCommit(state: InboxState, ctx: Ctx): Commit {
  const { queuedBytesMax, store } = state.args;
  const commit = emptyCommit(stamp(state, ctx), Math.min(queuedBytesMax, store.queuedBytesMax));
  const { queue } = state;
  let taken = 0;
  while (taken < queue.length && taken < LIMITS.commitOperationsMax && commit.bytes < LIMITS.commitBytesMax) {
    planItem(queue[taken++]!, commit, state, ctx);
  }
  state.queue = taken === queue.length ? [] : queue.slice(taken);
  return commit;
}

function planItem(item: Queued, commit: Commit, state: InboxState, ctx: Ctx): void {
  if (item.kind === 'submit') planSubmit(item, commit, state, ctx);
  else if (item.kind === 'acknowledge') planAcknowledge(item, commit, state);
  else if (item.kind === 'mark-read') commit.reads.push(item);
  else if (item.kind === 'move-fresh') planMove(item, commit, state);
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
    forgotten: [],
    forgottenArrivals: [],
    reads: [],
    bytes: 0,
  };
}

function isEmpty(commit: Commit): boolean {
  const { accepted, acknowledged, moves, forgotten } = commit;
  return accepted.size === 0 && acknowledged.size === 0 && moves.size === 0 && forgotten.length === 0;
}

function planSubmit(message: Submit, commit: Commit, state: InboxState, ctx: Ctx): void {
  const recipient = findRecipient(state.recipients, state.args.store, message.to);
  if (recipient === undefined) return refuse(message, { code: 'APP_UNKNOWN_USER' }, ctx);
  const conversation = findConversation(recipient, state.args.store, message.sender, message.senderKey);
  conversation.connection = message.connection;
  if (conversation.known && message.id <= conversation.accepted) return acceptAgain(conversation, recipient, commit);
  const refusal = refuseSubmit(message, recipient, conversation, commit, state);
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
  if (!fitsDevices(message, recipient)) {
    return { code: 'APP_DEVICES_CHANGED', devices: recipient.devices.map((device) => device.id) };
  }
  if (state.queuedBytes + commit.bytes + submitBytes(message) > commit.bytesMax) return storeFull();
  for (const device of recipient.devices) {
    if (device.assigned - device.acknowledged >= LIMITS.inboxCountMax)
      return { code: 'APP_INBOX_FULL', retryAfter: 60 };
  }
  return undefined;
}

function fitsDevices(message: Submit, recipient: Recipient): boolean {
  if (message.envelopes.length !== recipient.devices.length) return false;
  return recipient.devices.every((device) => message.envelopes.some((envelope) => envelope.device === device.id));
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
  for (const envelope of message.envelopes) {
    const device = findDevice(recipient, envelope.device)!;
    const push = pushOf(commit, recipient, device);
    const { length } = push.entries;
    if (push.arrivals.length === length && isCaughtUp(device, length)) push.arrivals.push(state.nextArrival++);
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
    commit.bytes += entryBytes(entry);
    push.entries.push(entry);
    push.conversations.push(conversation);
  }
}

function pushOf(commit: Commit, recipient: Recipient, device: Device): Push {
  let push = commit.pushes.get(device);
  if (push === undefined) {
    push = { recipient, device, entries: [], conversations: [], arrivals: [] };
    commit.pushes.set(device, push);
  }
  return push;
}

function planAcknowledge(message: Acknowledge, commit: Commit, state: InboxState): void {
  const recipient = state.recipients.get(message.user);
  const device = recipient && findDevice(recipient, message.device);
  // Only what was pushed on the present connection counts; the client repeats the rest when it sees it again.
  if (recipient === undefined || device?.online === undefined) return;
  const seq = Math.min(message.seq, device.online.cursor);
  if (seq <= device.acknowledged) return;
  const planned = commit.acknowledged.get(device);
  if (planned === undefined) commit.acknowledged.set(device, { recipient, seq });
  else planned.seq = Math.max(planned.seq, seq);
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
  for (const entry of commit.pushes.get(device)?.entries ?? []) commit.bytes -= entryBytes(entry);
  for (const { arrival } of device.fresh) commit.forgottenArrivals.push(arrival);
  commit.pushes.delete(device);
  commit.acknowledged.delete(device);
  commit.moves.delete(device);
  reloadDevices(recipient, state);
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
  for (const [device, { recipient, seq }] of commit.acknowledged)
    writeAcknowledged(device, recipient, seq, commit, batch);
  writeConversations(commit, batch);
  for (const [device, move] of commit.moves) writeMove(device, move, state, batch);
  for (const arrival of commit.forgottenArrivals) forgetFresh(arrival, commit, state, batch);
  for (const { user, device } of commit.forgotten) commit.bytes -= batch.forgetInbox(user, device);
  batch.putQueuedBytes(Math.max(0, state.queuedBytes + commit.bytes));
}

function writePush({ recipient, device, entries, arrivals }: Push, batch: StoreBatch): void {
  for (let index = 0; index < entries.length; index++) {
    const arrival = arrivals[index];
    if (arrival === undefined) batch.putEntry(recipient.user, device.id, entries[index]!);
    else batch.putFresh(arrival, recipient.user, device.id, entries[index]!);
  }
}

function writeMove(device: Device, { recipient }: Move, state: InboxState, batch: StoreBatch): void {
  for (const { arrival } of device.fresh) {
    const entry = state.args.store.fresh(arrival);
    if (entry !== undefined) batch.putEntry(recipient.user, device.id, entry);
    batch.removeFresh(arrival);
  }
}

function forgetFresh(arrival: number, commit: Commit, state: InboxState, batch: StoreBatch): void {
  const entry = state.args.store.fresh(arrival);
  if (entry !== undefined) commit.bytes -= entryBytes(entry);
  batch.removeFresh(arrival);
}

function writeAcknowledged(device: Device, recipient: Recipient, seq: number, commit: Commit, batch: StoreBatch): void {
  const online = device.online!;
  const count = countAcknowledged(online, seq);
  for (let index = 0; index < count; index++) {
    const { seq: position, conversation, id, bytes, arrival } = online.window[index]!;
    if (arrival === 0) batch.removeEntry(recipient.user, device.id, position);
    else batch.removeFresh(arrival);
    commit.bytes -= bytes;
    noteDelivered(commit, conversation, recipient, id);
  }
  batch.putAcknowledged(recipient.user, device.id, seq);
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
    batch.putConversation(recipient.user, conversation.sender, { accepted: conversation.accepted, delivered });
  }
  for (const [conversation, { recipient, id }] of commit.delivered) {
    if (commit.accepted.has(conversation)) continue;
    batch.putConversation(recipient.user, conversation.sender, { accepted: conversation.accepted, delivered: id });
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
  for (const [conversation, { recipient }] of commit.accepted) {
    state.sent.push({ conversation, to: recipient.user, id: conversation.accepted, ts: commit.ts });
  }
  for (const [device, move] of commit.moves) applyMove(device, move, state, ctx);
  for (const push of commit.pushes.values()) applyPush(push, state, ctx);
  for (const [device, { recipient, seq }] of commit.acknowledged) applyAcknowledged(device, recipient, seq, state, ctx);
  for (const [conversation, { recipient, id }] of commit.delivered) {
    conversation.delivered = Math.max(conversation.delivered, id);
    sendReceipt(
      conversation,
      { kind: 'receipt', type: 'delivered', from: recipient.user, id, ts: commit.ts },
      state,
      ctx,
    );
  }
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
  for (let index = 0; index < arrivals.length; index++) {
    device.fresh.push({ seq: entries[index]!.seq, arrival: arrivals[index]! });
  }
  const { online } = device;
  if (online === undefined) return moveLater(recipient, device, state, ctx);
  if (!caughtUp || arrivals.length === 0) return pump(recipient, device, online, state, ctx);
  for (let index = 0; index < arrivals.length; index++) {
    notePushed(online, entries[index]!, conversations[index]!, arrivals[index]!);
  }
  deliver(online, arrivals.length === entries.length ? entries : entries.slice(0, arrivals.length), ctx);
}

function applyAcknowledged(device: Device, recipient: Recipient, seq: number, state: InboxState, ctx: Ctx): void {
  device.acknowledged = Math.max(device.acknowledged, seq);
  dropFresh(device, seq);
  const { online } = device;
  if (online === undefined) return;
  dropAcknowledged(online, countAcknowledged(online, seq));
  pump(recipient, device, online, state, ctx);
  trimConversations(recipient);
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
  for (const message of commit.submits) refuse(message, storeFull(), ctx);
  const deletions: Queued[] = [...commit.forgotten, ...commit.reads];
  for (const [device, { recipient, seq }] of commit.acknowledged) {
    deletions.push({ kind: 'acknowledge', user: recipient.user, device: device.id, seq });
  }
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
function pump(recipient: Recipient, device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  if (device.moving) return;
  while (online.cursor < device.head && hasRoom(online)) {
    const page = nextFresh(device, online, state) ?? nextWaiting(recipient, device, online, state);
    if (page.entries.length === 0) continue;
    for (const entry of page.entries) notePushed(online, entry, conversationOf(entry, recipient, state), page.arrival);
    deliver(online, page.entries, ctx);
  }
  if (online.cursor < device.head || online.drained) return;
  online.drained = true;
  tell(online.connection, { kind: 'drained' }, ctx);
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
  if (entry !== undefined) return { entries: [entry], arrival: fresh.arrival };
  online.cursor = fresh.seq;
  return { entries: [], arrival: 0 };
}

/** A page of waiting entries after the cursor, up to the next fresh one. Moves the cursor over a place that is empty. */
function nextWaiting(recipient: Recipient, device: Device, online: Online, state: InboxState): Page {
  const fresh = device.fresh.find(({ seq }) => seq > online.cursor);
  const through = fresh === undefined ? device.head : fresh.seq - 1;
  const count = LIMITS.windowCountMax - online.window.length;
  const bytes = LIMITS.windowBytesMax - online.windowBytes;
  const entries = state.args.store.entries(recipient.user, device.id, online.cursor, through, count, bytes);
  if (entries.length === 0) online.cursor = through;
  return { entries, arrival: 0 };
}

function conversationOf(entry: InboxEntry, recipient: Recipient, state: InboxState): Conversation {
  const sender: SenderAddress = { user: entry.sender, device: entry.senderDevice, creation: entry.senderCreation };
  return findConversation(recipient, state.args.store, sender, senderKeyOf(sender));
}

/** In parts that a packet between threads holds: a window may be larger than that. */
function deliver(online: Online, entries: readonly InboxEntry[], ctx: Ctx): void {
  let start = 0;
  let bytes = 0;
  for (let index = 0; index < entries.length; index++) {
    const size = entryBytes(entries[index]!);
    if (bytes + size > LIMITS.pushBytesMax && index > start) {
      tell(online.connection, { kind: 'deliver', entries: entries.slice(start, index) }, ctx);
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  tell(online.connection, { kind: 'deliver', entries: start === 0 ? entries : entries.slice(start) }, ctx);
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
  const monitor = ctx.monitor(message.connection);
  const online = {
    connection: message.connection,
    monitor,
    cursor: device.acknowledged,
    window: [],
    windowBytes: 0,
    drained: false,
  };
  device.online = online;
  state.attached.set(formatPid(message.connection), { user: message.user, device: message.device });
  tell(message.connection, { kind: 'attached', inbox: ctx.self }, ctx);
  pump(recipient, device, online, state, ctx);
}

function dropOnline(device: Device, online: Online, state: InboxState, ctx: Ctx): void {
  ctx.demonitor(online.monitor);
  releaseOnline(device, online, state);
}

function releaseOnline(device: Device, online: Online, state: InboxState): void {
  dropAcknowledged(online, online.window.length);
  state.attached.delete(formatPid(online.connection));
  device.online = undefined;
}

function detach(connection: Pid, state: InboxState, ctx: Ctx): void {
  const owner = state.attached.get(formatPid(connection));
  const recipient = owner && state.recipients.get(owner.user);
  const device = recipient && findDevice(recipient, owner!.device);
  if (recipient === undefined || device?.online === undefined || !samePid(device.online.connection, connection)) return;
  releaseOnline(device, device.online, state);
  moveLater(recipient, device, state, ctx);
}

// --- receipts ---------------------------------------------------------------------------------------------------

/** To the connection that sent last; where that is unknown or gone, to the inbox that knows the sender's connections. */
function sendReceipt(conversation: Conversation, receipt: Receipt, state: InboxState, ctx: Ctx): void {
  const { connection, sender } = conversation;
  if (connection !== undefined && ctx.cast(connection, receipt) !== 'noproc') return;
  conversation.connection = undefined;
  const relay = { kind: 'relay-receipt', to: sender.user, device: sender.device, receipt } as const;
  ctx.cast(state.args.inboxOf(sender.user), relay);
}

function relayReceipt(message: RelayReceipt, state: InboxState, ctx: Ctx): void {
  const recipient = state.recipients.get(message.to);
  const device = recipient && findDevice(recipient, message.device);
  if (device?.online !== undefined) tell(device.online.connection, message.receipt, ctx);
}

/** Tells senders what was read, once the acknowledgements that came before are settled. */
function relayReads(commit: Commit, state: InboxState, ctx: Ctx): void {
  for (const message of commit.reads) markRead(message, state, ctx);
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
  const receipt: Receipt = { kind: 'receipt', type: 'read', from: message.user, id, ts: stamp(state, ctx) };
  ctx.cast(inboxOf(user), { kind: 'relay-receipt', to: user, device, receipt });
}

function queryConversation(message: QueryConversation, state: InboxState, ctx: Ctx): void {
  const recipient = findRecipient(state.recipients, state.args.store, message.to);
  if (recipient === undefined) {
    const refusal: Refusal = { code: 'APP_UNKNOWN_USER' };
    return tell(message.connection, { kind: 'answer-refused', iq: message.iq, refusal }, ctx);
  }
  const conversation = findConversation(recipient, state.args.store, message.sender, message.senderKey);
  conversation.connection = message.connection;
  // While a commit is under way the accepted mark may be ahead of the disk, so the mark before it is given.
  const sent = state.commit?.accepted.get(conversation)?.before ?? conversation.accepted;
  const answer = { kind: 'receipts', to: message.to, sent, delivered: conversation.delivered } as const;
  tell(message.connection, { kind: 'answer', iq: message.iq, answer }, ctx);
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
function tell(connection: Pid, message: ConnectionMessage, ctx: Ctx): void {
  const result = ctx.cast(connection, message);
  if (result === 'ok' || result === 'noproc' || result === 'noconnection') return;
  if (result !== 'full') ctx.log.error('push_failed', { kind: message.kind, result });
  ctx.exit(connection, { shutdown: 'overload' });
}
