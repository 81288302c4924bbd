/**
 * One actor for each socket: reads what a client says, checks and limits it, hands it to the shard that is responsible,
 * and writes what comes back.
 *
 * It keeps nothing that must outlive it. A client whose connection ends finds its messages in its inbox and repeats
 * what was not acknowledged. Phases and their rules: `connection-state.ts`. The vocabulary: docs/protocol.md.
 */

import {
  ackStanza,
  deliveryStanza,
  errorStanza,
  failureStanza,
  gapStanza,
  groupChangeStanza,
  groupDeliveryStanza,
  groupAckStanza,
  groupErrorStanza,
  groupPrunedStanza,
  groupReceiptsStanza,
  incomingTypingStanza,
  iqErrorStanza,
  iqResultStanza,
  FEATURES,
  isWireError,
  linkedStanza,
  offlineStanza,
  parseClientMessage,
  preKeysLowStanza,
  pongStanza,
  presenceStanza,
  prunedStanza,
  receiptStanza,
  successStanza,
  type AuthMessage,
  type ClientMessage,
  type IqGetMessage,
  type IqSetMessage,
  type Limit,
  type NotifyRequest,
  type OutgoingGroupMessage,
  type OutgoingMessage,
  type PingMessage,
  type ResumeMessage,
  type Stanza,
} from '../protocol/wire/index.ts';
import {
  formatPid,
  isDown,
  isExit,
  MAILBOX_OVERFLOW,
  type Behavior,
  type Context,
  type Pid,
  type Ref,
  type SendResult,
} from '../runtime/index.ts';
import type { Admission, Deferral } from './admission.ts';
import type { Challenge } from './auth.ts';
import { isDeviceRequest, routeOfDevices } from './connection-devices.ts';
import { look, noPending, noteAnswer, noteGroupAnswer, type Pending } from './connection-pending.ts';
import { ratesOf, type Rates } from './connection-rates.ts';
import {
  decideLogin,
  decideResume,
  keyOf,
  notAsked,
  NOTHING_HELD,
  refuseInPhase,
  type Asking,
  type HeldKeys,
  type Phase,
} from './connection-state.ts';
import { describe, type AppCode, type Refusal } from './errors.ts';
import type { GroupsMessage } from './group-messages.ts';
import { LIMITS } from './limits.ts';
import { liveRule } from './live-limits.ts';
import { add, CounterByLabel, gauge } from './metrics/meter.ts';
import type { SocketHandle } from './listener.ts';
import { refuseSubscription, takeSignal } from './connection-presence.ts';
import type {
  AccountsMessage,
  ConnectionMessage,
  InboxMessage,
  LinksMessage,
  MarkRead,
  MediaMessage,
  PresenceMessage,
  QuotasMessage,
  Receipt,
  RelationsMessage,
  WakeupsMessage,
} from './messages.ts';
import { routeProtection } from './protection-routes.ts';
import type { AccountAction } from './quotas.ts';
import { fullBucket, takeToken, viewBucket } from './rate-limit.ts';
import type { ResumeTickets } from './resume-ticket.ts';
import type { RemoteName, Routes } from './routes.ts';
import type { InboxEntry } from './store/inbox-store.ts';
import { decodeNotice } from './store/loss.ts';

export interface ConnectionArgs {
  readonly socket: SocketHandle;
  /** What the client has been greeted with. */
  readonly challenge: Challenge;
  readonly routes: Routes;
  readonly tickets: ResumeTickets;
  readonly admission: Admission;
}

interface LowWater {
  readonly preKeys: number;
  readonly kemPreKeys: number;
}

export interface ConnectionState {
  readonly socket: SocketHandle;
  readonly routes: Routes;
  readonly tickets: ResumeTickets;
  readonly admission: Admission;
  phase: Phase;
  /** What it does in a second; made with the first. */
  rates: Rates | undefined;
  /** Ends a connection on which nobody logs in, or one that its inbox does not take. */
  loginTimer: Ref | undefined;
  /** Whose presence this connection hears of; made with the first. */
  subscriptions: Set<string> | undefined;
  /** What the client said at login that it understands: a sum of `FEATURES`. */
  features: number;
  /** Below which stock of pre-keys the client wants to be told of it; 0 and 0 until it asks. */
  lowWater: LowWater;
  /** Actors that it watches: owners of groups, and in a cluster all to which it has sent what it waits for. Made with the first. */
  watched: Set<string> | undefined;
  /** What is not answered yet; made with the first. */
  pending: Pending | undefined;
  /** Pushes of the inbox that came so far. */
  pushes: number;
}

