/**
 * From a target to a mailbox: near by a pointer, far by a packet.
 *
 * A pid of this worker is its process, so a send to it looks nothing up: it reads whether the actor lives, and writes
 * the message. Copies of pids (from another worker, from a text) are found through the process table.
 */

import { KIND, type Kind, type SendResult, type Target } from './envelope.ts';
import type { Kernel } from './kernel.ts';
import { offer, push } from './mailbox.ts';
import { overflow } from './overflow.ts';
import { Pid } from './pid.ts';
import { FLAG, Process } from './process.ts';
import type { Packet } from './transport.ts';

/** What `locate` finds: an actor of this worker, the place of another worker, or why neither. */
export type Location = Process | number | 'noproc' | 'noconnection';

// An actor in one of these states is not put into the run queue for a message.
const NOT_READY = FLAG.queued | FLAG.suspended | FLAG.paused;

/** Where `to` lives. */
export function locate(kernel: Kernel, to: Target): Location {
  if (isNear(kernel, to)) return (to.flags & FLAG.dead) === 0 ? to : 'noproc';
  return locateOther(kernel, to);
}

/** Whether `to` is the record of an actor of this worker, living or not. One load, where `instanceof` walks a chain. */
function isNear(kernel: Kernel, to: Target): to is Process {
  return typeof to === 'object' && to !== null && (to as Partial<Process>).kernel === kernel;
}

// Apart, so that what nearly every send needs is small enough to be inlined into it.
function locateOther(kernel: Kernel, to: Target): Location {
  if (typeof to === 'string') return kernel.registry.whereis(to) ?? 'noproc';
  if (to instanceof Pid) {
    const process = kernel.processes.get(to);
    if (process !== undefined) return process;
    if (to.node !== kernel.name) return locateFar(kernel, to.node, to.worker);
    return locateWorker(kernel, to.worker);
  }
  checkAddress(to);
  if (to.node !== undefined && to.node !== kernel.name) return locateFar(kernel, to.node, to.worker);
  if (to.worker === kernel.worker) return kernel.registry.whereis(to.name) ?? 'noproc';
  return locateWorker(kernel, to.worker);
}

/** Puts an info message or a cast into the mailbox of `to`. */
export function route(
  kernel: Kernel,
  to: Target,
  kind: typeof KIND.info | typeof KIND.cast,
  message: unknown,
): SendResult {
  if (isNear(kernel, to)) return (to.flags & FLAG.dead) === 0 ? deliver(kernel, to, kind, message) : 'noproc';
  return routeOther(kernel, to, kind, message);
}

function routeOther(
  kernel: Kernel,
  to: Target,
  kind: typeof KIND.info | typeof KIND.cast,
  message: unknown,
): SendResult {
  const location = locateOther(kernel, to);
  if (typeof location === 'object') return deliver(kernel, location, kind, message);
  if (typeof location === 'string') return location;
  return kernel.transport!.message(location, kind, remoteName(to), message);
}

/** Puts a message that may be refused into the mailbox of a living actor here. */
export function deliver(kernel: Kernel, process: Process, kind: Kind, payload: unknown): SendResult {
  const { scheduler } = kernel;
  const entry = scheduler.stamp() | kind;
  if (!offer(process, entry, payload)) return overflow(kernel, process, entry, payload);
  if ((process.flags & NOT_READY) === 0) scheduler.schedule(process);
  return 'ok';
}

/** Puts what may not be refused into the mailbox of an actor here: news of a death, its own timer. */
export function deliverAlways(
  kernel: Kernel,
  process: Process,
  kind: typeof KIND.notice | typeof KIND.down,
  payload: unknown,
): void {
  push(process, kernel.scheduler.stamp() | kind, payload);
  if ((process.flags & NOT_READY) === 0) kernel.scheduler.schedule(process);
}

/** What a packet names as its target: the pid, or the bare name. */
export function remoteName(to: Target): Pid | string {
  if (typeof to === 'string' || to instanceof Pid) return to;
  return to.name;
}

function locateWorker(kernel: Kernel, worker: number): Location {
  if (worker === kernel.worker) return 'noproc';
  return kernel.transport?.reaches(worker) === true ? worker : 'noconnection';
}

function locateFar(kernel: Kernel, node: string, worker: number): Location {
  return kernel.transport?.placeOf(node, worker) ?? 'noconnection';
}

/** The place of the worker that `pid` lives on; `undefined` if its node is not joined to this one. */
export function placeOf(kernel: Kernel, { node, worker }: Pid): number | undefined {
  return node === kernel.name ? worker : kernel.transport?.placeOf(node, worker);
}

/** Sends a packet that must arrive to the worker of `pid`, which is not this one. */
export function signalTo(kernel: Kernel, pid: Pid, packet: Packet): void {
  const place = placeOf(kernel, pid);
  if (place !== undefined) kernel.transport?.signal(place, packet);
}

function checkAddress(to: { name: string; worker: number; node?: string }): void {
  if (typeof to?.name !== 'string' || !Number.isInteger(to.worker)) {
    throw new TypeError('"to" expected a Pid, a name, or { name, worker, node? }');
  }
}
