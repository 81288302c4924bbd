/**
 * State machines, OTP's `gen_statem`: what an author writes, and how it becomes a `Behavior`.
 *
 * The author writes a function for each state (or one for all), which takes an event and returns a transition: the next
 * state and what to do on the way. All that happens to a transition is in `statem-engine.ts`; nothing here has effects.
 * Use it where the same message means different things at different times; where it does not, a `Behavior` is shorter.
 *
 * ```ts
 * import { genStatem } from 'blindbeam/runtime';
 * import { createTestNode } from 'blindbeam/runtime/testing';
 *
 * const { behavior, keepState, nextState, reply, stateTimeout } = genStatem;
 *
 * // Opens for the right code, and locks itself again.
 * const lock = behavior<'locked' | 'open', { code: string }, string, string, 'state', string>({
 *   name: 'lock',
 *   init: (code) => ({ state: 'locked', data: { code } }),
 *   states: {
 *     locked(event, data) {
 *       if (event.type === 'cast' && event.content === data.code) return nextState('open', stateTimeout(5_000));
 *       if (event.type === 'call') return keepState(reply(event.from, 'locked'));
 *       return keepState();
 *     },
 *     open(event) {
 *       if (event.type === 'state_timeout') return nextState('locked');
 *       if (event.type === 'call') return keepState(reply(event.from, 'open'));
 *       return keepState();
 *     },
 *   },
 * });
 *
 * const { node, settle, advance } = createTestNode();
 * const pid = node.spawn(lock, '1234');
 * async function show(): Promise<void> {
 *   const state = node.call(pid, 'state', 100);
 *   await settle();
 *   console.log(await state);
 * }
 * node.cast(pid, '0000');
 * await show();
 * node.cast(pid, '1234');
 * await show();
 * await advance(5_000);
 * await show();
 * ```
 *
 * It prints:
 *
 * ```text
 * locked
 * open
 * locked
 * ```
 *
 * Source: gen_statem of stdlib, its reference and "gen_statem Behaviour" in OTP Design Principles. Differs: data may be
 * changed in place and need not be returned; a state is compared by `Object.is`, so it is a string or a shared object; an
 * event that a state function does not know is ignored by returning nothing; a state function may return a promise, and
 * its machine waits for it; postponed events are bounded; there is no change of the callback module.
 */

import type { Behavior, Context } from './behavior.ts';
import type { From } from './envelope.ts';
import type { ExitReason } from './exit-reason.ts';
import * as engine from './statem-engine.ts';

/** What a state function gets. `enter` comes only if the machine asks for enter calls. */
export type StateEvent<State = unknown, Cast = unknown, Request = unknown> =
  | { readonly type: 'cast'; readonly content: Cast }
  | { readonly type: 'call'; readonly content: Request; readonly from: From }
  | { readonly type: 'info'; readonly content: unknown }
  /** Inserted by the machine itself with `nextEvent`. */
  | { readonly type: 'internal'; readonly content: unknown }
  /** The state was entered, from `oldState`; at the start from itself. */
  | { readonly type: 'enter'; readonly oldState: State }
  /** `timeout` is the event timeout, OTP's word for it. */
  | { readonly type: 'state_timeout' | 'timeout'; readonly content: unknown }
  /** OTP's generic timeout, `{timeout, Name}`. */
  | { readonly type: 'named_timeout'; readonly name: string; readonly content: unknown };

/** An event that `nextEvent` may insert: any that could have come from outside, and `internal`. */
export type InsertedEvent = Extract<StateEvent, { type: 'cast' | 'call' | 'info' | 'internal' }>;

/** Which timer an action is about. There is one of the state, one of the event, and one for each name. */
export type TimeoutKey = 'state' | 'event' | { readonly name: string };

export type Action =
  | { readonly type: 'postpone' }
  | { readonly type: 'next_event'; readonly event: InsertedEvent }
  | { readonly type: 'reply'; readonly from: From; readonly value: unknown }
  | {
      readonly type: 'timeout';
      readonly key: TimeoutKey;
      readonly timeMs: number | 'infinity' | 'update';
      readonly content: unknown;
    }
  | { readonly type: 'hibernate' };

/** What a state function returns; nothing at all is `keepState()`. `data` is there to replace it as a whole. */
export type Transition<State = unknown, Data = unknown> =
  | { readonly type: 'next_state'; readonly state: State; readonly data?: Data; readonly actions?: readonly Action[] }
  | { readonly type: 'keep_state' | 'repeat_state'; readonly data?: Data; readonly actions?: readonly Action[] }
  | { readonly type: 'stop'; readonly reason: ExitReason; readonly data?: Data; readonly actions?: readonly Action[] };

/** What `init` returns. `actions` as in a transition, without `postpone`. */
export interface StatemStart<State, Data> {
  readonly state: State;
  readonly data: Data;
  readonly actions?: readonly Action[];
}

type Outcome<State, Data> = Transition<State, Data> | void | Promise<Transition<State, Data> | void>;

