/**
 * How long the event loop of this thread has worked, since it began. Adapter to Node's own measurement.
 *
 * What counts as idle is the time in the poll of the operating system while nothing was there to be done.
 */

import { performance } from 'node:perf_hooks';

/** Milliseconds. */
export function loopBusyMs(): number {
  return performance.eventLoopUtilization().active;
}
