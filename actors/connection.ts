/**
 * One actor for each socket: reads what a client says, checks and limits it, hands it to the shard that is responsible,
 * and writes what comes back.
 *
 * It keeps nothing that must outlive it. A client whose connection ends finds its messages in its inbox and repeats
 * what was not acknowledged. The vocabulary: docs/protocol.md. Its parts, in `connection/`:
 *
 *   state.ts        what it is made of                      submissions.ts       messages on their way in
 *   phase.ts        what is allowed when; pure              deliveries.ts        messages on their way out
 *   login.ts        from the first word to a live phase     requests.ts          whom a request is put to
 *   greeting.ts     once more, where a shard has moved      presence-signals.ts  who is there, who types
 *   unanswered.ts   what is overdue, what may wait          watching.ts          whose end concerns it
 *   refusals.ts     how it says no, and how it ends         awaited.ts           what must come before anything else
 *   rates.ts        how much in a second                    detours.ts           what the sender's own shard may keep
 */

import {
  ackStanza,
  gapStanza,
  groupAckStanza,
  groupReceiptsStanza,
  incomingGroupTypingStanza,
  incomingTypingStanza,
  iqResultStanza,
  isWireError,
  linkedStanza,
  offlineStanza,
  parseClientMessage,
  pongStanza,
  presenceStanza,
  type ClientMessage,
  type PingMessage,
  type Stanza,
} from '../protocol/wire/index.ts';
import { isDown, isExit, MAILBOX_OVERFLOW, type Behavior, type Context } from '../runtime/index.ts';
import { noteReceipts, noteRecord, noteStored, refuseHere, refuseHereOfGroup } from './connection/awaited.ts';
import { beginDetours, endDetour, noteRefusal } from './connection/detours.ts';
import { isNextPush, writeDeliveries } from './connection/deliveries.ts';
import { isFromBefore, LOGIN_TIMEOUT, replacesItself } from './connection/greeting.ts';
import {
  ASK_AGAIN,
  askAgain,
  askAgainSoon,
  ATTACH_TIMEOUT,
  beginLogin,
  endUnattached,
  finishLogin,
  goLive,
  resume,
  wasAsked,
} from './connection/login.ts';
import { refuseInPhase, type Phase } from './connection/phase.ts';
import { takeSignal } from './connection/presence-signals.ts';
import { LIMITED, PING_RULE, ratesOf, takeBytes } from './connection/rates.ts';
import {
  close,
  closeWith,
  end,
  refusalStanza,
  refuseOfGroup,
  refuseRequest,
  sayWhyItEnds,
} from './connection/refusals.ts';
import { takeRequest, writePreKeysLow } from './connection/requests.ts';
import {
  liveSelf,
  NO_NOTICES,
  understandsGaps,
  type ConnectionArgs,
  type ConnectionState,
} from './connection/state.ts';
import { submit, submitToGroup } from './connection/submissions.ts';
import { traceRefused, traceStored, traceWritten } from './connection/trace.ts';
import {
  acknowledge,
  answered,
  answeredOfGroup,
  LOOK,
  lookForAnswers,
  markRead,
  writeReceipt,
  pendingOf,
  refused,
  refusedOfGroup,
} from './connection/unanswered.ts';
import { giveUp, lose, regain, watchOwner } from './connection/watching.ts';
import { LIMITS } from './limits.ts';
import type { ConnectionMessage } from './messages.ts';
import { add } from './metrics/meter.ts';
import { fullBucket, takeToken } from './rate-limit.ts';
import { tracing } from './tracing/message-trace.ts';

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
      features: 0, lowWater: NO_NOTICES, pending: undefined, awaited: undefined, pushes: 0, watched: undefined,
    };
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'frames':
        return takeFrames(message, state, ctx);
      case 'deliver':
        if (isNextPush(message.push, state, ctx)) writeDeliveries(message, state);
        if (tracing.isOn) traceWritten(message.entries, state);
        return;
      case 'gap':
        return understandsGaps(state) ? state.socket.write(gapStanza(message)) : undefined;
      case 'sent':
        state.socket.write(ackStanza(message));
        if (tracing.isOn) traceStored(message.to, message.id, state);
        noteStored(message.to, message.id, state);
        return answered(message.to, message.id, state);
      case 'receipt':
        noteStored(message.from, message.id, state);
        return writeReceipt(message, state);
      case 'refused':
        state.socket.write(refusalStanza(message.to, message.id, message.refusal));
        if (tracing.isOn) traceRefused(message.to, message.id, state);
        refused(message.to, message.id, state);
        if (!noteRefusal(message.to, message.id, message.refusal, state)) closeWith('APP_OVERLOADED', state, ctx);
        return;
      case 'detour-ended':
        return endDetour(message.to, state);
      case 'group-sent':
        noteRecord(state.awaited?.groupMessages, message.group);
        answeredOfGroup(message.group, message.id, state);
        state.socket.write(groupAckStanza(message));
        if (tracing.isOn) traceStored(message.group, message.id, state);
        return;
      case 'group-refused':
        refuseOfGroup(message.group, message.id, message.refusal, state);
        if (tracing.isOn) traceRefused(message.group, message.id, state);
        if (!refusedOfGroup(message.group, message.id, state)) closeWith('APP_OVERLOADED', state, ctx);
        return;
      case 'group-receipts':
        return state.socket.write(groupReceiptsStanza(message));
      case 'group-owner':
        return watchOwner(message.owner, state, ctx);
      case 'drained':
        if (isNextPush(message.push, state, ctx)) state.socket.write(offlineStanza());
        return;
      case 'answer':
        if (message.answer.kind === 'receipts') noteReceipts(message.answer, state);
        return state.socket.write(iqResultStanza({ id: message.iq, answer: message.answer }));
      case 'answer-refused':
        return refuseRequest(message.iq, message.refusal, state);
      case 'presence':
        return state.socket.write(presenceStanza(message));
      case 'typing':
        return state.socket.write(incomingTypingStanza(message));
      case 'group-typing':
        return state.socket.write(incomingGroupTypingStanza(message));
      case 'prekeys-low':
        return writePreKeysLow(message, state);
      case 'device-found':
        return finishLogin(message, state, ctx);
      case 'attached':
        beginDetours(message, state);
        return goLive(message.inbox, state, ctx);
      case 'linked':
        return state.socket.write(linkedStanza(message));
      case 'replaced':
        if (replacesItself(state)) return;
        return closeWith('APP_REPLACED', state, ctx);
      case 'overtaken':
        return closeWith('APP_RESTARTING', state, ctx, state.admission.comeBackSoon());
      case 'unregistered':
        return closeWith('APP_UNREGISTERED', state, ctx);
      case 'drain':
        return closeWith('APP_DRAINING', state, ctx);
      case 'shard-served':
        return regain(message.shard, state, ctx);
      case 'shard-missing':
        return giveUp(message.shard, state, ctx);
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
    // The inbox that pushes to us is gone, and with it our place in it, or somebody who owes an answer.
    else if (isDown(info)) lose(info, state, ctx);
    else if (isExit(info)) closeWith('APP_OVERLOADED', state, ctx);
  },

  terminate(reason, state) {
    sayWhyItEnds(reason, state);
  },
};

