/**
 * What can be told of one actor without disturbing it.
 */

import { linkCount } from './links.ts';
import { mailboxCount } from './mailbox.ts';
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
  mailboxCount: number;
  linkCount: number;
  /** Monitors that it made, and those on it; a pending call is one. */
  monitorCount: number;
  monitoredByCount: number;
  timerCount: number;
  trapsExits: boolean;
}

/** A snapshot of `process`. */
export function describeProcess(process: Process): ProcessInfo {
  return {
    pid: process,
    name: process.registeredName ?? undefined,
    behavior: process.behavior.name,
    version: process.version,
    status: statusOf(process),
    mailboxCount: mailboxCount(process),
    linkCount: linkCount(process),
    monitorCount: lengthOf(process.watching, (made) => made.nextWatched),
    monitoredByCount: lengthOf(process.watchers, (made) => made.nextWatcher),
    timerCount: lengthOf(process.timers, (timer) => timer.nextOwned),
    trapsExits: process.has(FLAG.trapExit),
  };
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
