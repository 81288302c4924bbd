/**
 * Timers of one worker: a hierarchical wheel of milliseconds, driven by one timer of the injected clock.
 *
 *   level 0: 256 slots of 1 ms    level 1: 64 of 256 ms    level 2: 64 of 16 s    level 3: 64 of 17 min   level 4: 64 of 19 h
 *
 * Setting and cancelling are a few pointer writes whatever the number of timers (every connection has one for its
 * idle timeout, and resets it all the time); a timer moves down at most four times before it fires. A heap would be
 * simpler and pays the logarithm of a million on each cancel. Timers fire in order of due time, never early, and those
 * of one millisecond in the order they reached level 0.
 */

import type { Clock } from './contracts.ts';
import type { Target } from './envelope.ts';
import type { Monitor } from './monitors.ts';
import type { Process } from './process.ts';
import { Ref, type RefSource } from './ref.ts';

/** One pending timer; also the ref its owner holds. */
export class Timer extends Ref {
  /** Tick at which it fires. */
  readonly dueTick: number;
  /** The actor whose end cancels it; null for the node. */
  readonly owner: Process | null;
  /** Where `message` goes; null if the timer ends a wait instead. */
  readonly target: Target | null;
  readonly message: unknown;
  /** The wait that this timer ends. */
  readonly wait: Monitor | null;
  armed: boolean = false;
  list: TimerList | null = null;
  previous: Timer | null = null;
  next: Timer | null = null;
  previousOwned: Timer | null = null;
  nextOwned: Timer | null = null;

  constructor(
    refs: RefSource,
    dueTick: number,
    owner: Process | null,
    target: Target | null,
    message: unknown,
    wait: Monitor | null,
  ) {
    super(refs.node, refs.worker, refs.creation, refs.nextId());
    this.dueTick = dueTick;
    this.owner = owner;
    this.target = target;
    this.message = message;
    this.wait = wait;
  }
}

class TimerList {
  readonly level: number;
  first: Timer | null = null;
  last: Timer | null = null;

  constructor(level: number) {
    this.level = level;
  }
}

// Bits of a tick below each level; the last entry is the span of the whole wheel.
const SHIFTS: readonly number[] = [0, 8, 14, 20, 26, 32];
const LEVEL_COUNT = 5;

export class TimerWheel {
  readonly #clock: Clock;
  readonly #originMs: number;
  readonly #expire: (timer: Timer) => void;
  readonly #levels: TimerList[][] = [];
  readonly #counts: number[] = new Array<number>(LEVEL_COUNT).fill(0);
  readonly #onWake: () => void = () => this.#wake();
  #tick: number = 0;
  #count: number = 0;
  #armedTick: number = Infinity;
  #handle: unknown = undefined;

