/**
 * Questions about a person, and who hears what changes: by way of the viewer's shard, which knows whether the owner has written to him,
 * to the owner's, which answers.
 */

import { formatPid, type Context } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { PresenceMessage } from '../messages.ts';
import { findPerson, tieOf, viewOf, type Person, type Watcher } from './people.ts';
import { isShedding, refuseShed, tell } from './shedding.ts';
import { profile, type Message, type PresenceState } from './state.ts';
import { noteChange, noticeOf } from './telling.ts';
import { findVisitor, releaseVisitor } from './visitors.ts';

type Ctx = Context;

/**
 * Says whether the owner has written to the viewer, which stands in the viewer's shard, and passes the question on. Always this
 * way, whether or not the answer will depend on it, so that the time of an answer tells nothing about the owner's settings.
 */
export function lookUp(message: Message<'look-up'>, state: PresenceState, ctx: Ctx): void {
  if (isShedding(state, ctx)) return refuseShed(message, state, ctx);
  const { viewer, owner } = message;
  const hasWritten = state.args.store.hasWritten(owner, viewer);
  const question = { ...message, kind: 'watch', hasWritten } satisfies PresenceMessage;
  if (ctx.cast(state.args.presenceOf(owner), question) !== 'ok') refuseShed(message, state, ctx);
}

/** Answers what the viewer may see, and remembers him if he asked for more. */
export function watch(message: Message<'watch'>, state: PresenceState, ctx: Ctx): void {
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
export function reconsider({ owner, viewer }: Message<'reconsider'>, state: PresenceState, ctx: Ctx): void {
  const person = state.people.get(owner);
  if (person === undefined) return;
  for (const watcher of person.watchers.values()) {
    if (watcher.viewer === viewer) watcher.tie = tieOf(state.args.store, owner, viewer, watcher.hasWritten);
  }
  noteChange(person, state, ctx);
}

/** A connection wants to hear no more of a person. */
export function unwatch(name: string, owner: string, state: PresenceState, ctx: Ctx): void {
  state.people.get(owner)?.watchers.delete(name);
  const visitor = state.visitors.get(name);
  if (visitor?.watched.delete(owner)) releaseVisitor(name, visitor, state, ctx);
}