const MESSAGE_RULE = liveRule('messagesPerSecondMax', 'messagesBurstMax');
const GROUP_MESSAGE_RULE = liveRule('groupMessagesPerSecondMax', 'groupMessagesBurstMax');
const REQUEST_RULE = liveRule('requestsPerSecondMax', 'requestsBurstMax');
/** What a later client may add means nothing here. */
const KNOWN_FEATURES: number = Object.values(FEATURES).reduce((sum, bit) => sum | bit, 0);
const PING_RULE = { perSecond: LIMITS.pingsPerSecondMax, burst: LIMITS.pingsBurstMax };
const MARK_RULE = { perSecond: LIMITS.marksPerSecondMax, burst: LIMITS.marksBurstMax };
const LOGIN_TIMEOUT = 'login-timeout';
/** Notes to itself: an answer may be overdue; the inbox has not taken this connection yet. */
const LOOK = 'look-for-answers';
const ATTACH_TIMEOUT = 'attach-timeout';
const ASK_AGAIN = 'ask-again';
const REFUSALS = new CounterByLabel('blindbeam_refusals_total');
const LIMITED = {
  message: gauge('blindbeam_limited_total', { limiter: 'message' }),
  groupMessage: gauge('blindbeam_limited_total', { limiter: 'group-message' }),
  request: gauge('blindbeam_limited_total', { limiter: 'request' }),
  ping: gauge('blindbeam_limited_total', { limiter: 'ping' }),
};
const NO_NOTICES: LowWater = { preKeys: 0, kemPreKeys: 0 };

export const connection: Behavior<ConnectionState, ConnectionArgs, ConnectionMessage> = {
  name: 'actors/connection',
  hearsOverflow: true,
  // What it keeps is what the client can ask for again: a message that is handled a second time is as one that was sent again.
  retriable: true,

  init({ socket, challenge, routes, tickets, admission }, ctx) {
    // So that `terminate` tells the client why, when the supervisor or an overloaded inbox ends this actor.
    ctx.trapExit(true);
    socket.attach(ctx.self);
    const loginTimer = ctx.sendAfter(LIMITS.loginMsMax, LOGIN_TIMEOUT);
    const phase: Phase = { name: 'greeted', challenge, ticketRefused: false };
    // One literal, and what few need is made when it is needed: this runs for everybody at once when a network comes back.
    // prettier-ignore
    return {
      socket, routes, tickets, admission, phase, loginTimer, rates: undefined, subscriptions: undefined,
      features: 0, lowWater: NO_NOTICES, pending: undefined, pushes: 0, watched: undefined,
    };
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'frames':
        for (const stanza of message.stanzas) takeStanza(stanza, state, ctx);
        return;
      case 'deliver':
        if (isNextPush(message.push, state, ctx)) writeDeliveries(message, state);
        return;
      case 'gap':
        return understandsGaps(state) ? state.socket.write(gapStanza(message)) : undefined;
      case 'sent':
        state.socket.write(ackStanza(message));
        return answered(message.to, message.id, state);
      case 'receipt':
        return writeReceipt(message, state);
      case 'refused':
        state.socket.write(refusalStanza(message.to, message.id, message.refusal));
        return answered(message.to, message.id, state);
      case 'group-sent':
        if (state.pending !== undefined) noteGroupAnswer(state.pending, message.group, message.id);
        return state.socket.write(groupAckStanza(message));
      case 'group-refused':
        if (state.pending !== undefined) noteGroupAnswer(state.pending, message.group, message.id);
        return refuseOfGroup(message.group, message.id, message.refusal, state);
      case 'group-receipts':
        return state.socket.write(groupReceiptsStanza(message));
      case 'group-owner':
        return watchOwner(message.owner, state, ctx);
      case 'drained':
        if (isNextPush(message.push, state, ctx)) state.socket.write(offlineStanza());
        return;
      case 'answer':
        return state.socket.write(iqResultStanza({ id: message.iq, answer: message.answer }));
      case 'answer-refused':
        return refuseRequest(message.iq, message.refusal, state);
      case 'presence':
        return state.socket.write(presenceStanza(message));
      case 'typing':
        return state.socket.write(incomingTypingStanza(message));
      case 'prekeys-low':
        return writePreKeysLow(message, state);
      case 'device-found':
        return finishLogin(message, state, ctx);
      case 'attached':
        return goLive(message.inbox, state, ctx);
      case 'linked':
        return state.socket.write(linkedStanza(message));
      case 'replaced':
        return closeWith('APP_REPLACED', state, ctx);
      case 'overtaken':
        return closeWith('APP_RESTARTING', state, ctx, state.admission.comeBackSoon());
      case 'unregistered':
        return closeWith('APP_UNREGISTERED', state, ctx);
      case 'drain':
        return closeWith('APP_DRAINING', state, ctx);
      case 'socket-closed':
        return end(state, ctx);
    }
  },

  handleInfo(info, state, ctx) {
    if (info === LOOK) lookForAnswers(state, ctx);
    else if (info === ATTACH_TIMEOUT) endUnattached(state, ctx);
    else if (info === ASK_AGAIN) askAgain(state, ctx);
    else if (info === LOGIN_TIMEOUT && state.phase.name !== 'live') closeWith('APP_LOGIN_TIMEOUT', state, ctx);
    // Something for its client was lost, whatever it was.
    else if (info === MAILBOX_OVERFLOW) closeWith('APP_OVERLOADED', state, ctx);
    else if (isDown(info) && wasAsked(info.ref, state.phase)) askAgainSoon(state, ctx);
    // The inbox that pushes to us is gone, and with it our place in it: the client comes back to its successor.
    else if (isDown(info)) closeWith('APP_RESTARTING', state, ctx, state.admission.comeBackSoon());
    else if (isExit(info)) closeWith('APP_OVERLOADED', state, ctx);
  },

  terminate(reason, state) {
    if (state.phase.name === 'closed') return;
    if (state.phase.name === 'live') state.admission.ended();
    const code = reason === 'shutdown' ? 'APP_DRAINING' : 'APP_RESTARTING';
    REFUSALS.add(code);
    sayComeBack(code, state.admission.comeBack(), state);
    state.socket.close(4503, code);
  },
};

