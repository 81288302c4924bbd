/**
 * The actor behind `gen-event.ts`: a list of handlers, each of which gets its turn with every event, and goes when it throws.
 *
 * A handler that returns a promise holds up those behind it, and nothing else. How to speak to it: `gen-event.ts`.
 */

import type { Behavior, Context } from './behavior.ts';
import { type From, isExit } from './envelope.ts';
import { isPromise } from './exit.ts';
import { type ExitReason, formatExitReason, fromThrown, isErrorReason } from './exit-reason.ts';
import type { AddResult, EventHandler, HandlerEnd, HandlerExit, NewHandler, Notification } from './gen-event.ts';
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

/** What a handler of an event may return. */
export type Outcome = void | Removal | Swap;

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyHandler = EventHandler<any, any, any, any, any>;

/** What a manager is asked. */
export type Request =
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

interface Entry {
  readonly id: string;
  readonly handler: AnyHandler;
  state: unknown;
  /** Who added it with `addSupHandler`. */
  readonly owner: Pid | null;
}

/** What takes the place of a handler. */
interface Replacement {
  /** For `terminate` of the old one. */
  readonly args: unknown;
  readonly next: NewHandler;
  readonly owner: Pid | null;
  readonly by: Pid;
}

/** The state of a manager. */
export interface Manager {
  entries: Entry[];
}

/** The behaviour of every manager, whatever its events are. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export const manager: Behavior<Manager, void, any, Request, unknown> = Object.freeze({
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
  else if (outcome instanceof Swap) {
    const { args, next } = outcome;
    await swap(state, ctx, entry, { args, next, owner: entry.owner, by: ctx.self });
  }
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
        : swap(state, ctx, old, { args: request.args, next: request.next, owner, by: from.pid });
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

/** Where a new handler goes, which inherits nothing. */
const LAST = { inherited: undefined, at: Infinity };

async function add(
  state: Manager,
  ctx: Context,
  { handler, args, id = handler.name }: NewHandler,
  owner: Pid | null,
  { inherited, at }: { readonly inherited: unknown; readonly at: number } = LAST,
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

async function swap(state: Manager, ctx: Context, old: Entry, change: Replacement): Promise<AddResult> {
  const { args, next, owner, by } = change;
  const at = state.entries.indexOf(old);
  const why = { swapped: next.id ?? next.handler.name, by };
  const inherited = await remove(state, ctx, old, { type: 'args', args }, why);
  return add(state, ctx, next, owner, { inherited, at });
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
