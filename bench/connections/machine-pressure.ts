/**
 * How short the machine is of what a crowd needs, read second by second. Adapter to /proc; what it means is judged in `pressure.ts`.
 *
 * Stalls are the kernel's own (`/proc/pressure`, "full"): shares of the time in which nobody could run because everybody who wanted to waited for the
 * disk, or for memory. Where a file is missing its figure is left out.
 */

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { readMachineCpuMs } from '../harness/resources.ts';

/** What has come together since the machine started. */
interface Totals {
  readonly atMs: number;
  readonly busyMs: number | undefined;
  readonly diskStallMs: number | undefined;
  readonly memoryStallMs: number | undefined;
}

/** What was short between two looks. */
export interface MachinePressure {
  readonly processors: number;
  readonly busyShare: number | undefined;
  readonly runnable: number | undefined;
  readonly diskStallShare: number | undefined;
  readonly memoryStallShare: number | undefined;
}

/** Looks at the machine; each look tells of the time since the one before. */
export class MachineWatch {
  readonly #read: (path: string) => string | undefined;
  readonly #processors: number;
  readonly #nowMs: () => number;
  #before: Totals;

  constructor(
    nowMs: () => number,
    read: (path: string) => string | undefined = readText,
    processors: number = availableParallelism(),
  ) {
    this.#nowMs = nowMs;
    this.#read = read;
    this.#processors = processors;
    this.#before = this.#totals();
  }

  look(): MachinePressure {
    const before = this.#before;
    const now = this.#totals();
    this.#before = now;
    const elapsedMs = Math.max(1, now.atMs - before.atMs);
    const share = (of: (totals: Totals) => number | undefined, among = 1): number | undefined => {
      const [from, to] = [of(before), of(now)];
      return from === undefined || to === undefined
        ? undefined
        : Math.max(0, Math.min(1, (to - from) / elapsedMs / among));
    };
    return {
      processors: this.#processors,
      busyShare: share(({ busyMs }) => busyMs, this.#processors),
      runnable: parseRunnable(this.#read('/proc/loadavg')),
      diskStallShare: share(({ diskStallMs }) => diskStallMs),
      memoryStallShare: share(({ memoryStallMs }) => memoryStallMs),
    };
  }

  #totals(): Totals {
    return {
      atMs: this.#nowMs(),
      busyMs: readMachineCpuMs(),
      diskStallMs: parseStallMs(this.#read('/proc/pressure/io')),
      memoryStallMs: parseStallMs(this.#read('/proc/pressure/memory')),
    };
  }
}

/** Threads that run or want to, of `/proc/loadavg`: its fourth field is `runnable/all`. */
export function parseRunnable(loadavg: string | undefined): number | undefined {
  const [, runnable] = /^(?:\S+ ){3}(\d+)\//.exec(loadavg ?? '') ?? [];
  return runnable === undefined ? undefined : Number(runnable);
}

/** Milliseconds for which nobody could run, of a file in `/proc/pressure`; they are told in microseconds. */
export function parseStallMs(pressure: string | undefined): number | undefined {
  const [, us] = /^full .*\btotal=(\d+)/m.exec(pressure ?? '') ?? [];
  return us === undefined ? undefined : Number(us) / 1_000;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
