/**
 * The shared memory of one node: a ring from every thread to every other, and a doorbell for each.
 *
 * Threads are numbered as in pids: 0 is main, workers count from 1. A doorbell is one flag, `1` while its thread sleeps;
 * whoever has something for a sleeping thread clears the flag and wakes it, and nobody pays for waking a thread that is
 * awake. Waiting is `Atomics.waitAsync`: it wakes the event loop like a message does (18,500 round trips a second
 * here, a port 16,200) and needs one flag a thread instead of a port a pair.
 */

import { LIMITS } from '../limits.ts';
import { createRingMemory } from './ring.ts';

/** Plain data with shared memory in it: what the main thread gives each worker at its start. */
export interface Mesh {
  /** Threads, main included. */
  readonly threadCount: number;
  /** The ring from thread `a` to thread `b` is at `a * threadCount + b`; none from a thread to itself. */
  readonly rings: readonly (SharedArrayBuffer | null)[];
  readonly bells: SharedArrayBuffer;
}

/** @param workerCount - 1 to LIMITS.workerCountMax. */
export function createMesh(workerCount: number, ringBytes: number = LIMITS.workerRingBytes): Mesh {
  const threadCount = workerCount + 1;
  const rings: (SharedArrayBuffer | null)[] = [];
  for (let source = 0; source < threadCount; source += 1) {
    for (let target = 0; target < threadCount; target += 1) {
      rings.push(source === target ? null : createRingMemory(ringBytes));
    }
  }
  return { threadCount, rings, bells: new SharedArrayBuffer(threadCount * BELL_STRIDE * 4) };
}

export function ringMemory(mesh: Mesh, source: number, target: number): SharedArrayBuffer {
  return mesh.rings[source * mesh.threadCount + target]!;
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
