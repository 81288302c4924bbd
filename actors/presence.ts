/**
 * Presence of one shard: who is there, who was when, who may know, who has asked to hear; and typing.
 *
 * Nothing is broadcast. A connection that shows a chat subscribes to the other side, gets what it may see, and what changes,
 * until it unsubscribes or ends. Typing goes to those connections alone: somebody without the chat open needs none of it.
 *
 *   connection ──look-up──▶ presence of the viewer ──watch──▶ presence of the owner ──answer, presence, typing──▶ connection
 *                           has the owner written to him?     may he see? remembers him
 *
 * Bounded by time, not by luck: a person's watchers are told of a change at once, and of what follows after a pause, in
 * one; and the shard tells so many a second, whoever flaps before however many. All of it is worth less than a message: where the
 * shard is behind, typing is dropped, questions are refused and changes wait, each counted.
 *
 * When somebody was last there is kept to the minute and written once a minute for all, so a crash costs at most the last
 * hour of somebody who stays. Who may see what: `presence-people.ts`. The words on the wire: docs/protocol.md, "Presence".
 */

import type { PresenceMessage as PresenceNotice, PrivacySettings } from '../protocol/wire/index.ts';
import { formatPid, isDown, NO_REPLY, type Behavior, type Context, type Pid } from '../runtime/index.ts';
import type { AppCode } from './errors.ts';
import { onceClaimed, type Committer } from './committer.ts';
import { LIMITS } from './limits.ts';
import type { ConnectionMessage, PresenceMessage } from './messages.ts';
import {
  findPerson,
  HERE,
  maySee,
  profileOf,
  tieOf,
  UNKNOWN,
  viewOf,
  type Person,
  type View,
  type Visitor,
  type Watcher,
} from './presence-people.ts';
import { fullBucket, takeToken, type TokenBucket } from './rate-limit.ts';
import type { RemoteName } from './routes.ts';
import type { CommitResult, InboxStore, StoreBatch } from './store/inbox-store.ts';

/** What the shell gives a presence actor. */
export interface PresenceArgs {
  readonly store: InboxStore;
  readonly presenceOf: (user: string) => RemoteName;
  /** Its commits, whose outcomes come back as `committed`. */
  readonly committer: Committer;
  /** Whether the messages of this shard are behind: then nothing here is worth doing. */
  readonly isBusy: () => boolean;
}

/** A change of privacy on its way to the disk. */
interface PendingChange {
  readonly connection: Pid;
  readonly iq: number;
  readonly user: string;
  readonly settings: PrivacySettings;
}

export interface PresenceState {
  readonly args: PresenceArgs;
  readonly people: Map<string, Person>;
  /** By pid. */
  readonly visitors: Map<string, Visitor>;
  /** People who are there, with the minute last handed to the disk; the one written longest ago first. */
  readonly present: Map<string, number>;
  /** Minutes that the disk does not have. */
  unsaved: Map<string, number>;
  /** What the commit under way writes. */
  saving: Map<string, number> | undefined;
  /** People whose watchers have something to hear. */
  readonly due: Set<string>;
  readonly changes: Map<number, PendingChange>;
  nextTicket: number;
  readonly budget: TokenBucket;
  isTicking: boolean;
  savedAtMs: number;
  /** Of these, not yet in the log. */
  unreportedShed: number;
  readonly counts: { notices: number; typings: number; shed: number };
}

/** Figures of one shard since it started; the first three of now. */
export interface PresenceStatistics {
  readonly present: number;
  readonly people: number;
  readonly subscriptions: number;
  /** Changes told to connections. */
  readonly notices: number;
  readonly typings: number;
  /** What was dropped, refused or put off because the shard was behind, or a connection did not keep up. */
  readonly shed: number;
}

type Ctx = Context;
type Message<Kind extends PresenceMessage['kind']> = Extract<PresenceMessage, { readonly kind: Kind }>;

const BUDGET_RULE = { perSecond: LIMITS.presenceNoticesPerSecondMax, burst: LIMITS.presenceNoticesPerSecondMax };
const TICK = 'tick';
/** The ticket of the commit that writes minutes. */
const MINUTES_TICKET = 0;
const MINUTE_MS = 60_000;

