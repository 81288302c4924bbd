/**
 * About how many bytes an actor holds, without walking through what it holds: itself, its backlog, and the first level of
 * its state. V8 has one heap for all actors of a worker and no account for each, so this is a lower bound, good for finding
 * the actor whose Map has a million entries, and not for adding up.
 */

import type { Process } from './process.ts';

/** An actor that is idle and supervised, measured (`bench actors`, 2026-11). */
const ACTOR_BYTES = 320;
/** A field, an element of an array. */
const WORD_BYTES = 8;
/** An entry of a Map or Set with a small key, and what a small object takes. */
const ENTRY_BYTES = 40;
const OBJECT_BYTES = 56;
/** Fields of a state that are looked at. */
const FIELDS_MAX = 64;

export function estimateBytes({ backlog, state }: Process): number {
  const queued = backlog === null ? 0 : backlog.capacity * WORD_BYTES;
  return ACTOR_BYTES + queued + stateBytes(state);
}

function stateBytes(state: unknown): number {
  if (typeof state !== 'object' || state === null || isCollection(state)) return valueBytes(state);
  let bytes = OBJECT_BYTES;
  let fields = 0;
  for (const name in state) {
    if (++fields > FIELDS_MAX) break;
    bytes += WORD_BYTES + valueBytes((state as Record<string, unknown>)[name]);
  }
  return bytes;
}

function valueBytes(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.length * WORD_BYTES;
  if (value instanceof Map || value instanceof Set) return value.size * ENTRY_BYTES;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  return OBJECT_BYTES;
}

function isCollection(value: object): boolean {
  return Array.isArray(value) || value instanceof Map || value instanceof Set || ArrayBuffer.isView(value);
}
