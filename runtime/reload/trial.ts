/**
 * Two versions of one behaviour at a time: which actor runs which, what is counted, and how one goes back.
 *
 *   slot ──────── all actors: the version before ──switch──▶ the new one ──keep──▶ the new one alone
 *   canary slot ─ a share of them by the hash of their pid: the new version
 *   refuge ────── actors that the new version failed: the version before
 *
 * Nothing on the way of a message tests for any of it: the slots hold handlers that are wrapped for the time of the trial.
 * An exception of the new version is counted against it. Of a behaviour that is `retriable` it ends no actor: the state goes back by
 * `codeBack`, the version before handles the same message, and the actor stays with it; so effects that came before the exception may come
 * twice, as after a resend. Any other actor crashes and is started again by its supervisor, from its store and with the version before: a
 * handler that threw half-way may have left a state from which that would acknowledge what was never stored.
 *
 * It knows neither threads nor files. Read next: `sweep.ts`, which moves the actors; `worker-reload.ts`, which drives both.
 */

import { type AnyBehavior, BehaviorSlot, setBehavior, type SlotWatch } from '../behavior.ts';
import type { Clock } from '../contracts.ts';
import { finishOwn, isPromise } from '../exit.ts';
import { fromThrown } from '../exit-reason.ts';
import { FLAG, type Process } from '../process.ts';
import { convertNow } from '../system.ts';
import { messageOf } from './compile.ts';
import { RELOAD_LIMITS } from './limits.ts';
import { BUCKET_COUNT, type TrialCounts, type VersionCounts } from './verdict.ts';

/** Where a trial stands. */
export type Stage = 'canary' | 'switched' | 'kept' | 'back';

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Handler = (...args: any[]) => unknown;

const HANDLERS = ['handleCall', 'handleCast', 'handleInfo', 'handleContinue', 'handleTurnEnd'] as const;
type HandlerName = (typeof HANDLERS)[number];

export class Trial implements SlotWatch {
  readonly slot: BehaviorSlot;
  readonly before: AnyBehavior;
  readonly next: AnyBehavior;
  readonly #clock: Clock;
  readonly #canary: BehaviorSlot;
  readonly #refuge: BehaviorSlot;
  readonly #beforeCounter: Counter = new Counter();
  readonly #nextCounter: Counter = new Counter();
  readonly #watchedNext: AnyBehavior;
  readonly #conversions = { done: 0, failed: 0, slow: 0, busyUs: 0, slowestUs: 0 };
  #retried: number = 0;
  #firstError: string | undefined;
  #stage: Stage = 'canary';