// --- what the client says ---------------------------------------------------------------------------------------

function takeStanza(stanza: Stanza, state: ConnectionState, ctx: Context): void {
  if (state.phase.name === 'closed') return;
  const message = parseClientMessage(stanza);
  if (isWireError(message)) return close(message.closeCode, message.code, state, ctx);
  const code = refuseInPhase(state.phase, message);
  if (code !== undefined) return closeWith(code, state, ctx);
  take(message, state, ctx);
}

function take(message: ClientMessage, state: ConnectionState, ctx: Context): void {
  switch (message.kind) {
    case 'message':
      return submit(message, state, ctx);
    case 'group-message':
      return submitToGroup(message, state, ctx);
    case 'group-read': {
      // In a member's inbox a group stands as a sender of its own, without a device.
      const { user } = liveSelf(state);
      const sender = { user: message.group, device: 0 };
      return markRead({ kind: 'mark-read', user, sender, id: message.order }, state, ctx);
    }
    case 'inbox-ack':
      return acknowledge(message.seq, state, ctx);
    case 'receipt': {
      const { user } = liveSelf(state);
      const sender = { user: message.to, device: message.device };
      return markRead({ kind: 'mark-read', user, sender, id: message.id }, state, ctx);
    }
    case 'ping':
      return answerPing(message, state, ctx);
    case 'auth':
      return beginLogin(message, state, ctx);
    case 'resume':
      return resume(message, state, ctx);
    case 'iq-get':
    case 'iq-set':
      return takeRequest(message, state, ctx);
    case 'availability':
    case 'typing':
    case 'unsubscribe':
      if (!takeSignal(message, liveSelf(state).user, state, ctx)) closeWith('APP_RATE_LIMITED', state, ctx);
      return;
  }
}

/** Over the rate, and where the inbox cannot take it, it waits for the next look: the last one covers all before. */
function acknowledge(seq: number, state: ConnectionState, ctx: Context): void {
  pendingOf(state, ctx).acknowledged = seq;
  if (takeMark(state, ctx)) sayAcknowledged(seq, state, ctx);
}

function sayAcknowledged(seq: number, state: ConnectionState, ctx: Context): void {
  const { user, device } = liveSelf(state);
  const message: InboxMessage = { kind: 'acknowledge', connection: ctx.self, user, device, seq };
  ctx.cast(state.routes.inboxOf(user), message);
}

/** One that is lost is covered by the next. */
function markRead(message: MarkRead, state: ConnectionState, ctx: Context): void {
  if (takeMark(state, ctx)) ctx.cast(state.routes.inboxOf(message.user), message);
}

function takeMark(state: ConnectionState, ctx: Context): boolean {
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.marks ??= fullBucket(MARK_RULE, now);
  if (takeToken(rates.marks, MARK_RULE, now) === 0) return true;
  if (++rates.refusals > LIMITS.rateRefusalsMax) closeWith('APP_RATE_LIMITED', state, ctx);
  return false;
}

function understandsGaps(state: ConnectionState): boolean {
  return (state.features & FEATURES.stagedInbox) !== 0;
}

function understandsGroups(state: ConnectionState): boolean {
  return (state.features & FEATURES.groups) !== 0;
}

function watchOwner(owner: Pid, state: ConnectionState, ctx: Context): void {
  watchOnce(formatPid(owner), owner, state, ctx);
}

/**
 * In a cluster a shard changes its node, and what was on its way to the former one is lost: whoever waits for an answer hears of its end.
 * On a node of its own nothing is asked: there an actor ends with its node, or its supervisor brings it back.
 */
function watchShard(target: RemoteName, state: ConnectionState, ctx: Context): void {
  if (target.node !== undefined) watchOnce(`${target.name} ${target.node} ${target.worker}`, target, state, ctx);
}

