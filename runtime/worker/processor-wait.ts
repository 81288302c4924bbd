/**
 * How long a thread of this process has been ready to run without a processor. Adapter to Linux; elsewhere nothing is known.
 *
 * The kernel counts it for each thread (`/proc/PID/task/TID/schedstat`, second number, nanoseconds) and adds to it when the
 * thread gets a processor. Source: Documentation/scheduler/sched-stats.rst of Linux.
 */

import { readFileSync, readlinkSync } from 'node:fs';

/** The system's number of the thread that calls; 0 where there is none to be had. */
export function numberOfThread(): number {
  try {
    // PID/task/TID
    return Number(readlinkSync('/proc/thread-self').split('/')[2] ?? 0);
  } catch {
    return 0;
  }
}

/** Milliseconds that the thread of that number has waited for a processor in its life; 0 where nobody counts. */
export function processorWaitMs(thread: number): number {
  if (thread === 0) return 0;
  try {
    const [, waitedNs = '0'] = readFileSync(`/proc/self/task/${thread}/schedstat`, 'latin1').split(' ');
    return Number(waitedNs) / 1e6;
  } catch {
    return 0;
  }
}
