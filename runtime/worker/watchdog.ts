/**
 * Sees from the main thread that another one is stuck: JavaScript that never returns, in an actor or outside of one.
 *
 * Every thread counts its turns in shared memory (`../pulse.ts`). The watchdog rings each thread now and then, so that
 * an idle one takes a turn as well, and looks whether the count has moved. It decides and reports; what happens to
 * the thread is the pool's business. A thread that only waits (for a promise, for a socket) takes its turns and is fine.
 * The time for which a thread was ready to run and had no processor is not counted: on a crowded machine everybody
 * would be found stuck at once, and to end them all is the worst that one could do then.
 */

import { url as debuggerUrl } from 'node:inspector';

import type { Clock } from '../contracts.ts';
import type { Pid } from '../pid.ts';
import type { PulseSample } from '../pulse.ts';

/** What is known of a stuck thread. */
export interface StuckReport {
  readonly worker: number;
  /** Milliseconds without a turn, at least. */
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
  /** How long the turn has not changed, as far as this thread was there to see it. */
  readonly unchangedMs: number;
  readonly atMs: number;
  /** How long the thread has waited for a processor in its life. */
  readonly waitedMs: number;
}

/**
 * Adds a sample to what was seen. Pure.
 *
 * A look that comes late counts for two intervals at most: the whole process may have been stopped (a debugger, a
 * suspended machine), and then nobody is stuck.
 */
export function observe(
  before: Observation | undefined,
  turn: number,
  nowMs: number,
  intervalMs: number,
  waitedMs: number = 0,
): Observation {
  if (before === undefined || before.turn !== turn) return { turn, unchangedMs: 0, atMs: nowMs, waitedMs };
  const passedMs = Math.min(nowMs - before.atMs, intervalMs * 2) - (waitedMs - before.waitedMs);
  return { turn, unchangedMs: before.unchangedMs + Math.max(0, passedMs), atMs: nowMs, waitedMs };
}

// Looks within the time after which a thread counts as stuck.
const LOOKS = 5;

export interface WatchdogOptions {
  readonly clock: Clock;
  /** A thread that takes no turn for this long is stuck. */
  readonly stuckMs: number;
  /** The threads to watch now. */
  readonly workers: () => Iterable<number>;
  readonly sample: (worker: number) => PulseSample;
  /** Milliseconds for which it has waited for a processor in its life. Default: none that is known. */
  readonly waitedMs?: (worker: number) => number;
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
    const { sample, waitedMs, wake, stuckMs, onStuck } = this.#options;
    const { turn, inTurn, behavior, pid } = sample(worker);
    const seen = observe(before, turn, nowMs, this.#intervalMs, waitedMs?.(worker));
    this.#observations.set(worker, seen);
    // Timers of the platform are early by a fraction of a millisecond now and then.
    const isStuck = (at: Observation | undefined): boolean => at !== undefined && at.unchangedMs >= stuckMs - 1;
    if (!isStuck(seen)) return wake(worker);
    if (!isStuck(before)) onStuck({ worker, stuckMs: Math.round(seen.unchangedMs), inTurn, behavior, pid });
  }
}

function isDebugged(): boolean {
  return debuggerUrl() !== undefined;
}
