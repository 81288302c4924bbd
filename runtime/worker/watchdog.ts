/**
 * Sees from the main thread that another one is stuck: JavaScript that never returns, in an actor or outside of one.
 *
 * Every thread counts its turns in shared memory (`../pulse.ts`). The watchdog looks whether the count has moved, and rings a thread
 * whose count has not, so that an idle one takes a turn as well. It decides and reports; what happens to
 * the thread is the pool's business. A thread that only waits (for a promise, for a socket) takes its turns and is fine.
 * What counts is the time for which a thread ran: on a crowded machine, where threads wait for a processor, everybody
 * would be found stuck at once otherwise, and to end them all is the worst that one could do then.
 */

import { url as debuggerUrl } from 'node:inspector';

import type { Clock } from '../contracts.ts';
import type { Pid } from '../pid.ts';
import type { PulseSample } from '../pulse.ts';
import type { ProcessorTimes } from './processor-time.ts';

/** What is known of a stuck thread. */
export interface StuckReport {
  readonly worker: number;
  /** Milliseconds without a turn, at least; see `unchangedMs`. */
  readonly stuckMs: number;
  /** Whether an actor's turn does not end. If not, what is stuck runs outside: a callback, or code after an `await`. */
  readonly inTurn: boolean;
  /** The behaviour that runs or, outside of a turn, ran last. */
  readonly behavior: string | undefined;
  readonly pid: Pid | undefined;
}

/** What was seen of one thread so far. */
export interface Observation {
  readonly turn: number;
  /** How long it has run while the turn did not change; where nobody counts that, how long the turn has not changed. */
  readonly ranMs: number;
  /** How long it has neither run nor waited for a processor while the turn did not change. */
  readonly idleMs: number;
  readonly atMs: number;
  /** As last told by the system. */
  readonly times: ProcessorTimes | undefined;
}

/**
 * Adds a sample to what was seen. Pure.
 *
 * Both sums are kept over the whole turn, so that a wait which the system tells late, when the thread has its processor at last, is taken off
 * the looks before. A look that comes late counts for two intervals at most: the whole process may have been stopped (a debugger, a
 * suspended machine), and then nobody is stuck. Times that could not be read once are made up for by the next.
 */
export function observe(
  before: Observation | undefined,
  turn: number,
  nowMs: number,
  intervalMs: number,
  read?: ProcessorTimes,
): Observation {
  const times = read ?? before?.times;
  if (before === undefined || before.turn !== turn) return { turn, ranMs: 0, idleMs: 0, atMs: nowMs, times };
  const passedMs = nowMs - before.atMs;
  const { ranMs, waitedMs } = since(before.times, times, passedMs);
  const countedMs = Math.min(ranMs, intervalMs * 2);
  const notRunMs = Math.min(passedMs - waitedMs, intervalMs * 2) - countedMs;
  const idleMs = Math.max(0, before.idleMs + notRunMs);
  return { turn, ranMs: before.ranMs + countedMs, idleMs, atMs: nowMs, times };
}

/** What a thread has had since the last look. Where nothing is known of that, it ran all the time. */
function since(before: ProcessorTimes | undefined, now: ProcessorTimes | undefined, passedMs: number): ProcessorTimes {
  if (now === undefined) return { ranMs: passedMs, waitedMs: 0 };
  if (before === undefined) return { ranMs: 0, waitedMs: 0 };
  return { ranMs: Math.max(0, now.ranMs - before.ranMs), waitedMs: Math.max(0, now.waitedMs - before.waitedMs) };
}

/**
 * How long a turn has not ended, as far as the thread is to blame. JavaScript that never returns runs. A thread that neither runs nor waits is
 * blocked in the system (a slow disk) or waits for its first slice on a crowded machine, which is told afterwards only: that counts a sixth.
 */
export function unchangedMs({ ranMs, idleMs }: Observation): number {
  return ranMs + idleMs / IDLE_PER_RUN;
}

const IDLE_PER_RUN = 6;

// Looks within the time after which a thread counts as stuck.
const LOOKS = 5;

export interface WatchdogOptions {
  readonly clock: Clock;
  /** A thread that takes no turn for this long while it runs is stuck. */
  readonly stuckMs: number;
  /** The threads to watch now. */
  readonly workers: () => Iterable<number>;
  readonly sample: (worker: number) => PulseSample;
  /** What it has had of the processors; `undefined` if not known, and then all time counts. Default: not known. */
  readonly times?: (worker: number) => ProcessorTimes | undefined;
  /** Makes a sleeping thread take a turn. */
  readonly wake: (worker: number) => void;
  /** Told once for each time a thread is stuck. */
  readonly onStuck: (report: StuckReport) => void;
  /** Whether a debugger may be holding threads. Default: whether this process has an open inspector. */
  readonly debugged?: () => boolean;
}

/** Watches until `stop`. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #intervalMs: number;
  #observations: Map<number, Observation> = new Map();
  #timer: unknown;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#intervalMs = options.stuckMs / LOOKS;
    this.#schedule();
  }

  stop(): void {
    this.#options.clock.clearTimer(this.#timer);
  }

  /**
   * Another thread begins in the place of `worker`, and nothing that was seen of the one before counts for it. It may take the place
   * between two looks and be in the turn of the same number: taken for the one before, it would have been told already.
   */
  forget(worker: number): void {
    this.#observations.delete(worker);
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(this.#intervalMs, () => {
      this.#schedule();
      this.#look();
    });
  }

  #look(): void {
    const { clock, workers, debugged = isDebugged } = this.#options;
    const before = this.#observations;
    this.#observations = new Map();
    if (debugged()) return;
    const nowMs = clock.monotonicMs();
    for (const worker of workers()) this.#lookAt(worker, before.get(worker), nowMs);
  }

  #lookAt(worker: number, before: Observation | undefined, nowMs: number): void {
    const { sample, times, wake, stuckMs, onStuck } = this.#options;
    const { turn, inTurn, behavior, pid } = sample(worker);
    const seen = observe(before, turn, nowMs, this.#intervalMs, times?.(worker));
    this.#observations.set(worker, seen);
    // Timers of the platform are early by a fraction of a millisecond now and then.
    const isStuck = (at: Observation | undefined): boolean => at !== undefined && unchangedMs(at) >= stuckMs - 1;
    if (!isStuck(seen)) {
      // One that moves by itself is not disturbed: on a machine with many nodes a wake-up for nothing costs half a millisecond.
      if (before === undefined || before.turn === turn) wake(worker);
      return;
    }
    if (!isStuck(before)) onStuck({ worker, stuckMs: Math.round(unchangedMs(seen)), inTurn, behavior, pid });
  }
}

function isDebugged(): boolean {
  return debuggerUrl() !== undefined;
}