export const presence: Behavior<PresenceState, PresenceArgs, PresenceMessage, 'statistics', PresenceStatistics> = {
  name: 'actors/presence',

  init(args, ctx) {
    // So that `terminate` runs when the worker is stopped in order.
    ctx.trapExit(true);
    return onceClaimed(args.committer, () => begin(args, ctx));
  },

  handleCast(message, state, ctx) {
    switch (message.kind) {
      case 'announce':
        return announce(message, state, ctx);
      case 'look-up':
        return lookUp(message, state, ctx);
      case 'watch':
        return watch(message, state, ctx);
      case 'unwatch':
        return unwatch(formatPid(message.connection), message.owner, state, ctx);
      case 'reconsider':
        return reconsider(message, state, ctx);
      case 'typing':
        return relayTyping(message, state, ctx);
      case 'read-privacy':
        return answerPrivacy(message, profile(message.user, state).privacy, ctx);
      case 'change-privacy':
        return changePrivacy(message, state, ctx);
      case 'committed':
        return settle(message, state, ctx);
    }
  },

  handleCall(request, _from, state) {
    return request === 'statistics' ? statistics(state) : NO_REPLY;
  },

  handleInfo(info, state, ctx) {
    if (isDown(info)) forgetVisitor(formatPid(info.pid), state, ctx);
    else if (info === TICK) tick(state, ctx);
  },

  /** A node that is stopped in order knows when people were last there: now, for those who still are. */
  async terminate(_reason, state, ctx) {
    const minute = currentMinute(ctx);
    for (const user of state.present.keys()) state.unsaved.set(user, minute);
    while (state.unsaved.size > 0) {
      const minutes = takeUnsaved(state);
      if ((await state.args.committer.run((batch) => writeMinutes(minutes, batch))) !== 'ok') return;
    }
  },
};

function begin(args: PresenceArgs, ctx: Context): PresenceState {
  const now = ctx.clock.monotonicMs();
  return {
    args,
    people: new Map(),
    visitors: new Map(),
    present: new Map(),
    unsaved: new Map(),
    saving: undefined,
    due: new Set(),
    changes: new Map(),
    nextTicket: MINUTES_TICKET + 1,
    budget: fullBucket(BUDGET_RULE, now),
    isTicking: false,
    savedAtMs: now,
    unreportedShed: 0,
    counts: { notices: 0, typings: 0, shed: 0 },
  };
}

function statistics(state: PresenceState): PresenceStatistics {
  let subscriptions = 0;
  for (const { watched } of state.visitors.values()) subscriptions += watched.size;
  return { ...state.counts, present: state.present.size, people: state.people.size, subscriptions };
}

// --- coming and going -------------------------------------------------------------------------------------------

function announce({ connection, user, state: announced }: Message<'announce'>, state: PresenceState, ctx: Ctx): void {
  const name = formatPid(connection);
  if (announced === 'unavailable') return leave(name, state, ctx);
  const visitor = findVisitor(connection, name, state, ctx);
  if (visitor.present !== undefined) return;
  visitor.present = user;
  const person = findPerson(state.people, user);
  person.devices.add(name);
  if (person.devices.size > 1) return;
  state.present.set(user, currentMinute(ctx));
  noteSeen(person, state, ctx);
  noteChange(person, state, ctx);
}

/** Nobody is at this connection any more. */
function leave(name: string, state: PresenceState, ctx: Ctx): void {
  const visitor = state.visitors.get(name);
  if (visitor?.present === undefined) return;
  const person = findPerson(state.people, visitor.present);
  visitor.present = undefined;
  releaseVisitor(name, visitor, state, ctx);
  person.devices.delete(name);
  if (person.devices.size > 0) return;
  state.present.delete(person.user);
  noteSeen(person, state, ctx);
  noteChange(person, state, ctx);
}

/** The person was there in this minute; the disk hears of it with the next write. */
function noteSeen(person: Person, state: PresenceState, ctx: Ctx): void {
  const minute = currentMinute(ctx);
  if (person.profile !== undefined) person.profile.seenMinute = minute;
  state.unsaved.set(person.user, minute);
  armTick(state, ctx);
}

function currentMinute(ctx: Ctx): number {
  return Math.floor(ctx.clock.nowMs() / MINUTE_MS);
}

// --- subscriptions ----------------------------------------------------------------------------------------------