function watchOnce(name: string, target: Pid | RemoteName, state: ConnectionState, ctx: Context): void {
  state.watched ??= new Set();
  if (state.watched.has(name)) return;
  state.watched.add(name);
  // A copy: an address follows its shard, the monitor stays with the actor.
  ctx.monitor('node' in target && 'name' in target ? { ...target } : (target as Pid));
}

/** The phase rules let these messages through only when the connection is live. */
function livePhase(state: ConnectionState): Extract<Phase, { name: 'live' }> {
  if (state.phase.name !== 'live') throw new Error(`expected phase live, got ${state.phase.name}`);
  return state.phase;
}

function liveSelf(state: ConnectionState): { readonly user: string; readonly device: number } {
  return livePhase(state).self;
}

function device(state: ConnectionState): { user: string; device: number } {
  const self = liveSelf(state);
  return { user: self.user, device: self.device };
}

function submit(message: OutgoingMessage, state: ConnectionState, ctx: Context): void {
  const phase = livePhase(state);
  const { self } = phase;
  const key = keyOf(phase);
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.messages ??= fullBucket(MESSAGE_RULE, now);
  const waitMs = takeToken(rates.messages, MESSAGE_RULE, now);
  if (waitMs > 0) return refuseForRate(message, waitMs, state, ctx);
  rates.refusals = 0;
  const { to, id, envelopes } = message;
  const target = state.routes.inboxOf(to);
  const submission = { kind: 'submit', connection: ctx.self, sender: self, senderKey: key, to, id, envelopes } as const;
  const result = ctx.cast(target, submission satisfies InboxMessage);
  if (result === 'ok') {
    watchShard(target, state, ctx);
    return void pendingOf(state, ctx).messages.set(to, id);
  }
  state.socket.write(refusalStanza(to, id, notTaken(target, result)));
}

/** What is between two owners is there again within a second or two: the client's own pause is enough. */
function notTaken(target: RemoteName, result: SendResult): Refusal {
  return { code: 'APP_OVERLOADED', retryAfter: isBetweenOwners(target, result) ? 0 : 1 };
}

function refuseForRate(message: OutgoingMessage, waitMs: number, state: ConnectionState, ctx: Context): void {
  add(LIMITED.message);
  if (++ratesOf(state).refusals > LIMITS.rateRefusalsMax) return closeWith('APP_RATE_LIMITED', state, ctx);
  const refusal = { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) } as const;
  state.socket.write(refusalStanza(message.to, message.id, refusal));
}

/** One of these becomes up to a thousand deliveries, so they have a bound of their own. */
function submitToGroup(message: OutgoingGroupMessage, state: ConnectionState, ctx: Context): void {
  const phase = livePhase(state);
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.groupMessages ??= fullBucket(GROUP_MESSAGE_RULE, now);
  const { group, id, epoch, ciphertext } = message;
  const waitMs = takeToken(rates.groupMessages, GROUP_MESSAGE_RULE, now);
  if (waitMs > 0) {
    add(LIMITED.groupMessage);
    if (++rates.refusals > LIMITS.rateRefusalsMax) return closeWith('APP_RATE_LIMITED', state, ctx);
    return refuseOfGroup(group, id, { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) }, state);
  }
  rates.refusals = 0;
  const sender = { connection: ctx.self, sender: phase.self, senderKey: keyOf(phase) };
  const submission: GroupsMessage = { kind: 'group-submit', ...sender, group, id, epoch, ciphertext };
  const result = ctx.cast(state.routes.groupsOf(group), submission);
  if (result === 'ok') {
    watchShard(state.routes.groupsOf(group), state, ctx);
    return void pendingOf(state, ctx).groupMessages.set(group, id);
  }
  refuseOfGroup(group, id, notTaken(state.routes.groupsOf(group), result), state);
}

function refuseOfGroup(group: string, id: number, refusal: Refusal, state: ConnectionState): void {
  REFUSALS.add(refusal.code);
  state.socket.write(groupErrorStanza({ group, id, text: describe(refusal.code).text, ...refusal }));
}

/** A client that asks all the time gets no answer, and in the end no connection. */
function answerPing(message: PingMessage, state: ConnectionState, ctx: Context): void {
  const nowMs = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.pings ??= fullBucket(PING_RULE, nowMs);
  if (takeToken(rates.pings, PING_RULE, nowMs) === 0) {
    rates.pingRefusals = 0;
    return state.socket.write(pongStanza(message));
  }
  add(LIMITED.ping);
  if (++rates.pingRefusals > LIMITS.pingRefusalsMax) closeWith('APP_RATE_LIMITED', state, ctx);
}

// --- login ------------------------------------------------------------------------------------------------------

