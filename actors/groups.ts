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
 * It applies exactly what members signed and cannot check a signature: clients do. Rules: `protocol/wire/group-roster.ts`.
 * The members' side: `group-entries.ts`. What is kept in memory: `group-roll.ts`. See docs/internals/groups.md.
 */

import {
  applyGroupChange,
  decodeGroupChange,
  encodeRoster,
  hashOfGate,
  isGroupRefusal,
  type GroupAnswer,
  type GroupMark,
  type GroupRefusalCode,
  type GroupState,
  type SignedGroupChange,
  LIMITS as WIRE,
} from '../protocol/wire/index.ts';
import { formatPid, type Behavior, type Context, type Pid } from '../runtime/index.ts';
import { onceClaimed, type Committer } from './committer.ts';
import type { AppCode, Refusal } from './errors.ts';
import type {
  FannedOut,
  FanOut,
  GroupChangeSubmit,
  GroupMarksQuery,
  GroupQuery,
  GroupsMessage,
  GroupSubmit,
  MarksFound,
  MarksReached,
} from './group-messages.ts';
import {
  findGroup,
  findSender,
  forgetSenders,
  gather,
  isMember,
  memberPage,
  recordOf,
  sha512,
  placeBefore,
  targetsOf,
  watch,
  type Group,
  type GroupRoll,
  type GroupSender,
  type Outgoing,
  type Target,
} from './group-roll.ts';
import { LIMITS } from './limits.ts';
import type { ConnectionMessage, InboxMessage } from './messages.ts';
import { fullBucket, takeToken, type TokenBucket } from './rate-limit.ts';
import type { RemoteName } from './routes.ts';
import type { GroupBody } from './store/group-store.ts';
import type { CommitResult, InboxStore, StoreBatch } from './store/inbox-store.ts';

/** What the shell gives the groups of a shard. */
export interface GroupsArgs {
  readonly store: InboxStore;
  /** Bytes of undelivered messages that this shard may hold. */
  readonly queuedBytesMax: number;
  /** The inbox actor that owns a user's partition. */
  readonly inboxOf: (user: string) => RemoteName;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
}

/** A message that the commit under way accepts. */
interface AcceptedMessage {
  readonly kind: 'message';
  readonly group: Group;
  readonly item: GroupSubmit;
  readonly body: GroupBody;
  readonly sender: GroupSender;
  /** What the sender had before, for taking it back. */
  readonly before: Pick<GroupSender, 'accepted' | 'order' | 'known'>;
}

/** A change that the commit under way accepts. */
interface AcceptedChange {
  readonly kind: 'change';
  readonly group: Group;
  readonly item: GroupChangeSubmit;
  readonly body: GroupBody;
  readonly change: SignedGroupChange;
  readonly state: GroupState;
  readonly before: GroupState | undefined;
}

type Accepted = AcceptedMessage | AcceptedChange;

interface GroupsCommit {
  readonly ts: number;
  /** Bytes that the shard may still take. */
  room: number;
  readonly accepted: Accepted[];
  /** What every shard has confirmed: it is outgoing no more. */
  readonly finished: readonly GroupBody[];
}

/** A request for marks that waits for the shards of the members. */
interface MarksRequest {
  readonly query: GroupMarksQuery;
  readonly more: boolean;
  readonly marks: GroupMark[];
  waitingFor: number;
}

export interface GroupsState {
  readonly args: GroupsArgs;
  readonly roll: GroupRoll;
  queue: (GroupSubmit | GroupChangeSubmit)[];
  commit: GroupsCommit | undefined;
  finished: GroupBody[];
  /** Groups with something outgoing. */
  readonly busy: Set<Group>;
  /** Groups whose watchers are due. */
  readonly marked: Set<Group>;
  /** Until this time (monotonic) the disk is taken for full. */
  fullUntilMs: number;
  readonly requests: Map<number, MarksRequest>;
  nextTicket: number;
  readonly creators: Map<string, TokenBucket>;
  lastTs: number;
  isRetryArmed: boolean;
  isReceiptArmed: boolean;
}