/**
 * Says whether the owner has written to the viewer, which stands in the viewer's shard, and passes the question on. Always this
 * way, whether or not the answer will depend on it, so that the time of an answer tells nothing about the owner's settings.
 */
function lookUp(message: Message<'look-up'>, state: PresenceState, ctx: Ctx): void {
  if (isShedding(state, ctx)) return refuseShed(message, state, ctx);
  const { viewer, owner } = message;
  const hasWritten = state.args.store.hasWritten(owner, viewer);
  const question = { ...message, kind: 'watch', hasWritten } satisfies PresenceMessage;
  if (ctx.cast(state.args.presenceOf(owner), question) !== 'ok') refuseShed(message, state, ctx);
}

/** Answers what the viewer may see, and remembers him if he asked for more. */
function watch(message: Message<'watch'>, state: PresenceState, ctx: Ctx): void {
  if (isShedding(state, ctx)) return refuseShed(message, state, ctx);
  const { connection, iq, viewer, owner, hasWritten } = message;
  const person = findPerson(state.people, owner);
  const tie = tieOf(state.args.store, owner, viewer, hasWritten);
  const view = viewOf(person, profile(owner, state), viewer, tie);
  // Beyond the bound the answer is the same; what changes comes with the next repetition of the question.
  if (message.keep) keepWatcher(person, { connection, viewer, hasWritten, tie, told: view }, state, ctx);
  tell(connection, { kind: 'answer', iq, answer: noticeOf(owner, view) }, state, ctx);
}

function keepWatcher(person: Person, watcher: Watcher, state: PresenceState, ctx: Ctx): void {
  const name = formatPid(watcher.connection);
  const isKnown = person.watchers.has(name);
  if (!isKnown && person.watchers.size >= LIMITS.presenceWatchersMax) return;
  person.watchers.set(name, watcher);
  if (!isKnown) findVisitor(watcher.connection, name, state, ctx).watched.add(person.user);
}

/** The owner has accepted or blocked somebody, or taken that back. */
function reconsider({ owner, viewer }: Message<'reconsider'>, state: PresenceState, ctx: Ctx): void {
  const person = state.people.get(owner);
  if (person === undefined) return;
  for (const watcher of person.watchers.values()) {
    if (watcher.viewer === viewer) watcher.tie = tieOf(state.args.store, owner, viewer, watcher.hasWritten);
  }
  noteChange(person, state, ctx);
}

function unwatch(name: string, owner: string, state: PresenceState, ctx: Ctx): void {
  state.people.get(owner)?.watchers.delete(name);
  const visitor = state.visitors.get(name);
  if (visitor?.watched.delete(owner)) releaseVisitor(name, visitor, state, ctx);
}

function findVisitor(connection: Pid, name: string, state: PresenceState, ctx: Ctx): Visitor {
  let visitor = state.visitors.get(name);
  if (visitor === undefined) {
    visitor = { monitor: ctx.monitor(connection), present: undefined, watched: new Set() };
    state.visitors.set(name, visitor);
  }
  return visitor;
}

function releaseVisitor(name: string, visitor: Visitor, state: PresenceState, ctx: Ctx): void {
  if (visitor.present !== undefined || visitor.watched.size > 0) return;
  ctx.demonitor(visitor.monitor);
  state.visitors.delete(name);
}

/** The connection has ended, and with it everything that it said and asked. */
function forgetVisitor(name: string, state: PresenceState, ctx: Ctx): void {
  const visitor = state.visitors.get(name);
  if (visitor === undefined) return;
  for (const owner of visitor.watched) state.people.get(owner)?.watchers.delete(name);
  visitor.watched.clear();
  leave(name, state, ctx);
  state.visitors.delete(name);
}

// --- telling ----------------------------------------------------------------------------------------------------

/** Tells the watchers now, if they have heard nothing for a while, or later, together with what else happens until then. */
function noteChange(person: Person, state: PresenceState, ctx: Ctx): void {
  if (person.watchers.size === 0) return;
  if (isShedding(state, ctx)) noteShed(state, ctx);
  else if (!isPaused(person, ctx) && tellWatchers(person, state, ctx)) return;
  state.due.add(person.user);
  armTick(state, ctx);
}

