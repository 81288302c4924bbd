/**
 * What an author writes: a behaviour, plain functions over plain state; and what it may do: its context.
 *
 * A process holds the slot of its behaviour, a version number and the state, and no function of the behaviour. So new
 * code is one assignment to the slot, and each actor meets it at its next turn, where `codeChange` converts the state.
 * For that to work a behaviour must not store closures of its own in the state. Read next: `turn.ts`, which calls these
 * functions, and `node.ts`, which starts the first actor.
 */

import type { Clock, Logger, Random } from './contracts.ts';
import type { From, SendResult, Target, ReplyOf, RequestOf } from './envelope.ts';
import type { ExitReason, ExitRequest } from './exit-reason.ts';
import type { Pid } from './pid.ts';
import type { Process } from './process.ts';
import type { Ref } from './ref.ts';
import type { SystemRequest } from './sys.ts';

/** Returned by `handleCall` to say: the reply comes later, through `ctx.reply(from, value)`, from anywhere. */
export const NO_REPLY: unique symbol = Symbol.for('blindbeam.no-reply') as never;

/**
 * The functions of one kind of actor. Handlers change `state` in place and run one at a time.
 *
 * A handler that returns a promise suspends its actor until the promise settles: the mailbox keeps filling, and only
 * signals (exit, kill) act meanwhile. A handler that throws, or whose promise rejects, ends the actor with
 * `{ error }`. An arrival without a handler: an info message is logged and dropped, a cast or call ends the actor.
 */
export interface Behavior<State = unknown, Args = void, Cast = unknown, Request = unknown, Reply = unknown> {
  /** Stable; names the behaviour in reports and is its identity across reloads. */
  readonly name: string;
  /** Integer, 0 if absent. A larger one in the slot triggers `codeChange`. */
  readonly version?: number;
  /**
   * Whether an actor is told that its mailbox had no room: once in its life, by the info message `MAILBOX_OVERFLOW`, behind what waits. A
   * sender on another worker does not hear of it, so for an actor that must miss nothing this is the only way to know.
   */
  readonly hearsOverflow?: boolean;
  /**
   * Whether its handlers may be run again over a state that a failed run of theirs has touched: what they did before they threw is
   * then done twice, or half. While a version is on trial (`reload/`), a message that it throws at is handled by the version before
   * if both say so. For all others an exception ends the actor, as it does without a trial: right for whoever gathers in its state what it commits.
   */
  readonly retriable?: boolean;
  /** Makes the first state. Throwing, or `ctx.stop(reason)`, fails the start; nobody sees a half-started actor. */
  init(args: Args, ctx: Context): State | Promise<State>;
  handleCall?(
    request: Request,
    from: From,
    state: State,
    ctx: Context,
  ): Reply | typeof NO_REPLY | Promise<Reply | typeof NO_REPLY>;
  handleCast?(message: Cast, state: State, ctx: Context): void | Promise<void>;
  /** Gets `Down`, trapped `Exit`, timer messages, and whatever comes by `send`. */
  handleInfo?(info: unknown, state: State, ctx: Context): void | Promise<void>;
  /**
   * Gets what `ctx.continue(term)` was given, before any message: the second half of a long `init`, or of a handler that
   * has answered already.
   */
  handleContinue?(term: unknown, state: State, ctx: Context): void | Promise<void>;
  /**
   * Runs once at the end of the scheduler's turn in which `ctx.requestTurnEnd()` was called, after every actor that was
   * ready has run: the place to commit or flush what many messages have gathered. While a handler's promise is open it
   * waits for the end of the turn in which that settles.
   */
  handleTurnEnd?(state: State, ctx: Context): void;
  /** Runs when the actor stops itself, throws, or is told to exit by its parent while it traps exits. */
  terminate?(reason: ExitReason, state: State, ctx: Context): void | Promise<void>;
  /**
   * Returns the state for this version, made from the state of version `from`. Under `replaceBehavior` it may change it in
   * place; a reload that can be taken back (`reload/`) wants a new object, so that what was is there if this throws.
   */
  codeChange?(state: State, from: number): State;
  /**
   * The way back: returns the state for the older version `to`, made from a state of this one. It is the newer code that
   * has it, because only that knows both shapes. Needed where `codeChange` changes the shape of the state.
   *
   * Source: the `{down, Vsn}` of OTP's code_change, which also runs in the newer module. Differs: a function of its own.
   */
  codeBack?(state: State, to: number): State;
  /** What its messages to and from other actors are; `reload/` refuses versions that would not understand each other. */
  readonly messages?: MessagesVersion;
  /** What `sys.getStatus` shows instead of the state: leave out what is secret. */
  formatStatus?(state: State): unknown;
  /** Packs the state of an actor that hibernates, into less memory. Without it the state stays as it is. */
  hibernate?(state: State): unknown;
  /** Makes the state again from what `hibernate` returned, before anything else runs. */
  wake?(packed: unknown): State;
  /** For behaviours that wrap an author's state (`gen-statem.ts`): what `sys.getState` shows. */
  systemGetState?(state: State): unknown;
  /** The counterpart for `sys.replaceState`: applies `replace` to what `systemGetState` shows. */
  systemReplaceState?(state: State, replace: (shown: unknown) => unknown): State;
}

