/**
 * Runs one behaviour alone: no scheduler, no mailbox, no other actors. What it does to the world is recorded.
 *
 * A test states "given this message, it sends that": it hands a message in with `cast`, `info` or `call`, and reads the
 * effects that came out. Answers of the world (a full mailbox, the reply of another actor, a child that does not start)
 * are decided by the test. Read next: `test-node.ts`, where real actors run together in virtual time.
 */

import type { AnyBehavior, Behavior, Context, RegisterResult, SpawnOptions, StartResult } from '../behavior.ts';
import type { Clock, Logger, Random } from '../contracts.ts';
import type { From, SendResult, Target, ReplyOf, RequestOf } from '../envelope.ts';
import type { ExitReason, ExitRequest } from '../exit-reason.ts';
import { Pid } from '../pid.ts';
import { type Ref, RefSource } from '../ref.ts';
import { createSeededRandom } from './seeded-random.ts';
import { createMemoryLog, type LogEntry } from './test-node.ts';
import { VirtualClock } from './virtual-clock.ts';

/** One thing that the behaviour did to the world. */
export type Effect =
  | { type: 'send' | 'cast'; to: Target; message: unknown; result: SendResult }
  | { type: 'call' | 'systemRequest'; to: Target; request: unknown; timeoutMs: number }
  | { type: 'sendRequest'; to: Target; request: unknown; timeoutMs: number; ref: Ref }
  | { type: 'reply'; from: From; value: unknown }
  | { type: 'spawn' | 'startLink'; behavior: string; args: unknown; options: SpawnOptions | undefined }
  | { type: 'link' | 'unlink' | 'monitor'; pid: Pid; ref?: Ref }
  | { type: 'demonitor' | 'cancelTimer'; ref: Ref }
  | { type: 'exit'; pid: Pid; reason: ExitRequest }
  | { type: 'timer'; delayMs: number; message: unknown; to: Target | undefined; ref: Ref }
  | { type: 'register' | 'unregister'; name: string }
  | { type: 'stop'; reason: ExitReason }
  | { type: 'continue'; term: unknown }
  | { type: 'receiveTimeout'; timeoutMs: number | 'infinity' }
  | { type: 'requestTurnEnd' | 'hibernate' };

/** How the world answers. What is left out succeeds: sends are `'ok'`, children start. */
export interface World {
  /** The result of a send or cast; called before it is recorded. */
  onSend?(to: Target, message: unknown): SendResult;
  /** The reply of another actor, or a rejection, also for `systemRequest`. Without it every call is never answered. */
  onCall?(to: Target, request: unknown): unknown;
  /** Throws what `spawn` is to throw. */
  onSpawn?(behavior: AnyBehavior, args: unknown): void;
  onStartLink?(behavior: AnyBehavior, args: unknown): StartResult | Promise<StartResult>;
  whereis?(name: string): Pid | undefined;
  onAwaitExit?(pid: Pid): ExitReason | 'timeout';
}

/**
 * Answers `failure` the n-th time it is asked, and `success` all other times: `{ onSend: failOn(3, 'full', 'ok') }`. A
 * failure that is an Error is thrown.
 */
export function failOn<T>(nth: number, failure: T | Error, success: T): () => T {
  let count = 0;
  return () => {
    count += 1;
    if (count !== nth) return success;
    if (failure instanceof Error) throw failure;
    return failure;
  };
}

export class TestProcess<State, Args, Cast, Request, Reply> {
  readonly behavior: Behavior<State, Args, Cast, Request, Reply>;
  readonly clock: VirtualClock = new VirtualClock();
  readonly logged: LogEntry[] = [];
  readonly self: Pid = new Pid('test', 0, 1, 1);
  readonly #context: RecordingContext;
  #state: State | undefined = undefined;

  /** Nothing has run yet; call `start`. */
  constructor(behavior: Behavior<State, Args, Cast, Request, Reply>, world: World = {}) {
    this.behavior = behavior;
    this.#context = new RecordingContext(this.self, this.clock, createMemoryLog(this.logged), world);
  }

  /** The state as it is; undefined before `start`. */
  get state(): State {
    return this.#state as State;
  }

  /** Why the behaviour asked to stop; undefined if it did not. */
  get stopped(): ExitReason | undefined {
    return this.#context.stopped;
  }

  get trapsExits(): boolean {
    return this.#context.trapsExits;
  }

  /** A pid of somebody else, a new one for each number. */
  pid(number: number): Pid {
    return new Pid('test', 0, 100 + number, 1);
  }

  /** Runs `init`. What it throws comes out. */
  async start(args: Args): Promise<this> {
    this.#state = await this.behavior.init(args, this.#context);
    return this;
  }

