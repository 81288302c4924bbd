/**
 * Presence of one shard: who is there, who was when, who may know, who has asked to hear; and typing.
 *
 * Nothing is broadcast. A connection that shows a chat subscribes to the other side, gets what it may see, and what changes,
 * until it unsubscribes or ends. Typing goes to those connections alone: somebody without the chat open needs none of it.
 * Typing in a group goes to connections that show the chat of the group: the presence of the group's shard knows them.
 *
 *   connection ──look-up──▶ presence of the viewer ──watch──▶ presence of the owner ──answer, presence, typing──▶ connection
 *                           has the owner written to him?     may he see? remembers him
 *
 * Bounded by time, not by luck: a person's watchers are told of a change at once, and of what follows after a pause, in
 * one; and the shard tells so many a second, whoever flaps before however many. All of it is worth less than a message: where the
 * shard is behind, typing is dropped, questions are refused and changes wait, each counted.
 *
 * When somebody was last there is kept to the minute and written once a minute for all, so a crash costs at most the last
 * hour of somebody who stays. The words on the wire: docs/protocol.md, "Presence".
 *
 * Its parts, in `presence/`:
 *
 *   state.ts     what it is made of                     people.ts         who may see what
 *   visitors.ts  connections that come and go           watching.ts       questions about people
 *   telling.ts   who hears what has changed             group-typing.ts   typing in groups, in the rooms of `rooms.ts`
 *   minutes.ts   when people were last there, to disk   shedding.ts       what is left out where the shard is behind
 */

import type { PrivacySettings } from '../protocol/wire/index.ts';
import { formatPid, isDown, NO_REPLY, type Behavior, type Context } from '../runtime/index.ts';
import { onceClaimed } from './committer.ts';
import { LIMITS } from './limits.ts';
import type { PresenceMessage } from './messages.ts';
import { dropMembers, passTyping, tellRoom, unwatchGroup, watchGroup } from './presence/group-typing.ts';
import {
  currentMinute,
  keepMinutes,
  saveMinutes,
  settleMinutes,
  takeUnsaved,
  writeMinutes,
} from './presence/minutes.ts';
import { findPerson } from './presence/people.ts';
import { armTick, isShedding, refuseShed, TICK } from './presence/shedding.ts';
import { answer, refuse, type Destination } from './answering.ts';
import {
  firstState,
  MINUTES_TICKET,
  profile,
  type Message,
  type PresenceArgs,
  type PresenceState,
  type PresenceStatistics,
} from './presence/state.ts';
import { noteChange, relayTyping, tellDue } from './presence/telling.ts';
import { announce, forgetVisitor } from './presence/visitors.ts';
import { lookUp, reconsider, unwatch, watch } from './presence/watching.ts';

type Ctx = Context;

export const presence: Behavior<PresenceState, PresenceArgs, PresenceMessage, 'statistics', PresenceStatistics> = {
  name: 'actors/presence',

  init(args, ctx) {
    // So that `terminate` runs when the worker is stopped in order.
    ctx.trapExit(true);
    return onceClaimed(args.committer, () => firstState(args, ctx));
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
      case 'watch-group':
        return watchGroup(message, state, ctx);
      case 'unwatch-group':
        return unwatchGroup(formatPid(message.connection), message.group, state, ctx);
      case 'group-typing':
        return passTyping(message, state, ctx);
      case 'relay-typing':
        return tellRoom(message, state, ctx);
      case 'members-left':
        return dropMembers(message, state, ctx);
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

function statistics(state: PresenceState): PresenceStatistics {
  let subscriptions = 0;
  for (const { watched, rooms } of state.visitors.values()) subscriptions += watched.size + (rooms?.size ?? 0);
  return { ...state.counts, present: state.present.size, people: state.people.size, subscriptions };
}

function answerPrivacy(to: Destination, { audience, shown, hidden }: PrivacySettings, ctx: Ctx): void {
  answer(to, { kind: 'privacy', audience, shown, hidden }, ctx);
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
  if (result === 'full') return refuse(change, 'APP_STORE_FULL', ctx, LIMITS.storeFullRetrySeconds);
  profile(change.user, state).privacy = change.settings;
  answerPrivacy(change, change.settings, ctx);
  noteChange(findPerson(state.people, change.user), state, ctx);
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