/** The version of the messages that a behaviour sends, and those that it takes. Absent: 1 and [1]. */
export interface MessagesVersion {
  readonly speaks: number;
  readonly understands: readonly number[];
}

// The runtime keeps behaviours of all types side by side and hands each back only its own state; `any` says that the
// compiler cannot see this, and is confined to this alias.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyBehavior = Behavior<any, any, any, any, any>;

/** What becomes of a message for which a mailbox has no room; `overflow.ts` has the meanings. */
export type OverflowPolicy = 'refuse' | 'drop_oldest' | 'drop_newest' | 'exit';

export interface SpawnOptions {
  /** Messages that may wait. Default LIMITS.mailboxCountMax. `Infinity` lifts the bound: say why where you do. */
  mailboxMax?: number;
  /**
   * What becomes of a message beyond `mailboxMax`: `'refuse'` (the default) gives it back to its sender as `'full'`;
   * `'drop_oldest'` and `'drop_newest'` lose one and tell the sender `'ok'`; `'exit'` ends the actor with
   * RT_MAILBOX_OVERFLOW. Replies, signals, timers' messages and news of deaths are never refused nor lost.
   */
  overflow?: OverflowPolicy;
  /** Registers the actor before `init` runs. */
  name?: string;
  /** Links the new actor to the spawning one, atomically with the spawn. */
  link?: boolean;
  /** Monitors the new actor from the spawning one, atomically with the spawn; the `Down` names the pid. */
  monitor?: boolean;
}

/** What became of a start. `error` is the exit reason of the actor that did not start. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type StartResult<M = unknown, Q = any, R = any> = { ok: Pid<M, Q, R> } | { error: ExitReason };

/** What became of `register`: first writer wins, and an actor has at most one name. */
export type RegisterResult = 'ok' | 'taken' | 'noproc' | 'already_named';

/**
 * An actor's hands. Belongs to one actor and is valid until it ends; afterwards every method that acts throws
 * `RuntimeError` RT_EXITED, so an async handler that outlives its actor stops at its next step.
 */
export interface Context {
  readonly self: Pid;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** This thread's number: 0 is main. */
  readonly worker: number;

  /**
   * Sends `message` to `handleInfo` of `to`. Order is kept for each pair of actors; delivery is at most once.
   * @param message - Shared, not copied, within a worker: do not change it after sending. Copied between workers.
   */
  send(to: Target, message: unknown): SendResult;
  /** As `send`, to `handleCast`. */
  cast<M>(to: Target<M>, message: M): SendResult;
  /**
   * Sends `request` and waits for one reply. The callee is monitored meanwhile, so a dead one fails now and not at the
   * deadline; a reply after the deadline is discarded.
   * @param to - If it is a pid as `spawn` returned it, request and reply are those of its behaviour. For a name, say what
   *   you expect: `ctx.call<number>('counter', 'read', 1_000)`.
   * @param timeoutMs - 1 to LIMITS.callTimeoutMsMax. No default; choose it.
   * @throws {RuntimeError} (as rejection) RT_CALL_TIMEOUT, RT_CALL_NOPROC, RT_CALL_EXITED with `reason`, RT_CALL_FULL,
   *   RT_CALL_REFUSED, RT_CALL_SELF.
   */
  call<Reply = unknown, To extends Target = Target>(
    to: To,
    request: RequestOf<To>,
    timeoutMs: number,
  ): Promise<ReplyOf<To, Reply>>;
  /**
   * As `call`, without a promise: the outcome comes to `handleInfo` as one `Response` with the returned ref. For an
   * actor that handles other messages meanwhile, or has many requests open at a time.
   */
  sendRequest(to: Target, request: unknown, timeoutMs: number): Ref;
  /** Sends a request of `sys.ts`; use its functions. */
  systemRequest(to: Target, request: SystemRequest, timeoutMs: number): Promise<unknown>;
  /** Answers a call whose handler returned NO_REPLY. `'noproc'`: the caller no longer waits. */
  reply(from: From, value: unknown): SendResult;