  /** Begins with everybody at the version before, and counting. */
  constructor(slot: BehaviorSlot, next: AnyBehavior, clock: Clock) {
    this.slot = slot;
    this.before = slot.current;
    this.next = next;
    this.#clock = clock;
    this.#watchedNext = this.#wrap(next, (name) => this.#runNext(name), true);
    this.#canary = this.#slotOf(this.#watchedNext);
    this.#canary.previous = this.before;
    this.#refuge = this.#slotOf(this.before);
    setBehavior(
      slot,
      this.#wrap(this.before, (name) => this.#runBefore(name), false),
    );
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** Whether the code of `process` is of this trial. */
  concerns({ behavior }: Process): boolean {
    return behavior === this.slot || behavior === this.#canary || behavior === this.#refuge;
  }

  /** Whether `process` is where it is to be: for one that the new version failed, that is the refuge until the verdict. */
  isSettled(process: Process): boolean {
    if (process.behavior === this.#refuge) return this.#stage === 'switched';
    return process.behavior === this.slot && process.version === this.slot.version;
  }

  /** Lets one actor try the new version, from its next turn on. */
  enlist(process: Process): void {
    if (process.behavior === this.slot) process.behavior = this.#canary;
  }

  /** All actors: the new version, from their next turns on. */
  switch(): void {
    this.#stage = 'switched';
    this.slot.previous = this.before;
    this.slot.watch = this;
    setBehavior(this.slot, this.#watchedNext);
  }

  /**
   * Ends the counting, for the new version: from now on it runs as if it had always been there, and what it throws is a crash as any
   * other. `back` is still possible, for what the last counts show; `forget` ends that.
   */
  keep(): void {
    this.#stage = 'kept';
    this.slot.previous = null;
    this.slot.watch = null;
    setBehavior(this.slot, this.next);
  }

  /** All actors: the version before, from their next turns on. */
  back(): void {
    this.#stage = 'back';
    for (const slot of [this.slot, this.#canary]) {
      slot.previous = this.next;
      slot.watch = this;
      setBehavior(slot, this.before);
    }
  }

  /** Ends a trial when all actors are at the version that stays. Nothing of the other is left behind in the slot. */
  forget(): void {
    this.slot.previous = null;
    this.slot.watch = null;
  }

  /** Puts `process` into the slot of all, whose version it has or will have at its next turn. */
  bringHome(process: Process): void {
    process.behavior = this.slot;
  }

  convert(process: Process): boolean {
    const isForth = process.version !== (this.next.version ?? 0);
    const beganMs = this.#clock.monotonicMs();
    try {
      convertNow(process);
    } catch (thrown) {
      this.#noteError('codeChange', thrown);
      return isForth ? this.#refuse(process) : endBewildered(process, thrown);
    }
    if (isForth) this.#noteConversion((this.#clock.monotonicMs() - beganMs) * 1_000);
    return true;
  }

  counts(): TrialCounts {
    return {
      before: this.#beforeCounter.counts(),
      next: this.#nextCounter.counts(),
      conversions: { ...this.#conversions },
      retried: this.#retried,
      firstError: this.#firstError,
    };
  }

  /** The state is as it was: the actor goes on with the code that it is of. */
  #refuse(process: Process): boolean {
    this.#conversions.failed += 1;
    process.behavior = this.#refuge;
    return true;
  }

  #noteConversion(us: number): void {
    const conversions = this.#conversions;
    conversions.done += 1;
    conversions.busyUs += us;
    if (us > RELOAD_LIMITS.conversionMsMax * 1_000) conversions.slow += 1;
    if (us > conversions.slowestUs) conversions.slowestUs = us;
  }

  #noteError(where: string, thrown: unknown): void {
    this.#firstError ??= `${where}: ${messageOf(thrown)}`;
  }

  #slotOf(behavior: AnyBehavior): BehaviorSlot {
    const slot = new BehaviorSlot(behavior);
    slot.number = this.slot.number;
    slot.watch = this;
    return slot;
  }

  /** A copy of `behavior` whose handlers are those that `handlerOf` makes. */
  #wrap(behavior: AnyBehavior, handlerOf: (name: HandlerName) => Handler, isNext: boolean): AnyBehavior {
    const wrapped = Object.assign(Object.create(Object.getPrototypeOf(behavior) as object), behavior) as AnyBehavior;
    const handlers = wrapped as { -readonly [Name in HandlerName]: Handler | undefined };
    for (const name of HANDLERS) if (behavior[name] !== undefined) handlers[name] = handlerOf(name);
    if (isNext) (wrapped as { init: AnyBehavior['init'] }).init = (args, ctx) => this.#init(args, ctx as never);
    return wrapped;
  }

  /** An actor that the new version cannot start is started by the version before. */
  #init(args: unknown, process: Process): unknown {
    const failed = (thrown: unknown): unknown => {
      if (process.has(FLAG.dead) || this.#stage === 'kept') throw thrown;
      const made: unknown = this.before.init(args, process as never);
      this.#nextCounter.threw += 1;
      this.#noteError('init', thrown);
      process.version = this.before.version ?? 0;
      process.behavior = this.#refuge;
      return made;
    };
    try {
      const made: unknown = this.next.init(args, process as never);
      return isPromise(made) ? made.then(undefined, failed) : made;
    } catch (thrown) {
      return failed(thrown);
    }
  }

