/**
 * How crowded this machine is: threads that want a processor, for each processor, over the last minute. Adapter to the system's load.
 *
 * A worker by itself cannot tell: one that waits for a processor and one that has nothing to do look the same from inside, and on a machine with
 * fifty nodes each has little to do. Read next: `heap-rest.ts` and `../inbox/company.ts`, which make room for others.
 */

import { availableParallelism, loadavg } from 'node:os';
import type { Clock } from '../../runtime/index.ts';

/** The system itself renews it every five seconds. */
const LOOK_MS = 1_000;

export function readCrowding(): number {
  return loadavg()[0]! / availableParallelism();
}

/** The same, for who asks often: looked up once a second at most. */
export function watchCrowding(clock: Pick<Clock, 'monotonicMs'>, read: () => number = readCrowding): () => number {
  let lookedMs = -Infinity;
  let crowding = 0;
  return () => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs >= LOOK_MS) {
      lookedMs = nowMs;
      crowding = read();
    }
    return crowding;
  };
}
