/**
 * Event managers, OTP's `gen_event`: one actor that hands each event to handlers, which come and go while it runs.
 *
 * For what several parties want to know and the one who tells it need not: alarms, metrics, an audit trail. A handler
 * that throws is removed and reported, and the others go on, so that a broken listener harms nobody. A manager is an
 * ordinary actor, with the behaviour in `event-manager.ts`; here is its API.
 *
 * ```ts
 * import { createNode, genEvent, systemClock, systemLoop, systemRandom } from 'blindbeam/runtime';
 *
 * interface Alarm {
 *   code: number;
 * }
 * const counter: genEvent.EventHandler<Alarm, { count: number }, void, 'read', number> = {
 *   name: 'counter',
 *   init: () => ({ count: 0 }),
 *   handleEvent: (_alarm, state) => void (state.count += 1),
 *   handleCall: (_request, state) => state.count,
 * };
 * const picky: genEvent.EventHandler<Alarm> = {
 *   name: 'picky',
 *   init: () => null,
 *   handleEvent({ code }) {
 *     if (code > 7) throw new RangeError('what is that?');
 *   },
 * };
 *
 * const log = { debug() {}, info() {}, warn() {}, error: (event: string) => console.log(event) };
 * const node = createNode({ name: 'example', clock: systemClock, random: systemRandom, loop: systemLoop, log });
 * const alarms = node.spawn(genEvent.behavior<Alarm>(), undefined);
 * await genEvent.addHandler(node, alarms, picky, undefined);
 * await genEvent.addHandler(node, alarms, counter, undefined);
 * for (const code of [7, 8, 9]) genEvent.notify(node, alarms, { code });
 * console.log(await genEvent.call(node, alarms, 'counter', 'read', 1_000));
 * console.log(await genEvent.whichHandlers(node, alarms));
 * await node.stop();
 * ```
 *
 * It prints:
 *
 * ```text
 * event_handler_crashed
 * { ok: 3 }
 * [ 'counter' ]
 * ```
 *
 * Source: gen_event of stdlib. Differs: handlers run in the order they were added in; a handler is an object and not the
 * name of a module, so it is added from the manager's own worker, and new code for it comes by `swapHandler`; there are
 * at most LIMITS.eventHandlerCountMax; a manager with a full mailbox refuses an event as any actor refuses a message.
 */

import type { Behavior, Context } from './behavior.ts';
import type { SendResult, Target } from './envelope.ts';
import { manager, Removal, Swap, type AnyHandler, type Manager, type Outcome, type Request } from './event-manager.ts';
import type { ExitReason } from './exit-reason.ts';
import type { Pid } from './pid.ts';

export { Removal, Swap } from './event-manager.ts';
export type { Manager } from './event-manager.ts';

/** Why a handler's `terminate` runs. `args`: it was deleted or swapped, and this came with the request. */
export type HandlerEnd =
  | { readonly type: 'args'; readonly args: unknown }
  | { readonly type: 'remove_handler' }
  /** The manager ends. */
  | { readonly type: 'stop' }
  /** The actor ended that had added it with `addSupHandler`. */
  | { readonly type: 'owner_exit'; readonly reason: ExitReason }
  | { readonly type: 'error'; readonly reason: ExitReason };

/** One kind of handler: plain functions over plain state, as in a `Behavior`. What one throws removes the handler. */
export interface EventHandler<Event = unknown, State = unknown, Args = unknown, Request = unknown, Reply = unknown> {
  /** Its id, unless it is added under another. */
  readonly name: string;
  /** @param inherited - What `terminate` of the handler returned in whose place this one comes; else undefined. */
  init(args: Args, ctx: Context, inherited?: unknown): State | Promise<State>;
  handleEvent(event: Event, state: State, ctx: Context): Outcome | Promise<Outcome>;
  handleCall?(request: Request, state: State, ctx: Context): Reply | Removal | Swap | Promise<Reply | Removal | Swap>;
  /** Gets whatever comes to the manager by `send`. Without it such messages pass by. */
  handleInfo?(info: unknown, state: State, ctx: Context): Outcome | Promise<Outcome>;
  terminate?(end: HandlerEnd, state: State, ctx: Context): unknown;
  /** What `sys.getStatus` shows instead of the state. */
  formatStatus?(state: State): unknown;
}

/** A handler to be put in. */
export interface NewHandler<Args = unknown> {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly handler: EventHandler<any, any, Args, any, any>;
  readonly args: Args;
  /** Default: the handler's name. One kind may be there several times under several ids. */
  readonly id?: string;
}

/**
 * Tells an actor that a handler which it added with `addSupHandler` is no longer there. `'normal'`: it was deleted or
 * removed itself; `'shutdown'`: the manager ends.
 */
export interface HandlerExit {
  readonly type: 'gen_event_EXIT';
  readonly manager: Pid;
  readonly handler: string;
  readonly reason: ExitReason | { readonly swapped: string; readonly by: Pid };
}

export type AddResult = 'ok' | { readonly error: 'already_added' | 'too_many' } | { readonly error: ExitReason };

/** What a manager accepts by `cast`; made by `notify`. */
export interface Notification<Event> {
  readonly type: 'notify';
  readonly event: Event;
}

