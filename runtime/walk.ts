/**
 * A way through all actors of a worker, in slices: a worker with a million actors must not stand still while somebody looks.
 *
 * It goes by slots, so it remembers no actor between two slices. Each actor that lives all the while is visited once; one
 * that starts or ends meanwhile may be or may not be. Read next: `survey.ts` and `lineage.ts`, which walk.
 */

import type { BehaviorSlot } from './behavior.ts';
import type { Kernel } from './kernel.ts';
import type { Pid } from './pid.ts';
import type { Process } from './process.ts';

/** What a visitor sees of an actor. It belongs to the actor: look, and change nothing. */
export interface ProcessView extends Pid {
  readonly behavior: BehaviorSlot;
  readonly version: number;
  readonly parent: Pid | null;
  readonly registeredName: string | null;
  /** As the behaviour has it now; packed, if the actor hibernates. */
  readonly state: unknown;
}

/** Actors between two looks at the clock. */
const LOOK_EVERY = 64;

export class ProcessWalk {
  readonly #kernel: Kernel;
  #slot: number;
  #visited: number = 0;

  constructor(kernel: Kernel, slot: number) {
    this.#kernel = kernel;
    this.#slot = slot;
  }

  /** Where it goes on. */
  get slot(): number {
    return this.#slot;
  }

  /** Actors visited so far. */
  get visited(): number {
    return this.#visited;
  }

  /**
   * Visits actors until `sliceMs` have passed, or until `visit` returns false.
   *
   * @returns Whether the end was reached.
   */
  step(sliceMs: number, visit: (process: ProcessView) => boolean | void): boolean {
    const { processes, clock } = this.#kernel;
    const untilMs = clock.monotonicMs() + sliceMs;
    for (let count = 1; ; count += 1) {
      const process: Process | undefined = processes.atOrAfter(this.#slot);
      if (process === undefined) return true;
      this.#slot = process.slot + 1;
      this.#visited += 1;
      if (visit(process) === false) return false;
      if (count % LOOK_EVERY === 0 && clock.monotonicMs() >= untilMs) return false;
    }
  }
}
