/**
 * What can be told of one actor without disturbing it, in the words of OTP's `process_info` where it has them.
 */

import { linkCount } from './links.ts';
import { mailboxCount, oldestEntry } from './mailbox.ts';
import type { Pid } from './pid.ts';
import { FLAG, type Process } from './process.ts';

/** What `RuntimeNode.processInfo` tells of one actor. */
export interface ProcessInfo {
  pid: Pid;
  name: string | undefined;
  behavior: string;
  version: number;
  /** `suspended`: the promise of a handler is open; `paused`: suspended by `sys`. */
  status: 'starting' | 'waiting' | 'ready' | 'suspended' | 'paused' | 'hibernating' | 'exiting';
  /** Messages that wait, and how many may. */
  messageQueueLen: number;
  messageQueueMax: number;
  /** How long the oldest has waited, in milliseconds, to about the length of a turn; 0 if none waits. */
  messageQueueAgeMs: number;
  /** Messages given back to their senders, and messages lost, because there was no room. */
  refusedCount: number;
  droppedCount: number;
  /** Messages handled, up to the end of its last turn. Exact. */
  reductions: number;
  /** Milliseconds spent in its turns: an estimate from one turn in about 32 of the worker's. */
  runtimeMs: number;
  linkCount: number;
  /** Monitors that it made, and those on it; a pending call is one. */
  monitorCount: number;
  monitoredByCount: number;
  timerCount: number;
  trapsExits: boolean;
}

/** A snapshot of `process`. */
export function describeProcess(process: Process): ProcessInfo {
  const { annex } = process;
  return {
    pid: process,
    name: process.registeredName ?? undefined,
    behavior: process.behavior.name,
    version: process.version,
    status: statusOf(process),
    messageQueueLen: mailboxCount(process),
    messageQueueMax: process.mailboxMax,
    messageQueueAgeMs: ageOfOldestMs(process),
    refusedCount: annex?.refusedCount ?? 0,
    droppedCount: annex?.droppedCount ?? 0,
    reductions: process.handledCount + (annex?.carriedCount ?? 0),
    runtimeMs: (process.busyUs + (annex?.carriedUs ?? 0)) / 1_000,
    linkCount: linkCount(process),
    monitorCount: lengthOf(process.watching, (made) => made.nextWatched),
    monitoredByCount: lengthOf(process.watchers, (made) => made.nextWatcher),
    timerCount: lengthOf(process.timers, (timer) => timer.nextOwned),
    trapsExits: process.has(FLAG.trapExit),
  };
}

function ageOfOldestMs(process: Process): number {
  const entry = oldestEntry(process);
  return entry === 0 ? 0 : process.kernel.scheduler.ageMs(entry);
}

function statusOf(process: Process): ProcessInfo['status'] {
  if (process.has(FLAG.exiting)) return 'exiting';
  if (process.has(FLAG.starting)) return 'starting';
  if (process.has(FLAG.suspended)) return 'suspended';
  if (process.has(FLAG.paused)) return 'paused';
  if (process.has(FLAG.hibernated)) return 'hibernating';
  return process.has(FLAG.queued) ? 'ready' : 'waiting';
}

function lengthOf<T>(first: T | null, next: (item: T) => T | null): number {
  let count = 0;
  for (let item = first; item !== null; item = next(item)) count += 1;
  return count;
}
