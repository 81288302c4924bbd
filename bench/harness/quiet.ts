/**
 * Waits until a server has nothing to do any more. After very many clients came, a worker that has become quiet collects its whole heap
 * (`actors/host/heap-rest.ts`), some two seconds later and for some tenths of one: that belongs to no phase that is measured.
 */

import { LIMITS } from '../limits.ts';
import { pause, systemClock, type Clock } from './clock.ts';
import { readThreadTimes, threadTimeBetween, type ThreadTimes } from './resources.ts';

/** Below so many cores in each of so many looks in a row it is quiet; a collection in between is seen, and begins them anew. */
const QUIET_CORES = 0.015;
const QUIET_LOOKS = 4;
const LOOK_MS = 1_000;
/** Fewer leave nothing that takes a moment to collect. */
const CONNECTIONS_MIN = 200;

/** How the time of a process is read, and by which clock; tests bring their own. */
export interface QuietParts {
  readonly read: (pid: number) => ThreadTimes | undefined;
  readonly clock: Clock;
}

/**
 * Resolves to whether it became quiet within LIMITS.settlingMsMax; at once where nothing tells, or where few came.
 *
 * @param connections - That have come.
 */
export async function untilQuiet(
  pid: number,
  connections: number,
  { read, clock }: QuietParts = { read: readThreadTimes, clock: systemClock },
): Promise<boolean> {
  if (connections < CONNECTIONS_MIN) return true;
  const deadlineMs = clock.nowMs() + LIMITS.settlingMsMax;
  let [before, sinceMs] = [read(pid), clock.nowMs()];
  for (let looks = 0; looks < QUIET_LOOKS && before !== undefined;) {
    if (clock.nowMs() >= deadlineMs) return false;
    await pause(LOOK_MS, clock);
    const [now, nowMs] = [read(pid), clock.nowMs()];
    if (now === undefined) return true;
    looks = threadTimeBetween(before, now) < (nowMs - sinceMs) * QUIET_CORES ? looks + 1 : 0;
    [before, sinceMs] = [now, nowMs];
  }
  return true;
}