type Ctx = Context;

const RETRY = 'retry-outgoing';
const RECEIPTS = 'tell-receipts';
/** What is finished goes with the next commit; so many of it are worth one of their own. */
const FINISHED_COUNT = 64;
/** Requests for marks that wait at a time; the oldest gives way. Its client asks again. */
const REQUESTS_MAX = 1_024;
const HOUR_MS = 3_600_000;
const CREATION_RULE = {
  perSecond: (LIMITS.groupCreationsPerHourMax * 1_000) / HOUR_MS,
  burst: LIMITS.groupCreationsPerHourMax,
};

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
    marked: new Set(),
    fullUntilMs: 0,
    requests: new Map(),
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
  if (refusal !== undefined) return refuse(item, refusal, ctx);
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

function storeFull(): Refusal {
  return { code: 'APP_STORE_FULL', retryAfter: LIMITS.storeFullRetrySeconds };
}

// --- planning a commit ------------------------------------------------------------------------------------------

/** @param finishedMin - So much that is finished is worth a commit without anything else. */
function startCommit(state: GroupsState, ctx: Ctx, finishedMin: number): void {
  if (state.commit !== undefined || ctx.clock.monotonicMs() < state.fullUntilMs) return;
  const { store, queuedBytesMax } = state.args;
  const room = Math.min(queuedBytesMax, store.queuedBytesMax) - store.queuedBytes();
  const commit: GroupsCommit = { ts: stamp(state, ctx), room, accepted: [], finished: state.finished };
  const items = state.queue.slice(0, LIMITS.commitOperationsMax);
  state.queue = state.queue.slice(items.length);
  for (const item of items) planItem(item, commit, state, ctx);
  if (state.queue.length > 0) ctx.requestTurnEnd();
  if (commit.accepted.length === 0 && commit.finished.length < finishedMin) return;
  state.finished = [];
  state.commit = commit;
  state.args.committer.commit(ctx.self, (batch) => writeCommit(commit, batch));
}

/** Server time, made monotone: two messages of one group never carry times that contradict their order. */
function stamp(state: GroupsState, ctx: Ctx): number {
  state.lastTs = Math.max(state.lastTs, Math.floor(ctx.clock.nowMs()));
  return state.lastTs;
}

function planItem(item: GroupSubmit | GroupChangeSubmit, commit: GroupsCommit, state: GroupsState, ctx: Ctx): void {
  const group = findGroup(state.roll, state.args.store.groups, item.group);
  if (mustWait(item, group)) return hold(item, group, ctx);
  if (item.kind === 'group-submit') planSubmit(item, group, commit, state, ctx);
  else planChange(item, group, commit, state, ctx);
}

/** A change waits until everything before it has arrived everywhere, and what comes after a change waits for that. */
function mustWait(item: GroupSubmit | GroupChangeSubmit, group: Group): boolean {
  if (group.changing || group.held.length > 0) return true;
  return item.kind === 'group-change' && group.outgoing.size + group.planned > 0;
}

function hold(item: GroupSubmit | GroupChangeSubmit, group: Group, ctx: Ctx): void {
  if (group.held.length < LIMITS.groupHeldCountMax) group.held.push(item);
  else refuse(item, { code: 'APP_OVERLOADED', retryAfter: 1 }, ctx);
}

function planSubmit(item: GroupSubmit, group: Group, commit: GroupsCommit, state: GroupsState, ctx: Ctx): void {
  const refusal = refuseStranger(group, item.sender.user);
  if (refusal !== undefined) return refuse(item, refusal, ctx);
  const sender = findSender(group, state.args.store.groups, item.sender, item.senderKey);
  take(group, item.connection, item.sender.user, ctx);
  if (sender.known && item.id <= sender.accepted) return acceptAgain(item, sender, commit, ctx);
  const reason = refuseSubmit(item, group, sender, commit);
  if (reason !== undefined) return refuse(item, reason, ctx);
  acceptMessage(item, group, sender, commit);
}