type Frames = Extract<ConnectionMessage, { kind: 'frames' }>;

function takeFrames({ stanzas, bytes }: Frames, state: ConnectionState, ctx: Context): void {
  const isCounted = state.phase.name === 'live' || state.former !== undefined;
  const waitMs = isCounted ? takeBytes(bytes, state, ctx) : 0;
  for (const stanza of stanzas) takeStanza(stanza, waitMs, state, ctx);
}

/** @param waitMs - Above 0, the connection has said too much, and this is refused. */
function takeStanza(stanza: Stanza, waitMs: number, state: ConnectionState, ctx: Context): void {
  if (state.phase.name === 'closed') return;
  const message = parseClientMessage(stanza);
  if (isWireError(message)) return close(message.closeCode, message.code, state, ctx);
  if (isFromBefore(message, state)) {
    if (waitMs > 0) noteRefused(state, ctx);
    return;
  }
  const code = refuseInPhase(state.phase, message);
  if (code !== undefined) return closeWith(code, state, ctx);
  // A login is taken, whatever came before it was greeted again: nobody would say it once more.
  if (waitMs === 0 || state.phase.name !== 'live') take(message, state, ctx);
  else refuse(message, waitMs, state, ctx);
}

/** One more refusal for rate. Of a flood it is the last. */
function noteRefused(state: ConnectionState, ctx: Context): 'borne' | 'flood' {
  if (++ratesOf(state).refusals <= LIMITS.rateRefusalsMax) return 'borne';
  closeWith('APP_RATE_LIMITED', state, ctx);
  return 'flood';
}

/** What has an answer is answered; an acknowledgement waits for the next look, and what may be lost is. */
function refuse(message: ClientMessage, waitMs: number, state: ConnectionState, ctx: Context): void {
  if (noteRefused(state, ctx) === 'flood') return;
  const refusal = { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) } as const;
  switch (message.kind) {
    case 'message':
      return refuseHere(message.to, message.id, refusal, state, ctx);
    case 'group-message':
      return refuseHereOfGroup(message.group, message.id, refusal, state, ctx);
    case 'iq-get':
    case 'iq-set':
      return refuseRequest(message.id, refusal, state);
    case 'inbox-ack':
      pendingOf(state, ctx).acknowledged = message.seq;
  }
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
    case 'group-typing':
    case 'group-unsubscribe':
      if (!takeSignal(message, liveSelf(state).user, state, ctx)) closeWith('APP_RATE_LIMITED', state, ctx);
      return;
  }
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
