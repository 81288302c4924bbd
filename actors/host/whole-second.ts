/**
 * Looks that a worker takes now and then are due at whole seconds of its clock, so that one wake-up serves all of them. Pure.
 *
 * An idle worker that looks after its heap, its memory and its metrics each by a timer of its own wakes up for each. On a machine with fifty nodes
 * and two processors that is what the processors would be busy with. The clock counts from the start of the worker, so nodes
 * of one machine are out of step by themselves.
 */

import type { Clock } from '../../runtime/index.ts';

/** Whole milliseconds to the next multiple of `stepMs`, or just past it, since timers of the platform know no fractions; more than 0. */
export function untilWhole(clock: Pick<Clock, 'monotonicMs'>, stepMs: number): number {
  return Math.ceil(stepMs - (clock.monotonicMs() % stepMs));
}
