/**
 * Moves the actors of a behaviour to where a trial wants them, those that are idle too, in slices between which sockets
 * are read. An actor whose handler has an open promise is left to finish it; one that does not is killed at the deadline.
 *
 * Actors that get messages convert themselves at their next turn, so a sweep finds only what is quiet.
 */

import { hibernate, wake } from '../attention.ts';
import { finishOwn } from '../exit.ts';
import { fromThrown } from '../exit-reason.ts';
import type { Kernel } from '../kernel.ts';
import { FLAG, type Process } from '../process.ts';
import { convertState } from '../system.ts';
import { RELOAD_LIMITS } from './limits.ts';
import type { Trial } from './trial.ts';

/** What a sweep did. Counts of actors; milliseconds. */
export interface SweepReport {
  readonly moved: number;
  /** Killed because their handler did not end in time. */
  readonly killed: number;
  readonly slices: number;
  readonly longestSliceMs: number;
}

/** How a sweep waits. */
export interface Pause {
  /** Until the loop had a chance to read its sockets. */
  breath(): Promise<void>;
  sleep(ms: number): Promise<void>;
}

/** Goes over all actors until each is settled, or until `isOver` says that the trial wants something else. */
export async function sweep(
  kernel: Kernel,
  trial: Trial,
  pause: Pause,
  timeoutMs: number,
  isOver: () => boolean = () => false,
): Promise<SweepReport> {
  const deadlineMs = kernel.clock.monotonicMs() + timeoutMs;
  const report = { moved: 0, killed: 0, slices: 0, longestSliceMs: 0 };
  for (;;) {
    const left = await goOver(kernel, trial, pause, report, isOver);
    if (left.length === 0 || isOver()) return report;
    if (kernel.clock.monotonicMs() >= deadlineMs) {
      report.killed += killAll(left, trial);
      return report;
    }
    await pause.sleep(RELOAD_LIMITS.pollMs);
  }
}

type Slices = { slices: number; longestSliceMs: number };

/** One pass over all actors. Returns those that cannot be moved now. */
async function goOver(
  kernel: Kernel,
  trial: Trial,
  pause: Pause,
  report: Slices & { moved: number },
  isOver: () => boolean,
): Promise<Process[]> {
  const left: Process[] = [];
  const visit = (process: Process): void => {
    if (!trial.concerns(process)) return;
    if (!settle(process, trial)) left.push(process);
    else report.moved += 1;
  };
  await overAll(kernel, pause, visit, isOver, report);
  return left;
}

/**
 * Visits all actors of the worker, in slices between which sockets are read. Actors may start and end meanwhile: who starts may be
 * left out.
 *
 * @param isOver - Asked between two slices; ends it early.
 */
export async function overAll(
  kernel: Kernel,
  pause: Pause,
  visit: (process: Process) => void,
  isOver: () => boolean = () => false,
  report: Slices = { slices: 0, longestSliceMs: 0 },
): Promise<void> {
  let beganMs = kernel.clock.monotonicMs();
  let looks = 0;
  const endSlice = (): void => {
    report.slices += 1;
    report.longestSliceMs = Math.max(report.longestSliceMs, kernel.clock.monotonicMs() - beganMs);
  };
  for (const process of kernel.processes.all()) {
    visit(process);
    looks += 1;
    if (looks % RELOAD_LIMITS.sweepLookCount !== 0) continue;
    if (kernel.clock.monotonicMs() - beganMs < RELOAD_LIMITS.sliceMs) continue;
    endSlice();
    if (isOver()) return;
    await pause.breath();
    beganMs = kernel.clock.monotonicMs();
  }
  endSlice();
}

const BUSY = FLAG.starting | FLAG.suspended | FLAG.exiting;

/** Brings one actor to where it belongs. Returns whether it is there. */
function settle(process: Process, trial: Trial): boolean {
  if (process.has(FLAG.dead) || trial.isSettled(process)) return true;
  const isOther = process.version !== trial.slot.version;
  if (isOther && process.has(BUSY)) return false;
  trial.bringHome(process);
  return !isOther || convert(process);
}

/** A state that is packed is unpacked by the version that packed it, and packed again by the other. */
function convert(process: Process): boolean {
  const isPacked = process.has(FLAG.hibernated);
  try {
    if (isPacked) wake(process);
    const goesOn = convertState(process);
    if (isPacked && goesOn) hibernate(process);
  } catch (thrown) {
    finishOwn(process.kernel, process, fromThrown(thrown));
  }
  return true;
}

function killAll(processes: readonly Process[], trial: Trial): number {
  let count = 0;
  for (const process of processes) {
    if (process.has(FLAG.dead) || trial.isSettled(process)) continue;
    const reason = { error: { name: 'Error', message: `it held on to version ${process.version} past the deadline` } };
    finishOwn(process.kernel, process, reason);
    count += 1;
  }
  return count;
}
