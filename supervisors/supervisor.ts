/**
 * The supervisor whose children have ids and an order: one_for_one, one_for_all, rest_for_one.
 *
 * It starts its children from left to right, keeps them alive as `decision.ts` decides and `carry-out.ts` carries out,
 * answers requests about them (`administration.ts`), and stops them from right to left. It knows nothing of what they do.
 * Read next: `dynamic.ts`, `partitioned.ts`.
 */

import type {
  AnyBehavior,
  Behavior,
  Context,
  ExitReason,
  From,
  RuntimeNode,
  StartResult,
  Target,
} from '../runtime/index.ts';
import { type Answer, answerRequest, type SupervisorRequest } from './administration.ts';
import { logRefusedChange, receiveInfo, startBy, type Started, stopOne } from './carry-out.ts';
import {
  type AutoShutdown,
  checkAutoShutdown,
  type ChildSpec,
  completeSpecs,
  type FullChildSpec,
  oneOf,
} from './child-spec.ts';
import { KEEPER, namedChildren, type NamedState, putEnded, putRunning, withNewSpecs } from './children.ts';
import type { Child } from './decision.ts';
import { reportChild } from './report.ts';
import { completeLimits, EMPTY_WINDOW, type RestartLimits } from './restart-window.ts';
import type { StrategyName } from './strategy.ts';

/** What a supervisor is, besides its name: OTP's supervisor flags and child specifications. */
export interface SupervisorFlags {
  /** Default `'one_for_one'`. */
  readonly strategy?: Exclude<StrategyName, 'simple_one_for_one'>;
  /** Restarts allowed within `periodMs`. Default 1 in 5,000 ms. */
  readonly intensity?: number;
  readonly periodMs?: number;
  /** Default `'never'`. */
  readonly autoShutdown?: AutoShutdown;
  /** Gets every `SupervisorReport` by `send`, besides the log. */
  readonly reportTo?: Target;
  /** Started in this order, stopped in the reverse one. */
  readonly children: readonly ChildSpec[];
}

export interface SupervisorOptions extends SupervisorFlags {
  /** For reports; also registered unless `register` is false. */
  readonly name: string;
  readonly register?: boolean;
}

/** What an author writes to have a supervisor that code changes reach: OTP's callback module. */
export interface SupervisorDefinition<Args> {
  /** Names the behaviour, and the supervisor in reports unless the flags have a `name`. */
  readonly name: string;
  readonly version?: number;
  /**
   * Says what to supervise. Called at the start, and again with the same `args` at each code change, so it must have no
   * effects.
   * @param worker - The thread's number.
   */
  init(args: Args, worker: number): SupervisorFlags & { readonly name?: string };
}

/** The behaviour of a supervisor whose `init` takes `Args`. */
export type SupervisorBehavior<Args> = Behavior<NamedState<Args>, Args, never, SupervisorRequest, Answer>;

/** Whoever can start: an actor's context (linked), or the node (as a root). */
export type Starter = Pick<Context, 'startLink'> | Pick<RuntimeNode, 'start'>;

/**
 * Makes a supervisor of a function from arguments to flags, as an OTP callback module does.
 *
 * With `replaceBehavior`, a later version changes running supervisors: limits and strategy count at once, new
 * specifications at the next start of each child. A child that is new in the list is not started, one that is missing is
 * kept, as in OTP. Flags that are wrong change nothing and are logged as `supervisor_change_refused`.
 *
 * ```ts
 * const shop = defineSupervisor({
 *   name: 'shop',
 *   version: 2,
 *   init: ({ directory }: { directory: string }) => ({
 *     strategy: 'rest_for_one',
 *     children: [childSpec('stock', stock, directory), childSpec('till', till, null)],
 *   }),
 * });
 * ```
 *
 * Source: OTP's supervisor, init/1 and code_change.
 */
export function defineSupervisor<Args>(definition: SupervisorDefinition<Args>): SupervisorBehavior<Args> {
  const { name, version = 0 } = definition;
  return Object.freeze({
    name,
    version,

    init(args: Args, ctx: Context): NamedState<Args> | Promise<NamedState<Args>> {
      ctx.trapExit(true);
      const flags = completeFlags(definition, args, ctx.worker);
      const children = namedChildren(flags.specs);
      const state: NamedState<Args> = {
        args,
        worker: ctx.worker,
        name: flags.name,
        strategy: flags.strategy,
        children,
        limits: flags.limits,
        autoShutdown: flags.autoShutdown,
        reportTo: flags.reportTo,
        window: EMPTY_WINDOW,
        changeRefused: undefined,
      };
      return startFrom(0, flags.specs, state, ctx);
    },

    handleCall(request: SupervisorRequest, { pid: { node } }: From, state: NamedState<Args>, ctx: Context) {
      if (node !== ctx.self.node) return { error: 'SUP_OTHER_NODE' } as const;
      logRefusedChange(state, ctx);
      return answerRequest(request, state, ctx);
    },

    handleInfo(info: unknown, state: NamedState<Args>, ctx: Context): void | Promise<void> {
      logRefusedChange(state, ctx);
      return receiveInfo(info, state, KEEPER, ctx);
    },

    terminate: (_reason: ExitReason, state: NamedState<Args>, ctx: Context): void | Promise<void> =>
      stopAll(state, ctx),

    codeChange: (state: NamedState<Args>): NamedState<Args> => change(definition, state),
  });
}

