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

/**
 * Whether a supervisor ends by itself, with `'shutdown'`, when significant children have ended for good: never; with the
 * first of them; with the last. A child that its supervisor stopped does not count as one that ended.
 */
export type AutoShutdown = 'never' | 'any_significant' | 'all_significant';

/** How a child is started: linked, and its `init` run at once. */
export interface ChildStart<A = unknown> {
  readonly behavior: AnyBehavior;
  /** Given to `init` at each start. Shared with the supervisor: `init` must not change it. */
  readonly args?: A;
  readonly options?: Pick<SpawnOptions, 'mailboxMax' | 'overflow' | 'name'>;
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
  /**
   * Whether its end, when it is not restarted, counts for the supervisor's `autoShutdown`. Default false; only for
   * transient and temporary children of a supervisor whose `autoShutdown` is not `'never'`.
   */
  readonly significant?: boolean;
}

/** A specification with nothing left out. */
export type FullChildSpec = Required<ChildSpec>;

/** What `checkChildSpecs` says. */
export type SpecCheck = { readonly ok: true } | { readonly error: 'SUP_BAD_SPEC'; readonly message: string };

/**
 * Builds a specification with the types of behaviour and arguments checked against each other.
 *
 * ```ts
 * childSpec('store', store, { directory: '/var/lib/chat' }, { shutdown: 10_000, options: { name: 'store' } });
 * ```
 */
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
 * Whether a supervisor with this `autoShutdown` would take `specs`, without starting anything.
 *
 * Source: supervisor:check_childspecs/2.
 */
export function checkChildSpecs(specs: readonly ChildSpec[], autoShutdown: AutoShutdown = 'never'): SpecCheck {
  try {
    completeSpecs(specs, autoShutdown);
    return { ok: true };
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    return { error: 'SUP_BAD_SPEC', message: error.message };
  }
}

/**
 * Checks a specification and fills in the defaults.
 *
 * @throws {TypeError | RangeError} naming the field.
 */
export function completeSpec(spec: ChildSpec): FullChildSpec {
  if (typeof spec !== 'object' || spec === null) throw new TypeError(`a child expected an object, got ${typeof spec}`);
  const type = oneOf('type', spec.type ?? 'worker', ['worker', 'supervisor']);
  const restart = oneOf('restart', spec.restart ?? 'permanent', ['permanent', 'transient', 'temporary']);
  return Object.freeze({
    id: checkId(spec.id),
    start: checkStart(spec.start),
    restart,
    shutdown: checkShutdown(spec.shutdown ?? (type === 'supervisor' ? 'infinity' : LIMITS.shutdownMsDefault)),
    type,
    significant: checkSignificant(spec.significant ?? false, restart),
  });
}

/**
 * Checks a list of specifications: each alone, that no id is in it twice, and that the supervisor heeds significance.
 *
 * @throws {TypeError | RangeError} naming the field.
 */
export function completeSpecs(specs: readonly ChildSpec[], autoShutdown: AutoShutdown = 'never'): FullChildSpec[] {
  if (!Array.isArray(specs)) throw new TypeError(`"children" expected an array, got ${typeof specs}`);
  if (specs.length > LIMITS.childCountMax) {
    throw new RangeError(`"children" expected at most ${LIMITS.childCountMax}, got ${specs.length}`);
  }
  const ids = new Set<string>();
  return specs.map((spec: ChildSpec) => {
    const full = completeSpec(spec);
    if (ids.has(full.id)) throw new RangeError(`"children" has the id '${full.id}' twice`);
    ids.add(full.id);
    checkHeeded(full, autoShutdown);
    return full;
  });
}

/** @throws {RangeError} if it is none of the three. */
export function checkAutoShutdown(autoShutdown: AutoShutdown): AutoShutdown {
  return oneOf('autoShutdown', autoShutdown, ['never', 'any_significant', 'all_significant']);
}

/** @throws {RangeError} if a child is significant to a supervisor that would not heed it. */
export function checkHeeded({ id, significant }: FullChildSpec, autoShutdown: AutoShutdown): void {
  if (!significant || autoShutdown !== 'never') return;
  throw new RangeError(`"significant" of '${id}' expected false, since "autoShutdown" is never`);
}

/** A specification without the arguments: what is kept of a child that is never started again. */
export function withoutArgs(spec: FullChildSpec): FullChildSpec {
  const { behavior, options } = spec.start;
  return Object.freeze({ ...spec, start: options === undefined ? { behavior } : { behavior, options } });
}

/** @throws {RangeError} naming `field`, if `value` is not in `allowed`. */
export function oneOf<T extends string>(field: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw new RangeError(`"${field}" expected ${allowed.join(', ')}, got ${String(value)}`);
}

function checkId(id: string): string {
  if (typeof id !== 'string' || id === '') throw new TypeError('"id" expected a string that is not empty');
  return id;
}

function checkStart(start: ChildStart): ChildStart {
  if (typeof start?.behavior?.init !== 'function') throw new TypeError('"start.behavior" expected a behaviour');
  return start;
}

function checkShutdown(shutdown: Shutdown): Shutdown {
  if (shutdown === 'brutal_kill' || shutdown === 'infinity') return shutdown;
  if (typeof shutdown === 'number' && shutdown >= 1 && shutdown <= LIMITS.shutdownMsMax) return shutdown;
  const expected = `1 to ${LIMITS.shutdownMsMax} ms, 'brutal_kill' or 'infinity'`;
  throw new RangeError(`"shutdown" expected ${expected}, got ${String(shutdown)}`);
}

function checkSignificant(significant: boolean, restart: Restart): boolean {
  if (typeof significant !== 'boolean') throw new TypeError(`"significant" expected a boolean, got ${significant}`);
  if (significant && restart === 'permanent') {
    throw new RangeError('"significant" expected false for a permanent child, which never ends for good');
  }
  return significant;
}