  /**
   * Starts an actor without waiting: `init` runs in its first turn, and a failing `init` is an ordinary exit.
   * @throws {RuntimeError} RT_NAME_TAKEN, RT_PROCESS_LIMIT, RT_NODE_STOPPED.
   */
  spawn<S, A, C, Q, R>(behavior: Behavior<S, A, C, Q, R>, args: A, options?: SpawnOptions): Pid<C, Q, R>;
  /**
   * Starts a linked actor and runs its `init` now; returns a value if `init` is synchronous and a promise if it is not.
   * The result is told once: an actor whose `init` fails is unlinked first and sends no exit signal to its parent.
   * The starter becomes its parent: an exit signal from the parent ends even an actor that traps exits.
   */
  startLink<S, A, C, Q, R>(
    behavior: Behavior<S, A, C, Q, R>,
    args: A,
    options?: SpawnOptions,
  ): StartResult<C, Q, R> | Promise<StartResult<C, Q, R>>;

  /** Links this actor and `pid`, both ways, once. To a dead `pid`: an exit signal `'noproc'` comes back. */
  link(pid: Pid): void;
  /** Removes the link. No exit signal of that link acts after this returns. */
  unlink(pid: Pid): void;
  /** Asks for one `Down` when `target` ends; at once, with `'noproc'`, if it has ended. A name is looked up once, where it is. */
  monitor(target: Target): Ref;
  /** Takes the monitor back, including a `Down` that already waits in the mailbox. Takes the object `monitor` returned. */
  demonitor(ref: Ref): boolean;
  /**
   * Sends an exit signal. `'normal'` is ignored by an actor that does not trap exits, `'kill'` ends any. To `self` it
   * acts when the running handler returns.
   */
  exit(pid: Pid, reason: ExitRequest): void;
  /** Whether exit signals become `Exit` messages. Returns the earlier value. */
  trapExit(flag: boolean): boolean;
  /**
   * Resolves with the exit reason when `pid` ends (`'noproc'` if it has), or with `'timeout'`.
   * @param timeoutMs - As in `call`, or `'infinity'`.
   */
  awaitExit(pid: Pid, timeoutMs: number | 'infinity'): Promise<ExitReason | 'timeout'>;

  /**
   * Sends `message` by `send` after `delayMs`, unless cancelled or this actor ends first.
   * @param to - Default: this actor. A timer message to itself is never refused for a full mailbox.
   */
  sendAfter(delayMs: number, message: unknown, to?: Target): Ref;
  /** Whether the timer was still pending. `false` may mean that its message waits in the mailbox. */
  cancelTimer(ref: Ref): boolean;

  /**
   * Hands `term` to `handleContinue` before the next message (OTP's `{continue, Term}`). Several run in their order, each
   * in a turn of its own, so that an actor that goes on and on gives way to its neighbours.
   */
  continue(term: unknown): void;
  /**
   * Delivers the info `'timeout'` if no message comes within `timeoutMs` after the running handler (OTP's timeout in a
   * return value). The next message ends it, and so does `'infinity'`; requests of `sys` do not.
   */
  receiveTimeout(timeoutMs: number | 'infinity'): void;
  /**
   * Lets this actor use as little memory as it can until it has something to do: when the running handler returns and
   * nothing waits, `hibernate` of the behaviour packs the state, and `wake` unpacks it.
   */
  hibernate(): void;
  /** A new unique token (OTP's `make_ref`). */
  makeRef(): Ref;

