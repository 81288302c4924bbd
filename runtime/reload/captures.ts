/**
 * Finds what must not be in a state: functions, timers and instances of classes that a version of a behaviour made.
 *
 * Which code a function is of, V8 tells through its inspector, without a debugger being on: the number of the script that
 * it was compiled from. So a closure of the shell (a store, a route) is told from one of a behaviour, however alike they
 * look.
 */

import { Session } from 'node:inspector';

import { Kernel } from '../kernel.ts';
import { Pid } from '../pid.ts';
import { Ref } from '../ref.ts';
import { RELOAD_LIMITS } from './limits.ts';
import { type Refusal, refusal } from './refusals.ts';
import { isPlain, originalOf } from './stand-in.ts';

/** Numbers of scripts, as V8 gives them. */
export type Scripts = ReadonlySet<string>;

/** Asks V8 about functions of this thread. Cheap to keep, 70 µs a question; answers are remembered. */
export class ScriptFinder {
  readonly #known: WeakMap<object, string> = new WeakMap();
  #session: Session | undefined;

  /** The script of a function or class; `''` for one that is not of a script, as those of the platform. */
  scriptOf(value: object): string {
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const found = this.#ask(value);
    this.#known.set(value, found);
    return found;
  }

  close(): void {
    this.#session?.disconnect();
    this.#session = undefined;
  }

  #ask(value: object): string {
    if (this.#session === undefined) {
      this.#session = new Session();
      this.#session.connect();
    }
    const shared = globalThis as { [PROBE]?: object };
    shared[PROBE] = value;
    const { result } = this.#post<Remote>('Runtime.evaluate', {
      expression: `globalThis[Symbol.for('${PROBE.description}')]`,
      objectGroup: GROUP,
    });
    delete shared[PROBE];
    const answer = this.#post<Properties>('Runtime.getProperties', { objectId: result.objectId, ownProperties: true });
    this.#post('Runtime.releaseObjectGroup', { objectGroup: GROUP });
    const location = answer.internalProperties?.find(({ name }) => name === '[[FunctionLocation]]');
    return location?.value?.value?.scriptId ?? '';
  }

  /** Answers at once: the session is of this thread. */
  #post<Answer>(method: string, parameters: object): Answer {
    let outcome: Answer | undefined;
    this.#session!.post(method, parameters, (error, answer) => {
      if (error === null) outcome = answer as Answer;
    });
    return outcome ?? ({ result: {} } as Answer);
  }
}

const PROBE = Symbol.for('blindbeam.probe');
const GROUP = 'blindbeam';

interface Remote {
  readonly result: { readonly objectId?: string };
}

interface Properties {
  readonly internalProperties?: readonly {
    readonly name: string;
    readonly value?: { readonly value?: { readonly scriptId?: string } };
  }[];
}

/** Looks through `state` for what is of `scripts`. Bounded; the nearest are found first. */
export function findCaptures(state: unknown, scripts: Scripts, finder: ScriptFinder): Refusal[] {
  const found: Refusal[] = [];
  const seen = new Set<object>();
  let level: Place[] = [{ value: state, path: 'state' }];
  while (level.length > 0 && found.length < RELOAD_LIMITS.differenceCountMax) {
    const next: Place[] = [];
    for (const place of level) {
      if (seen.size >= RELOAD_LIMITS.walkNodeCountMax) return found;
      const captured = look(place, seen, next, scripts, finder);
      if (captured !== undefined) found.push(captured);
    }
    level = next;
  }
  return found;
}

interface Place {
  readonly value: unknown;
  readonly path: string;
}

function look(
  { value, path }: Place,
  seen: Set<object>,
  next: Place[],
  scripts: Scripts,
  finder: ScriptFinder,
): Refusal | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return undefined;
  seen.add(value);
  const original = originalOf(value);
  if (typeof original === 'function') {
    return scripts.has(finder.scriptOf(original)) ? refusal('RELOAD_CAPTURED_FUNCTION', path) : undefined;
  }
  if (value instanceof Pid || value instanceof Ref || value instanceof Kernel || ArrayBuffer.isView(value)) {
    return undefined;
  }
  const callback = (original as { _onTimeout?: unknown })._onTimeout;
  if (typeof callback === 'function' && scripts.has(finder.scriptOf(callback))) {
    return refusal('RELOAD_CAPTURED_TIMER', path);
  }
  if (!isPlain(original) && isOf(original, scripts, finder)) {
    return refusal('RELOAD_CAPTURED_INSTANCE', `${path} is a ${original.constructor.name}`);
  }
  for (const place of within(original === value ? value : original, path)) next.push(place);
  return undefined;
}

function isOf(value: object, scripts: Scripts, finder: ScriptFinder): boolean {
  const { constructor } = value as { constructor?: unknown };
  return typeof constructor === 'function' && scripts.has(finder.scriptOf(constructor));
}

function* within(value: object, path: string): Generator<Place> {
  if (value instanceof Map) {
    for (const [key, each] of value) {
      yield { value: key, path: `${path}<key>` };
      yield { value: each, path: `${path}<>` };
    }
  } else if (value instanceof Set || Array.isArray(value)) {
    for (const each of value as Iterable<unknown>) yield { value: each, path: `${path}[]` };
  } else {
    for (const [name, each] of Object.entries(value)) yield { value: each, path: `${path}.${name}` };
  }
}
