/**
 * The record of one monitor, and the two lists it stands in.
 *
 * A monitor between two actors of this worker is one record: in the list of what its watcher watches and in the list of
 * who watches its target, so that the end of either removes it in constant time, whatever the other's list holds. If
 * one side lives elsewhere, its list is missing here. The record is the ref that the author holds.
 *
 * A monitor with a waiter belongs to a `call` or `awaitExit`: its news settles a promise instead of becoming a message.
 */

import type { Down, SendResult } from './envelope.ts';
import type { ExitReason } from './exit-reason.ts';
import type { Pid } from './pid.ts';
import type { Process } from './process.ts';
import { Ref, type RefSource } from './ref.ts';

/** Who waits behind a monitor. Each method is called at most once, and only one of them. */
export interface Waiter {
  onReply(value: unknown): void;
  onDown(reason: ExitReason): void;
  /** The request arrived on another worker and was not taken there. */
  onRefused(result: SendResult): void;
  onTimeout(): void;
}

export class Monitor extends Ref {
  /** The watching actor; null if it lives elsewhere, or is the node itself. */
  declare readonly watcher: Process | null;
  /** Where the news goes if `watcher` is null and there is no waiter. */
  declare readonly watcherPid: Pid;
  /** Set once, by whoever makes the monitor. */
  declare waiter: Waiter | null;
  /** The watched actor; null if it lives elsewhere or nowhere. */
  declare readonly target: Process | null;
  active: boolean = true;
  /** Whether a `Down` that waits in the mailbox is still to be handled. */
  wanted: boolean = true;
  /** The place and name of its target on another worker, which must be told when the monitor is taken back; null if the target lives here. */
  abroad: { readonly worker: number; readonly to: Pid | string } | null = null;
  previousWatched: Monitor | null = null;
  nextWatched: Monitor | null = null;
  previousWatcher: Monitor | null = null;
  nextWatcher: Monitor | null = null;

  /** @param ref - A ref to become: a source to take the next id from, or a ref that a remote watcher made. */
  constructor(
    ref: RefSource | Ref,
    watcher: Process | null,
    watcherPid: Pid,
    target: Process | null,
    waiter: Waiter | null,
  ) {
    super(ref.node, ref.worker, ref.creation, ref instanceof Ref ? ref.id : ref.nextId());
    this.watcher = watcher;
    this.watcherPid = watcherPid;
    this.target = target;
    this.waiter = waiter;
  }
}

/** Enters `monitor` into the lists of its two ends. */
export function attachMonitor(monitor: Monitor): void {
  const { watcher, target } = monitor;
  if (watcher !== null) {
    monitor.nextWatched = watcher.watching;
    if (watcher.watching !== null) watcher.watching.previousWatched = monitor;
    watcher.watching = monitor;
  }
  if (target !== null) {
    monitor.nextWatcher = target.watchers;
    if (target.watchers !== null) target.watchers.previousWatcher = monitor;
    target.watchers = monitor;
  }
}

/** Takes `monitor` out of both lists and makes it inactive. Returns whether it was active. */
export function detachMonitor(monitor: Monitor): boolean {
  if (!monitor.active) return false;
  monitor.active = false;
  leaveWatched(monitor);
  leaveWatchers(monitor);
  return true;
}

/** The message for the end of a monitor's target. */
export function downOf(monitor: Monitor, pid: Pid, reason: ExitReason): Down {
  return { type: 'DOWN', ref: monitor, pid, reason };
}

function leaveWatched(monitor: Monitor): void {
  const { watcher, previousWatched: previous, nextWatched: next } = monitor;
  if (watcher === null) return;
  if (previous !== null) previous.nextWatched = next;
  else watcher.watching = next;
  if (next !== null) next.previousWatched = previous;
  monitor.previousWatched = null;
  monitor.nextWatched = null;
}

function leaveWatchers(monitor: Monitor): void {
  const { target, previousWatcher: previous, nextWatcher: next } = monitor;
  if (target === null) return;
  if (previous !== null) previous.nextWatcher = next;
  else target.watchers = next;
  if (next !== null) next.previousWatcher = previous;
  monitor.previousWatcher = null;
  monitor.nextWatcher = null;
}
