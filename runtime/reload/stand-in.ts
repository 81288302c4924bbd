/**
 * A copy of a state in which nothing can do harm: plain data is copied, and whatever could act is stood in for.
 *
 * A function of the state, or a method of an instance in it, becomes one that notes its call and returns undefined; so a
 * behaviour can be run over the copy while the actor itself goes on. Two versions meet the same stand-ins, and what they
 * did to them can be compared. For arguments that nobody has kept there is `anything`.
 */

import { Pid } from '../pid.ts';
import { Ref } from '../ref.ts';
import { RELOAD_LIMITS } from './limits.ts';

/** Gets what was done, in few words without contents. */
export type Note = (effect: string) => void;

/** What a stand-in stands for. */
const originals = new WeakMap<object, object>();

/** Whether `value` is one of ours. */
export function isStandIn(value: unknown): boolean {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && originals.has(value);
}

/** The function or instance behind a stand-in; anything else as it is. */
export function originalOf(value: object): object {
  return originals.get(value) ?? value;
}

/** Objects of literals, whose prototype is that of all objects, or none. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

interface Copying {
  readonly note: Note;
  readonly copies: Map<object, unknown>;
  nodesLeft: number;
}

/** Copies `value`, bounded; what is beyond the bounds is left out. */
export function copyState(value: unknown, note: Note): unknown {
  return copy(value, 'state', { note, copies: new Map(), nodesLeft: RELOAD_LIMITS.copyNodeCountMax });
}

function copy(value: unknown, path: string, copying: Copying): unknown {
  // Of a copy that is copied again, the stand-ins stand for the same things.
  if (typeof value === 'function') return standInFunction(originalOf(value), path, copying.note);
  if (typeof value !== 'object' || value === null) return value;
  if (isStandIn(value)) return standInInstance(originalOf(value), path, copying);
  if (value instanceof Pid || value instanceof Ref) return value;
  const known = copying.copies.get(value);
  if (known !== undefined) return known;
  copying.nodesLeft -= 1;
  if (ArrayBuffer.isView(value)) return structuredClone(value);
  if (Array.isArray(value)) return copyArray(value, path, copying);
  if (value instanceof Map) return copyMap(value, path, copying);
  if (value instanceof Set) return copySet(value, path, copying);
  if (!isPlain(value)) return remember(value, standInInstance(value, path, copying), copying);
  return copyFields(value, path, copying);
}

function remember<T>(value: object, made: T, { copies }: Copying): T {
  copies.set(value, made);
  return made;
}

function copyArray(value: readonly unknown[], path: string, copying: Copying): unknown[] {
  const made: unknown[] = remember(value, [], copying);
  for (const each of first(value, copying)) made.push(copy(each, `${path}[]`, copying));
  return made;
}

function copyMap(value: ReadonlyMap<unknown, unknown>, path: string, copying: Copying): Map<unknown, unknown> {
  const made = remember(value, new Map<unknown, unknown>(), copying);
  for (const [key, each] of first(value, copying)) {
    made.set(copy(key, `${path}<>`, copying), copy(each, `${path}<>`, copying));
  }
  return made;
}

function copySet(value: ReadonlySet<unknown>, path: string, copying: Copying): Set<unknown> {
  const made = remember(value, new Set<unknown>(), copying);
  for (const each of first(value, copying)) made.add(copy(each, `${path}<>`, copying));
  return made;
}

function copyFields(value: object, path: string, copying: Copying): object {
  const made: Record<string, unknown> = remember(value, {}, copying);
  for (const [name, each] of Object.entries(value)) made[name] = copy(each, `${path}.${name}`, copying);
  return made;
}

function* first<T>(values: Iterable<T>, copying: Copying): Generator<T> {
  let count = 0;
  for (const each of values) {
    if (count >= RELOAD_LIMITS.copyEntryCountMax || copying.nodesLeft <= 0) return;
    count += 1;
    yield each;
  }
}

function standInFunction(value: object, path: string, note: Note): () => undefined {
  const made = (): undefined => note(`calls ${path}`) as undefined;
  originals.set(made, value);
  return made;
}

/** Reads go to the instance, as copies; calls and writes are noted. */
function standInInstance(value: object, path: string, copying: Copying): object {
  const written = new Map<PropertyKey, unknown>();
  const made = new Proxy(Object.create(null) as object, {
    get: (_target, name) => (written.has(name) ? written.get(name) : readOf(value, name, path, copying)),
    set: (_target, name, next) => {
      copying.note(`sets ${path}.${String(name)}`);
      written.set(name, next);
      return true;
    },
    has: (_target, name) => name in value,
  });
  originals.set(made, value);
  return made;
}

function readOf(value: object, name: PropertyKey, path: string, copying: Copying): unknown {
  const found: unknown = Reflect.get(value, name, value);
  return typeof name === 'symbol' && typeof found !== 'function'
    ? undefined
    : copy(found, `${path}.${String(name)}`, copying);
}

/**
 * Arguments for an `init` that is tried to see the shape of what it makes: what is read or called of them answers with the
 * same again. It reads as 0, as an empty list, and as no promise.
 */
export class Anything {
  /** Calls, by their paths, that are answered with undefined: others than the first may be wanted. */
  readonly #unanswered: ReadonlySet<string>;
  #asked: number = 0;
  /** The call that was answered last. */
  lastCall: string = '';

  constructor(unanswered: ReadonlySet<string>) {
    this.#unanswered = unanswered;
  }

  get value(): unknown {
    return this.#at('args');
  }

  #at(path: string): object {
    const proxy: object = new Proxy(function () {}, {
      get: (_target, name) => this.#read(path, name, proxy),
      apply: () => this.#call(path),
      construct: () => this.#at(path),
      set: () => true,
      has: () => true,
      ownKeys: () => ['prototype'],
    });
    originals.set(proxy, proxy);
    return proxy;
  }

  #read(path: string, name: PropertyKey, proxy: object): unknown {
    // Whoever asks and asks waits for an answer that does not come, and would wait for good.
    this.#asked += 1;
    if (this.#asked > RELOAD_LIMITS.effectCountMax) throw new Error('it never has enough');
    if (name === 'then') return undefined;
    if (name === Symbol.toPrimitive) return () => 0;
    if (name === Symbol.iterator) return [][Symbol.iterator].bind([]);
    return path.length > PATH_CHARS_MAX ? proxy : this.#at(`${path}.${String(name)}`);
  }

  #call(path: string): unknown {
    this.lastCall = path;
    return this.#unanswered.has(path) ? undefined : this.#at(`${path}()`);
  }
}

const PATH_CHARS_MAX = 200;
