/**
 * Why an actor ended, as plain data that survives threads, reloads and disks.
 *
 * The words are OTP's. A crash is `{ error }`, where OTP has an arbitrary term: what was thrown, cut to its name,
 * message, code and a bounded stack, because the reason travels to every linked actor. Read next: `signals.ts`.
 */

import { LIMITS } from './limits.ts';

/** What is kept of something thrown. Never holds the thrown object itself, nor its other fields. */
export interface ErrorData {
  name: string;
  message: string;
  code?: string;
  stack?: string;
}

export type ExitReason =
  'normal' | 'shutdown' | { shutdown: unknown } | 'killed' | 'noproc' | 'noconnection' | { error: ErrorData };

/** What `exit(pid, reason)` may carry: besides the reasons, `'kill'`, which cannot be trapped and arrives as `'killed'`. */
export type ExitRequest = ExitReason | 'kill';

/** Whether a supervisor restarts a transient child for this reason, and a report is due. */
export function isAbnormal(reason: ExitReason): boolean {
  return !(reason === 'normal' || reason === 'shutdown' || isShutdownWithData(reason));
}

export function isShutdownWithData(reason: ExitReason): reason is { shutdown: unknown } {
  return typeof reason === 'object' && 'shutdown' in reason;
}

export function isErrorReason(reason: ExitReason): reason is { error: ErrorData } {
  return typeof reason === 'object' && 'error' in reason;
}

/** The exit reason for whatever a handler threw. A value that is no Error keeps its type and not its content. */
export function fromThrown(thrown: unknown): { error: ErrorData } {
  if (!isErrorLike(thrown)) return { error: { name: 'Thrown', message: `a ${typeof thrown} was thrown` } };
  const error: ErrorData = { name: String(thrown.name), message: cut(thrown.message, LIMITS.errorTextCharsMax) };
  if (typeof thrown.code === 'string') error.code = thrown.code;
  if (typeof thrown.stack === 'string') error.stack = cut(thrown.stack, LIMITS.errorStackCharsMax);
  return { error };
}

/** One line for people: `normal`, `{shutdown}`, `RangeError RT_X: text`. */
export function formatExitReason(reason: ExitReason): string {
  if (typeof reason === 'string') return reason;
  if (isShutdownWithData(reason)) return '{shutdown}';
  const { name, code, message } = reason.error;
  return code === undefined ? `${name}: ${message}` : `${name} ${code}: ${message}`;
}

// By shape and not by instanceof: a reloaded module and a vm context have an Error class of their own.
function isErrorLike(value: unknown): value is { name: unknown; message: string; code?: unknown; stack?: unknown } {
  return typeof value === 'object' && value !== null && typeof (value as { message?: unknown }).message === 'string';
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`;
}