type Caller = Pick<Context, 'call'>;
type Caster = Pick<Context, 'cast'>;
type Manages<Event> = Target<Notification<Event>>;

/** Milliseconds that requests wait by default; a handler's `init` may open a file. */
const REQUEST_MS = 5_000;

/** The behaviour of a manager of events of type `Event`. */
export function behavior<Event>(): Behavior<Manager, void, Notification<Event>, Request, unknown> {
  return manager;
}

/** Hands `event` to all handlers, some time. As `Context.cast`. */
export function notify<Event>(caller: Caster, manager: Manages<Event>, event: Event): SendResult {
  return caller.cast(manager, { type: 'notify', event });
}

/** Hands `event` to all handlers and waits until each has had it. Rejects as `Context.call`. */
export async function syncNotify<Event>(
  caller: Caller,
  manager: Manages<Event>,
  event: Event,
  timeoutMs: number = REQUEST_MS,
): Promise<void> {
  await caller.call(manager, { type: 'sync_notify', event } satisfies Request, timeoutMs);
}

/**
 * Adds a handler behind those that are there. An `init` that throws is an `error` with the exit reason.
 *
 * @param options - `id` instead of the handler's name.
 */
export function addHandler<Event, State, Args>(
  caller: Caller,
  manager: Manages<Event>,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  handler: EventHandler<Event, State, Args, any, any>,
  args: Args,
  options: { readonly id?: string } = {},
): Promise<AddResult> {
  return askToAdd(caller, manager, { handler: handler as AnyHandler, args, ...options }, false);
}

/**
 * As `addHandler`, and binds the handler to the calling actor: they are linked; when the actor ends the handler is
 * removed, and when the handler is removed the actor gets a `HandlerExit`. The link goes with the last such handler.
 */
export function addSupHandler<Event, State, Args>(
  ctx: Caller,
  manager: Manages<Event>,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  handler: EventHandler<Event, State, Args, any, any>,
  args: Args,
  options: { readonly id?: string } = {},
): Promise<AddResult> {
  return askToAdd(ctx, manager, { handler: handler as AnyHandler, args, ...options }, true);
}

function askToAdd(caller: Caller, manager: Target, entry: NewHandler, supervised: boolean): Promise<AddResult> {
  return caller.call(manager, { type: 'add', entry, supervised } satisfies Request, REQUEST_MS);
}

/** Removes a handler. `ok` holds what its `terminate` returned, which gets `args`. */
export function deleteHandler(
  caller: Caller,
  manager: Target,
  id: string,
  args?: unknown,
): Promise<{ ok: unknown } | { error: 'not_found' }> {
  return caller.call(manager, { type: 'delete', id, args } satisfies Request, REQUEST_MS);
}

/**
 * Puts `next` in the place of the handler `id`, in one step: no event passes between the two. What `terminate` of the
 * old one returns is inherited by `init` of the new one. If there is no old one, `next` is added all the same.
 */
export function swapHandler<Args>(
  caller: Caller,
  manager: Target,
  id: string,
  args: unknown,
  next: NewHandler<Args>,
): Promise<AddResult> {
  return askToSwap(caller, manager, id, args, next as NewHandler, false);
}

/** As `swapHandler`, and binds the new handler to the calling actor as `addSupHandler` does. */
export function swapSupHandler<Args>(
  ctx: Caller,
  manager: Target,
  id: string,
  args: unknown,
  next: NewHandler<Args>,
): Promise<AddResult> {
  return askToSwap(ctx, manager, id, args, next as NewHandler, true);
}

function askToSwap(
  caller: Caller,
  manager: Target,
  id: string,
  args: unknown,
  next: NewHandler,
  supervised: boolean,
): Promise<AddResult> {
  return caller.call(manager, { type: 'swap', id, args, next, supervised } satisfies Request, REQUEST_MS);
}

/** Calls one handler. `not_found` also if the handler threw and is gone; `error` then holds why. */
export function call<Reply = unknown>(
  caller: Caller,
  manager: Target,
  id: string,
  request: unknown,
  timeoutMs: number,
): Promise<{ ok: Reply } | { error: 'not_found' | ExitReason }> {
  return caller.call(manager, { type: 'call', id, request } satisfies Request, timeoutMs);
}

/** The ids of all handlers, in their order. */
export function whichHandlers(caller: Caller, manager: Target): Promise<string[]> {
  return caller.call(manager, { type: 'which_handlers' } satisfies Request, REQUEST_MS);
}

/** For a handler to return: it is to be removed. From `handleCall`, with the answer. */
export function removeHandler(reply?: unknown): Removal {
  return new Removal(reply);
}

/** For a handler to return: `next` is to take its place. `args` go to its own `terminate`, `reply` to a caller. */
export function swapTo<Args>(args: unknown, next: NewHandler<Args>, reply?: unknown): Swap {
  return new Swap(args, next as NewHandler, reply);
}

/** Whether an info message is a `HandlerExit`. */
export function isHandlerExit(info: unknown): info is HandlerExit {
  return typeof info === 'object' && info !== null && (info as { type?: unknown }).type === 'gen_event_EXIT';
}
