/**
 * What a thread of this process has had of the processors, and for how long it was ready to run without one. Adapter to Linux; elsewhere
 * nothing is known.
 *
 * The kernel counts both for each thread (`/proc/PID/task/TID/schedstat`, first and second number, nanoseconds). It adds to the wait
 * only when the thread gets a processor. Source: Documentation/scheduler/sched-stats.rst of Linux.
 */

import { readFileSync, readlinkSync } from 'node:fs';

/** Of one thread, in its life. */
export interface ProcessorTimes {
  readonly ranMs: number;
  /** Ready to run without a processor, up to the last time when it got one. */
  readonly waitedMs: number;
}

/** The system's number of the thread that calls; 0 where there is none to be had. */
export function numberOfThread(): number {
  try {
    // PID/task/TID
    return Number(readlinkSync('/proc/thread-self').split('/')[2] ?? 0);
  } catch {
    return 0;
  }
}

/** The times of the thread of that number; `undefined` where nobody counts, and where they cannot be read now. */
export function processorTimes(thread: number): ProcessorTimes | undefined {
  if (thread === 0) return undefined;
  try {
    const [ranNs, waitedNs] = readFileSync(`/proc/self/task/${thread}/schedstat`, 'latin1').split(' ').map(Number);
    // A kernel that does not count says 0 of a thread that has run.
    if (!ranNs || waitedNs === undefined) return undefined;
    return { ranMs: ranNs / 1e6, waitedMs: waitedNs / 1e6 };
  } catch {
    return undefined;
  }
}
