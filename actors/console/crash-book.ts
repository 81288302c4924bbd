/**
 * The last crashes of this thread, as its log told them: what ended, under which supervisor, and why. Fed by `../logger.ts`,
 * after it has cut what must not be told; read by operators. One for each thread, since a log belongs to a thread.
 */

import { CONSOLE_LIMITS } from './limits.ts';

/** A line of the log about a crash. */
export interface Crash {
  readonly atMs: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Events that are crashes: an actor's, a supervisor's report, and what a worker could not do for an operator. */
const EVENTS: ReadonlySet<string> = new Set([
  'actor_crashed',
  'supervisor_report',
  'admin_question_failed',
  'admin_verb_failed',
]);

const crashes: Crash[] = [];

/** @param fields - Cleaned: no numbers of phones, no keys. Kept. */
export function noteCrash(event: string, fields: Crash['fields'], atMs: number): void {
  if (!EVENTS.has(event)) return;
  crashes.push({ atMs, event, fields: cutTexts(fields) });
  if (crashes.length > CONSOLE_LIMITS.crashesMax) crashes.shift();
}

/** Newest first. */
export function lastCrashes(): readonly Crash[] {
  return [...crashes].reverse();
}

/** All crashes of a thread travel in one packet, so none may be long. */
function cutTexts(fields: Crash['fields']): Crash['fields'] {
  const { crashTextCharsMax: max } = CONSOLE_LIMITS;
  const pairs = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
    return [name, text.length > max ? `${text.slice(0, max)}…` : value] as const;
  });
  return Object.fromEntries(pairs);
}
