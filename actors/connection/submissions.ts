/**
 * Messages on their way in, to a person or a group: within the rate they go to the shard that is responsible, and what becomes of them
 * there comes back as a message to the actor. Beyond the rate, and where the shard has no room, the client hears at once and keeps them.
 */

import type { OutgoingGroupMessage, OutgoingMessage } from '../../protocol/wire/index.ts';
import type { Context, SendResult } from '../../runtime/index.ts';
import type { Refusal } from '../errors.ts';
import type { GroupsMessage } from '../groups/messages.ts';
import { LIMITS } from '../limits.ts';
import type { InboxMessage } from '../messages.ts';
import { add } from '../metrics/meter.ts';
import { fullBucket, takeToken } from '../rate-limit.ts';
import type { RemoteName } from '../routes.ts';
import { noteReceived, tracing } from '../tracing/message-trace.ts';
import { isPastRefused, notePassed, refuseHere, refuseHereOfGroup } from './awaited.ts';
import { isHeld, lastUnstored, mayTakeDetour, noteSent, sendByDetour, takesDetour } from './detours.ts';
import { keyOf } from './phase.ts';
import { GROUP_MESSAGE_RULE, LIMITED, MESSAGE_RULE, noteTaken, ratesOf } from './rates.ts';
import { closeWith } from './refusals.ts';
import { handOver } from './runs.ts';
import { livePhase, type ConnectionState } from './state.ts';
import { traceRefused } from './trace.ts';
import { handOverToGroup, lastUnstoredOfGroup, pendingOf } from './unanswered.ts';
import { isBetweenOwners, isLost, watchShard } from './watching.ts';

/** What follows a message that was refused here; see `awaited.ts`. */
const OUT_OF_ORDER: Refusal = Object.freeze({ code: 'APP_OUT_OF_ORDER' });

/** Hands a message to the inbox of its recipient's shard. */
export function submit(message: OutgoingMessage, state: ConnectionState, ctx: Context): void {
  const phase = livePhase(state);
  const { self } = phase;
  const key = keyOf(phase);
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.messages ??= fullBucket(MESSAGE_RULE, now);
  const waitMs = takeToken(rates.messages, MESSAGE_RULE, now);
  if (waitMs > 0) return refuseForRate(message, waitMs, state, ctx);
  noteTaken(rates);
  const { to, id, envelopes } = message;
  if (isPastRefused(state.awaited?.messages, to, id)) return refuseHere(to, id, OUT_OF_ORDER, state, ctx);
  const target = state.routes.inboxOf(to);
  if (state.lost !== undefined && isHeld(to, id, state)) return;
  // Before anybody else has it.
  if (tracing.isOn) noteReceived(self, to, id);
  const isOnDetour = (state.detours ?? state.lost) !== undefined && takesDetour(to, id, state);
  if (isOnDetour) return takeDetour(message, state, ctx);
  const after = lastUnstored(to, id, state);
  // prettier-ignore
  const submission = { kind: 'submit', connection: ctx.self, sender: self, senderKey: key, to, id, after, envelopes } as const;
  const result = ctx.cast(target, submission satisfies InboxMessage);
  if (result === 'ok') {
    watchShard(target, state, ctx);
    return noteOnItsWay(to, id, state, ctx);
  }
  if (isBetweenOwners(target, result) && mayTakeDetour(to, id, state)) return takeDetour(message, state, ctx);
  refuseHere(to, id, notTaken(target, result), state, ctx);
  if (tracing.isOn) traceRefused(to, id, state);
}

function noteOnItsWay(to: string, id: number, state: ConnectionState, ctx: Context): void {
  notePassed(state.awaited?.messages, to, id);
  if (state.detours !== undefined) noteSent(to, id, state);
  handOver((pendingOf(state, ctx).runs ??= new Map()), to, id);
}

/** The recipient's shard is out of reach, or something for it was: the sender's own shard keeps it. */
function takeDetour(message: OutgoingMessage, state: ConnectionState, ctx: Context): void {
  const { to, id } = message;
  const refusal = sendByDetour(message, state, ctx);
  if (refusal === undefined) return noteOnItsWay(to, id, state, ctx);
  refuseHere(to, id, refusal, state, ctx);
  if (tracing.isOn) traceRefused(to, id, state);
}

function refuseForRate(message: OutgoingMessage, waitMs: number, state: ConnectionState, ctx: Context): void {
  add(LIMITED.message);
  if (++ratesOf(state).refusals > LIMITS.rateRefusalsMax) return closeWith('APP_RATE_LIMITED', state, ctx);
  const refusal = { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) } as const;
  refuseHere(message.to, message.id, refusal, state, ctx);
}

/** One of these becomes up to a thousand deliveries, so they have a bound of their own. */
export function submitToGroup(message: OutgoingGroupMessage, state: ConnectionState, ctx: Context): void {
  const phase = livePhase(state);
  const now = ctx.clock.monotonicMs();
  const rates = ratesOf(state);
  rates.groupMessages ??= state.admission.takeGroupBucket(keyOf(phase)) ?? fullBucket(GROUP_MESSAGE_RULE, now);
  const { group, id, epoch, ciphertext } = message;
  const waitMs = takeToken(rates.groupMessages, GROUP_MESSAGE_RULE, now);
  if (waitMs > 0) {
    add(LIMITED.groupMessage);
    if (++rates.refusals > LIMITS.rateRefusalsMax) return closeWith('APP_RATE_LIMITED', state, ctx);
    const refusal = { code: 'APP_RATE_LIMITED', retryAfter: Math.ceil(waitMs / 1000) } as const;
    return refuseHereOfGroup(group, id, refusal, state, ctx);
  }
  noteTaken(rates);
  const { awaited } = state;
  if (isPastRefused(awaited?.groupMessages, group, id)) return refuseHereOfGroup(group, id, OUT_OF_ORDER, state, ctx);
  const target = state.routes.groupsOf(group);
  if (isLost(target, state)) return;
  if (tracing.isOn) noteReceived(phase.self, group, id);
  const [sender, senderKey] = [phase.self, keyOf(phase)];
  const after = lastUnstoredOfGroup(group, id, state);
  // prettier-ignore
  const submission: GroupsMessage = { kind: 'group-submit', connection: ctx.self, sender, senderKey, group, id, after, epoch, ciphertext };
  const result = ctx.cast(target, submission);
  if (result === 'ok') {
    watchShard(target, state, ctx);
    notePassed(state.awaited?.groupMessages, group, id);
    return handOverToGroup(group, id, pendingOf(state, ctx));
  }
  refuseHereOfGroup(group, id, notTaken(target, result), state, ctx);
  if (tracing.isOn) traceRefused(group, id, state);
}

/** What is between two owners is there again within a second or two: the client's own pause is enough. */
function notTaken(target: RemoteName, result: SendResult): Refusal {
  return { code: 'APP_OVERLOADED', retryAfter: isBetweenOwners(target, result) ? 0 : 1 };
}
