/**
 * Decides when an actor runs: a run queue, a budget for each actor, and a slice of time for all of them.
 *
 *   turn:  receive from other threads → run ready actors → turn-end handlers → (again, if they made work) → flush
 *
 * A turn ends when nothing is ready or when its slice is used up; then it gives the event loop back, so that sockets
 * are read, and comes back by `loop.defer` if work is left. It knows neither messages nor behaviours: what running an
 * actor means is handed in. All of a turn's effects on the world (socket writes, commits, rings) are gathered by its
 * end, which is what makes batching free.
 *
 * It is also the only reader of the clock on the way of a message, once in about 32 actor turns: for the slice, for the
 * stamps that tell how long a message has waited, and to time one actor's turn, which stands for the others of its gap.
 * Docs: docs/internals/scheduler.md.
 */

import type { Clock, Loop } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { ENTRY_KIND_BITS, mailboxCount } from './mailbox.ts';
import { COUNT_CARRY, FLAG, type Process } from './process.ts';
import { Ring } from './ring.ts';

/** What the scheduler calls; none of it may throw. */
export interface SchedulerWork {
  /** One turn of one actor. */
  run(process: Process): void;
  /** Its `handleTurnEnd`. */
  runTurnEnd(process: Process): void;
}

/** Actors that are ready to run. A ring, first in first out; the testing kit hands in one that draws. */
export interface RunQueue {
  readonly count: number;
  push(process: Process): void;
  /** `undefined` ends a turn: nothing is ready, or what is left shall wait for the next. */
  shift(): Process | undefined;
  /** It is empty and the worker sleeps: memory for more than `keptMax` actors may be given back. */
  trim?(keptMax: number): void;
}

/** One turn of one actor, as it was measured. Reused: valid until the callback returns. */
export interface TimedTurn {
  behavior: string;
  version: number;
  durationMs: number;
  /** Messages that waited when it began. */
  waitingCount: number;
}

export class Scheduler {
  readonly #loop: Loop;
  readonly #clock: Clock;
  readonly #work: SchedulerWork;
  readonly #ready: RunQueue;
  readonly #turnStartHooks: Hooks = new Hooks();
  readonly #turnEndHooks: Hooks = new Hooks();
  readonly #idleHooks: Hooks = new Hooks();
  #timedHook: ((turn: TimedTurn) => void) | null = null;
  readonly #timed: TimedTurn = { behavior: '', version: 0, durationMs: 0, waitingCount: 0 };
  readonly #onDefer: () => void = () => this.#turn();
  readonly #onSoon: () => void = () => this.#resume();
  #turnEnds: Process[] = [];
  #armed: boolean = false;
  #running: boolean = false;
  #turnCount: number = 0;
  // Whether this turn settled a promise that somebody awaits, and how often to look for what comes of it.
  #settled: boolean = false;
  #hopsLeft: number = 0;
  // Begin and end of the slice: of the turns that follow each other without giving the loop back. 0 before the first.
  #beganMs: number = 0;
  #deadlineMs: number = 0;
  #busyMs: number = 0;
  // Actor turns to the next look at the clock, and how many the gap has in all.
  #turnsToCheck: number = LIMITS.sliceCheckTurns;
  #gapTurns: number = LIMITS.sliceCheckTurns;
  #gapSeed: number = 1;
  // The clock's tick in the bits of an entry above its kind; 0 while nothing runs and nothing is arranged.
  #stamp: number = 0;

  constructor(
    loop: Loop,
    clock: Clock,
    work: SchedulerWork,
    ready: RunQueue = new Ring<Process>(LIMITS.runQueueFirstValues),
  ) {
    this.#ready = ready;
    this.#loop = loop;
    this.#clock = clock;
    this.#work = work;
  }

  /** Actors ready to run. */
  get readyCount(): number {
    return this.#ready.count;
  }

  /** Turns so far. */
  get turnCount(): number {
    return this.#turnCount;
  }

