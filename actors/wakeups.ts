/**
 * Wakes the silent devices of one shard: those that have something waiting and have acknowledged nothing for a minute.
 *
 * The inbox says once that a device is silent, and again when it is back; here are the minute in between, the one wake-up, and
 * the push registrations. A device is woken once for each silence: what comes meanwhile changes nothing, and only a day later
 * would something new wake it again. Devices wait in the order in which they fell silent, for all of them wait as long; so one timer does.
 *
 *   silent ──▶ waiting, a minute ──▶ due ──▶ being sent (a bounded number) ──▶ woken
 *                  │ awake                        │ later: waits again, a few times
 *                  ▼                              ▼ gone: the registration is removed
 *
 * Nothing of it is on disk but the registrations: after a restart a device is woken by the next message to it. What a wake-up looks
 * like is the business of `push/`.
 */

import { answer, refuse } from './answering.ts';
import type { Answer, PushTarget } from '../protocol/wire/index.ts';
import type { Behavior, Context, Pid } from '../runtime/index.ts';
import { onceClaimed, type Committer } from './committer.ts';
import { LIMITS } from './limits.ts';
import type { WakeupsMessage } from './messages.ts';
import type { PushOutcome } from './push/provider.ts';
import type { CommitResult, InboxStore, StoreBatch } from './store/inbox-store.ts';
import type { PushRegistration } from './store/protection-store.ts';

export interface WakeupsArgs {
  readonly store: InboxStore;
  /** What browsers subscribe with, where this node sends Web Push. */
  readonly vapidPublicKey: Uint8Array | undefined;
  /** Whether some provider would send there. */
  readonly accepts: (registration: PushRegistration) => boolean;
  /** Sends one wake-up and casts its outcome to `self` as `woken`. */
  readonly wake: (self: Pid, address: DeviceAddress, registration: PushRegistration) => void;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
}

export interface DeviceAddress {
  readonly user: string;
  readonly device: number;
}

/** A device on its way to being woken. */
interface Waiting extends DeviceAddress {
  readonly dueMs: number;
  readonly tries: number;
  /** As a push service asked. */
  readonly notBeforeMs: number;
}

export interface WakeupsState {
  readonly args: WakeupsArgs;
  /** By `user.device`, in the order of `dueMs`. */
  readonly waiting: Map<string, Waiting>;
  /** Wake-ups under way, by the same. */
  readonly sending: Map<string, Waiting>;
  /** When devices were woken, monotonic, in that order. */
  readonly woken: Map<string, number>;
  /** Changes of registrations that are being committed, by ticket; those of our own have no answer. */
  readonly changes: Map<number, Change | undefined>;
  nextTicket: number;
  isTimed: boolean;
}

interface Change {
  readonly connection: Pid;
  readonly iq: number;
  readonly platform: PushTarget['platform'];
}

type Ctx = Context;
type Request<K extends WakeupsMessage['kind']> = Extract<WakeupsMessage, { kind: K }>;

const LOOK = 'look';

export const wakeups: Behavior<WakeupsState, WakeupsArgs, WakeupsMessage> = {
  name: 'actors/wakeups',

  init(args) {
    const maps = { waiting: new Map(), sending: new Map(), woken: new Map(), changes: new Map() };
    return onceClaimed(args.committer, () => ({ args, ...maps, nextTicket: 1, isTimed: false }));
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'silent':
        return noteSilent(message, state, ctx);
      case 'awake':
        return noteAwake(message, state);
      case 'woken':
        return settle(message, state, ctx);
      case 'show-push':
        return answer(message, pushAnswer(platformOf(message, state), state), ctx);
      case 'set-push':
        return setPush(message, state, ctx);
      case 'committed':
        return settleChange(message.ticket, message.result, state, ctx);
    }
  },

  handleInfo(info, state, ctx) {
    if (info !== LOOK) return;
    state.isTimed = false;
    wakeDue(state, ctx);
  },
};

function nameOf({ user, device }: DeviceAddress): string {
  return `${user}.${device}`;
}

// --- silence ----------------------------------------------------------------------------------------------------

function noteSilent({ user, device, sinceMs }: Request<'silent'>, state: WakeupsState, ctx: Ctx): void {
  const name = nameOf({ user, device });
  if (state.waiting.has(name) || state.sending.has(name) || wasWoken(name, state, ctx)) return;
  if (state.waiting.size >= LIMITS.silentDevicesMax) return;
  if (state.args.store.protection.push(user, device) === undefined) return;
  const silent = { user, device, dueMs: sinceMs + LIMITS.wakeAfterMs, tries: 0, notBeforeMs: 0 };
  // Found by looking, a minute late: it does not go to the end of the queue.
  const isDue = silent.dueMs <= ctx.clock.monotonicMs() && state.sending.size < LIMITS.wakeUpsUnderWayMax;
  if (isDue) wake(name, silent, state, ctx);
  else wait(silent, state, ctx);
}

function wasWoken(name: string, { woken }: WakeupsState, ctx: Ctx): boolean {
  const atMs = woken.get(name);
  return atMs !== undefined && ctx.clock.monotonicMs() - atMs < LIMITS.wakeAgainMs;
}

/** What was under way is not called back: a device that comes as it is being woken gets one wake-up for nothing. */
function noteAwake(address: DeviceAddress, { waiting, woken }: WakeupsState): void {
  const name = nameOf(address);
  waiting.delete(name);
  woken.delete(name);
}

