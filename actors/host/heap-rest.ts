/**
 * Collects a worker's heap when it has become quiet after many clients came or went.
 *
 * A login leaves some kilobytes of garbage, and a connection that ends leaves all that it was. V8 collects when its heap has
 * grown, not when it is no longer needed: a node that holds connections which say nothing would keep the garbage of their
 * logins for good, and one that lost them all the memory of the crowd. So the worker asks for one full collection when
 * since the last one as many connections have begun or ended as make a quarter of those that are open, and two looks in a
 * row found it with little to do and hardly anybody coming or going: in the midst of a crowd that comes slowly, a collection
 * for each quarter more would take longer than the logins.
 *
 * Nodes of one machine become quiet at the same moment, with the last of a crowd. If all collected at once, each would wait
 * for a processor until its watchdog took it for stuck (52 nodes on two cores did). So a worker draws how long it waits, up to what the others
 * would take: nothing on a machine with processors to spare.
 *
 * It takes some milliseconds for each megabyte that stays, in which the worker does nothing else; that is why a busy one
 * is left alone, a large heap too, and why nothing else asks. `HeapRest` decides by numbers only; `watchRest` is the timer
 * around it, `collectHeap` the adapter to V8. Read next: `heap-watch.ts`, which warns of the other end.
 */

import { Session } from 'node:inspector/promises';
import { getHeapStatistics } from 'node:v8';
import type { Clock, Random } from '../../runtime/index.ts';
import { untilWhole } from './whole-second.ts';

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
/** Above this share of those who are there that came or went between two looks, and above so many, a crowd is under way. */
const COMING_SHARE = 0.005;
const COMING_MIN = 10;
/** How many have to come or go: as a share of those who are there, and at least. */
const MOVED_SHARE = 0.25;
const MOVED_MIN = 200;
/** What a collection takes of a processor, as others have to wait for it. */
const COLLECTION_MS = 500;
/** The largest heap that is collected at once: 50 MB took 0.1 to 0.3 s on a busy machine of two cores (2026-11). */
const REST_BYTES_MAX = 268_435_456;

/** Decides, look by look, whether it is time to collect. */
export class HeapRest {
  /** Comings at the last rest. The start leaves garbage too, so the first quiet look is followed by one. */
  #restedAt = -Infinity;
  #busyMs = 0;
  #comings = 0;
  #quietLooks = 0;
  /** Looks that are left to wait once it is time; `undefined` while it is not. */
  #waiting: number | undefined = undefined;
  readonly #drawLooks: () => number;

  /** @param drawLooks - How many looks to wait when it is time, so that not all of a machine collect at once. */
  constructor(drawLooks: () => number = () => 0) {
    this.#drawLooks = drawLooks;
  }

  /**
   * Looks once.
   *
   * @param elapsedMs - Since the look before.
   * @returns Whether to collect now.
   */
  look({ connections, comings, busyMs }: RestSample, elapsedMs: number): boolean {
    const isIdle = busyMs - this.#busyMs < elapsedMs * QUIET_SHARE;
    const isCrowd = comings - this.#comings > Math.max(COMING_MIN, connections * COMING_SHARE);
    this.#busyMs = busyMs;
    this.#comings = comings;
    this.#quietLooks = isIdle && !isCrowd ? this.#quietLooks + 1 : 0;
    const moved = comings - this.#restedAt;
    const isTime = this.#quietLooks >= QUIET_LOOKS && moved >= Math.max(MOVED_MIN, connections * MOVED_SHARE);
    this.#waiting = isTime ? (this.#waiting ?? this.#drawLooks()) : undefined;
    if (this.#waiting === undefined || this.#waiting-- > 0) return false;
    this.#restedAt = comings;
    this.#quietLooks = 0;
    this.#waiting = undefined;
    return true;
  }
}

/**
 * How many looks to wait, drawn: up to the time that all who want a processor would take one after the other.
 *
 * @param crowding - Those who want a processor, for each there is.
 */
export function drawWait(random: Pick<Random, 'integer'>, crowding: number): number {
  return random.integer(1 + Math.floor((crowding * COLLECTION_MS) / LOOK_MS));
}

/** Looks every second from now on. Returns how to end it. */
export function watchRest(
  clock: Clock,
  sample: () => RestSample,
  collect: () => void | Promise<void>,
  drawLooks?: () => number,
): () => void {
  const rest = new HeapRest(drawLooks);
  let lookedMs = clock.monotonicMs();
  const look = (): void => {
    timer = clock.setTimer(untilWhole(clock, LOOK_MS), look);
    const nowMs = clock.monotonicMs();
    const isDue = rest.look(sample(), nowMs - lookedMs);
    lookedMs = nowMs;
    if (isDue) void collect();
  };
  let timer = clock.setTimer(untilWhole(clock, LOOK_MS), look);
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