function beginLogin(message: AuthMessage, state: ConnectionState, ctx: Context): void {
  if (state.phase.name !== 'greeted') return;
  const deferral = state.admission.verify();
  if (deferral !== undefined) return putOff(deferral, state, ctx);
  noteFeatures(message, state);
  const { user, device, signature } = message;
  const wantsTicket = (state.features & FEATURES.resumeTickets) !== 0;
  const { challenge } = state.phase;
  const claim = { user, device, signature };
  state.phase = { name: 'authenticating', asking: notAsked(), challenge, claim, wantsTicket };
  askForDevice(state.phase, state, ctx);
}

type Authenticating = Extract<Phase, { name: 'authenticating' }>;
type Attaching = Extract<Phase, { name: 'attaching' }>;

function askForDevice({ claim, asking }: Authenticating, state: ConnectionState, ctx: Context): void {
  const { user, device } = claim;
  ask(state.routes.accountsOf(user), { kind: 'find-device', connection: ctx.self, user, device }, asking, state, ctx);
}

function askToAttach({ self, asking }: Attaching, state: ConnectionState, ctx: Context): void {
  const { user, device, creation } = self;
  const isLate = asking.misses > 0;
  const known = { staged: understandsGaps(state), groups: understandsGroups(state), isLate };
  const attach: InboxMessage = { kind: 'attach', user, device, creation, connection: ctx.self, ...known };
  ask(state.routes.inboxOf(user), attach, asking, state, ctx);
}

/** Asks an actor of the user's shard what the login hangs on. */
function ask(
  target: RemoteName,
  question: AccountsMessage | InboxMessage,
  asking: Asking,
  state: ConnectionState,
  ctx: Context,
): void {
  const result = ctx.cast(target, question);
  if (isBetweenOwners(target, result)) return askAgainSoon(state, ctx);
  if (result !== 'ok') return closeWith('APP_OVERLOADED', state, ctx);
  // A copy: an address follows its shard, the monitor stays with the actor.
  if (target.node !== undefined) asking.watch = ctx.monitor({ ...target });
}

/** In a cluster: the shard's owner is gone, or its actors are not there yet. */
function isBetweenOwners({ node }: RemoteName, result: SendResult): boolean {
  return node !== undefined && (result === 'noconnection' || result === 'noproc');
}

function wasAsked(ref: Ref, phase: Phase): boolean {
  return 'asking' in phase && phase.asking.watch === ref;
}

/** The shard is between two owners: a login waits for the next one, since its client could only come back to ask the same. */
function askAgainSoon(state: ConnectionState, ctx: Context): void {
  const { phase } = state;
  if (!('asking' in phase)) return;
  phase.asking.watch = undefined;
  if (++phase.asking.misses > LIMITS.shardMissesMax) {
    return closeWith('APP_RESTARTING', state, ctx, state.admission.comeBackSoon());
  }
  ctx.sendAfter(LIMITS.shardLookMs, ASK_AGAIN);
}

function askAgain(state: ConnectionState, ctx: Context): void {
  const { phase } = state;
  if (phase.name === 'authenticating') askForDevice(phase, state, ctx);
  else if (phase.name === 'attaching') askToAttach(phase, state, ctx);
}

/** It has answered. */
function endAsking({ watch }: Asking, ctx: Context): void {
  if (watch !== undefined) ctx.demonitor(watch);
}

function noteFeatures({ features = 0 }: AuthMessage | ResumeMessage, state: ConnectionState): void {
  state.features = features & KNOWN_FEATURES;
}

type DeviceFound = Extract<ConnectionMessage, { kind: 'device-found' }>;

function finishLogin(found: DeviceFound, state: ConnectionState, ctx: Context): void {
  const { record, preKeys, kemPreKeys } = found;
  if (state.phase.name !== 'authenticating') return;
  endAsking(state.phase.asking, ctx);
  const decision = decideLogin(state.phase, record, ctx.clock.monotonicMs());
  if (decision.kind === 'refused') return closeWith(decision.code, state, ctx);
  enter(decision.phase, { preKeys, kemPreKeys }, state, ctx);
}

/** A login by ticket is decided here and now: nothing is looked up, and what is left of the pre-keys is not told. */
function resume(message: ResumeMessage, state: ConnectionState, ctx: Context): void {
  if (state.phase.name !== 'greeted') return;
  noteFeatures(message, state);
  const now = { monotonicMs: ctx.clock.monotonicMs(), wallMs: ctx.clock.nowMs() };
  const decision = decideResume(state.phase, message, state.tickets, now);
  if (decision.kind === 'refused') return closeWith(decision.code, state, ctx);
  if (decision.kind === 'admitted') return enter(decision.phase, NOTHING_HELD, state, ctx);
  state.phase = decision.phase;
  state.socket.write(failureStanza({ code: 'APP_BAD_TICKET', text: describe('APP_BAD_TICKET').text }));
}