function isPaused(person: Person, ctx: Ctx): boolean {
  return ctx.clock.monotonicMs() < person.toldAtMs + LIMITS.presencePauseMs;
}

/** Tells each watcher for whom something has changed. @returns Whether the budget was enough for all of them. */
function tellWatchers(person: Person, state: PresenceState, ctx: Ctx): boolean {
  const now = ctx.clock.monotonicMs();
  const known = profile(person.user, state);
  for (const watcher of person.watchers.values()) {
    const view = viewOf(person, known, watcher.viewer, watcher.tie);
    if (view === watcher.told) continue;
    if (takeToken(state.budget, BUDGET_RULE, now) > 0) return false;
    watcher.told = view;
    person.toldAtMs = now;
    state.counts.notices++;
    tell(watcher.connection, noticeOf(person.user, view), state, ctx);
  }
  return true;
}

function noticeOf(from: string, view: View): PresenceNotice {
  if (view === HERE) return { kind: 'presence', from, state: 'available', lastSeen: undefined };
  const lastSeen = view === UNKNOWN ? undefined : view * MINUTE_MS;
  return { kind: 'presence', from, state: 'unavailable', lastSeen };
}

/** To the connections of one user that show the chat, if he may see that the other is there at all. */
function relayTyping({ user, to, state: typing }: Message<'typing'>, state: PresenceState, ctx: Ctx): void {
  const person = state.people.get(user);
  if (person === undefined || person.watchers.size === 0) return;
  if (isShedding(state, ctx)) return noteShed(state, ctx);
  const { privacy } = profile(user, state);
  for (const { viewer, tie, connection } of person.watchers.values()) {
    if (viewer !== to || !maySee(privacy, user, viewer, tie)) continue;
    if (takeToken(state.budget, BUDGET_RULE, ctx.clock.monotonicMs()) > 0) return noteShed(state, ctx);
    state.counts.typings++;
    tell(connection, { kind: 'typing', from: user, state: typing }, state, ctx);
  }
}

/** A connection that does not keep up is spared: messages come before this. */
function tell(connection: Pid, message: ConnectionMessage, state: PresenceState, ctx: Ctx): void {
  if (ctx.cast(connection, message) === 'full') noteShed(state, ctx);
}

// --- shedding ---------------------------------------------------------------------------------------------------

function isShedding(state: PresenceState, ctx: Ctx): boolean {
  return ctx.mailboxCount() > LIMITS.presenceShedCount || state.args.isBusy();
}

function noteShed(state: PresenceState, ctx: Ctx): void {
  state.counts.shed++;
  state.unreportedShed++;
  armTick(state, ctx);
}

function refuseShed(to: Destination, state: PresenceState, ctx: Ctx): void {
  noteShed(state, ctx);
  refuse(to, 'APP_OVERLOADED', LIMITS.presenceRetrySeconds, ctx);
}

// --- privacy ----------------------------------------------------------------------------------------------------

interface Destination {
  readonly connection: Pid;
  readonly iq: number;
}

function profile(user: string, state: PresenceState): ReturnType<typeof profileOf> {
  const { people, unsaved, saving, args } = state;
  return profileOf(findPerson(people, user), args.store, unsaved.get(user) ?? saving?.get(user));
}

function answerPrivacy({ connection, iq }: Destination, { audience, shown, hidden }: PrivacySettings, ctx: Ctx): void {
  const answer = { kind: 'privacy', audience, shown, hidden } as const;
  ctx.cast(connection, { kind: 'answer', iq, answer } satisfies ConnectionMessage);
}

function refuse({ connection, iq }: Destination, code: AppCode, retryAfter: number, ctx: Ctx): void {
  ctx.cast(connection, { kind: 'answer-refused', iq, refusal: { code, retryAfter } } satisfies ConnectionMessage);
}

/** New settings hold once they are flushed: who was told so must not be seen again after a crash. */
function changePrivacy(message: Message<'change-privacy'>, state: PresenceState, ctx: Ctx): void {
  const { connection, iq, user, settings } = message;
  if (state.changes.size >= LIMITS.presenceChangesMax) return refuseShed(message, state, ctx);
  const ticket = state.nextTicket++;
  state.changes.set(ticket, { connection, iq, user, settings });
  state.args.committer.commit(ctx.self, (batch) => batch.putPrivacy(user, settings), ticket);
}