  /** @param expire - Gets each timer that is due, already out of the wheel. Must not throw. */
  constructor(clock: Clock, expire: (timer: Timer) => void) {
    this.#clock = clock;
    this.#originMs = clock.monotonicMs();
    this.#expire = expire;
    for (let level = 0; level < LEVEL_COUNT; level += 1) {
      const slots = 1 << (SHIFTS[level + 1]! - SHIFTS[level]!);
      this.#levels.push(Array.from({ length: slots }, () => new TimerList(level)));
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Monotonic time of tick 0. */
  get originMs(): number {
    return this.#originMs;
  }

  /** The tick at which a timer of `delayMs` from now fires: not before its time, and not within this tick. */
  dueTick(delayMs: number): number {
    const now = this.#clock.monotonicMs() - this.#originMs;
    return Math.max(Math.ceil(now + delayMs), Math.floor(now) + 1);
  }

  add(timer: Timer): void {
    if (this.#count === 0) this.#tick = Math.max(this.#tick, this.#nowTick());
    timer.armed = true;
    this.#count += 1;
    this.#place(timer, this.#tick + 1);
    own(timer);
    const wakeTick = Math.max(timer.dueTick, this.#tick + 1);
    if (wakeTick < this.#armedTick) this.#arm(wakeTick);
  }

  /** Takes a timer out before it fires. `false` if it was not pending. */
  cancel(timer: Timer): boolean {
    if (!timer.armed) return false;
    this.#remove(timer);
    return true;
  }

  /** Cancels everything. */
  stop(): void {
    for (const lists of this.#levels) {
      for (const list of lists) while (list.first !== null) this.#remove(list.first);
    }
    this.#disarm();
  }

  #wake(): void {
    this.#handle = undefined;
    this.#armedTick = Infinity;
    this.#advance(this.#nowTick());
    if (this.#count > 0 && this.#armedTick === Infinity) this.#arm(this.#nextWakeTick());
  }

  #advance(nowTick: number): void {
    while (this.#tick < nowTick && this.#count > 0) {
      this.#tick = Math.min(nowTick, this.#nextBusyTick());
      if ((this.#tick & 255) === 0) this.#cascade(1);
      const due = this.#levels[0]![this.#tick & 255]!;
      // A timer set by an expiring one is due at a later tick at the earliest, so this list only shrinks.
      while (due.first !== null) this.#fire(due.first);
    }
    if (this.#count === 0) this.#tick = nowTick;
  }

  #fire(timer: Timer): void {
    this.#remove(timer);
    this.#expire(timer);
  }

  /** The next tick at which something can happen: one further, or the next border of an empty level. */
  #nextBusyTick(): number {
    if (this.#counts[0]! > 0) return this.#tick + 1;
    let level = 1;
    while (level < LEVEL_COUNT - 1 && this.#counts[level] === 0) level += 1;
    const span = 2 ** SHIFTS[level]!;
    return (Math.floor(this.#tick / span) + 1) * span;
  }

  /** When to look again: the first occupied slot of level 0, but not past a border where a higher level moves down. */
  #nextWakeTick(): number {
    if (this.#counts[0] === 0) return this.#nextBusyTick();
    const border = (Math.floor(this.#tick / 256) + 1) * 256;
    const last = this.#count > this.#counts[0]! ? border : this.#tick + 256;
    let tick = this.#tick + 1;
    while (tick < last && this.#levels[0]![tick & 255]!.first === null) tick += 1;
    return tick;
  }

  /** Moves the slot that has come near down from `level`, and first from the levels above if they wrap here too. */
  #cascade(level: number): void {
    if (level === LEVEL_COUNT) return;
    const lists = this.#levels[level]!;
    const index = Math.floor(this.#tick / 2 ** SHIFTS[level]!) & (lists.length - 1);
    if (index === 0) this.#cascade(level + 1);
    const list = lists[index]!;
    // Take the whole list first: a timer of the last level may be placed into the same slot again.
    const moving: Timer[] = [];
    for (let timer = list.first; timer !== null; timer = timer.next) moving.push(timer);
    for (const timer of moving) {
      this.#unplace(timer);
      this.#place(timer, this.#tick);
    }
  }

  /** @param earliestTick - The first tick whose slot is still to be handled. */
  #place(timer: Timer, earliestTick: number): void {
    const tick = Math.max(timer.dueTick, earliestTick);
    const distance = tick - this.#tick;
    let level = 0;
    while (level < LEVEL_COUNT - 1 && distance >= 2 ** SHIFTS[level + 1]!) level += 1;
    const lists = this.#levels[level]!;
    const list = lists[Math.floor(tick / 2 ** SHIFTS[level]!) & (lists.length - 1)]!;
    timer.list = list;
    timer.previous = list.last;
    if (list.last === null) list.first = timer;
    else list.last.next = timer;
    list.last = timer;
    this.#counts[level]! += 1;
  }

  #unplace(timer: Timer): void {
    const { list, previous, next } = timer;
    if (previous === null) list!.first = next;
    else previous.next = next;
    if (next === null) list!.last = previous;
    else next.previous = previous;
    timer.list = null;
    timer.previous = null;
    timer.next = null;
    this.#counts[list!.level]! -= 1;
  }

  #remove(timer: Timer): void {
    this.#unplace(timer);
    timer.armed = false;
    disown(timer);
    this.#count -= 1;
    // The clock's timer stays armed even if nothing is left: a call sets and cancels a timer each time, and a wake-up
    // for nothing is cheaper than arming and disarming the clock for every call.
  }

  #nowTick(): number {
    return Math.floor(this.#clock.monotonicMs() - this.#originMs);
  }

  #arm(tick: number): void {
    this.#disarm();
    this.#armedTick = tick;
    const delayMs = tick - (this.#clock.monotonicMs() - this.#originMs);
    this.#handle = this.#clock.setTimer(Math.max(0, delayMs), this.#onWake);
  }

  #disarm(): void {
    if (this.#handle !== undefined) this.#clock.clearTimer(this.#handle);
    this.#handle = undefined;
    this.#armedTick = Infinity;
  }
}

function own(timer: Timer): void {
  const { owner } = timer;
  if (owner === null) return;
  timer.nextOwned = owner.timers;
  if (owner.timers !== null) owner.timers.previousOwned = timer;
  owner.timers = timer;
}

function disown(timer: Timer): void {
  const { owner, previousOwned: previous, nextOwned: next } = timer;
  if (owner === null) return;
  if (previous !== null) previous.nextOwned = next;
  else owner.timers = next;
  if (next !== null) next.previousOwned = previous;
  timer.previousOwned = null;
  timer.nextOwned = null;
}