export type StateFunction<State, Data, Cast, Request> = (
  event: StateEvent<State, Cast, Request>,
  data: Data,
  ctx: Context,
) => Outcome<State, Data>;

/** One kind of machine. It has either `states` (OTP's state_functions) or `handleEvent` (handle_event_function). */
export interface StateMachine<State, Data, Args = void, Cast = unknown, Request = unknown> {
  readonly name: string;
  readonly version?: number;
  /** Whether each state is entered with an `enter` event. Default false. */
  readonly stateEnter?: boolean;
  /** As `Behavior.init`. */
  init(args: Args, ctx: Context): StatemStart<State, Data> | Promise<StatemStart<State, Data>>;
  readonly states?: { readonly [Each in State & string]: StateFunction<State, Data, Cast, Request> };
  handleEvent?(event: StateEvent<State, Cast, Request>, state: State, data: Data, ctx: Context): Outcome<State, Data>;
  terminate?(reason: ExitReason, state: State, data: Data, ctx: Context): void | Promise<void>;
  codeChange?(current: { state: State; data: Data }, from: number): { state: State; data: Data };
  /** What `sys.getStatus` shows instead of state and data: leave out what is secret. */
  formatStatus?(current: { state: State; data: Data }): unknown;
}

/**
 * The behaviour of a machine: start it like any other.
 *
 * Events wait in the mailbox and are handled one by one; what a transition inserts or releases comes before them. A
 * machine that feeds itself gives way to its neighbours after LIMITS.turnMessagesMax events.
 *
 * @throws {TypeError} if `machine` has both `states` and `handleEvent`, or neither.
 */
export function behavior<State, Data, Args = void, Cast = unknown, Request = unknown, Reply = unknown>(
  machine: StateMachine<State, Data, Args, Cast, Request>,
): Behavior<engine.Machine<State, Data>, Args, Cast, Request, Reply> {
  if ((machine.states === undefined) === (machine.handleEvent === undefined)) {
    throw new TypeError(`'${machine.name}' expected either "states" or "handleEvent"`);
  }
  return engine.behaviorOf(machine as StateMachine<unknown, unknown, unknown>) as never;
}

/**
 * Goes to `state`. If it is another one: the state timeout is cancelled, and postponed events come back, oldest first.
 *
 * Actions are carried out in this order: replies at once; then the enter call, whose own actions follow; then the current
 * event is postponed, if asked; then events are inserted, before all that wait; then timeouts are set.
 */
export function nextState<const State>(state: State, ...actions: Action[]): Transition<State, never> {
  return { type: 'next_state', state, actions };
}

/** Stays. */
export function keepState(...actions: Action[]): Transition<never, never> {
  return { type: 'keep_state', actions };
}

/** Stays, and makes the enter call again. Postponed events stay postponed. */
export function repeatState(...actions: Action[]): Transition<never, never> {
  return { type: 'repeat_state', actions };
}

/** Ends the machine with `reason`, after `replies` were sent (OTP's stop_and_reply). */
export function stop(reason: ExitReason = 'normal', ...replies: Action[]): Transition<never, never> {
  return { type: 'stop', reason, actions: replies };
}

/** The current event again, after the next change of state. At most LIMITS.postponedCountMax wait for that. */
export const postpone: Action = Object.freeze({ type: 'postpone' });

/** Drops what can be dropped until the next event; see `Context.hibernate`. */
export const hibernate: Action = Object.freeze({ type: 'hibernate' });

/** Answers a call, in this state or a later one. */
export function reply(from: From, value: unknown): Action {
  return { type: 'reply', from, value };
}

/** Inserts `event` before all that wait. Several keep their order. */
export function nextEvent(event: InsertedEvent): Action {
  return { type: 'next_event', event };
}

/**
 * An event of type `state_timeout` after `timeMs`, unless the state changes before. Setting it again replaces it;
 * `'infinity'` cancels it. With 0 it comes after the events at hand and before any that has not arrived.
 */
export function stateTimeout(timeMs: number | 'infinity', content?: unknown): Action {
  return { type: 'timeout', key: 'state', timeMs, content };
}

/** An event of type `timeout` after `timeMs`, unless any other event is handled before. */
export function eventTimeout(timeMs: number | 'infinity', content?: unknown): Action {
  return { type: 'timeout', key: 'event', timeMs, content };
}

/** An event of type `named_timeout` after `timeMs`, whatever happens in between. */
export function namedTimeout(name: string, timeMs: number | 'infinity', content?: unknown): Action {
  return { type: 'timeout', key: { name }, timeMs, content };
}

/** Cancels a timeout. Its event does not come, not even if it is already on its way. */
export function cancelTimeout(key: TimeoutKey): Action {
  return { type: 'timeout', key, timeMs: 'infinity', content: undefined };
}

/** Gives a running timeout another content. If it does not run, it fires at once, as with time 0. */
export function updateTimeout(key: TimeoutKey, content: unknown): Action {
  return { type: 'timeout', key, timeMs: 'update', content };
}
