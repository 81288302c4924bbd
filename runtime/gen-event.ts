/**
 * Event managers, OTP's `gen_event`: one actor that hands each event to handlers, which come and go while it runs.
 *
 * For what several parties want to know and the one who tells it need not: alarms, metrics, an audit trail. A handler
 * that throws is removed and reported, and the others go on, so that a broken listener harms nobody. A manager is an
 * ordinary actor with the behaviour of this file; everything else here is its API.
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
import { type From, isExit, type SendResult, type Target } from './envelope.ts';
import { isPromise } from './exit.ts';
import { type ExitReason, formatExitReason, fromThrown, isErrorReason } from './exit-reason.ts';
import { LIMITS } from './limits.ts';
import { type Pid, samePid } from './pid.ts';

/** Returned by a handler to be removed. From `handleCall`, `reply` is the answer. */
export class Removal {
  readonly reply: unknown;
  constructor(reply: unknown) {
    this.reply = reply;
  }
}

/** Returned by a handler to be replaced by another one, which inherits what `terminate` returns. */
export class Swap {
  readonly args: unknown;
  readonly next: NewHandler;
  readonly reply: unknown;
  constructor(args: unknown, next: NewHandler, reply: unknown) {
    this.args = args;
    this.next = next;
    this.reply = reply;
  }
}

type Outcome = void | Removal | Swap;

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

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AnyHandler = EventHandler<any, any, any, any, any>;

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

type Request =
  | { readonly type: 'add'; readonly entry: NewHandler; readonly supervised: boolean }
  | { readonly type: 'delete'; readonly id: string; readonly args: unknown }
  | {
      readonly type: 'swap';
      readonly id: string;
      readonly args: unknown;
      readonly next: NewHandler;
      readonly supervised: boolean;
    }
  | { readonly type: 'call'; readonly id: string; readonly request: unknown }
  | { readonly type: 'sync_notify'; readonly event: unknown }
  | { readonly type: 'which_handlers' };

/** What a manager accepts by `cast`; made by `notify`. */
export interface Notification<Event> {
  readonly type: 'notify';
  readonly event: Event;
}

interface Entry {
  readonly id: string;
  readonly handler: AnyHandler;
  state: unknown;
  /** Who added it with `addSupHandler`. */
  readonly owner: Pid | null;
}

export interface Manager {
  entries: Entry[];
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
  const entry = { handler: handler as AnyHandler, args, ...options };
  return caller.call(manager, { type: 'add', entry, supervised: false } satisfies Request, REQUEST_MS);
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
  const entry = { handler: handler as AnyHandler, args, ...options };
  return ctx.call(manager, { type: 'add', entry, supervised: true } satisfies Request, REQUEST_MS);
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
  const request = { type: 'swap', id, args, next: next as NewHandler, supervised: false } satisfies Request;
  return caller.call(manager, request, REQUEST_MS);
}

