/**
 * What a process uses, read from /proc. Linux only; elsewhere there is nothing to read and the figures are left out.
 */

import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in /proc; USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface ProcessUse {
  /** User and system time of all threads since the process started. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** The largest `rssBytes` so far. */
  readonly rssBytesMax: number;
}

/**
 * CPU time of everything on the machine since it started, in milliseconds; what a hypervisor took away is counted, because it
 * was not ours either. `undefined` where there is no /proc.
 */
export function readMachineCpuMs(): number | undefined {
  try {
    return parseMachineCpuMs(readFileSync('/proc/stat', 'utf8'));
  } catch {
    return undefined;
  }
}

/** Reads the text of /proc/stat. */
export function parseMachineCpuMs(stat: string): number {
  const [user, nice, system, _idle, _waiting, irq, softIrq, steal] = stat
    .split('\n', 1)[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return ((user! + nice! + system! + irq! + softIrq! + (steal ?? 0)) * 1000) / TICKS_PER_SECOND;
}

/** Reads what process `pid` uses; `undefined` where there is no /proc or the process has ended. */
export function readProcessUse(pid: number): ProcessUse | undefined {
  try {
    return parseProcessUse(readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Reads the text of /proc/pid/stat and /proc/pid/status. */
export function parseProcessUse(stat: string, status: string): ProcessUse {
  // The second field is the name in parentheses and may hold spaces and parentheses: count from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [Number(fields[11]), Number(fields[12])];
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return {
    cpuMs: ((userTicks + systemTicks) * 1000) / TICKS_PER_SECOND,
    rssBytes: kilobytes('VmRSS') * 1024,
    rssBytesMax: kilobytes('VmHWM') * 1024,
  };
}

/**
 * For how long all threads of processes were ready to run and had no core, in milliseconds since they started; threads that
 * have ended are left out. `undefined` where the kernel does not tell.
 */
export function readRunQueueWaitMs(pids: readonly number[]): number | undefined {
  try {
    return pids.flatMap(readWaits).reduce((total, each) => total + each, 0);
  } catch {
    return undefined;
  }
}

function readWaits(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((thread) => {
    return parseRunQueueWaitMs(readFileSync(`${tasks}/${thread}/schedstat`, 'utf8'));
  });
}

/** Milliseconds on a core of each thread of a process since it started, by its id. */
export type ThreadTimes = ReadonlyMap<string, number>;

/** The same time as `ProcessUse.cpuMs`, told in nanoseconds and not in ticks of 10 ms. `undefined` where the kernel does not tell. */
export function readThreadTimes(pid: number): ThreadTimes | undefined {
  const tasks = `/proc/${pid}/task`;
  try {
    return new Map(readdirSync(tasks).map((thread) => [thread, readRunMs(`${tasks}/${thread}/schedstat`)]));
  } catch {
    return undefined;
  }
}

/** A thread that ended since it was listed has nothing more to tell. */
function readRunMs(path: string): number {
  try {
    return parseRunMs(readFileSync(path, 'utf8'));
  } catch {
    return 0;
  }
}

/** What the threads of a process have used from `before` to `now`; of a thread that ended in between, nothing is known. */
export function threadTimeBetween(before: ThreadTimes, now: ThreadTimes): number {
  return [...now].reduce((sum, [thread, ms]) => sum + Math.max(0, ms - (before.get(thread) ?? 0)), 0);
}

/** Reads the text of /proc/pid/task/tid/schedstat, as below. */
export function parseRunMs(schedstat: string): number {
  return Number(schedstat.split(' ')[0]) / 1e6;
}

/** Reads the text of /proc/pid/task/tid/schedstat: nanoseconds on a core, nanoseconds on a run queue, time slices. */
export function parseRunQueueWaitMs(schedstat: string): number {
  return Number(schedstat.split(' ')[1]) / 1e6;
}