/** Asks the inbox of the device to take this connection. Until it has, nobody is logged in. */
function enter(phase: Attaching, held: HeldKeys, state: ConnectionState, ctx: Context): void {
  const before = state.phase;
  if ('challenge' in before) {
    const tookMs = ctx.clock.monotonicMs() - before.challenge.issuedAtMs;
    state.admission.noteLogin(before.name === 'greeted' ? 'ticket' : 'signature', tookMs);
  }
  phase.held = held;
  state.phase = phase;
  if (state.loginTimer !== undefined) ctx.cancelTimer(state.loginTimer);
  state.loginTimer = ctx.sendAfter(LIMITS.answerLookMs, ATTACH_TIMEOUT);
  askToAttach(phase, state, ctx);
}

/** The inbox pushes to us from now on; should it end, we do. */
function goLive(inbox: Pid, state: ConnectionState, ctx: Context): void {
  if (state.phase.name !== 'attaching') return;
  const { self, wantsTicket, asking, held } = state.phase;
  ctx.monitor(inbox);
  endAsking(asking, ctx);
  state.phase = { name: 'live', self, key: undefined };
  if (state.loginTimer !== undefined) ctx.cancelTimer(state.loginTimer);
  state.loginTimer = undefined;
  state.admission.finished();
  const nowMs = Math.floor(ctx.clock.nowMs());
  const ticket = wantsTicket ? state.tickets.seal(self, nowMs) : undefined;
  const { preKeys, kemPreKeys } = held;
  state.socket.write(successStanza({ user: self.user, device: self.device, ts: nowMs, preKeys, kemPreKeys, ticket }));
}

/** The question or its answer was lost, or the inbox ended before it took us. */
function endUnattached(state: ConnectionState, ctx: Context): void {
  if (state.phase.name === 'attaching') closeWith('APP_OVERLOADED', state, ctx);
}

// --- requests ---------------------------------------------------------------------------------------------------

function takeRequest(message: IqGetMessage | IqSetMessage, state: ConnectionState, ctx: Context): void {
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.requests ??= fullBucket(REQUEST_RULE, now);
  const waitMs = takeToken(rates.requests, REQUEST_RULE, now);
  if (waitMs > 0) {
    add(LIMITED.request);
    return refuseRequest(message.id, { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) }, state);
  }
  const deferral = state.phase.name === 'live' ? undefined : state.admission.register(state.socket.address);
  if (deferral !== undefined) return refuseRequest(message.id, deferral, state);
  const { request } = message;
  if (request.kind === 'subscribe' && refuseSubscription(request.to, state)) {
    return refuseRequest(message.id, { code: 'APP_TOO_MANY_SUBSCRIPTIONS' }, state);
  }
  if (request.kind === 'notify') return noteLowWater(message.id, request, state);
  const routed = route(message.id, request, state, ctx);
  if (routed === undefined) return refuseRequest(message.id, { code: 'APP_UNKNOWN_GROUP' }, state);
  const [target, question] = routed;
  if (ctx.cast(target, question) === 'ok') return watchShard(target, state, ctx);
  refuseRequest(message.id, { code: 'APP_OVERLOADED', retryAfter: 1 }, state);
}

type AnyRequest = (IqGetMessage | IqSetMessage)['request'];
type RoutedRequest = Exclude<AnyRequest, NotifyRequest>;
type Question =
  | AccountsMessage
  | InboxMessage
  | LinksMessage
  | MediaMessage
  | PresenceMessage
  | QuotasMessage
  | RelationsMessage
  | GroupsMessage
  | WakeupsMessage;