function wait(device: Waiting, state: WakeupsState, ctx: Ctx): void {
  state.waiting.set(nameOf(device), device);
  if (!state.isTimed) setTimer(state, ctx);
}

function setTimer(state: WakeupsState, ctx: Ctx): void {
  const [first] = state.waiting.values();
  if (first === undefined || state.sending.size >= LIMITS.wakeUpsUnderWayMax) return;
  state.isTimed = true;
  ctx.sendAfter(Math.max(0, first.dueMs - ctx.clock.monotonicMs()), LOOK);
}

/** Those that are due, while fewer are under way than may be; the rest when one of them has come back. */
function wakeDue(state: WakeupsState, ctx: Ctx): void {
  const now = ctx.clock.monotonicMs();
  for (const [name, device] of state.waiting) {
    if (device.dueMs > now || state.sending.size >= LIMITS.wakeUpsUnderWayMax) break;
    state.waiting.delete(name);
    if (device.notBeforeMs > now) state.waiting.set(name, { ...device, dueMs: now + LIMITS.wakeAfterMs });
    else wake(name, device, state, ctx);
  }
  if (!state.isTimed) setTimer(state, ctx);
}

function wake(name: string, device: Waiting, state: WakeupsState, ctx: Ctx): void {
  const registration = state.args.store.protection.push(device.user, device.device);
  if (registration === undefined) return;
  state.sending.set(name, device);
  state.args.wake(ctx.self, { user: device.user, device: device.device }, registration);
}

function settle({ user, device, outcome, registration }: Request<'woken'>, state: WakeupsState, ctx: Ctx): void {
  const name = nameOf({ user, device });
  const sent = state.sending.get(name);
  state.sending.delete(name);
  if (sent !== undefined) apply(outcome, sent, registration, state, ctx);
  wakeDue(state, ctx);
}

function apply(
  outcome: PushOutcome,
  sent: Waiting,
  registration: PushRegistration,
  state: WakeupsState,
  ctx: Ctx,
): void {
  switch (outcome.kind) {
    case 'sent':
      return noteWoken(nameOf(sent), state, ctx);
    case 'gone':
      return forget(sent, registration, state, ctx);
    case 'later':
      return retry(sent, outcome.afterMs, outcome.reason, registration, state, ctx);
    case 'failed':
      return ctx.log.error('wake_up_failed', { platform: registration.platform, reason: outcome.reason });
  }
}

function noteWoken(name: string, { woken }: WakeupsState, ctx: Ctx): void {
  woken.delete(name);
  woken.set(name, ctx.clock.monotonicMs());
  if (woken.size > LIMITS.silentDevicesMax) woken.delete(woken.keys().next().value!);
}

function retry(
  sent: Waiting,
  afterMs: number,
  reason: string,
  { platform }: PushRegistration,
  state: WakeupsState,
  ctx: Ctx,
): void {
  const tries = sent.tries + 1;
  if (tries >= LIMITS.wakeTriesMax) return ctx.log.warn('wake_up_given_up', { platform, reason });
  const now = ctx.clock.monotonicMs();
  const notBeforeMs = now + Math.min(afterMs, LIMITS.wakePauseMsMax);
  wait({ ...sent, dueMs: now + LIMITS.wakeAfterMs, tries, notBeforeMs }, state, ctx);
}

// --- registrations ----------------------------------------------------------------------------------------------

/** Unless the device has registered anew meanwhile. */
function forget(sent: Waiting, void_: PushRegistration, state: WakeupsState, ctx: Ctx): void {
  const { user, device } = sent;
  const present = state.args.store.protection.push(user, device);
  if (present === undefined || JSON.stringify(present) !== JSON.stringify(void_)) return;
  commit(state, undefined, ({ protection }) => protection.removePush(user, device), ctx);
}

function platformOf({ user, device }: DeviceAddress, { args }: WakeupsState): PushTarget['platform'] {
  return args.store.protection.push(user, device)?.platform ?? 'none';
}

function pushAnswer(platform: PushTarget['platform'], { args }: WakeupsState): Answer {
  return { kind: 'push', platform, key: args.vapidPublicKey };
}

function setPush(message: Request<'set-push'>, state: WakeupsState, ctx: Ctx): void {
  const { connection, iq, user, device, target } = message;
  if (target.platform !== 'none' && !state.args.accepts(target)) return refuse(message, 'APP_BAD_PUSH', ctx);
  if (state.changes.size >= LIMITS.relationsQueueMax) return refuse(message, 'APP_OVERLOADED', ctx, 1);
  const change = { connection, iq, platform: target.platform };
  commit(
    state,
    change,
    ({ protection }) => {
      if (target.platform === 'none') protection.removePush(user, device);
      else protection.putPush(user, device, target);
    },
    ctx,
  );
}

function commit(state: WakeupsState, change: Change | undefined, write: (batch: StoreBatch) => void, ctx: Ctx): void {
  const ticket = state.nextTicket++;
  state.changes.set(ticket, change);
  state.args.committer.commit(ctx.self, write, ticket);
}

function settleChange(ticket: number, result: CommitResult, state: WakeupsState, ctx: Ctx): void {
  const change = state.changes.get(ticket);
  state.changes.delete(ticket);
  if (change === undefined) return;
  if (result === 'ok') answer(change, pushAnswer(change.platform, state), ctx);
  else refuse(change, 'APP_STORE_FULL', ctx, LIMITS.storeFullRetrySeconds);
}
