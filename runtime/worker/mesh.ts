/**
 * The shared memory of one node: a ring from every thread to every other, and a doorbell for each thread.
 *
 * Threads are numbered as in pids: 0 is main, workers count from 1. A doorbell is one flag, `1` while its thread sleeps;
 * whoever has something for a sleeping thread clears the flag and wakes it, and nobody pays for waking a thread that is
 * awake. Waiting is `Atomics.waitAsync`: it wakes the event loop like a message does (18,500 round trips a second
 * here, a port 16,200) and needs one flag a thread instead of a port a pair.
 */

import { LIMITS } from '../limits.ts';
import { createRingMemory } from './ring.ts';

/** The two rings between a thread and one other, as that thread sees them. */
export interface RingPair {
  readonly outgoing: SharedArrayBuffer;
  readonly incoming: SharedArrayBuffer;
}

/** What one thread gets of the mesh: plain data with shared memory in it. */
export interface Membership {
  readonly ringBytes: number;
  /** By thread; null for itself and for threads that are not there. */
  readonly rings: readonly (RingPair | null)[];
  readonly bells: SharedArrayBuffer;
}

/** All rings of a node, in the hands of the main thread, which adds and removes threads while the others run. */
export class Mesh {
  readonly #ringBytes: number;
  /** The pair of thread `a` with thread `b`; null if one of them is not there. */
  readonly #pairs: (RingPair | null)[][];
  readonly #present: Set<number> = new Set();
  readonly #bells: SharedArrayBuffer;

  /** @param threadCount - Main included; none is there yet. */
  constructor(threadCount: number, ringBytes: number = LIMITS.workerRingBytes) {
    this.#ringBytes = ringBytes;
    this.#pairs = Array.from({ length: threadCount }, () => new Array<RingPair | null>(threadCount).fill(null));
    this.#bells = new SharedArrayBuffer(threadCount * BELL_STRIDE * 4);
  }

  /** Adds a thread, with new rings to all that are there: those of an earlier life may hold anything. */
  add(thread: number): void {
    for (const other of this.#present) {
      const there = createRingMemory(this.#ringBytes);
      const back = createRingMemory(this.#ringBytes);
      this.#pairs[thread]![other] = { outgoing: there, incoming: back };
      this.#pairs[other]![thread] = { outgoing: back, incoming: there };
    }
    this.#present.add(thread);
  }

  /** Removes a thread that has ended. */
  remove(thread: number): void {
    this.#present.delete(thread);
    for (const other of this.#pairs.keys()) {
      this.#pairs[thread]![other] = null;
      this.#pairs[other]![thread] = null;
    }
  }

  membership(thread: number): Membership {
    return { ringBytes: this.#ringBytes, rings: [...this.#pairs[thread]!], bells: this.#bells };
  }

  /** The rings of `thread` to `other`; null if one of them is not there. */
  pair(thread: number, other: number): RingPair | null {
    return this.#pairs[thread]![other]!;
  }
}

/** A mesh of the main thread and `workerCount` workers, all of them there. */
export function createMesh(workerCount: number, ringBytes?: number): Mesh {
  const mesh = new Mesh(workerCount + 1, ringBytes);
  for (let thread = 0; thread <= workerCount; thread += 1) mesh.add(thread);
  return mesh;
}

// Flags lie a cache line apart.
const BELL_STRIDE = 16;

// The lib of our target does not have it yet; Node has had it since version 16.
interface WaitAsync {
  waitAsync(array: Int32Array, index: number, value: number): { async: boolean; value: string | Promise<string> };
}

/** The bells as seen from one thread. */
export class Bells {
  readonly #flags: Int32Array;
  readonly #own: number;
  readonly #onWake: () => void;
  #waiting: boolean = false;

  /** @param onWake - Called when another thread rings here, some time after `sleep`. */
  constructor(memory: SharedArrayBuffer, thread: number, onWake: () => void) {
    this.#flags = new Int32Array(memory);
    this.#own = thread * BELL_STRIDE;
    this.#onWake = onWake;
  }

  /** Wakes `thread` if it sleeps. */
  ring(thread: number): void {
    const index = thread * BELL_STRIDE;
    if (Atomics.load(this.#flags, index) === 1 && Atomics.exchange(this.#flags, index, 0) === 1) {
      Atomics.notify(this.#flags, index);
    }
  }

  /** Says that this thread is about to wait. Look once more for work after this, and then `sleep` or `awake`. */
  announceSleep(): void {
    Atomics.store(this.#flags, this.#own, 1);
  }

  awake(): void {
    Atomics.store(this.#flags, this.#own, 0);
  }

  sleep(): void {
    // A wait of an earlier sleep may still be open, if something else woke the thread; it serves this one too.
    if (this.#waiting) return;
    const wait = (Atomics as unknown as WaitAsync).waitAsync(this.#flags, this.#own, 1);
    if (!wait.async) return this.#onWake();
    this.#waiting = true;
    void (wait.value as Promise<string>).then(() => {
      this.#waiting = false;
      this.#onWake();
    });
  }
}
