/**
 * What a supervisor must know of a child: who it is, how it starts, when to start it again, how to stop it.
 *
 * The fields and their words are OTP's. Read next: `decision.ts`.
 */

import type { AnyBehavior, Behavior, SpawnOptions } from '../runtime/index.ts';
import { LIMITS } from './limits.ts';

/** When to restart: always; after an abnormal end; never. */
export type Restart = 'permanent' | 'transient' | 'temporary';

/** How to stop: `shutdown` and this many milliseconds, then kill; kill at once; `shutdown` and all the time it takes. */
export type Shutdown = number | 'brutal_kill' | 'infinity';

export type ChildType = 'worker' | 'supervisor';

/** How a child is started: linked, and its `init` run at once. */
export interface ChildStart<A = unknown> {
  readonly behavior: AnyBehavior;
  /** Given to `init` at each start. Shared with the supervisor: `init` must not change it. */
  readonly args?: A;
  readonly options?: Pick<SpawnOptions, 'mailboxMax' | 'name'>;
}

export interface ChildSpec {
  /** Unique within the supervisor. */
  readonly id: string;
  readonly start: ChildStart;
  /** Default `'permanent'`. */
  readonly restart?: Restart;
  /** Default 5,000 ms for a worker, `'infinity'` for a supervisor. */
  readonly shutdown?: Shutdown;
  /** Default `'worker'`. Tells `countChildren` and the default of `shutdown`, nothing else. */
  readonly type?: ChildType;
}

/** A specification with nothing left out. */
export type FullChildSpec = Required<ChildSpec>;

/** Builds a specification with the types of behaviour and arguments checked against each other. */
export function childSpec<S, A, C, Q, R>(
  id: string,
  behavior: Behavior<S, A, C, Q, R>,
  args: A,
  rest: Omit<ChildSpec, 'id' | 'start'> & { options?: ChildStart['options'] } = {},
): ChildSpec {
  const { options, ...fields } = rest;
  return { id, start: options === undefined ? { behavior, args } : { behavior, args, options }, ...fields };
}

/**
 * Checks a specification and fills in the defaults.
 *
 * @throws {TypeError | RangeError} naming the field.
 */
export function completeSpec(spec: ChildSpec): FullChildSpec {
  const type = checkType(spec.type ?? 'worker');
  return Object.freeze({
    id: checkId(spec.id),
    start: checkStart(spec.start),
    restart: checkRestart(spec.restart ?? 'permanent'),
    shutdown: checkShutdown(spec.shutdown ?? (type === 'supervisor' ? 'infinity' : LIMITS.shutdownMsDefault)),
    type,
  });
}

/** Checks a list of specifications, and that no id is in it twice. */
export function completeSpecs(specs: readonly ChildSpec[]): FullChildSpec[] {
  if (!Array.isArray(specs)) throw new TypeError(`"children" expected an array, got ${typeof specs}`);
  if (specs.length > LIMITS.childCountMax) {
    throw new RangeError(`"children" expected at most ${LIMITS.childCountMax}, got ${specs.length}`);
  }
  const ids = new Set<string>();
  for (const { id } of specs) {
    if (ids.has(id)) throw new RangeError(`"children" has the id '${id}' twice`);
    ids.add(id);
  }
  return specs.map(completeSpec);
}

function checkId(id: string): string {
  if (typeof id !== 'string' || id === '') throw new TypeError('"id" expected a string that is not empty');
  return id;
}

function checkStart(start: ChildStart): ChildStart {
  if (typeof start?.behavior?.init !== 'function') throw new TypeError('"start.behavior" expected a behaviour');
  return start;
}

function checkRestart(restart: Restart): Restart {
  return oneOf('restart', restart, ['permanent', 'transient', 'temporary']);
}

function checkType(type: ChildType): ChildType {
  return oneOf('type', type, ['worker', 'supervisor']);
}

function checkShutdown(shutdown: Shutdown): Shutdown {
  if (shutdown === 'brutal_kill' || shutdown === 'infinity') return shutdown;
  if (typeof shutdown === 'number' && shutdown >= 1 && shutdown <= LIMITS.shutdownMsMax) return shutdown;
  const expected = `1 to ${LIMITS.shutdownMsMax} ms, 'brutal_kill' or 'infinity'`;
  throw new RangeError(`"shutdown" expected ${expected}, got ${String(shutdown)}`);
}

function oneOf<T extends string>(field: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw new RangeError(`"${field}" expected ${allowed.join(', ')}, got ${String(value)}`);
}