/** Who answers a request, and the question put to it. */
function route(
  id: number,
  request: RoutedRequest,
  state: ConnectionState,
  ctx: Context,
): [RemoteName, Question] | undefined {
  const { routes } = state;
  const origin = { connection: ctx.self, iq: id };
  if (isDeviceRequest(request)) {
    const self = state.phase.name === 'live' ? state.phase.self : undefined;
    return routeOfDevices(request, origin, self, routes, ctx);
  }
  switch (request.kind) {
    case 'register':
      return [routes.accountsOfPhone(request.phone), { kind: 'request-code', ...origin, phone: request.phone }];
    case 'confirm':
      return [routes.accountsOfPhone(request.phone), { kind: 'confirm', ...origin, request }];
    case 'contact': {
      const target = routes.accountsOfPhone(request.phone);
      return spend('contact', target, { kind: 'find-contact', ...origin, phone: request.phone }, state);
    }
    case 'bundle': {
      const { user, withList = false } = request;
      const self = liveSelf(state);
      const asker = { requester: self.user, except: user === self.user ? self.device : undefined };
      const question = { kind: 'take-bundle', ...origin, user, ...asker, withList } as const;
      return spend('bundle', routes.accountsOf(user), question, state);
    }
    case 'prekey-count':
      return [routes.accountsOf(liveSelf(state).user), { kind: 'count-prekeys', ...origin, ...device(state) }];
    case 'prekey-upload': {
      const upload = { kind: 'add-prekeys', ...origin, ...device(state), request } as const;
      return [routes.accountsOf(upload.user), upload];
    }
    case 'receipts': {
      const phase = livePhase(state);
      const sender = { sender: phase.self, senderKey: keyOf(phase) };
      const query = { kind: 'query-conversation', ...origin, ...sender, to: request.to } as const;
      return [routes.inboxOf(request.to), { ...query, withGaps: understandsGaps(state) }];
    }
    case 'group': {
      const { group, after, gate } = request;
      const { self } = livePhase(state);
      return [routes.groupsOf(group), { kind: 'group-query', ...origin, self, group, after, gate }];
    }
    case 'group-marks': {
      const { group, after } = request;
      return [
        routes.groupsOf(group),
        { kind: 'group-marks-query', ...origin, self: livePhase(state).self, group, after },
      ];
    }
    case 'group-change': {
      const { group, change } = request;
      return [routes.groupsOf(group), { kind: 'group-change', ...origin, self: livePhase(state).self, group, change }];
    }
    case 'media-ticket': {
      const { user } = liveSelf(state);
      return [routes.mediaOf(user), { kind: 'grant-ticket', ...origin, user, bytes: request.bytes }];
    }
    case 'presence':
    case 'subscribe': {
      const { user: viewer } = liveSelf(state);
      const [owner, keep] = request.kind === 'subscribe' ? [request.to, true] : [request.user, false];
      return [routes.presenceOf(viewer), { kind: 'look-up', ...origin, viewer, owner, keep }];
    }
    case 'privacy': {
      const { user } = liveSelf(state);
      return [routes.presenceOf(user), { kind: 'read-privacy', ...origin, user }];
    }
    case 'privacy-change': {
      const { user } = liveSelf(state);
      const { audience, shown, hidden } = request;
      const settings = { audience, shown, hidden };
      return [routes.presenceOf(user), { kind: 'change-privacy', ...origin, user, settings }];
    }
    default:
      return routeProtection(request, { ...origin, ...device(state) }, ownLimits(state, ctx), routes);
  }
}

/** By way of the account's quota, which sends the question on. */
function spend(
  action: AccountAction,
  target: RemoteName,
  question: AccountsMessage,
  state: ConnectionState,
): [RemoteName, Question] {
  const { user } = liveSelf(state);
  return [state.routes.quotasOf(user), { kind: 'spend', action, user, target, question }];
}

/** What this connection bounds by itself. */
function ownLimits(state: ConnectionState, ctx: Context): Limit[] {
  const { messages, requests } = ratesOf(state);
  const now = ctx.clock.monotonicMs();
  return [
    { action: 'message', ...viewBucket(messages ?? fullBucket(MESSAGE_RULE, now), MESSAGE_RULE, now) },
    { action: 'request', ...viewBucket(requests ?? fullBucket(REQUEST_RULE, now), REQUEST_RULE, now) },
  ];
}

function noteLowWater(id: number, { preKeys, kemPreKeys }: NotifyRequest, state: ConnectionState): void {
  state.lowWater = { preKeys, kemPreKeys };
  state.socket.write(iqResultStanza({ id, answer: { kind: 'notify', preKeys, kemPreKeys } }));
}

/** Only a client that asked: one that did not need not know this stanza. */
function writePreKeysLow({ preKeys, kemPreKeys }: LowWater, { lowWater, socket }: ConnectionState): void {
  if (preKeys >= lowWater.preKeys && kemPreKeys >= lowWater.kemPreKeys) return;
  socket.write(preKeysLowStanza({ preKeys, kemPreKeys }));
}

// --- receipts ---------------------------------------------------------------------------------------------------

/**
 * A receipt for a client that waits for an acknowledgement travels with it: that is on its way, a commit off, and a write
 * to a socket costs more than all else that a receipt takes. A client that waits for nothing gets it at once.
 */
function writeReceipt(receipt: Receipt, state: ConnectionState): void {
  const { pending, socket } = state;
  if (pending === undefined || pending.messages.size === 0) return socket.write(receiptStanza(receipt));
  pending.receipts.set(`${receipt.type} ${receipt.from}`, receipt);
}

/** Answers are cumulative, and refusals come one by one: either way the last id decides. */
function answered(to: string, id: number, { pending, socket }: ConnectionState): void {
  if (pending === undefined) return;
  noteAnswer(pending, to, id);
  if (pending.receipts.size === 0) return;
  for (const receipt of pending.receipts.values()) socket.write(receiptStanza(receipt));
  pending.receipts.clear();
}

// --- what is overdue --------------------------------------------------------------------------------------------

/** What is pending, with a look due: a client may wait for what comes into it now. */
function pendingOf(state: ConnectionState, ctx: Context): Pending {
  const pending = (state.pending ??= noPending());
  if (pending.isTimed) return pending;
  pending.isTimed = true;
  lookLater(ctx);
  return pending;
}