/** The supervisor that takes its flags as arguments; `startSupervisor` and `supervisorSpec` start it. */
export const supervisor: SupervisorBehavior<SupervisorOptions> = defineSupervisor({
  name: 'supervisor',
  init: (options: SupervisorOptions) => options,
});

/**
 * Starts a supervisor and its children.
 *
 * If a child fails to start, those before it are stopped in reverse order and the result is
 * `{ error: { shutdown: { failed_to_start_child: id, reason } } }`. Synchronous if every child's `init` is.
 *
 * ```ts
 * const started = await startSupervisor(node, {
 *   name: 'root',
 *   strategy: 'rest_for_one',
 *   intensity: 3,
 *   children: [childSpec('store', store, null), childSpec('index', index, null, { restart: 'transient' })],
 * });
 * ```
 *
 * Source: supervisor:start_link/2,3.
 */
export function startSupervisor(
  starter: Starter,
  options: SupervisorOptions,
): StartResult<never> | Promise<StartResult<never>> {
  return startActor(starter, supervisor, options, options);
}

/** A specification for a supervisor as a child of another. */
export function supervisorSpec(options: SupervisorOptions, rest: Omit<ChildSpec, 'id' | 'start'> = {}): ChildSpec {
  const start = { behavior: supervisor, args: options, options: registration(options) };
  return { type: 'supervisor', ...rest, id: options.name, start };
}

/** Starts `behavior` through an actor's context or as a root of the node, registered if its options say so. */
export function startActor<A>(
  starter: Starter,
  behavior: AnyBehavior,
  args: A,
  options: { readonly name: string; readonly register?: boolean },
): StartResult<never> | Promise<StartResult<never>> {
  const spawnOptions = registration(options);
  const started =
    'startLink' in starter
      ? starter.startLink(behavior, args, spawnOptions)
      : starter.start(behavior, args, spawnOptions);
  return started as StartResult<never> | Promise<StartResult<never>>;
}

/** The spawn options of a supervisor. */
export function registration(options: { readonly name: string; readonly register?: boolean }): { name?: string } {
  return options.register === false ? {} : { name: options.name };
}

interface FullFlags {
  readonly name: string;
  readonly strategy: StrategyName;
  readonly limits: RestartLimits;
  readonly autoShutdown: AutoShutdown;
  readonly reportTo: Target | undefined;
  readonly specs: readonly FullChildSpec[];
}

/** @throws {TypeError | RangeError} naming the field. */
function completeFlags<Args>(definition: SupervisorDefinition<Args>, args: Args, worker: number): FullFlags {
  const flags = definition.init(args, worker);
  const { name = definition.name, strategy = 'one_for_one', autoShutdown = 'never', reportTo } = flags;
  return {
    name,
    strategy: oneOf('strategy', strategy, ['one_for_one', 'one_for_all', 'rest_for_one']),
    limits: completeLimits(flags),
    autoShutdown: checkAutoShutdown(autoShutdown),
    reportTo,
    specs: completeSpecs(flags.children, autoShutdown),
  };
}

/** Starts the children from `index` on; those that start synchronously, without a promise. */
function startFrom<S extends NamedState>(
  index: number,
  specs: readonly FullChildSpec[],
  state: S,
  ctx: Context,
): S | Promise<S> {
  for (let at = index; at < specs.length; at += 1) {
    const spec = specs[at]!;
    const started = startBy(ctx, spec.start, spec.start.args);
    if (started instanceof Promise) {
      return started.then((settled) =>
        recordStart(spec, settled, state) ? startFrom(at + 1, specs, state, ctx) : failStart(spec, settled, state, ctx),
      );
    }
    if (!recordStart(spec, started, state)) return failStart(spec, started, state, ctx);
  }
  return state;
}

function recordStart(spec: FullChildSpec, started: Started, { children }: NamedState): boolean {
  if ('error' in started) return false;
  if (started.ok === undefined) putEnded(children, spec);
  else putRunning(children, spec, started.ok);
  return true;
}

async function failStart<S extends NamedState>(
  spec: FullChildSpec,
  started: Started,
  state: S,
  ctx: Context,
): Promise<S> {
  const { error: reason } = started as { error: ExitReason };
  reportChild(ctx, state, 'start_error', reason, { spec, pid: undefined });
  await stopAll(state, ctx);
  ctx.stop({ shutdown: { failed_to_start_child: spec.id, reason } });
  return state;
}

/** Stops the children from right to left, one after the other: a later child may use an earlier one. */
function stopAll(state: NamedState, ctx: Context): void | Promise<void> {
  const running = [...state.children.byId.values()].filter(({ pid }) => pid !== undefined);
  if (running.length > 0) return stopEach(running.reverse(), state, ctx);
}

async function stopEach(children: readonly Child[], state: NamedState, ctx: Context): Promise<void> {
  for (const child of children) await stopOne(child, state, KEEPER, ctx);
}

function change<Args>(definition: SupervisorDefinition<Args>, state: NamedState<Args>): NamedState<Args> {
  try {
    const { specs, ...flags } = completeFlags(definition, state.args, state.worker);
    return { ...state, ...flags, children: withNewSpecs(state.children, specs) };
  } catch (error) {
    // Throwing would end the supervisor and all below it; with what it has it can go on.
    return { ...state, changeRefused: error instanceof Error ? error.message : 'init threw' };
  }
}
