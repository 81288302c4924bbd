/**
 * What the page says: of messages, of people, of times, of errors. Pure, so that it is tested without a page.
 */

import type { HistoryItem, MessageBody, MessageState, PeerPresence } from '../../index.ts';
import { spanOf } from '../../quantities.ts';

/** The line of a chat in the list. */
export function previewOf(item: HistoryItem): string {
  const text = summaryOf(item);
  return item.direction === 'out' ? `You: ${text}` : text;
}

/** A message in one line. */
export function summaryOf(body: MessageBody): string {
  switch (body.kind) {
    case 'text':
    case 'reply':
      return body.text;
    case 'attachment':
      return body.text === '' ? `File: ${body.attachment.name || 'without a name'}` : `File: ${body.text}`;
    case 'timer':
      return body.seconds === 0 ? 'Messages stay from here on' : `Messages disappear after ${spanOf(body.seconds)}`;
    case 'view-once':
      return 'To be viewed once';
    case 'deleted':
      return 'This message was deleted';
    case 'unsupported':
      return 'A message of a newer version: update to view it';
    case 'undecryptable':
      return `Could not be decrypted (${body.code})`;
  }
}

/** The mark behind an own message, and what it means. */
export const STATE_MARKS: Readonly<Record<MessageState, readonly [mark: string, meaning: string]>> = {
  queued: ['◷', 'waiting to be sent'],
  sent: ['✓', 'sent'],
  delivered: ['✓✓', 'delivered'],
  read: ['✓✓', 'read'],
  refused: ['!', 'not delivered'],
};

/** What stands under the name of an open chat. */
export function presenceText(presence: PeerPresence | undefined, nowMs: number): string {
  if (presence?.typing === 'composing') return 'is typing …';
  if (presence?.typing === 'recording') return 'is recording …';
  if (presence?.state === 'online') return 'online';
  if (presence?.state === 'away' && presence.lastSeenAt !== undefined)
    return `last seen ${momentOf(presence.lastSeenAt, nowMs)}`;
  return '';
}

/** Who types in a group; empty where nobody does. */
export function typistsText([first, second, ...more]: readonly string[]): string {
  if (first === undefined) return '';
  if (second === undefined) return `${first} is typing …`;
  return more.length === 0
    ? `${first} and ${second} are typing …`
    : `${first}, ${second} and ${more.length} more are typing …`;
}

const DAY_MS = 86_400_000;

/** A moment: the time if it is of today, otherwise the day as well. */
export function momentOf(atMs: number, nowMs: number): string {
  const time = clockOf(atMs);
  const days = Math.round((startOfDay(nowMs) - startOfDay(atMs)) / DAY_MS);
  if (days === 0) return time;
  if (days === 1) return `yesterday ${time}`;
  return `${dayOf(atMs)} ${time}`.trimEnd();
}

/** Hours and minutes; empty for a time that is none. */
export function clockOf(atMs: number): string {
  return dateOf(atMs)?.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) ?? '';
}

/** The day as a heading between messages. */
export function dayOf(atMs: number): string {
  return dateOf(atMs)?.toLocaleDateString([], { day: 'numeric', month: 'long', year: 'numeric' }) ?? 'At some time';
}

/** A time as machines read it; undefined for one that is none. */
export function isoOf(atMs: number): string | undefined {
  return dateOf(atMs)?.toISOString();
}

/** A time is its sender's claim, and any number; dates end in the year 275760. */
function dateOf(atMs: number): Date | undefined {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** Whether two moments are of one day, here. */
export function isSameDay(oneMs: number, otherMs: number): boolean {
  return Object.is(startOfDay(oneMs), startOfDay(otherMs));
}

function startOfDay(atMs: number): number {
  return new Date(atMs).setHours(0, 0, 0, 0);
}

/** Two letters for the round picture of somebody: the end of a number tells people apart, its beginning does not. */
export function initialsOf(title: string): string {
  return title.startsWith('+') ? title.slice(-2) : title.slice(0, 2).toUpperCase();
}

/** Digits of a phone number as people write it: without spaces, with `+`. */
export function phoneIn(text: string): string {
  const digits = text.replace(/[\s()/.-]/g, '');
  return digits.startsWith('00') ? `+${digits.slice(2)}` : digits;
}