function lookForAnswers(state: ConnectionState, ctx: Context): void {
  const { pending } = state;
  if (pending === undefined || state.phase.name !== 'live') return;
  const seen = look(pending);
  if (seen === 'overdue') return closeWith('APP_OVERLOADED', state, ctx);
  if (seen.acknowledgeAgain > 0) sayAcknowledged(seen.acknowledgeAgain, state, ctx);
  pending.isTimed = !seen.isIdle;
  if (pending.isTimed) lookLater(ctx);
}

/** Together with all others of its second: a worker with many who say something now and then wakes once for all of them. */
function lookLater(ctx: Context): void {
  const nowMs = ctx.clock.monotonicMs();
  const dueMs = Math.ceil((nowMs + LIMITS.answerLookMs) / LIMITS.answerLookStepMs) * LIMITS.answerLookStepMs;
  ctx.sendAfter(dueMs - nowMs, LOOK);
}

// --- what the client is told ------------------------------------------------------------------------------------

/** One that is missing was lost between the threads. The client finds it in its inbox when it comes back. */
function isNextPush(push: number, state: ConnectionState, ctx: Context): boolean {
  if (state.phase.name !== 'live' || push !== state.pushes + 1) {
    closeWith('APP_OVERLOADED', state, ctx);
    return false;
  }
  state.pushes = push;
  return true;
}

function writeDeliveries(
  { entries, after }: Extract<ConnectionMessage, { kind: 'deliver' }>,
  state: ConnectionState,
): void {
  for (const entry of entries) {
    const { sender, senderDevice, id, seq, ts, type, ciphertext } = entry;
    if (type === 'group') writeOfGroup(entry, after, state);
    else if (type === 'pruned') writeNotice(entry, state);
    else
      state.socket.write(deliveryStanza({ from: sender, device: senderDevice, id, seq, ts, type, ciphertext, after }));
  }
}

/** What a group has for this device: the body that the inbox put to the entry. The inbox acknowledges it for a client without groups. */
function writeOfGroup({ body, seq }: InboxEntry, after: number | undefined, state: ConnectionState): void {
  if (body === undefined || !understandsGroups(state)) return;
  const { group, order, ts, sender: from, senderDevice: device, id, bytes } = body;
  const stanza =
    body.kind === 'change'
      ? groupChangeStanza({ group, order, ts, seq, change: bytes, after })
      : groupDeliveryStanza({ group, from, device, id, order, ts, seq, ciphertext: bytes, after });
  state.socket.write(stanza);
}

/** To a client that knows no gaps the inbox hands notices too, and acknowledges them itself. */
function writeNotice({ sender, senderDevice, id, seq, ts, ciphertext }: InboxEntry, state: ConnectionState): void {
  if (!understandsGaps(state)) return;
  const gap = decodeNotice(id, ciphertext);
  const isOfGroup = senderDevice === 0;
  if (isOfGroup) state.socket.write(groupPrunedStanza({ group: sender, seq, ts, ...gap }));
  else state.socket.write(prunedStanza({ from: sender, device: senderDevice, seq, ts, ...gap }));
}

function refusalStanza(to: string, id: number, refusal: Refusal): Stanza {
  REFUSALS.add(refusal.code);
  return errorStanza({ to, id, text: describe(refusal.code).text, ...refusal });
}

function refuseRequest(id: number, refusal: Refusal, state: ConnectionState): void {
  const { code, retryAfter, epoch } = refusal;
  REFUSALS.add(code);
  state.socket.write(iqErrorStanza({ id, code, text: describe(code).text, retryAfter, epoch }));
}

/**
 * Ends the connection with the close status that the catalogue gives the code. A refused login is told in words first; who
 * is to come back is told when, each client another time, because it is seldom the only one.
 */
function closeWith(code: AppCode, state: ConnectionState, ctx: Context, retryAfter?: number): void {
  const { closeCode = 4400, text } = describe(code);
  REFUSALS.add(code);
  if (closeCode === 4401) state.socket.write(failureStanza({ code, text }));
  if (closeCode === 4503) sayComeBack(code, retryAfter ?? state.admission.comeBack(), state);
  close(closeCode, code, state, ctx);
}

/** A login that is not admitted now. */
function putOff({ code, retryAfter }: Deferral, state: ConnectionState, ctx: Context): void {
  REFUSALS.add(code);
  sayComeBack(code, retryAfter, state);
  close(4503, code, state, ctx);
}

function sayComeBack(code: AppCode, retryAfter: number, state: ConnectionState): void {
  state.socket.write(failureStanza({ code, text: describe(code).text, retryAfter }));
}

function close(closeCode: number, reason: string, state: ConnectionState, ctx: Context): void {
  state.socket.close(closeCode, reason);
  end(state, ctx);
}

function end(state: ConnectionState, ctx: Context): void {
  if (state.phase.name === 'live') state.admission.ended();
  state.phase = { name: 'closed' };
  ctx.stop('normal');
}
