/** What every offender is: somebody who takes part, and who offends while it is told to. What came of it is added up over its turns. */

import type { BucketRule } from '../../actors/rate-limit.ts';
import type { Cancel, Clock } from '../harness/clock.ts';
import type { Registrar } from '../generator/registrar.ts';
import type { Offence } from './control.ts';

/** What offenders are given. */
export interface Scene {
  readonly url: URL;
  readonly registrar: Registrar;
  readonly clock: Clock;
  /** A phone number of its own for each `index`. */
  readonly phone: (index: number) => string;
  /** Members of the group that is flooded, the offender counted. */
  readonly members: number;
}

export interface Offender {
  /** Offends from now on, tick by tick. */
  begin(): void;
  /** Stops at once; what is under way may still come. */
  end(): void;
  /** Over all turns so far. */
  readonly offence: Offence;
}

/** How often an offender says something: whatever its bound is, it says more. */
export const TICK_MS = 10;

/**
 * Offends once for each tick, and at once for all that a busy machine was late for: an offender that is slowed down meets no bound. The
 * result ends it.
 */
export function eachTick(clock: Clock, offend: () => void): Cancel {
  const beganMs = clock.nowMs();
  let done = 0;
  return clock.every(TICK_MS, () => {
    for (const due = (clock.nowMs() - beganMs) / TICK_MS; done < due; done += 1) offend();
  });
}

/** Counts what was refused, by code. */
export class Refusals {
  readonly #counts: Map<string, number> = new Map();

  add(code: string): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
  }

  get byCode(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}

/** What a bucket has given at most since somebody began to take from it. */
export class Allowance {
  readonly #rule: BucketRule;
  readonly #clock: Clock;
  #sinceMs: number | undefined = undefined;
  #buckets = 1;

  constructor(rule: BucketRule, clock: Clock) {
    this.#rule = rule;
    this.#clock = clock;
  }

  begin(): void {
    this.#sinceMs ??= this.#clock.nowMs();
  }

  /** Another connection has a bucket of its own, which is full. */
  renew(): void {
    this.#buckets += 1;
  }

  get count(): number {
    const { burst, perSecond } = this.#rule;
    return burst * this.#buckets + ((this.#clock.nowMs() - (this.#sinceMs ?? this.#clock.nowMs())) * perSecond) / 1_000;
  }
}
