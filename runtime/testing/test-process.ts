/**
 * Runs one behaviour alone: no scheduler, no mailbox, no other actors. What it does to the world is recorded.
 *
 * A test states "given this message, it sends that": it hands a message in with `cast`, `info` or `call`, and reads the
 * effects that came out. Answers of the world (a full mailbox, the reply of another actor, a child that does not start)
 * are decided by the test. Read next: `test-node.ts`, where real actors run together in virtual time.
 */

import type { AnyBehavior, Behavior, Context, RegisterResult, SpawnOptions, StartResult } from '../behavior.ts';
import type { Clock, Logger, Random } from '../contracts.ts';
import type { From, SendResult, Target } from '../envelope.ts';
import type { ExitReason, ExitRequest } from '../exit-reason.ts';
import { Pid } from '../pid.ts';
import { type Ref, RefSource } from '../ref.ts';
import { createSeededRandom } from './seeded-random.ts';
import { createMemoryLog, type LogEntry } from './test-node.ts';
import { VirtualClock } from './virtual-clock.ts';

/** One thing that the behaviour did to the world. */
export type Effect =
  | { type: 'send' | 'cast'; to: Target; message: unknown; result: SendResult }
  | { type: 'call'; to: Target; request: unknown; timeoutMs: number }
  | { type: 'reply'; from: From; value: unknown }
  | { type: 'spawn' | 'startLink'; behavior: string; args: unknown; options: SpawnOptions | undefined }
  | { type: 'link' | 'unlink' | 'monitor'; pid: Pid; ref?: Ref }
  | { type: 'demonitor' | 'cancelTimer'; ref: Ref }
  | { type: 'exit'; pid: Pid; reason: ExitRequest }
  | { type: 'timer'; delayMs: number; message: unknown; to: Target | undefined; ref: Ref }
  | { type: 'register' | 'unregister'; name: string }
  | { type: 'stop'; reason: ExitReason }
  | { type: 'requestTurnEnd' };

/** How the world answers. What is left out succeeds: sends are `'ok'`, children start. */
export interface World {
  /** The result of a send or cast; called before it is recorded. */
  onSend?(to: Target, message: unknown): SendResult;
  /** The reply of another actor, or a rejection. Without it every call is never answered. */
  onCall?(to: Target, request: unknown): unknown;
  onStartLink?(behavior: AnyBehavior, args: unknown): StartResult | Promise<StartResult>;
  whereis?(name: string): Pid | undefined;
  onAwaitExit?(pid: Pid): ExitReason | 'timeout';
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
    await this.behavior.handleCast!(message, this.state, this.#context);
    return this.take();
  }

  /** Hands in an info message, a `Down`, an `Exit` or a timer's message, and waits for its handler. */
  async info(message: unknown): Promise<Effect[]> {
    await this.behavior.handleInfo!(message, this.state, this.#context);
    return this.take();
  }

  /** Hands in a call; returns what the handler returned, which may be NO_REPLY. Its effects wait for `take`. */
  async call(request: Request, from: From = this.from(0)): Promise<unknown> {
    return this.behavior.handleCall!(request, from, this.state, this.#context);
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
}

class RecordingContext implements Context {
  readonly self: Pid;
  readonly clock: Clock;
  readonly random: Random = createSeededRandom(1);
  readonly log: Logger;
  readonly worker: number = 0;
  readonly effects: Effect[] = [];
  readonly refs: RefSource = new RefSource('test', 0, 1);
  readonly #world: World;
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

  call<Reply = unknown>(to: Target, request: unknown, timeoutMs: number): Promise<Reply> {
    this.effects.push({ type: 'call', to, request, timeoutMs });
    const { onCall } = this.#world;
    if (onCall === undefined) return new Promise(() => {});
    return new Promise((resolve) => resolve(onCall(to, request) as Reply));
  }

  reply(from: From, value: unknown): SendResult {
    this.effects.push({ type: 'reply', from, value });
    return 'ok';
  }

  spawn<S, A, C, Q, R>(behavior: Behavior<S, A, C, Q, R>, args: A, options?: SpawnOptions): Pid<C> {
    this.effects.push({ type: 'spawn', behavior: behavior.name, args, options });
    return this.#newPid();
  }

  startLink<S, A, C, Q, R>(
    behavior: Behavior<S, A, C, Q, R>,
    args: A,
    options?: SpawnOptions,
  ): StartResult<C> | Promise<StartResult<C>> {
    this.effects.push({ type: 'startLink', behavior: behavior.name, args, options });
    const result = this.#world.onStartLink?.(behavior, args) ?? { ok: this.#newPid() };
    return result as StartResult<C>;
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
    return ref;
  }

  cancelTimer(ref: Ref): boolean {
    this.effects.push({ type: 'cancelTimer', ref });
    return true;
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
