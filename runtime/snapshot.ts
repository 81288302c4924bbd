/**
 * A bounded copy of any value, for people and tools that look into a running actor.
 *
 * A state may be huge, shared, or hold what cannot leave its thread. A snapshot is plain data of bounded size: it is cut
 * where it goes too deep, has too many entries or too long texts, and says so in its place. The value is not changed.
 */

import { LIMITS } from './limits.ts';
import { Pid } from './pid.ts';
import { Ref } from './ref.ts';

/** What is left out has a default in LIMITS. `Infinity` lifts a bound except the one of all items. */
export interface SnapshotLimits {
  /** Levels of nesting; 0 shows no more than what kind of thing it is. */
  readonly depthMax?: number;
  /** Entries of one array, object, Map or Set. */
  readonly entriesMax?: number;
  /** UTF-16 units of one string; bytes of one buffer. */
  readonly charsMax?: number;
}

interface Walk {
  readonly entriesMax: number;
  readonly charsMax: number;
  /** Values that may still be written, all levels together. */
  itemsLeft: number;
  /** The objects above the current one: one that comes again is a cycle. */
  readonly path: unknown[];
}

/** Copies `value`. What is cut off is told in brackets: `[12 more]`, `[object]`, `[cycle]`, `[function]`. */
export function snapshot(value: unknown, limits: SnapshotLimits = {}): unknown {
  const {
    depthMax = LIMITS.snapshotDepthMax,
    entriesMax = LIMITS.snapshotEntriesMax,
    charsMax = LIMITS.snapshotCharsMax,
  } = limits;
  return copy(value, depthMax, { entriesMax, charsMax, itemsLeft: LIMITS.snapshotItemsMax, path: [] });
}

function copy(value: unknown, depth: number, walk: Walk): unknown {
  walk.itemsLeft -= 1;
  if (typeof value === 'string') return cut(value, walk.charsMax);
  if (typeof value === 'function') return '[function]';
  if (typeof value === 'symbol') return `[${String(value)}]`;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Pid) return value;
  if (value instanceof Ref) return new Ref(value.node, value.worker, value.creation, value.id);
  if (walk.path.includes(value)) return '[cycle]';
  if (depth <= 0 || walk.itemsLeft <= 0) return `[${kindOf(value)}]`;
  walk.path.push(value);
  const made = copyObject(value, depth - 1, walk);
  walk.path.pop();
  return made;
}

function copyObject(value: object, depth: number, walk: Walk): unknown {
  if (Array.isArray(value)) return copyList(value, value.length, depth, walk);
  if (value instanceof Date) return structuredClone(value);
  if (ArrayBuffer.isView(value)) return copyBytes(value, walk.charsMax);
  if (value instanceof Set) return new Set(copyList(value, value.size, depth, walk));
  if (value instanceof Map) return copyMap(value, depth, walk);
  if (value instanceof Error) return { name: value.name, message: cut(value.message, walk.charsMax) };
  return copyFields(value, depth, walk);
}

function copyList(values: Iterable<unknown>, count: number, depth: number, walk: Walk): unknown[] {
  const made: unknown[] = [];
  for (const each of values) {
    if (made.length >= walk.entriesMax || walk.itemsLeft <= 0) break;
    made.push(copy(each, depth, walk));
  }
  if (made.length < count) made.push(`[${count - made.length} more]`);
  return made;
}

function copyMap(value: ReadonlyMap<unknown, unknown>, depth: number, walk: Walk): Map<unknown, unknown> {
  const made = new Map<unknown, unknown>();
  for (const [key, each] of value) {
    if (made.size >= walk.entriesMax || walk.itemsLeft <= 0) break;
    made.set(copy(key, depth, walk), copy(each, depth, walk));
  }
  if (made.size < value.size) made.set(`[${value.size - made.size} more]`, undefined);
  return made;
}

function copyFields(value: object, depth: number, walk: Walk): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  const keys = Object.keys(value);
  let count = 0;
  for (const key of keys) {
    if (count >= walk.entriesMax || walk.itemsLeft <= 0) break;
    made[cut(key, LIMITS.snapshotCharsMax)] = copy((value as Record<string, unknown>)[key], depth, walk);
    count += 1;
  }
  if (count < keys.length) made[`[${keys.length - count} more]`] = undefined;
  return made;
}

function copyBytes(view: ArrayBufferView, bytesMax: number): Uint8Array {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, Math.min(view.byteLength, bytesMax));
  return Uint8Array.from(bytes);
}

function kindOf(value: object): string {
  if (Array.isArray(value)) return `array of ${value.length}`;
  if (value instanceof Map || value instanceof Set) return `${value.constructor.name} of ${value.size}`;
  const { constructor } = value as { constructor?: { name?: unknown } };
  return typeof constructor?.name === 'string' && constructor.name !== 'Object' ? constructor.name : 'object';
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}[${text.length - charsMax} more]`;
}
