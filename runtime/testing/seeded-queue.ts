/**
 * A run queue that draws: which ready actor runs next, whether it handles one message or many, and when a turn ends.
 *
 * Order is kept where the runtime promises it, within a mailbox, and is the seed's wherever it promises nothing. Between
 * two turns it lets a simulation look (invariants) and act (faults), which is why it, and not the scheduler, is the seam.
 */

import type { Random } from '../contracts.ts';
import { FLAG, type Process } from '../process.ts';
import type { RunQueue } from '../scheduler.ts';

/** One in so many turns of the scheduler's ends early, so that promises and packets get in between. */
const EARLY_END_ONE_IN = 8;
/** One in so many turns of an actor handles many messages, as most do in life; the others one. */
const LONG_TURN_ONE_IN = 4;

export class SeededQueue implements RunQueue {
  readonly #random: Random;
  readonly #ready: Process[] = [];
  readonly #between: () => boolean;
  readonly #onTurn: (process: Process, oneMessage: boolean) => void;

  /**
   * @param between - Called before each turn of an actor; `false` ends the scheduler's turn. It may make actors ready.
   * @param onTurn - Called with the actor that runs next.
   */
  constructor(
    random: Random,
    between: () => boolean = () => true,
    onTurn: (process: Process, oneMessage: boolean) => void = () => {},
  ) {
    this.#random = random;
    this.#between = between;
    this.#onTurn = onTurn;
  }

  get count(): number {
    return this.#ready.length;
  }

  push(process: Process): void {
    this.#ready.push(process);
  }

  shift(): Process | undefined {
    if (!this.#between() || this.#ready.length === 0 || this.#random.integer(EARLY_END_ONE_IN) === 0) return undefined;
    const index = this.#random.integer(this.#ready.length);
    const process = this.#ready[index]!;
    this.#ready[index] = this.#ready.at(-1)!;
    this.#ready.pop();
    const oneMessage = this.#random.integer(LONG_TURN_ONE_IN) !== 0;
    limitTurn(process, oneMessage);
    this.#onTurn(process, oneMessage);
    return process;
  }
}

/** An interrupted actor ends its turn after one message. */
function limitTurn(process: Process, oneMessage: boolean): void {
  if (oneMessage) process.flags |= FLAG.interrupted;
  else if (process.signals === null && process.stopReason === null) process.flags &= ~FLAG.interrupted;
}
