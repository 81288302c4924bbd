/**
 * The actors of one worker, by slot.
 *
 * A slot is used again after its actor ended, with the next creation number, so an old pid never finds the new actor.
 * The first creation is drawn at random once a node, so that a pid of an earlier run of the node finds nobody either.
 *
 * A pid of this worker is its actor, so this is asked only for copies of pids, and for all. Slots lie in chunks, which
 * are made when they are needed and given back when their last actor ended: a burst of a million leaves nothing of
 * theirs in the heap. What must outlive an actor, its slot's creation and the list of free slots, are plain numbers
 * outside of it, 8 bytes a slot.
 */

import { LIMITS } from './limits.ts';
import type { Pid } from './pid.ts';
import type { Process } from './process.ts';

// Creations stay small integers of V8: a larger number would cost every pid a heap object.
const CREATION_MASK = 2 ** 30 - 1;
const CHUNK_BITS = 10;
const CHUNK_SLOTS = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_SLOTS - 1;

export class ProcessTable {
  readonly #node: string;
  readonly #worker: number;
  readonly #firstCreation: number;
  readonly #chunks: (Chunk | null)[] = [null];
  #creations: Int32Array<ArrayBuffer>;
  // For a free slot, the next one that is free; the end is 0, which is the node's own and never free.
  #nextFree: Int32Array<ArrayBuffer> = new Int32Array(CHUNK_SLOTS);
  #firstFree: number = 0;
  /** One above the largest slot that was ever used. */
  #slotCount: number = 1;
  #count: number = 0;

  constructor(node: string, worker: number, firstCreation: number) {
    this.#node = node;
    this.#worker = worker;
    this.#firstCreation = firstCreation & CREATION_MASK;
    this.#creations = new Int32Array(CHUNK_SLOTS).fill(this.#firstCreation);
  }

  get count(): number {
    return this.#count;
  }

  /** Takes a free slot, and makes its next creation the current one; 0 if LIMITS.processCountMax actors live. */
  allocate(): number {
    if (this.#count >= LIMITS.processCountMax) return 0;
    const slot = this.#firstFree;
    if (slot === 0) return this.#extend();
    this.#firstFree = this.#nextFree[slot]!;
    this.#advance(slot);
    return slot;
  }

  creationOf(slot: number): number {
    return this.#creations[slot]!;
  }

  insert(process: Process): void {
    const { slot } = process;
    const chunk = (this.#chunks[slot >> CHUNK_BITS] ??= new Chunk());
    chunk.processes[slot & CHUNK_MASK] = process;
    chunk.count += 1;
    this.#count += 1;
  }

  delete(process: Process): void {
    const { slot } = process;
    const chunk = this.#chunks[slot >> CHUNK_BITS]!;
    chunk.processes[slot & CHUNK_MASK] = undefined;
    chunk.count -= 1;
    if (chunk.count === 0) this.#chunks[slot >> CHUNK_BITS] = null;
    this.#nextFree[slot] = this.#firstFree;
    this.#firstFree = slot;
    this.#count -= 1;
  }

  /** The living actor of `pid`, if it lives on this worker. */
  get(pid: Pid): Process | undefined {
    const process = this.find(pid.slot, pid.creation);
    if (process === undefined || process === pid) return process;
    return this.#worker === pid.worker && this.#node === pid.node ? process : undefined;
  }

  /** As `get`, for a pid of this worker that is known by its two numbers. */
  find(slot: number, creation: number): Process | undefined {
    const process = this.#chunks[slot >> CHUNK_BITS]?.processes[slot & CHUNK_MASK];
    if (process === undefined || process.creation !== creation) return undefined;
    // The shift folds a slot of 2^32 and more, which no actor has but a forged pid may.
    return process.slot === slot ? process : undefined;
  }

  /** The living actor with the smallest slot from `slot` on. Chunks without actors cost one look each. */
  atOrAfter(slot: number): Process | undefined {
    for (let at = slot; at < this.#slotCount; at += 1) {
      const chunk = this.#chunks[at >> CHUNK_BITS];
      if (chunk == null) at |= CHUNK_MASK;
      else {
        const process = chunk.processes[at & CHUNK_MASK];
        if (process !== undefined) return process;
      }
    }
    return undefined;
  }

  /** Every living actor. Actors that start meanwhile may be missed. */
  *all(): IterableIterator<Process> {
    for (const chunk of this.#chunks) {
      if (chunk == null) continue;
      for (const process of chunk.processes) if (process !== undefined) yield process;
    }
  }

  #advance(slot: number): void {
    this.#creations[slot] = (this.#creations[slot]! + 1) & CREATION_MASK;
  }

  #extend(): number {
    const slot = this.#slotCount;
    this.#slotCount += 1;
    if (slot >= this.#creations.length) this.#grow();
    if (slot >> CHUNK_BITS === this.#chunks.length) this.#chunks.push(null);
    this.#advance(slot);
    return slot;
  }

  #grow(): void {
    const length = this.#creations.length;
    const creations = new Int32Array(length * 2).fill(this.#firstCreation, length);
    creations.set(this.#creations);
    this.#creations = creations;
    const nextFree = new Int32Array(length * 2);
    nextFree.set(this.#nextFree);
    this.#nextFree = nextFree;
  }
}

class Chunk {
  readonly processes: (Process | undefined)[] = new Array<Process | undefined>(CHUNK_SLOTS).fill(undefined);
  count: number = 0;
}