  /** Registers this actor, or another of this worker, under `name`. */
  register(name: string, pid?: Pid): RegisterResult;
  unregister(name: string): boolean;
  /** The actor registered under `name` on this worker. */
  whereis(name: string): Pid | undefined;

  /** Ends this actor with `reason` when the running handler returns; a reply returned by it is still sent. */
  stop(reason?: ExitReason): void;
  /** Asks for one `handleTurnEnd` at the end of this turn. */
  requestTurnEnd(): void;
  /** Messages waiting for this actor. */
  mailboxCount(): number;
}

/** What a reload that is under way does in place of the runtime. */
export interface SlotWatch {
  /**
   * Converts the state of `process`, or lets it go on with the code that understands the state. Never throws.
   *
   * @returns Whether it goes on: an actor whose state nobody understands is ended.
   */
  convert(process: Process): boolean;
}

/**
 * Where the live code of one behaviour is found: actors point here, never at the code.
 *
 * The handlers that a message may need stand here in fields of their own: behaviours are objects of as many shapes as
 * there are behaviours, and a load from all of them in one place is the slow kind; a slot has one shape.
 */
export class BehaviorSlot {
  readonly name: string;
  /** Under which the thread's pulse shows it; 0 until the first of its actors runs. */
  number: number = 0;
  version: number;
  current: AnyBehavior;
  /** The code before the last replacement, for actors that have not met `current` yet. */
  previous: AnyBehavior | null = null;
  /** Converts states while a reload is under way, in place of the runtime; null otherwise. */
  watch: SlotWatch | null = null;
  handleCall: AnyBehavior['handleCall'];
  handleCast: AnyBehavior['handleCast'];
  handleInfo: AnyBehavior['handleInfo'];

  constructor(behavior: AnyBehavior) {
    this.name = behavior.name;
    this.version = behavior.version ?? 0;
    this.current = behavior;
    this.handleCall = behavior.handleCall;
    this.handleCast = behavior.handleCast;
    this.handleInfo = behavior.handleInfo;
  }
}

const slots = new WeakMap<AnyBehavior, BehaviorSlot>();
// The last one asked for: a supervisor starts very many of one behaviour.
let lastBehavior: AnyBehavior | null = null;
let lastSlot: BehaviorSlot | null = null;

/** The slot of `behavior`: one for each behaviour object on this thread, made at its first spawn. */
export function behaviorSlotOf(behavior: AnyBehavior): BehaviorSlot {
  if (behavior === lastBehavior) return lastSlot!;
  let slot = slots.get(behavior);
  if (slot === undefined) {
    slot = new BehaviorSlot(behavior);
    slots.set(behavior, slot);
  }
  lastBehavior = behavior;
  lastSlot = slot;
  return slot;
}

/**
 * Makes `next` the live code of `slot` on this thread: every actor of the slot runs `codeChange` at its next turn and
 * then handles messages with `next`; spawning either object starts the new version.
 *
 * @throws {RangeError} if the name differs or the version is not larger.
 */
export function replaceBehavior(slot: BehaviorSlot, next: AnyBehavior): void {
  const version = next.version ?? 0;
  if (next.name !== slot.name) throw new RangeError(`"name" expected '${slot.name}', got '${next.name}'`);
  if (version <= slot.version) throw new RangeError(`"version" expected more than ${slot.version}, got ${version}`);
  slots.set(next, slot);
  slot.previous = slot.current;
  setBehavior(slot, next);
}

/** Puts `behavior` into `slot`, whatever was there: a version is taken back by this. */
export function setBehavior(slot: BehaviorSlot, behavior: AnyBehavior): void {
  slot.current = behavior;
  slot.version = behavior.version ?? 0;
  slot.handleCall = behavior.handleCall;
  slot.handleCast = behavior.handleCast;
  slot.handleInfo = behavior.handleInfo;
}

/** The code that understands the state of `process`: of its version, which a replaced slot still has. */
export function codeOf({ behavior, version }: Process): AnyBehavior {
  const { current, previous } = behavior;
  return previous !== null && version !== behavior.version && version === (previous.version ?? 0) ? previous : current;
}
