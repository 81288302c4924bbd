/**
 * Making and taking back links and monitors, near and far.
 */

import type { Kernel } from './kernel.ts';
import { KIND, type Target } from './envelope.ts';
import type { ExitReason } from './exit-reason.ts';
import { signalExit } from './exit-signals.ts';
import { addLink, areLinked, hasLink, type LinkKey, removeLink } from './links.ts';
import { attachMonitor, detachMonitor, downOf, Monitor, type Waiter } from './monitors.ts';
import { formatPid, type Pid, samePid } from './pid.ts';
import { Process } from './process.ts';
import { formatRef, type Ref } from './ref.ts';
import { deliverAlways } from './routing.ts';
import { locate, type Location, remoteName, signalTo } from './location.ts';
import { PACKET } from './transport.ts';

/** The key under which a link to `pid` is kept. */
export function linkKeyOf(kernel: Kernel, pid: Pid): LinkKey {
  if (pid instanceof Process && pid.kernel === kernel) return pid;
  return kernel.processes.get(pid) ?? formatPid(pid);
}

/** Links two actors of this worker. */
export function linkBoth(a: Process, b: Process): void {
  if (areLinked(a, b)) return;
  addLink(a, b);
  addLink(b, a);
}

export function link(kernel: Kernel, process: Process, pid: Pid): void {
  if (samePid(process, pid)) return;
  const location = locate(kernel, pid);
  if (typeof location === 'object') return linkBoth(process, location);
  if (typeof location === 'string') {
    return signalExit(kernel, process, { from: pid, reason: location, byLink: false });
  }
  const key = formatPid(pid);
  if (hasLink(process, key)) return;
  addLink(process, key);
  kernel.unlinking.delete(pairOf(process, pid));
  kernel.transport!.signal(location, [PACKET.link, pid, process]);
}

export function unlink(kernel: Kernel, process: Process, pid: Pid): void {
  // Told only of a link that is: the word of none could meet, on its way, the other's word of a new one.
  if (!forgetLink(kernel, process, pid)) return;
  const location = locate(kernel, pid);
  if (typeof location === 'object') removeLink(location, process);
  else if (typeof location === 'number') unlinkAbroad(kernel, process, pid, location);
}

/**
 * Tells the other end, and keeps in mind that it does not know yet: a link that it makes meanwhile will have ended when our
 * word arrives there, so it must not begin here.
 *
 * Source: the link protocol of Erlang's distribution, UNLINK_ID and UNLINK_ID_ACK.
 */
function unlinkAbroad(kernel: Kernel, process: Process, pid: Pid, worker: number): void {
  const id = kernel.refs.nextId();
  kernel.unlinking.set(pairOf(process, pid), { worker, id });
  kernel.transport!.signal(worker, [PACKET.unlink, pid, process, id]);
}

/** The key of an actor here and one elsewhere. */
export function pairOf(here: Pid, abroad: Pid): string {
  return `${formatPid(here)}${formatPid(abroad)}`;
}

/** Removes one side of a link, with the exit signal that may already have come along it. Whether there was a link. */
export function forgetLink(kernel: Kernel, process: Process, pid: Pid): boolean {
  const linked = removeLink(process, linkKeyOf(kernel, pid));
  if (process.signals !== null) {
    process.signals = process.signals.filter((signal) => !(signal.byLink && samePid(signal.from, pid)));
  }
  return linked;
}

/** Monitors `to` for `watcher`, or for the node itself if null. With a waiter, the news goes to it. */
export function monitor(kernel: Kernel, watcher: Process | null, to: Target, waiter: Waiter | null): Monitor {
  const location = locate(kernel, to);
  const target = typeof location === 'object' ? location : null;
  const made = new Monitor(kernel.refs, watcher, watcher ?? kernel.self, target, waiter);
  enterMonitor(kernel, made, to, location);
  return made;
}

/** Puts a new monitor on `to`, which is at `location`, into effect. If nobody is there it is told at once. */
export function enterMonitor(kernel: Kernel, made: Monitor, to: Target, location: Location): void {
  attachMonitor(made);
  if (made.waiter !== null || typeof location === 'number') kernel.expected.add(made);
  if (typeof location === 'number') {
    kernel.transport!.signal(location, [PACKET.monitor, remoteName(to), made, made.watcherPid]);
    made.abroad = { worker: location, to: remoteName(to) };
  } else if (typeof location === 'string') {
    reportDown(kernel, made, pidOf(kernel, to), location);
  }
}

export function demonitor(kernel: Kernel, ref: Ref): boolean {
  const found = ref instanceof Monitor ? ref : kernel.expectedBy(ref);
  if (found === undefined || !dropMonitor(kernel, found)) return false;
  if (found.abroad !== null) kernel.transport!.signal(found.abroad.worker, [PACKET.demonitor, found]);
  return true;
}

/** Removes every trace of a monitor on this worker. Returns whether it was active. */
export function dropMonitor(kernel: Kernel, found: Monitor): boolean {
  found.wanted = false;
  if (!detachMonitor(found)) return false;
  if (found.watcher !== null || found.waiter !== null) kernel.expected.delete(found.id);
  else kernel.foreign.delete(formatRef(found));
  return true;
}

/** Ends a monitor with its news. */
export function reportDown(kernel: Kernel, found: Monitor, pid: Pid, reason: ExitReason): void {
  const { watcher, waiter } = found;
  if (!dropMonitor(kernel, found)) return;
  if (waiter !== null) return waiter.onDown(reason);
  if (watcher === null) return signalTo(kernel, found.watcherPid, [PACKET.down, found, pid, reason]);
  found.wanted = true;
  deliverAlways(kernel, watcher, KIND.down, downOf(found, pid, reason));
}

function pidOf(kernel: Kernel, to: Target): Pid {
  const name = remoteName(to);
  return typeof name === 'string' ? kernel.self : name;
}
