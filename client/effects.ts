/**
 * What one message may do to another: who may edit, delete and react, until when, and what becomes of the target. Pure.
 *
 * The same rules run at both ends, over the same facts: author and times as they stand in the two messages. So whoever
 * follows the rules never sees an outcome that the other does not see, and whoever breaks them changes nothing at the
 * other end. Times are the author's own for both messages; an author who lies about them deceives with the age of an
 * edit, and the edit still shows as one. Read next: `history.ts`, which finds the target.
 */

import type { ContentBody, MessageName } from './content-body.ts';
import type { HistoryRecord } from './history-layout.ts';
import { LIMITS } from './limits.ts';

/** A body that changes other messages instead of being one. */
export type EffectBody = Extract<ContentBody, { readonly kind: 'reaction' | 'edit' | 'delete' | 'receipt' }>;

/** What is done, by whom and when. */
export interface Effect {
  readonly body: EffectBody;
  /** User id of whoever does it. */
  readonly author: string;
  /** The author's wall time, milliseconds. */
  readonly sentAt: number;
}

/** Why nothing came of it. */
export type EffectRefusal = 'not-the-author' | 'too-late' | 'not-editable' | 'nothing-to-do';

/** Whether a body changes other messages. */
export function isEffect(body: ContentBody): body is EffectBody {
  return body.kind === 'reaction' || body.kind === 'edit' || body.kind === 'delete' || body.kind === 'receipt';
}

/** The messages that an effect is about. */
export function targetsOf(body: EffectBody): readonly MessageName[] {
  return body.kind === 'receipt' ? body.targets : [body.target];
}

/**
 * Decides what becomes of a message.
 *
 * @param target - The stored message; left as it is.
 * @param targetAuthor - User id of whoever wrote it.
 * @returns The message as it is from now on, or why it stays.
 */
export function applyEffect(
  target: HistoryRecord,
  targetAuthor: string,
  effect: Effect,
): HistoryRecord | EffectRefusal {
  const { body, author } = effect;
  switch (body.kind) {
    case 'reaction':
      return react(target, author, body.emoji);
    case 'edit':
      return refuse(target, targetAuthor, effect, LIMITS.editWindowMs) ?? edit(target, body.text, effect.sentAt);
    case 'delete':
      return refuse(target, targetAuthor, effect, LIMITS.deleteWindowMs) ?? erase(target);
    case 'receipt':
      return body.state === 'viewed' ? markViewed(target, targetAuthor, effect) : 'nothing-to-do';
  }
}

/** One's own messages only, and for a limited time: nobody rewrites what another has long read. */
function refuse(
  target: HistoryRecord,
  targetAuthor: string,
  { author, sentAt }: Effect,
  windowMs: number,
): EffectRefusal | undefined {
  if (author !== targetAuthor) return 'not-the-author';
  const ageMs = sentAt - target.sentAt;
  return ageMs < 0 || ageMs > windowMs ? 'too-late' : undefined;
}

function react(target: HistoryRecord, author: string, emoji: string): HistoryRecord | EffectRefusal {
  if (target.body.kind === 'deleted') return 'nothing-to-do';
  const others = target.reactions.filter((reaction) => reaction.author !== author);
  if (emoji === '' && others.length === target.reactions.length) return 'nothing-to-do';
  return { ...target, reactions: emoji === '' ? others : [...others, { author, emoji }] };
}

/** What was read once is not brought back by an edit, and an attachment stays what it is. */
function edit(target: HistoryRecord, text: string, editedAt: number): HistoryRecord | EffectRefusal {
  const { body, isViewOnce } = target;
  if ((body.kind !== 'text' && body.kind !== 'reply') || isViewOnce) return 'not-editable';
  return { ...target, body: { ...body, text }, editedAt };
}

/** Nothing of the message remains but that there was one. */
function erase(target: HistoryRecord): HistoryRecord | EffectRefusal {
  if (target.body.kind === 'deleted') return 'nothing-to-do';
  return { ...target, body: { kind: 'deleted' }, reactions: [], editedAt: undefined };
}

/** What was viewed on one device of ours is gone from the others. */
export function forgetViewed(record: HistoryRecord): HistoryRecord {
  const isGone = record.viewedAt !== undefined && record.direction === 'in';
  return isGone ? { ...record, body: { kind: 'view-once' } } : record;
}

/** Only the other side can have viewed it. */
function markViewed(
  target: HistoryRecord,
  targetAuthor: string,
  { author, sentAt }: Effect,
): HistoryRecord | EffectRefusal {
  if (author === targetAuthor) return 'not-the-author';
  if (!target.isViewOnce || target.viewedAt !== undefined) return 'nothing-to-do';
  return { ...target, viewedAt: sentAt };
}
