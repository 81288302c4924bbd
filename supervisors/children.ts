/**
 * The children of a supervisor whose children have ids: in order of start, found by id and by pid in constant time.
 *
 * Plain data and functions over it, so that it survives a reload. The records in it are immutable (`decision.ts`); each
 * change puts a new record in the place of the old one. Read next: `supervisor.ts`.
 */

import type { Context, ExitReason, Pid } from '../runtime/index.ts';
import { type Keeper, startBy, type SupervisorState } from './carry-out.ts';
import { type ChildType, type FullChildSpec, withoutArgs } from './child-spec.ts';
import type { Child } from './decision.ts';
import type { SupervisorErrorCode } from './errors.ts';
import type { StrategyName } from './strategy.ts';

export interface NamedChildren {
  /** A Map keeps the place of a key whose value is replaced: its order is the order of start. */
  readonly byId: Map<string, Child>;
  /** Running children, by the pid object that their start returned, which is the one that their exit names. */
  readonly byPid: Map<Pid, Child>;
  /** Significant children that run or are about to. */
  significantCount: number;
}

/** What a supervisor whose children have ids knows. */
export interface NamedState<Args = unknown> extends SupervisorState {
  readonly args: Args;
  readonly worker: number;
  name: string;
  strategy: StrategyName;
  children: NamedChildren;
}

/** What a request to a supervisor is answered with. `ok` is undefined for a child whose `init` declined to run. */
export type ChildResult =
  | { readonly ok: Pid | undefined }
  | {
      readonly error: SupervisorErrorCode;
      readonly reason?: ExitReason;
      readonly pid?: Pid;
      readonly message?: string;
    };

/** One line of `whichChildren`. */
export interface ChildInfo {
  readonly id: string;
  readonly pid: Pid | 'restarting' | undefined;
  readonly type: ChildType;
  readonly behavior: string;
}

/** What `countChildren` says. */
export interface ChildCounts {
  /** Specifications; for a dynamic supervisor, 1. */
  readonly specs: number;
  /** Children that run. */
  readonly active: number;
  /** Children of type supervisor, whether they run or not. */
  readonly supervisors: number;
  readonly workers: number;
}

/** How children with ids are kept. */
export const KEEPER: Keeper<NamedState, Child> = Object.freeze({
  situation: ({ strategy, autoShutdown, limits, window, children }: NamedState) => ({
    strategy,
    autoShutdown,
    limits,
    window,
    children: { [Symbol.iterator]: () => children.byId.values() },
    significantCount: children.significantCount,
  }),
  byPid: ({ children }: NamedState, pid: Pid) => children.byPid.get(pid),
  toRetry({ children }: NamedState, id: unknown) {
    const child = children.byId.get(id as string);
    return child?.restarting === true ? child : undefined;
  },
  keyOf: ({ spec }: Child) => spec.id,
  start: ({ spec }: Child, _state: NamedState, ctx: Context) => startBy(ctx, spec.start, spec.start.args),
  putRunning: ({ children }: NamedState, { spec }: Child, pid: Pid) => putRunning(children, spec, pid),
  putEnded: ({ children }: NamedState, { spec }: Child) => putEnded(children, spec),
  putRestarting: ({ children }: NamedState, { spec }: Child) => putRestarting(children, spec),
});

/** Children that are specified and do not run yet. */
export function namedChildren(specs: readonly FullChildSpec[]): NamedChildren {
  const byId = new Map(specs.map((spec) => [spec.id, { spec, pid: undefined, restarting: false }]));
  return { byId, byPid: new Map(), significantCount: 0 };
}

/** Records that the child of this specification runs as `pid`; it takes the last place unless it has one. */
export function putRunning(children: NamedChildren, spec: FullChildSpec, pid: Pid): void {
  const { id } = spec;
  forgetLife(children, children.byId.get(id));
  const child: Child = { spec: spec.restart === 'temporary' ? withoutArgs(spec) : spec, pid, restarting: false };
  children.byId.set(id, child);
  children.byPid.set(pid, child);
  if (spec.significant) children.significantCount += 1;
}

/** Records that the child does not run: its specification stays in its place, that of a temporary one goes. */
export function putEnded(children: NamedChildren, spec: FullChildSpec): void {
  forgetLife(children, children.byId.get(spec.id));
  if (spec.restart === 'temporary') children.byId.delete(spec.id);
  else children.byId.set(spec.id, { spec, pid: undefined, restarting: false });
}

/** Records that the child does not run and will be started again. */
function putRestarting(children: NamedChildren, spec: FullChildSpec): void {
  forgetLife(children, children.byId.get(spec.id));
  children.byId.set(spec.id, { spec, pid: undefined, restarting: true });
  if (spec.significant) children.significantCount += 1;
}

/** Forgets a child that does not run. */
export function remove(children: NamedChildren, id: string): void {
  forgetLife(children, children.byId.get(id));
  children.byId.delete(id);
}

/**
 * Children of the new specifications, in their order, each with the life of the old one of its id; then those old ones
 * that have no new specification, as they are. Starts and stops nobody.
 *
 * Source: OTP's supervisor, code_change.
 */
export function withNewSpecs(children: NamedChildren, specs: readonly FullChildSpec[]): NamedChildren {
  const changed = namedChildren(specs);
  for (const [id, { spec, pid, restarting }] of children.byId) {
    const next = changed.byId.get(id)?.spec ?? spec;
    if (restarting) putRestarting(changed, next);
    else if (pid !== undefined) putRunning(changed, next, pid);
    else if (!changed.byId.has(id)) putEnded(changed, spec);
  }
  return changed;
}

export function describeChild({ spec, pid, restarting }: Child): ChildInfo {
  return { id: spec.id, pid: restarting ? 'restarting' : pid, type: spec.type, behavior: spec.start.behavior.name };
}

export function countNamed({ byId, byPid }: NamedChildren): ChildCounts {
  let supervisors = 0;
  for (const { spec } of byId.values()) if (spec.type === 'supervisor') supervisors += 1;
  return { specs: byId.size, active: byPid.size, supervisors, workers: byId.size - supervisors };
}

function forgetLife(children: NamedChildren, child: Child | undefined): void {
  if (child === undefined) return;
  if (child.pid !== undefined) children.byPid.delete(child.pid);
  if (child.spec.significant && (child.pid !== undefined || child.restarting)) children.significantCount -= 1;
}
