/**
 * Warns in the log before a worker's heap is full. When it is, V8 ends the thread from inside: no handler hears of it,
 * uWebSockets.js aborts the process, and the warning is the only word on why.
 */

import { getHeapStatistics } from 'node:v8';
import type { Clock, Logger } from '../../runtime/index.ts';
import { untilWhole } from './whole-second.ts';

/** What of the heap is in use, in bytes. */
export interface HeapSample {
  readonly used: number;
  readonly limit: number;
}

/** A look takes 10 µs. A heap that fills its last fifth within a second is not saved by more of them. */
const LOOK_MS = 1_000;
const HIGH = 0.8;
/** Once told, it is told again only after the heap was below this. */
const LOW = 0.6;

/** Looks every second from now on. Returns how to end it. */
export function watchHeap(clock: Clock, log: Logger, sample: () => HeapSample = sampleHeap): () => void {
  let told = false;
  let timer: unknown;
  const look = (): void => {
    timer = clock.setTimer(untilWhole(clock, LOOK_MS), look);
    const { used, limit } = sample();
    if (used < limit * LOW) told = false;
    if (told || used < limit * HIGH) return;
    told = true;
    log.warn('heap_high', { usedMb: Math.round(used / 2 ** 20), limitMb: Math.round(limit / 2 ** 20) });
  };
  timer = clock.setTimer(untilWhole(clock, LOOK_MS), look);
  return () => clock.clearTimer(timer);
}

/** Whether the heap of this thread is so full that the warning is due. */
export function isHeapHigh(): boolean {
  const { used, limit } = sampleHeap();
  return used >= limit * HIGH;
}

function sampleHeap(): HeapSample {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  return { used, limit };
}