  /** Hands in a cast and waits for its handler. */
  async cast(message: Cast): Promise<Effect[]> {
    await this.#goOn();
    await this.behavior.handleCast!(message, this.state, this.#context);
    return this.take();
  }

  /** Hands in an info message, a `Down`, an `Exit` or a timer's message, and waits for its handler. */
  async info(message: unknown): Promise<Effect[]> {
    await this.#goOn();
    await this.behavior.handleInfo!(message, this.state, this.#context);
    return this.take();
  }

  /** Hands in a call; returns what the handler returned, which may be NO_REPLY. Its effects wait for `take`. */
  async call(request: Request, from: From = this.from(0)): Promise<unknown> {
    await this.#goOn();
    return this.behavior.handleCall!(request, from, this.state, this.#context);
  }

  /** Hands in the news that `pid` ended, as of a monitor. */
  down(pid: Pid, reason: ExitReason, ref: Ref = this.#context.refs.next()): Promise<Effect[]> {
    return this.info({ type: 'DOWN', ref, pid, reason });
  }

  /** Hands in an exit signal as it comes to an actor that traps exits. */
  exit(pid: Pid, reason: ExitReason): Promise<Effect[]> {
    return this.info({ type: 'EXIT', pid, reason });
  }

  /** Runs what was given to `ctx.continue`; otherwise that runs before the next message, as in life. */
  async continues(): Promise<Effect[]> {
    await this.#goOn();
    return this.take();
  }

  /** Moves time on; timers that the behaviour set for itself come due in their order. */
  async advance(ms: number): Promise<Effect[]> {
    const endMs = this.clock.monotonicMs() + ms;
    for (let next = this.#context.takeDue(endMs); next !== undefined; next = this.#context.takeDue(endMs)) {
      this.clock.advance(next.dueMs - this.clock.monotonicMs());
      await this.#goOn();
      await this.behavior.handleInfo!(next.message, this.state, this.#context);
    }
    this.clock.advance(endMs - this.clock.monotonicMs());
    return this.take();
  }

  /** Converts the state as after a reload of the code, from version `from`. */
  codeChange(from: number): State {
    this.#state = this.behavior.codeChange!(this.state, from);
    return this.#state;
  }

  /** Packs the state and unpacks it, as hibernation does. Returns what it was packed into. */
  hibernate(): unknown {
    const packed = this.behavior.hibernate?.(this.state) ?? this.state;
    this.#state = (this.behavior.wake?.(packed) ?? packed) as State;
    return packed;
  }

  /** A caller to hand in or to compare with. */
  from(number: number): From {
    return { pid: this.pid(number), ref: this.#context.refs.next() };
  }

  turnEnd(): Effect[] {
    this.behavior.handleTurnEnd!(this.state, this.#context);
    return this.take();
  }

  async terminate(reason: ExitReason): Promise<Effect[]> {
    await this.behavior.terminate?.(reason, this.state, this.#context);
    return this.take();
  }

  /** The effects since this was last asked, in order. */
  take(): Effect[] {
    return this.#context.effects.splice(0);
  }

  async #goOn(): Promise<void> {
    const { terms } = this.#context;
    while (terms.length > 0) await this.behavior.handleContinue!(terms.shift(), this.state, this.#context);
  }
}

class RecordingContext implements Context {
  readonly self: Pid;
  readonly clock: Clock;
  readonly random: Random = createSeededRandom(1);
  readonly log: Logger;
  readonly worker: number = 0;
  readonly effects: Effect[] = [];
  readonly refs: RefSource = new RefSource('test', 0, 1);
  /** Given to `continue` and not yet run. */
  readonly terms: unknown[] = [];
  readonly #world: World;
  readonly #timers: Map<Ref, { dueMs: number; message: unknown }> = new Map();
  stopped: ExitReason | undefined = undefined;
  trapsExits: boolean = false;
  #spawned: number = 0;

  constructor(self: Pid, clock: Clock, log: Logger, world: World) {
    this.self = self;
    this.clock = clock;
    this.log = log;
    this.#world = world;
  }

  send(to: Target, message: unknown): SendResult {
    return this.#sent('send', to, message);
  }

  cast<M>(to: Target<M>, message: M): SendResult {
    return this.#sent('cast', to, message);
  }

  call<Reply = unknown, To extends Target = Target>(
    to: To,
    request: RequestOf<To>,
    timeoutMs: number,
  ): Promise<ReplyOf<To, Reply>> {
    this.effects.push({ type: 'call', to, request, timeoutMs });
    return this.#answer(to, request) as Promise<ReplyOf<To, Reply>>;
  }

  systemRequest(to: Target, request: unknown, timeoutMs: number): Promise<unknown> {
    this.effects.push({ type: 'systemRequest', to, request, timeoutMs });
    return this.#answer(to, request);
  }

  sendRequest(to: Target, request: unknown, timeoutMs: number): Ref {
    const ref = this.refs.next();
    this.effects.push({ type: 'sendRequest', to, request, timeoutMs, ref });
    return ref;
  }

  reply(from: From, value: unknown): SendResult {
    this.effects.push({ type: 'reply', from, value });
    return 'ok';
  }

  spawn<S, A, C, Q, R>(behavior: Behavior<S, A, C, Q, R>, args: A, options?: SpawnOptions): Pid<C, Q, R> {
    this.effects.push({ type: 'spawn', behavior: behavior.name, args, options });
    this.#world.onSpawn?.(behavior, args);
    return this.#newPid();
  }

  startLink<S, A, C, Q, R>(
    behavior: Behavior<S, A, C, Q, R>,
    args: A,
    options?: SpawnOptions,
  ): StartResult<C, Q, R> | Promise<StartResult<C, Q, R>> {
    this.effects.push({ type: 'startLink', behavior: behavior.name, args, options });
    const result = this.#world.onStartLink?.(behavior, args) ?? { ok: this.#newPid() };
    return result as StartResult<C, Q, R>;
  }

  link(pid: Pid): void {
    this.effects.push({ type: 'link', pid });
  }

  unlink(pid: Pid): void {
    this.effects.push({ type: 'unlink', pid });
  }

  monitor(pid: Pid): Ref {
    const ref = this.refs.next();
    this.effects.push({ type: 'monitor', pid, ref });
    return ref;
  }

  demonitor(ref: Ref): boolean {
    this.effects.push({ type: 'demonitor', ref });
    return true;
  }

  exit(pid: Pid, reason: ExitRequest): void {
    this.effects.push({ type: 'exit', pid, reason });
  }

  trapExit(flag: boolean): boolean {
    const before = this.trapsExits;
    this.trapsExits = flag;
    return before;
  }

  awaitExit(pid: Pid): Promise<ExitReason | 'timeout'> {
    const { onAwaitExit } = this.#world;
    return onAwaitExit === undefined ? new Promise(() => {}) : Promise.resolve(onAwaitExit(pid));
  }

  sendAfter(delayMs: number, message: unknown, to?: Target): Ref {
    const ref = this.refs.next();
    this.effects.push({ type: 'timer', delayMs, message, to, ref });
    if (to === undefined || to === this.self) {
      this.#timers.set(ref, { dueMs: this.clock.monotonicMs() + delayMs, message });
    }
    return ref;
  }

  cancelTimer(ref: Ref): boolean {
    this.effects.push({ type: 'cancelTimer', ref });
    return this.#timers.delete(ref);
  }

  /** Takes out the timer for itself that is due first, up to `endMs`. */
  takeDue(endMs: number): { dueMs: number; message: unknown } | undefined {
    let first: [Ref, { dueMs: number; message: unknown }] | undefined;
    for (const entry of this.#timers) {
      if (entry[1].dueMs <= endMs && (first === undefined || entry[1].dueMs < first[1].dueMs)) first = entry;
    }
    if (first !== undefined) this.#timers.delete(first[0]);
    return first?.[1];
  }

  continue(term: unknown): void {
    this.terms.push(term);
    this.effects.push({ type: 'continue', term });
  }

  receiveTimeout(timeoutMs: number | 'infinity'): void {
    this.effects.push({ type: 'receiveTimeout', timeoutMs });
  }

  hibernate(): void {
    this.effects.push({ type: 'hibernate' });
  }

  makeRef(): Ref {
    return this.refs.next();
  }

  register(name: string): RegisterResult {
    this.effects.push({ type: 'register', name });
    return 'ok';
  }

  unregister(name: string): boolean {
    this.effects.push({ type: 'unregister', name });
    return true;
  }

  whereis(name: string): Pid | undefined {
    return this.#world.whereis?.(name);
  }

  stop(reason: ExitReason = 'normal'): void {
    this.stopped = reason;
    this.effects.push({ type: 'stop', reason });
  }

  requestTurnEnd(): void {
    this.effects.push({ type: 'requestTurnEnd' });
  }

  mailboxCount(): number {
    return 0;
  }

  #answer(to: Target, request: unknown): Promise<unknown> {
    const { onCall } = this.#world;
    if (onCall === undefined) return new Promise(() => {});
    return new Promise((resolve) => resolve(onCall(to, request)));
  }

  #sent(type: 'send' | 'cast', to: Target, message: unknown): SendResult {
    const result = this.#world.onSend?.(to, message) ?? 'ok';
    this.effects.push({ type, to, message, result });
    return result;
  }

  #newPid(): Pid {
    this.#spawned += 1;
    return new Pid('test', 0, 1_000 + this.#spawned, 1);
  }
}
