/**
 * The actors of one worker, by slot.
 *
 * A slot is used again after its actor ended, with the next creation number, so an old pid never finds the new actor.
 * The first creation is drawn at random once a node, so that a pid of an earlier run of the node finds nobody either.
 */

import { LIMITS } from './limits.ts';
import type { Pid } from './pid.ts';
import type { Process } from './process.ts';

// Creations stay small integers of V8: a larger number would cost every pid a heap object.
const CREATION_MASK = 2 ** 30 - 1;

export class ProcessTable {
  readonly #node: string;
  readonly #worker: number;
  readonly #slots: (Process | undefined)[] = [undefined];
  readonly #free: number[] = [];
  readonly #firstCreation: number;
  #creations: Int32Array<ArrayBuffer>;
  #count: number = 0;

  constructor(node: string, worker: number, firstCreation: number) {
    this.#node = node;
    this.#worker = worker;
    this.#firstCreation = firstCreation & CREATION_MASK;
    this.#creations = new Int32Array(1_024).fill(this.#firstCreation);
  }

  get count(): number {
    return this.#count;
  }

  /** Takes a free slot, and makes its next creation the current one; 0 if LIMITS.processCountMax actors live. */
  allocate(): number {
    if (this.#count >= LIMITS.processCountMax) return 0;
    const slot = this.#free.pop() ?? this.#extend();
    this.#creations[slot] = (this.#creations[slot]! + 1) & CREATION_MASK;
    return slot;
  }

  creationOf(slot: number): number {
    return this.#creations[slot]!;
  }

  insert(process: Process): void {
    this.#slots[process.slot] = process;
    this.#count += 1;
  }

  delete(process: Process): void {
    this.#slots[process.slot] = undefined;
    this.#free.push(process.slot);
    this.#count -= 1;
  }

  /** The living actor of `pid`, if it lives on this worker. */
  get(pid: Pid): Process | undefined {
    const process = this.#slots[pid.slot];
    // The pid that is the actor itself is by far the most frequent; only copies need the comparison.
    if (process === undefined || process === pid) return process;
    const same = process.creation === pid.creation && this.#worker === pid.worker && this.#node === pid.node;
    return same ? process : undefined;
  }

  /** As `get`, for a pid of this worker that is known by its two numbers. */
  find(slot: number, creation: number): Process | undefined {
    const process = this.#slots[slot];
    return process !== undefined && process.creation === creation ? process : undefined;
  }

  /** Every living actor. Actors that start meanwhile may be missed. */
  *all(): IterableIterator<Process> {
    for (const process of this.#slots) if (process !== undefined) yield process;
  }

  #extend(): number {
    const slot = this.#slots.length;
    this.#slots.push(undefined);
    if (slot >= this.#creations.length) {
      const larger = new Int32Array(this.#creations.length * 2).fill(this.#firstCreation);
      larger.set(this.#creations);
      this.#creations = larger;
    }
    return slot;
  }
}