/** As `swapHandler`, and binds the new handler to the calling actor as `addSupHandler` does. */
export function swapSupHandler<Args>(
  ctx: Caller,
  manager: Target,
  id: string,
  args: unknown,
  next: NewHandler<Args>,
): Promise<AddResult> {
  const request = { type: 'swap', id, args, next: next as NewHandler, supervised: true } satisfies Request;
  return ctx.call(manager, request, REQUEST_MS);
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

// eslint-disable-next-line @typescript-eslint/no-explicit-any
const manager: Behavior<Manager, void, any, Request, unknown> = Object.freeze({
  name: 'gen_event',
  init(_args: void, ctx: Context): Manager {
    ctx.trapExit(true);
    return { entries: [] };
  },
  handleCast: ({ event }: Notification<unknown>, state: Manager, ctx: Context) =>
    dispatch(state, ctx, ({ handler, state: own }) => handler.handleEvent(event, own, ctx)),
  handleCall: answer,
  handleInfo(info: unknown, state: Manager, ctx: Context): void | Promise<void> {
    if (isExit(info) && state.entries.some(({ owner }) => owner !== null && samePid(owner, info.pid))) {
      return removeOwned(state, ctx, info.pid, info.reason);
    }
    return dispatch(state, ctx, ({ handler, state: own }) => handler.handleInfo?.(info, own, ctx));
  },
  async terminate(_reason: ExitReason, state: Manager, ctx: Context): Promise<void> {
    for (const entry of state.entries.slice()) await remove(state, ctx, entry, { type: 'stop' }, 'shutdown');
  },
  formatStatus: ({ entries }: Manager) =>
    entries.map(({ id, handler, state }) => ({ id, state: handler.formatStatus?.(state) ?? state })),
  systemGetState: ({ entries }: Manager) => entries.map(({ id, state }) => ({ id, state })),
  systemReplaceState(manager: Manager, replace: (state: unknown) => unknown): Manager {
    const replaced = manager.entries.map(({ id, state }) => replace({ id, state }) as { state: unknown });
    for (const [at, { state }] of replaced.entries()) manager.entries[at]!.state = state;
    return manager;
  },
});

/** Gives each handler its turn, in order; the next one waits for a promise of the one before. */
function dispatch(
  state: Manager,
  ctx: Context,
  run: (entry: Entry) => Outcome | Promise<Outcome>,
  from: number = 0,
  entries: readonly Entry[] = state.entries.slice(),
): void | Promise<void> {
  for (let at = from; at < entries.length; at += 1) {
    const entry = entries[at]!;
    const pending = attempt(state, ctx, entry, () => run(entry));
    if (pending !== undefined) return pending.then(() => dispatch(state, ctx, run, at + 1, entries));
  }
}

/** Runs one handler and does what its outcome asks for. A promise if it, or that, takes time. */
function attempt(
  state: Manager,
  ctx: Context,
  entry: Entry,
  run: () => Outcome | Promise<Outcome>,
): Promise<unknown> | undefined {
  try {
    const outcome = run();
    if (outcome === undefined) return undefined;
    if (!isPromise(outcome)) return follow(state, ctx, entry, outcome);
    return outcome.then(
      (settled) => follow(state, ctx, entry, settled),
      (thrown: unknown) => crash(state, ctx, entry, thrown),
    );
  } catch (thrown) {
    return crash(state, ctx, entry, thrown);
  }
}

async function follow(state: Manager, ctx: Context, entry: Entry, outcome: Outcome): Promise<void> {
  if (outcome instanceof Removal) await remove(state, ctx, entry, { type: 'remove_handler' }, 'normal');
  else if (outcome instanceof Swap) await swap(state, ctx, entry, outcome.args, outcome.next, entry.owner, ctx.self);
}

async function answer(request: Request, from: From, state: Manager, ctx: Context): Promise<unknown> {
  switch (request.type) {
    case 'add':
      return add(state, ctx, request.entry, request.supervised ? from.pid : null);
    case 'delete':
      return deleteById(state, ctx, request.id, request.args);
    case 'swap': {
      const old = find(state, request.id);
      const owner = request.supervised ? from.pid : null;
      return old === undefined
        ? add(state, ctx, request.next, owner)
        : swap(state, ctx, old, request.args, request.next, owner, from.pid);
    }
    case 'call':
      return callHandler(state, ctx, request.id, request.request);
    case 'sync_notify':
      await dispatch(state, ctx, ({ handler, state: own }) => handler.handleEvent(request.event, own, ctx));
      return NOTHING;
    case 'which_handlers':
      return state.entries.map(({ id }) => id);
  }
}

/** A reply that says no more than that it is one. */
const NOTHING = null;

async function add(
  state: Manager,
  ctx: Context,
  { handler, args, id = handler.name }: NewHandler,
  owner: Pid | null,
  inherited?: unknown,
  at: number = state.entries.length,
): Promise<AddResult> {
  if (find(state, id) !== undefined) return { error: 'already_added' };
  if (state.entries.length >= LIMITS.eventHandlerCountMax) return { error: 'too_many' };
  try {
    const made: unknown = await handler.init(args, ctx, inherited);
    state.entries.splice(at, 0, { id, handler, state: made, owner });
  } catch (thrown) {
    return { error: fromThrown(thrown) };
  }
  if (owner !== null) ctx.link(owner);
  return 'ok';
}

async function swap(
  state: Manager,
  ctx: Context,
  old: Entry,
  args: unknown,
  next: NewHandler,
  owner: Pid | null,
  by: Pid,
): Promise<AddResult> {
  const at = state.entries.indexOf(old);
  const why = { swapped: next.id ?? next.handler.name, by };
  const inherited = await remove(state, ctx, old, { type: 'args', args }, why);
  return add(state, ctx, next, owner, inherited, at);
}

async function deleteById(
  state: Manager,
  ctx: Context,
  id: string,
  args: unknown,
): Promise<{ ok: unknown } | { error: 'not_found' }> {
  const entry = find(state, id);
  if (entry === undefined) return { error: 'not_found' };
  return { ok: await remove(state, ctx, entry, { type: 'args', args }, 'normal') };
}

async function callHandler(state: Manager, ctx: Context, id: string, request: unknown): Promise<unknown> {
  const entry = find(state, id);
  if (entry?.handler.handleCall === undefined) return { error: 'not_found' };
  try {
    const outcome: unknown = await entry.handler.handleCall(request, entry.state, ctx);
    if (!(outcome instanceof Removal || outcome instanceof Swap)) return { ok: outcome };
    await follow(state, ctx, entry, outcome);
    return { ok: outcome.reply };
  } catch (thrown) {
    await crash(state, ctx, entry, thrown);
    return { error: fromThrown(thrown) };
  }
}

/** Reports a handler that threw, and removes it. No contents: an event may hold what users wrote. */
function crash(state: Manager, ctx: Context, entry: Entry, thrown: unknown): Promise<unknown> {
  const reason = fromThrown(thrown);
  logCrash(ctx, entry, reason);
  return remove(state, ctx, entry, { type: 'error', reason }, reason);
}

function logCrash(ctx: Context, { id, handler }: Entry, reason: ExitReason): void {
  ctx.log.error('event_handler_crashed', {
    manager: ctx.self.toString(),
    handler: id,
    kind: handler.name,
    reason: formatExitReason(reason),
    stack: isErrorReason(reason) ? reason.error.stack : undefined,
  });
}

/** Takes a handler out, lets it end, and tells its owner. Returns what its `terminate` returned. */
async function remove(
  state: Manager,
  ctx: Context,
  entry: Entry,
  end: HandlerEnd,
  reason: HandlerExit['reason'],
): Promise<unknown> {
  const at = state.entries.indexOf(entry);
  if (at === -1) return undefined;
  state.entries.splice(at, 1);
  let result: unknown;
  try {
    result = await entry.handler.terminate?.(end, entry.state, ctx);
  } catch (thrown) {
    logCrash(ctx, entry, fromThrown(thrown));
  }
  if (entry.owner !== null && end.type !== 'owner_exit') tellOwner(state, ctx, entry, entry.owner, reason);
  return result;
}

function tellOwner(state: Manager, ctx: Context, { id }: Entry, owner: Pid, reason: HandlerExit['reason']): void {
  const exit: HandlerExit = { type: 'gen_event_EXIT', manager: ctx.self, handler: id, reason };
  ctx.send(owner, exit);
  if (!state.entries.some((other) => other.owner !== null && samePid(other.owner, owner))) ctx.unlink(owner);
}

async function removeOwned(state: Manager, ctx: Context, owner: Pid, reason: ExitReason): Promise<void> {
  const owned = state.entries.filter((entry) => entry.owner !== null && samePid(entry.owner, owner));
  for (const entry of owned) await remove(state, ctx, entry, { type: 'owner_exit', reason }, reason);
}

function find(state: Manager, id: string): Entry | undefined {
  return state.entries.find((entry) => entry.id === id);
}
