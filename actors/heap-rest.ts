/**
 * Collects a worker's heap when it has become quiet after many clients came or went.
 *
 * A login leaves some kilobytes of garbage, and a connection that ends leaves all that it was. V8 collects when its heap has
 * grown, not when it is no longer needed: a node that holds connections which say nothing would keep the garbage of their
 * logins for good, and one that lost them all the memory of the crowd. So the worker asks for one full collection when
 * since the last one as many connections have begun or ended as make a quarter of those that are open, and two looks in a
 * row found it with little to do.
 *
 * It takes some milliseconds for each megabyte that stays, in which the worker does nothing else; that is why a busy one
 * is left alone, a large heap too, and why nothing else asks. `HeapRest` decides by numbers only; `watchRest` is the timer
 * around it, `collectHeap` the adapter to V8. Read next: `heap-watch.ts`, which warns of the other end.
 */

import { Session } from 'node:inspector/promises';
import { getHeapStatistics } from 'node:v8';
import type { Clock } from '../runtime/index.ts';

/** What is looked at. */
export interface RestSample {
  /** Open now. */
  readonly connections: number;
  /** Begun, and ended, since the start of the worker. */
  readonly comings: number;
  /** Milliseconds that the event loop has spent working, since it began. */
  readonly busyMs: number;
}

const LOOK_MS = 1_000;
/** Below this share of the time between two looks a worker is quiet. */
const QUIET_SHARE = 0.25;
const QUIET_LOOKS = 2;
/** How many have to come or go: as a share of those who are there, and at least. */
const MOVED_SHARE = 0.25;
const MOVED_MIN = 200;
/** The largest heap that is collected at once: 50 MB took 0.1 to 0.3 s on a busy machine of two cores (2026-11). */
const REST_BYTES_MAX = 268_435_456;

/** Decides, look by look, whether it is time to collect. */
export class HeapRest {
  /** Comings at the last rest. The start leaves garbage too, so the first quiet look is followed by one. */
  #restedAt = -Infinity;
  #busyMs = 0;
  #quietLooks = 0;

  /**
   * Looks once.
   *
   * @param elapsedMs - Since the look before.
   * @returns Whether to collect now.
   */
  look({ connections, comings, busyMs }: RestSample, elapsedMs: number): boolean {
    const isQuiet = busyMs - this.#busyMs < elapsedMs * QUIET_SHARE;
    this.#busyMs = busyMs;
    this.#quietLooks = isQuiet ? this.#quietLooks + 1 : 0;
    const moved = comings - this.#restedAt;
    if (this.#quietLooks < QUIET_LOOKS || moved < Math.max(MOVED_MIN, connections * MOVED_SHARE)) return false;
    this.#restedAt = comings;
    this.#quietLooks = 0;
    return true;
  }
}

/** Looks every second from now on. Returns how to end it. */
export function watchRest(clock: Clock, sample: () => RestSample, collect: () => void | Promise<void>): () => void {
  const rest = new HeapRest();
  let lookedMs = clock.monotonicMs();
  const look = (): void => {
    timer = clock.setTimer(LOOK_MS, look);
    const nowMs = clock.monotonicMs();
    const isDue = rest.look(sample(), nowMs - lookedMs);
    lookedMs = nowMs;
    if (isDue) void collect();
  };
  let timer = clock.setTimer(LOOK_MS, look);
  return () => clock.clearTimer(timer);
}

/**
 * A full collection of this thread's heap that gives back what it frees, the young generation's share included. By way of
 * Node's inspector, whose protocol has had the method for as long as it exists: `gc()` of V8 keeps what it has emptied.
 *
 * A heap that is larger than `REST_BYTES_MAX` is left to V8: it would take too long at once.
 */
export async function collectHeap(): Promise<void> {
  if (getHeapStatistics().used_heap_size > REST_BYTES_MAX) return;
  const session = new Session();
  session.connect();
  await session.post('HeapProfiler.collectGarbage');
  session.disconnect();
}