function refuseStranger(group: Group, user: string): Refusal | undefined {
  if (group.state === undefined) return { code: 'APP_UNKNOWN_GROUP' };
  return isMember(group, user) ? undefined : { code: 'APP_NOT_A_MEMBER' };
}

/** A connection that is new here is to notice when this actor ends: what it has sent might wait for an answer for ever. */
function take(group: Group, connection: Pid, user: string, ctx: Ctx): void {
  if (watch(group, formatPid(connection), connection, user))
    tell(connection, { kind: 'group-owner', owner: ctx.self }, ctx);
}

/** A resend is answered like the first time, after the flush that may still be under way for it. */
function acceptAgain({ connection, group }: GroupSubmit, sender: GroupSender, commit: GroupsCommit, ctx: Ctx): void {
  if (sender.flushed < sender.accepted) return;
  tell(connection, { kind: 'group-sent', group, id: sender.accepted, order: sender.order, ts: commit.ts }, ctx);
}

function refuseSubmit(item: GroupSubmit, group: Group, sender: GroupSender, commit: GroupsCommit): Refusal | undefined {
  const { epoch } = group.state!.roster;
  if (item.epoch !== epoch) return { code: 'APP_GROUP_EPOCH', epoch };
  const expected = sender.accepted + 1;
  if (sender.known && item.id !== expected) return { code: 'APP_OUT_OF_ORDER', expected };
  if (group.outgoing.size + group.planned >= LIMITS.groupOutgoingCountMax) {
    return { code: 'APP_OVERLOADED', retryAfter: 1 };
  }
  return commit.room < item.ciphertext.length ? storeFull() : undefined;
}

function acceptMessage(item: GroupSubmit, group: Group, sender: GroupSender, commit: GroupsCommit): void {
  const { user, device, creation } = item.sender;
  const body: GroupBody = {
    kind: 'message',
    group: group.id,
    order: ++group.order,
    sender: user,
    senderDevice: device,
    senderCreation: creation,
    id: item.id,
    ts: commit.ts,
    // A copy: the bytes lie in a slab with many others, and this body may be remembered for long.
    bytes: item.ciphertext.slice(),
  };
  const { accepted, order, known } = sender;
  commit.accepted.push({ kind: 'message', group, item, body, sender, before: { accepted, order, known } });
  Object.assign(sender, { accepted: item.id, order: body.order, known: true });
  group.planned++;
  commit.room -= body.bytes.length;
}

/** What the rules say of a change, in the words of the server. */
const CODES: Readonly<Record<GroupRefusalCode, AppCode>> = {
  GROUP_MALFORMED: 'APP_GROUP_BAD_CHANGE',
  GROUP_UNSUPPORTED: 'APP_GROUP_BAD_CHANGE',
  GROUP_EPOCH: 'APP_GROUP_EPOCH',
  GROUP_FORKED: 'APP_GROUP_EPOCH',
  GROUP_NOT_A_MEMBER: 'APP_NOT_A_MEMBER',
  GROUP_FORBIDDEN: 'APP_GROUP_FORBIDDEN',
  GROUP_CONTRADICTION: 'APP_GROUP_BAD_CHANGE',
  GROUP_NO_ADMIN: 'APP_GROUP_FORBIDDEN',
  GROUP_FULL: 'APP_GROUP_FULL',
  GROUP_WRONG_ROSTER: 'APP_GROUP_BAD_CHANGE',
};

function planChange(item: GroupChangeSubmit, group: Group, commit: GroupsCommit, state: GroupsState, ctx: Ctx): void {
  const change = decodeGroupChange(item.change);
  if (isGroupRefusal(change)) return refuse(item, { code: CODES[change.code] }, ctx);
  const isOurs = change.group === group.id && change.author === item.self.user && change.device === item.self.device;
  if (!isOurs) return refuse(item, { code: 'APP_GROUP_BAD_CHANGE' }, ctx);
  if (isKept(change, item, state)) return answer(item, group, ctx);
  const next = applyGroupChange(group.state, change, sha512);
  if (isGroupRefusal(next)) return refuse(item, refusalOf(next.code, group), ctx);
  const refusal = refuseCreation(group, item.self.user, state, ctx) ?? refuseRoom(item, commit);
  if (refusal !== undefined) return refuse(item, refusal, ctx);
  acceptChange(item, group, change, next, commit);
}