  /** Milliseconds spent in turns so far. Exact, but for the turn that goes on. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** Queues an actor, once. From outside a turn this also arranges for a turn. */
  schedule(process: Process): void {
    if ((process.flags & FLAG.queued) !== 0) return;
    process.flags |= FLAG.queued;
    this.#ready.push(process);
    if (!this.#running) this.wake();
  }

  /** Queues the turn-end handler of an actor, once a turn. */
  requestTurnEnd(process: Process): void {
    if ((process.flags & FLAG.turnEnd) !== 0) return;
    process.flags |= FLAG.turnEnd;
    this.#turnEnds.push(process);
    if (!this.#running) this.wake();
  }

  /** Whether a turn is going on, up to its hooks; what is gathered now is flushed at its end. */
  get running(): boolean {
    return this.#running;
  }

  /** Notes that an awaited promise was settled: its actor will be ready as soon as promises had their say. */
  noteSettled(): void {
    this.#settled = true;
  }

  /**
   * The time of now for an entry of a mailbox, in the bits above the kind: milliseconds modulo 2^28, as the clock was
   * last read. That was at the start of the turn or some 32 actor turns ago; never 0.
   */
  stamp(): number {
    return this.#stamp === 0 ? stampOf(this.#clock.monotonicMs()) : this.#stamp;
  }

  /** Milliseconds, modulo 2^28 (74 hours), since an entry with this stamp arrived. */
  ageMs(entry: number): number {
    const now = stampOf(this.#clock.monotonicMs());
    return ((now >>> ENTRY_KIND_BITS) - (entry >>> ENTRY_KIND_BITS)) & TICK_MASK;
  }

  /** Arranges for a turn soon, if none is arranged. */
  wake(): void {
    if (this.#armed) return;
    this.#armed = true;
    if (this.#stamp === 0) this.#stamp = stampOf(this.#clock.monotonicMs());
    this.#loop.defer(this.#onDefer);
  }

  /** Calls `hook` at the start of each turn, before actors run. Returns its removal. */
  onTurnStart(hook: () => void): () => void {
    return this.#turnStartHooks.add(hook);
  }

  /** Calls `hook` at the end of each turn, after all turn-end handlers. Returns its removal. */
  onTurnEnd(hook: () => void): () => void {
    return this.#turnEndHooks.add(hook);
  }

  /** Calls `hook` after a turn that leaves nothing to do. Returns its removal. */
  onIdle(hook: () => void): () => void {
    return this.#idleHooks.add(hook);
  }

  /**
   * Calls `hook` after each turn of an actor that is timed: about one in 32, drawn so that each actor's turns have the same
   * chance. One hook at a time. Must not throw. Returns its removal.
   */
  onTimedTurn(hook: (turn: TimedTurn) => void): () => void {
    this.#timedHook = hook;
    return () => void (this.#timedHook = null);
  }

  #turn(): void {
    this.#armed = false;
    this.#running = true;
    this.#turnCount += 1;
    let timeLeft = this.#deadlineMs === 0 ? this.#beginSlice() : this.#clock.monotonicMs() < this.#deadlineMs;
    try {
      this.#turnStartHooks.call();
      for (let round = 0; round < LIMITS.turnEndRoundsMax && timeLeft; round += 1) {
        timeLeft = this.#runReady();
        if (this.#turnEnds.length > 0) this.#runTurnEnds();
        else break;
        if (this.#ready.count === 0 && this.#turnEnds.length === 0) break;
      }
      // From here on nothing is gathered: what a hook begins, though others have already flushed, gets a turn of its own.
      this.#running = false;
      this.#turnEndHooks.call();
    } finally {
      // A hook that throws is an error outside of every actor: the thread's to report, and not to leave it half-way here.
      this.#running = false;
      this.#arrange(timeLeft);
    }
  }

  /** What comes after a turn: another one soon, another one after sockets were read, or nothing. */
  #arrange(timeLeft: boolean): void {
    const settled = this.#settled;
    this.#settled = false;
    if (settled && timeLeft && this.#loop.soon !== undefined && !this.#armed) {
      this.#armed = true;
      this.#hopsLeft = LIMITS.resumeHopsMax;
      return this.#loop.soon(this.#onSoon);
    }
    this.#endSlice();
    if (this.#ready.count > 0 || this.#turnEnds.length > 0) return this.wake();
    if (this.#armed) return;
    this.#stamp = 0;
    this.#ready.trim?.(LIMITS.runQueueKeptValues);
    this.#idleHooks.call();
  }

  /** Goes on when a settled promise has made work, or when there was time enough for that. */
  #resume(): void {
    this.#hopsLeft -= 1;
    if (this.#ready.count === 0 && this.#turnEnds.length === 0 && this.#hopsLeft > 0) {
      return this.#loop.soon!(this.#onSoon);
    }
    this.#turn();
  }

  #beginSlice(): true {
    this.#beganMs = this.#clock.monotonicMs();
    this.#deadlineMs = this.#beganMs + LIMITS.sliceMsMax;
    this.#stamp = stampOf(this.#beganMs);
    return true;
  }

  #endSlice(): void {
    this.#busyMs += this.#clock.monotonicMs() - this.#beganMs;
    this.#deadlineMs = 0;
  }

  /** Runs actors until none is ready or the slice is over. Returns whether time is left. */
  #runReady(): boolean {
    const ready = this.#ready;
    const work = this.#work;
    for (let process = ready.shift(); process !== undefined; process = ready.shift()) {
      process.flags &= ~FLAG.queued;
      this.#turnsToCheck -= 1;
      if (this.#turnsToCheck > 0) work.run(process);
      else if (!this.#runTimed(process)) return false;
    }
    return true;
  }

  /** Runs one actor between two looks at the clock. Returns whether time is left. */
  #runTimed(process: Process): boolean {
    const timed = this.#timed;
    const { behavior } = process;
    timed.waitingCount = mailboxCount(process);
    const beganMs = this.#clock.monotonicMs();
    this.#work.run(process);
    const endedMs = this.#clock.monotonicMs();
    process.busyUs += Math.min(Math.round((endedMs - beganMs) * 1_000 * this.#gapTurns), COUNT_CARRY - 1);
    this.#stamp = stampOf(endedMs);
    timed.behavior = behavior.name;
    timed.version = behavior.version;
    timed.durationMs = endedMs - beganMs;
    this.#timedHook?.(timed);
    this.#drawGap();
    return endedMs < this.#deadlineMs;
  }

  /**
   * Draws the length of the next gap, from half of LIMITS.sliceCheckTurns to one and a half. A fixed one would meet the
   * same actors each time where they take turns in a regular order; the draw need not be good, only out of step.
   */
  #drawGap(): void {
    this.#gapSeed = (Math.imul(this.#gapSeed, 1_664_525) + 1_013_904_223) | 0;
    this.#gapTurns = LIMITS.sliceCheckTurns / 2 + ((this.#gapSeed >>> 16) % (LIMITS.sliceCheckTurns + 1));
    this.#turnsToCheck = this.#gapTurns;
  }

  #runTurnEnds(): void {
    const asked = this.#turnEnds;
    this.#turnEnds = [];
    for (const process of asked) {
      process.flags &= ~FLAG.turnEnd;
      this.#work.runTurnEnd(process);
    }
  }
}

const TICK_MASK = 2 ** (32 - ENTRY_KIND_BITS) - 1;

/** The stamp of a time. Where it would be 0, which says that there is none, it is one tick late. */
function stampOf(nowMs: number): number {
  return (Math.floor(nowMs) << ENTRY_KIND_BITS) | 0 || 1 << ENTRY_KIND_BITS;
}

/** Callbacks in order of their coming. An array that is replaced when one goes, so that a turn reads it as it is. */
class Hooks {
  #hooks: readonly (() => void)[] = [];

  call(): void {
    const hooks = this.#hooks;
    for (let index = 0; index < hooks.length; index += 1) hooks[index]!();
  }

  add(hook: () => void): () => void {
    this.#hooks = [...this.#hooks, hook];
    return () => void (this.#hooks = this.#hooks.filter((each) => each !== hook));
  }
}
