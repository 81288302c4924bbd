/**
 * Decides when an actor runs: a run queue, a budget for each actor, and a slice of time for all of them.
 *
 *   turn:  receive from other threads → run ready actors → turn-end handlers → (again, if they made work) → flush
 *
 * A turn ends when nothing is ready or when its slice is used up; then it gives the event loop back, so that sockets
 * are read, and comes back by `loop.defer` if work is left. It knows neither messages nor behaviours: what running an
 * actor means is handed in. All of a turn's effects on the world (socket writes, commits, rings) are gathered by its
 * end, which is what makes batching free. Docs: docs/internals/scheduler.md.
 */

import type { Clock, Loop } from './contracts.ts';
import { LIMITS } from './limits.ts';
import { FLAG, type Process } from './process.ts';
import { Ring } from './ring.ts';

/** What the scheduler calls; none of it may throw. */
export interface SchedulerWork {
  /** One turn of one actor. */
  run(process: Process): void;
  /** Its `handleTurnEnd`. */
  runTurnEnd(process: Process): void;
}

export class Scheduler {
  readonly #loop: Loop;
  readonly #clock: Clock;
  readonly #work: SchedulerWork;
  readonly #ready: Ring<Process> = new Ring(LIMITS.queueChunkValues);
  readonly #turnStartHooks: Set<() => void> = new Set();
  readonly #turnEndHooks: Set<() => void> = new Set();
  readonly #idleHooks: Set<() => void> = new Set();
  readonly #onDefer: () => void = () => this.#turn();
  #turnEnds: Process[] = [];
  #armed: boolean = false;
  #running: boolean = false;
  #turnCount: number = 0;
  // Whether this turn settled a promise that somebody awaits.
  #settled: boolean = false;
  // End of the slice of the turns that follow each other without giving the loop back; 0 at the first of them.
  #deadlineMs: number = 0;

  constructor(loop: Loop, clock: Clock, work: SchedulerWork) {
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

  /** Whether a turn is going on; what is gathered now is flushed at its end. */
  get running(): boolean {
    return this.#running;
  }

  /** Notes that an awaited promise was settled: its actor will be ready as soon as promises had their say. */
  noteSettled(): void {
    this.#settled = true;
  }

  /** Arranges for a turn soon, if none is arranged. */
  wake(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#loop.defer(this.#onDefer);
  }

  /** Calls `hook` at the start of each turn, before actors run. Returns its removal. */
  onTurnStart(hook: () => void): () => void {
    return subscribe(this.#turnStartHooks, hook);
  }

  /** Calls `hook` at the end of each turn, after all turn-end handlers. Returns its removal. */
  onTurnEnd(hook: () => void): () => void {
    return subscribe(this.#turnEndHooks, hook);
  }

  /** Calls `hook` after a turn that leaves nothing to do. Returns its removal. */
  onIdle(hook: () => void): () => void {
    return subscribe(this.#idleHooks, hook);
  }

  #turn(): void {
    this.#armed = false;
    this.#running = true;
    this.#turnCount += 1;
    for (const hook of this.#turnStartHooks) hook();
    if (this.#deadlineMs === 0) this.#deadlineMs = this.#clock.monotonicMs() + LIMITS.sliceMsMax;
    let timeLeft = this.#clock.monotonicMs() < this.#deadlineMs;
    for (let round = 0; round < LIMITS.turnEndRoundsMax && timeLeft; round += 1) {
      timeLeft = this.#runReady(this.#deadlineMs);
      this.#runTurnEnds();
      if (this.#ready.count === 0 && this.#turnEnds.length === 0) break;
    }
    for (const hook of this.#turnEndHooks) hook();
    this.#running = false;
    this.#arrange(timeLeft);
  }

  /** What comes after a turn: another one soon, another one after sockets were read, or nothing. */
  #arrange(timeLeft: boolean): void {
    const settled = this.#settled;
    this.#settled = false;
    if (settled && timeLeft && this.#loop.soon !== undefined && !this.#armed) {
      this.#armed = true;
      return this.#loop.soon(this.#onDefer);
    }
    this.#deadlineMs = 0;
    if (this.#ready.count > 0 || this.#turnEnds.length > 0) this.wake();
    else if (!this.#armed) for (const hook of this.#idleHooks) hook();
  }

  /** Runs actors until none is ready or the slice is over. Returns whether time is left. */
  #runReady(deadlineMs: number): boolean {
    let turns = 0;
    for (let process = this.#ready.shift(); process !== undefined; process = this.#ready.shift()) {
      process.flags &= ~FLAG.queued;
      this.#work.run(process);
      turns += 1;
      if (turns % LIMITS.sliceCheckTurns === 0 && this.#clock.monotonicMs() >= deadlineMs) return false;
    }
    return true;
  }

  #runTurnEnds(): void {
    if (this.#turnEnds.length === 0) return;
    const asked = this.#turnEnds;
    this.#turnEnds = [];
    for (const process of asked) {
      process.flags &= ~FLAG.turnEnd;
      this.#work.runTurnEnd(process);
    }
  }
}

function subscribe(hooks: Set<() => void>, hook: () => void): () => void {
  hooks.add(hook);
  return () => void hooks.delete(hook);
}