/** Whether this very change was accepted before, and its answer lost. */
function isKept({ epoch }: SignedGroupChange, { group, change }: GroupChangeSubmit, { args }: GroupsState): boolean {
  const [kept] = args.store.groups.changes(group, epoch - 1, 1);
  return kept !== undefined && kept.epoch === epoch && Buffer.compare(kept.bytes, change) === 0;
}

function refusalOf(code: GroupRefusalCode, { state }: Group): Refusal {
  if (CODES[code] !== 'APP_GROUP_EPOCH') return { code: CODES[code] };
  return state === undefined ? { code: 'APP_UNKNOWN_GROUP' } : { code: 'APP_GROUP_EPOCH', epoch: state.roster.epoch };
}

function refuseCreation(group: Group, user: string, { creators }: GroupsState, ctx: Ctx): Refusal | undefined {
  if (group.state !== undefined) return undefined;
  const now = ctx.clock.monotonicMs();
  const bucket = creators.get(user) ?? fullBucket(CREATION_RULE, now);
  creators.delete(user);
  creators.set(user, bucket);
  for (const oldest of creators.keys()) {
    if (creators.size <= LIMITS.groupCreatorsMax) break;
    creators.delete(oldest);
  }
  const waitMs = takeToken(bucket, CREATION_RULE, now);
  return waitMs === 0 ? undefined : { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) };
}

/** A change and the roster after it. */
function refuseRoom({ change }: GroupChangeSubmit, commit: GroupsCommit): Refusal | undefined {
  return commit.room < change.length + WIRE.groupRosterBytesMax ? storeFull() : undefined;
}

function acceptChange(
  item: GroupChangeSubmit,
  group: Group,
  change: SignedGroupChange,
  next: GroupState,
  commit: GroupsCommit,
): void {
  const { user, device, creation } = item.self;
  const body: GroupBody = {
    kind: 'change',
    group: group.id,
    order: ++group.order,
    sender: user,
    senderDevice: device,
    senderCreation: creation,
    id: 0,
    ts: commit.ts,
    bytes: item.change.slice(),
  };
  commit.accepted.push({ kind: 'change', group, item, body, change, state: next, before: group.state });
  group.state = next;
  group.targets = undefined;
  group.changing = true;
  group.planned++;
  commit.room -= body.bytes.length + WIRE.groupRosterBytesMax;
}

// --- writing it down and settling -------------------------------------------------------------------------------