  #runBefore(name: HandlerName): Handler {
    const { before } = this;
    const counter = this.#beforeCounter;
    const handler = before[name] as Handler;
    return (...args) => {
      const process = args[args.length - 1] as Process;
      const wasStopping = process.stopReason !== null;
      const beganMs = this.#clock.monotonicMs();
      const result = handler.apply(before, args);
      counter.note((this.#clock.monotonicMs() - beganMs) * 1_000, !wasStopping && process.stopReason !== null);
      return result;
    };
  }

  #runNext(name: HandlerName): Handler {
    const { next } = this;
    const version = next.version ?? 0;
    const counter = this.#nextCounter;
    const handler = next[name] as Handler;
    return (...args) => {
      const process = args[args.length - 1] as Process;
      // It went back within the turn that goes on.
      if (process.version !== version) return (this.before[name] as Handler | undefined)?.apply(this.before, args);
      const wasStopping = process.stopReason !== null;
      const beganMs = this.#clock.monotonicMs();
      try {
        const result = handler.apply(next, args);
        counter.note((this.#clock.monotonicMs() - beganMs) * 1_000, !wasStopping && process.stopReason !== null);
        return isPromise(result)
          ? result.then(undefined, (thrown: unknown) => this.#retry(process, name, args, thrown, wasStopping))
          : result;
      } catch (thrown) {
        return this.#retry(process, name, args, thrown, wasStopping);
      }
    };
  }

  /** The new version threw: the version before handles the same message and keeps the actor, where that is safe. */
  #retry(process: Process, name: HandlerName, args: unknown[], thrown: unknown, wasStopping: boolean): unknown {
    // A promise that outlasted the trial rejects as it does without one: there is no version before to go back to.
    if (process.has(FLAG.dead) || this.#stage === 'kept') throw thrown;
    if (this.before.retriable !== true || this.next.retriable !== true) {
      this.#giveUp(process, name, thrown);
      throw thrown;
    }
    const handler = this.before[name] as Handler | undefined;
    if (handler === undefined || !this.#takeBack(process)) throw thrown;
    if (!wasStopping) letGoOn(process);
    args[args.length - 2] = process.state;
    // What it throws is its own: a message that neither version can handle says nothing of the new one.
    const result = handler.apply(this.before, args);
    this.#nextCounter.threw += 1;
    this.#retried += 1;
    this.#noteError(name, thrown);
    return result;
  }

  /**
   * `process` ends of an exception. One is enough for the verdict, and is not waited for: an actor that crashes at every message would
   * take its supervisor with it. Whoever starts now starts with the version before; only this one ends with the code that its state is of.
   */
  #giveUp(process: Process, name: HandlerName, thrown: unknown): void {
    this.#nextCounter.threw += 1;
    this.#noteError(name, thrown);
    process.behavior = this.#slotOf(this.#watchedNext);
    this.back();
  }

  /** Makes the state of the version before. Returns whether that was possible. */
  #takeBack(process: Process): boolean {
    const version = this.before.version ?? 0;
    try {
      process.state = stateBetween(this.next, this.before, process.state);
    } catch (thrown) {
      this.#noteError('codeBack', thrown);
      this.#nextCounter.threw += 1;
      return false;
    }
    process.version = version;
    process.behavior = this.#refuge;
    return true;
  }
}

/** The state of another version: the newer one of the two knows both shapes. */
function stateBetween(from: AnyBehavior, to: AnyBehavior, state: unknown): unknown {
  const [was, is] = [from.version ?? 0, to.version ?? 0];
  if (was < is) return to.codeChange === undefined ? state : to.codeChange(state, was);
  return from.codeBack === undefined ? state : from.codeBack(state, is);
}

/** Takes back a wish to stop that came with an exception. */
function letGoOn(process: Process): void {
  process.stopReason = null;
  if (process.signals === null && !process.has(FLAG.attention)) process.flags &= ~FLAG.interrupted;
}

/** No version understands its state: it ends as if it had crashed, and its supervisor decides. */
function endBewildered(process: Process, thrown: unknown): false {
  finishOwn(process.kernel, process, fromThrown(thrown));
  return false;
}

class Counter {
  #handled: number = 0;
  #busyUs: number = 0;
  #slowestUs: number = 0;
  #ended: number = 0;
  readonly #buckets: Uint32Array = new Uint32Array(BUCKET_COUNT);
  threw: number = 0;

  note(us: number, ended: boolean): void {
    this.#handled += 1;
    this.#busyUs += us;
    if (us > this.#slowestUs) this.#slowestUs = us;
    if (ended) this.#ended += 1;
    this.#buckets[Math.min(31 - Math.clz32(us | 1), BUCKET_COUNT - 1)]! += 1;
  }

  counts(): VersionCounts {
    return {
      handled: this.#handled,
      busyUs: this.#busyUs,
      slowestUs: this.#slowestUs,
      threw: this.threw,
      ended: this.#ended,
      buckets: [...this.#buckets],
    };
  }
}