function settle({ ticket, result }: Message<'committed'>, state: PresenceState, ctx: Ctx): void {
  if (ticket === MINUTES_TICKET) return settleMinutes(result, state, ctx);
  const change = state.changes.get(ticket);
  if (change === undefined) return;
  state.changes.delete(ticket);
  if (result === 'full') return refuse(change, 'APP_STORE_FULL', LIMITS.storeFullRetrySeconds, ctx);
  profile(change.user, state).privacy = change.settings;
  answerPrivacy(change, change.settings, ctx);
  noteChange(findPerson(state.people, change.user), state, ctx);
}

// --- once a second, while there is something to do --------------------------------------------------------------

function armTick(state: PresenceState, ctx: Ctx): void {
  if (state.isTicking) return;
  state.isTicking = true;
  ctx.sendAfter(LIMITS.presenceTickMs, TICK);
}

function tick(state: PresenceState, ctx: Ctx): void {
  state.isTicking = false;
  if (!isShedding(state, ctx)) tellDue(state, ctx);
  if (ctx.clock.monotonicMs() >= state.savedAtMs + LIMITS.presenceSaveMs) keepMinutes(state, ctx);
  // More than fits a commit: one after the other, a tick apart, so that messages come in between.
  else if (state.unsaved.size > LIMITS.presenceSaveCountMax) saveMinutes(state, ctx);
  if (state.due.size > 0 || state.unsaved.size > 0 || state.present.size > 0 || state.unreportedShed > 0) {
    armTick(state, ctx);
  }
}

function tellDue(state: PresenceState, ctx: Ctx): void {
  for (const user of state.due) {
    const person = state.people.get(user);
    if (person !== undefined && isPaused(person, ctx)) continue;
    if (person !== undefined && !tellWatchers(person, state, ctx)) return;
    state.due.delete(user);
  }
}

/** Once a minute: hands the minutes of all to the disk, and reports what was shed. */
function keepMinutes(state: PresenceState, ctx: Ctx): void {
  state.savedAtMs = ctx.clock.monotonicMs();
  if (state.unreportedShed > 0) ctx.log.warn('presence_shed', { count: state.unreportedShed });
  state.unreportedShed = 0;
  refreshPresent(state, ctx);
  saveMinutes(state, ctx);
}

function saveMinutes(state: PresenceState, ctx: Ctx): void {
  if (state.saving !== undefined || state.unsaved.size === 0 || isShedding(state, ctx)) return;
  const minutes = takeUnsaved(state);
  state.saving = minutes;
  state.args.committer.commit(ctx.self, (batch) => writeMinutes(minutes, batch), MINUTES_TICKET);
}

/** People who stay are written from time to time, a few at a time, so that a crash does not take them back to their coming. */
function refreshPresent({ present, unsaved }: PresenceState, ctx: Ctx): void {
  const minute = currentMinute(ctx);
  let looks = 0;
  for (const [user, writtenMinute] of present) {
    if (minute - writtenMinute < LIMITS.presenceRefreshMinutes || ++looks > LIMITS.presenceSaveCountMax) return;
    present.delete(user);
    present.set(user, minute);
    unsaved.set(user, minute);
  }
}

function takeUnsaved(state: PresenceState): Map<string, number> {
  const { unsaved } = state;
  if (unsaved.size <= LIMITS.presenceSaveCountMax) {
    state.unsaved = new Map();
    return unsaved;
  }
  const minutes = new Map<string, number>();
  for (const [user, minute] of unsaved) {
    if (minutes.size === LIMITS.presenceSaveCountMax) break;
    minutes.set(user, minute);
    unsaved.delete(user);
  }
  return minutes;
}

function writeMinutes(minutes: ReadonlyMap<string, number>, batch: StoreBatch): void {
  for (const [user, minute] of minutes) batch.putSeenMinute(user, minute);
}

function settleMinutes(result: CommitResult, state: PresenceState, ctx: Ctx): void {
  const { saving, unsaved } = state;
  state.saving = undefined;
  if (result === 'ok' || saving === undefined) return;
  for (const [user, minute] of saving) if (!unsaved.has(user)) unsaved.set(user, minute);
  armTick(state, ctx);
}