/** Writes the plan. Runs once, inside the store's batch, in the same turn as the planning. */
function writeCommit({ accepted, finished }: GroupsCommit, { groups: batch }: StoreBatch): void {
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
function leaversOf({ author, actions }: SignedGroupChange): string[] {
  return actions.flatMap((action) => {
    if (action.kind === 'leave') return [author];
    return action.kind === 'remove' ? [action.user] : [];
  });
}

function settle(result: CommitResult, state: GroupsState, ctx: Ctx): void {
  const { commit } = state;
  if (commit === undefined) return;
  state.commit = undefined;
  for (const { group } of commit.accepted) group.planned--;
  if (result === 'ok') for (const each of commit.accepted) applyAccepted(each, state, ctx);
  else undoCommit(commit, state, ctx);
  ctx.requestTurnEnd();
}

function applyAccepted(each: Accepted, state: GroupsState, ctx: Ctx): void {
  const { group, body } = each;
  if (each.kind === 'message') {
    each.sender.flushed = body.id;
    const { connection } = each.item;
    tell(connection, { kind: 'group-sent', group: group.id, id: body.id, order: body.order, ts: body.ts }, ctx);
    return sendOut(group, body, targetsOf(group, state.args.inboxOf), state, ctx);
  }
  const leavers = leaversOf(each.change);
  for (const user of leavers) dropMember(group, user);
  answer(each.item, group, ctx);
  sendOut(group, body, recipientsOfChange(group, leavers, state), state, ctx);
}

function dropMember(group: Group, user: string): void {
  forgetSenders(group, user);
  for (const [name, watcher] of group.watchers) if (watcher.user === user) group.watchers.delete(name);
}

/** Who leaves is told of it, and of nothing more. */
function recipientsOfChange(group: Group, leavers: readonly string[], { args }: GroupsState): Target[] {
  const members = group.state?.roster.members ?? new Map<string, unknown>();
  return gather([...members.keys(), ...leavers.filter((user) => !members.has(user))], args.inboxOf);
}

/** Nothing was written: take it all back, the last first, and refuse. */
function undoCommit(commit: GroupsCommit, state: GroupsState, ctx: Ctx): void {
  state.fullUntilMs = ctx.clock.monotonicMs() + LIMITS.storeFullPauseMs;
  ctx.log.error('group_commit_refused', { reason: 'store full', submissions: commit.accepted.length });
  state.finished = [...commit.finished, ...state.finished];
  for (const each of commit.accepted.toReversed()) {
    const { group } = each;
    group.order = each.body.order - 1;
    if (each.kind === 'message') Object.assign(each.sender, each.before);
    else Object.assign(group, { state: each.before, targets: undefined, changing: false });
    refuse(each.item, storeFull(), ctx);
  }
  for (const { group } of commit.accepted) letGo(group, state, ctx);
  armRetry(state, ctx);
}

// --- to every shard ---------------------------------------------------------------------------------------------

function sendOut(group: Group, body: GroupBody, targets: readonly Target[], state: GroupsState, ctx: Ctx): void {
  const outgoing: Outgoing = { body, targets: new Map(), sentAtMs: ctx.clock.monotonicMs() };
  for (const target of targets) outgoing.targets.set(target.inbox.name, target);
  group.outgoing.set(body.order, outgoing);
  state.busy.add(group);
  if (outgoing.targets.size === 0) return finish(group, outgoing, state, ctx);
  castOut(group, outgoing, ctx);
  armRetry(state, ctx);
}

/** One message between actors for each shard. Whatever becomes of it, it is sent again until it is confirmed. */
function castOut(group: Group, { body, targets }: Outgoing, ctx: Ctx): void {
  for (const { inbox, recipients } of targets.values()) {
    const after = placeBefore(group, body.order, inbox.name);
    ctx.cast(inbox, { kind: 'fan-out', body, recipients, after, inbox: inbox.name } satisfies FanOut as InboxMessage);
  }
}

function noteFannedOut({ group: id, order, inbox }: FannedOut, state: GroupsState, ctx: Ctx): void {
  const group = state.roll.get(id);
  const outgoing = group?.outgoing.get(order);
  if (group === undefined || outgoing === undefined) return;
  outgoing.targets.delete(inbox);
  if (outgoing.targets.size === 0) finish(group, outgoing, state, ctx);
}

function finish(group: Group, { body }: Outgoing, state: GroupsState, ctx: Ctx): void {
  group.outgoing.delete(body.order);
  state.finished.push(body);
  if (body.kind === 'change') group.changing = false;
  if (group.outgoing.size === 0) state.busy.delete(group);
  letGo(group, state, ctx);
  if (state.finished.length >= FINISHED_COUNT) ctx.requestTurnEnd();
}

/** What waited is decided once nothing stands before it. */
function letGo(group: Group, state: GroupsState, ctx: Ctx): void {
  if (group.held.length === 0 || group.changing || group.outgoing.size > 0) return;
  state.queue.push(...group.held);
  group.held = [];
  ctx.requestTurnEnd();
}

function armRetry(state: GroupsState, ctx: Ctx): void {
  if (state.isRetryArmed) return;
  state.isRetryArmed = true;
  ctx.sendAfter(LIMITS.groupRetryMs, RETRY);
}

/** Sends again what is not confirmed, and takes what is finished off the disk. */
function retry(state: GroupsState, ctx: Ctx): void {
  state.isRetryArmed = false;
  const now = ctx.clock.monotonicMs();
  for (const group of state.busy) {
    for (const outgoing of group.outgoing.values()) {
      if (now - outgoing.sentAtMs < LIMITS.groupRetryMs / 2) continue;
      outgoing.sentAtMs = now;
      castOut(group, outgoing, ctx);
    }
  }
  startCommit(state, ctx, 1);
  if (state.busy.size + state.finished.length + state.queue.length > 0) armRetry(state, ctx);
}

/** After a start: what was accepted and had not arrived everywhere. Its roster is the present one. */
function resumeOutgoing(state: GroupsState, ctx: Ctx): void {
  const { store, inboxOf } = state.args;
  for (const body of store.groups.outgoing()) {
    const group = findGroup(state.roll, store.groups, body.group);
    const change = body.kind === 'change' ? decodeGroupChange(body.bytes) : undefined;
    if (change === undefined || isGroupRefusal(change)) {
      sendOut(group, body, targetsOf(group, inboxOf), state, ctx);
    } else {
      group.changing = true;
      sendOut(group, body, recipientsOfChange(group, leaversOf(change), state), state, ctx);
    }
  }
}

// --- receipts ---------------------------------------------------------------------------------------------------

function noteMarks({ type, group: id, marks }: MarksReached, state: GroupsState, ctx: Ctx): void {
  const group = state.roll.get(id);
  if (group === undefined || group.watchers.size === 0) return;
  const fresh = group.marks[type];
  for (const { user, order } of marks) {
    if (isMember(group, user)) fresh.set(user, Math.max(order, fresh.get(user) ?? 0));
  }
  state.marked.add(group);
  if (state.isReceiptArmed) return;
  state.isReceiptArmed = true;
  ctx.sendAfter(LIMITS.groupReceiptsPauseMs, RECEIPTS);
}

function tellWatchers(state: GroupsState, ctx: Ctx): void {
  state.isReceiptArmed = false;
  const ts = stamp(state, ctx);
  for (const group of state.marked) {
    for (const type of ['delivered', 'read'] as const) tellMarks(group, type, ts, ctx);
  }
  state.marked.clear();
}

function tellMarks(group: Group, type: 'delivered' | 'read', ts: number, ctx: Ctx): void {
  const marks = Array.from(group.marks[type], ([user, order]) => ({ user, order }));
  group.marks[type].clear();
  for (let at = 0; at < marks.length; at += WIRE.groupMarksMax) {
    const page = marks.slice(at, at + WIRE.groupMarksMax);
    for (const [name, { connection }] of group.watchers) {
      const message = { kind: 'group-receipts', type, group: group.id, ts, marks: page } as const;
      if (ctx.cast(connection, message satisfies ConnectionMessage) === 'noproc') group.watchers.delete(name);
    }
  }
}

/** Asks each shard how far its members are. The answers come one by one. */
function askMarks(query: GroupMarksQuery, state: GroupsState, ctx: Ctx): void {
  const group = findGroup(state.roll, state.args.store.groups, query.group);
  const refusal = refuseStranger(group, query.self.user);
  if (refusal !== undefined) return refuseRequest(query, refusal, ctx);
  take(group, query.connection, query.self.user, ctx);
  const { members, more } = memberPage(group, query.after, WIRE.groupMarksMax);
  const targets = gather(members, state.args.inboxOf);
  const request: MarksRequest = { query, more, marks: [], waitingFor: targets.length };
  if (targets.length === 0) return answerMarks(request, ctx);
  const ticket = state.nextTicket++;
  state.requests.set(ticket, request);
  for (const oldest of state.requests.keys()) {
    if (state.requests.size <= REQUESTS_MAX) break;
    state.requests.delete(oldest);
  }
  for (const { inbox, recipients } of targets) {
    const question = { kind: 'find-marks', ticket, group: group.id, members: recipients } as const;
    ctx.cast(inbox, question satisfies InboxMessage);
  }
}

function collectMarks({ ticket, marks }: MarksFound, state: GroupsState, ctx: Ctx): void {
  const request = state.requests.get(ticket);
  if (request === undefined) return;
  request.marks.push(...marks);
  if (--request.waitingFor > 0) return;
  state.requests.delete(ticket);
  answerMarks(request, ctx);
}

function answerMarks({ query: { connection, iq, group }, marks, more }: MarksRequest, ctx: Ctx): void {
  const sorted = marks.toSorted((a, b) => (a.user < b.user ? -1 : 1));
  tell(connection, { kind: 'answer', iq, answer: { kind: 'group-marks', group, marks: sorted, more } }, ctx);
}

// --- answers ----------------------------------------------------------------------------------------------------

function answerQuery(query: GroupQuery, state: GroupsState, ctx: Ctx): void {
  const group = findGroup(state.roll, state.args.store.groups, query.group);
  const refusal = refuseLook(group, query);
  if (refusal !== undefined) return refuseRequest(query, refusal, ctx);
  const flushed = flushedState(group, state);
  if (flushed === undefined) return refuseRequest(query, { code: 'APP_UNKNOWN_GROUP' }, ctx);
  const { roster } = flushed;
  const { after } = query;
  const changes = after === undefined ? [] : changesAfter(group.id, after, state);
  const isWhole = after !== undefined && (after >= roster.epoch || changes.length > 0);
  const answerTo: GroupAnswer = {
    kind: 'group',
    group: group.id,
    epoch: roster.epoch,
    order: state.args.store.groups.order(group.id),
    roster: isWhole ? undefined : encodeRoster(roster),
    changes,
  };
  tell(query.connection, { kind: 'answer', iq: query.iq, answer: answerTo }, ctx);
}

/** Members may look; so may who shows the gate of the present link. */
function refuseLook(group: Group, { self, gate }: GroupQuery): Refusal | undefined {
  const link = group.state?.roster.link;
  const isLetIn = gate !== undefined && link !== undefined;
  if (isLetIn && Buffer.compare(hashOfGate(gate, sha512), link.gateHash) === 0) return undefined;
  return refuseStranger(group, self.user);
}

/** What is on disk: a change that is being committed is not told. */
function flushedState(group: Group, { commit }: GroupsState): GroupState | undefined {
  for (const each of commit?.accepted ?? []) if (each.kind === 'change' && each.group === group) return each.before;
  return group.state;
}

/** The kept changes after an epoch, if the one that follows it is still kept. */
function changesAfter(group: string, after: number, { args }: GroupsState): Uint8Array[] {
  const kept = args.store.groups.changes(group, after, LIMITS.groupChangesBytesMax);
  return kept[0]?.epoch === after + 1 ? kept.map(({ bytes }) => bytes) : [];
}

function answer({ connection, iq }: GroupChangeSubmit, { id, state, order }: Group, ctx: Ctx): void {
  const result: GroupAnswer = { kind: 'group', group: id, epoch: state!.roster.epoch, order, changes: [] };
  tell(connection, { kind: 'answer', iq, answer: result }, ctx);
}

function refuse(item: GroupSubmit | GroupChangeSubmit, refusal: Refusal, ctx: Ctx): void {
  if (item.kind === 'group-change') return refuseRequest(item, refusal, ctx);
  tell(item.connection, { kind: 'group-refused', group: item.group, id: item.id, refusal }, ctx);
}

function refuseRequest(to: { readonly connection: Pid; readonly iq: number }, refusal: Refusal, ctx: Ctx): void {
  tell(to.connection, { kind: 'answer-refused', iq: to.iq, refusal }, ctx);
}

/** What a connection does not take is lost with it: its client sends again, or asks again. */
function tell(connection: Pid, message: ConnectionMessage, ctx: Ctx): void {
  ctx.cast(connection, message);
}
