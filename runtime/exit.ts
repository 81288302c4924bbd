/**
 * How an actor ends, in one place: in order (`terminate` runs first) or at once.
 *
 * After `finishExit` nothing refers to the actor: its name, slot, timers, monitors and links are gone, and everybody
 * whom its end concerns has been told. Read before: `signals.ts`, which decides when this happens.
 */

import { wake } from './attention.ts';
import { codeOf } from './behavior.ts';
import type { Actor } from './actor.ts';
import { type ExitReason, formatExitReason, fromThrown, isAbnormal, isErrorReason } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { linkKeys } from './links.ts';
import { clear, mailboxCount } from './mailbox.ts';
import { parsePid } from './pid.ts';
import { FLAG, type Process } from './process.ts';
import { dropMonitor, reportDown, unlink } from './relations.ts';
import { sendExit, signalExit } from './exit-signals.ts';
import { PACKET } from './transport.ts';

/** Ends an actor in order. If `terminate` is asynchronous, the actor stays suspended until it settles. */
export function terminate(kernel: Kernel, process: Process, reason: ExitReason): void {
  const current = codeOf(process);
  process.flags |= FLAG.exiting;
  process.stopReason = null;
  if (current.terminate === undefined) return finishOwn(kernel, process, reason);
  try {
    wake(process);
    const pending = current.terminate(reason, process.state, process as Actor);
    if (!isPromise(pending)) return finishOwn(kernel, process, reason);
    process.flags |= FLAG.suspended;
    pending.then(
      () => finishOwn(kernel, process, reason),
      (thrown: unknown) => finishOwn(kernel, process, fromThrown(thrown)),
    );
  } catch (thrown) {
    finishOwn(kernel, process, fromThrown(thrown));
  }
}

/** Ends an actor by its own doing: what went wrong is reported to the log. */
export function finishOwn(kernel: Kernel, process: Process, reason: ExitReason): void {
  if (process.has(FLAG.dead)) return;
  if (isAbnormal(reason)) reportCrash(kernel, process, reason);
  finishExit(kernel, process, reason);
}

/** Ends an actor now, and tells everybody whom it concerns. */
export function finishExit(kernel: Kernel, process: Process, reason: ExitReason): void {
  if (process.has(FLAG.dead)) return;
  process.flags |= FLAG.dead;
  process.stopReason = reason;
  kernel.processes.delete(process);
  if (process.parent === kernel.self) kernel.roots.delete(process);
  if (process.registeredName !== null) kernel.registry.unregister(process.registeredName);
  while (process.timers !== null) kernel.timers.cancel(process.timers);
  dropWatching(kernel, process);
  // A start is told once: the starter gets the result and not an exit signal as well.
  if (process.has(FLAG.starting) && process.parent !== null) unlink(kernel, process, process.parent);
  tellLinks(kernel, process, reason);
  while (process.watchers !== null) reportDown(kernel, process.watchers, process, reason);
  clear(process);
  // Whoever still holds the pid holds this record: it must not keep anything else alive.
  process.signals = null;
  process.state = undefined;
  process.parent = null;
  process.annex = null;
}

/** Whether a handler's result must be waited for. By shape: a promise may come from another realm. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function dropWatching(kernel: Kernel, process: Process): void {
  for (let made = process.watching; made !== null; made = process.watching) {
    dropMonitor(kernel, made);
    if (made.abroad !== null) kernel.transport!.signal(made.abroad.worker, [PACKET.demonitor, made]);
  }
}

function tellLinks(kernel: Kernel, process: Process, reason: ExitReason): void {
  const { links } = process;
  process.links = null;
  for (const key of linkKeys(links)) {
    const peer = typeof key === 'string' ? parsePid(key)! : key;
    const local = kernel.processes.get(peer);
    const signal = { from: process, reason, byLink: true };
    if (local !== undefined) signalExit(kernel, local, signal);
    else sendExit(kernel, peer, signal);
  }
}

// No message contents and no state: both may hold what users wrote.
function reportCrash(kernel: Kernel, process: Process, reason: ExitReason): void {
  kernel.log.error('actor_crashed', {
    pid: process.toString(),
    name: process.registeredName ?? undefined,
    behavior: process.behavior.name,
    version: process.version,
    parent: process.parent?.toString(),
    reason: formatExitReason(reason),
    stack: isErrorReason(reason) ? reason.error.stack : undefined,
    starting: process.has(FLAG.starting),
    mailboxCount: mailboxCount(process),
  });
}
