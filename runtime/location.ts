/**
 * Where a target lives: on this worker, on another one, or nowhere; and how a packet gets to the worker of a pid.
 *
 * A pid of this worker is its process, so nothing is looked up for it. Copies of pids (from another worker, from a text)
 * are found through the process table. Knows nothing of mailboxes: read next `routing.ts`.
 */

import type { Target } from './envelope.ts';
import type { Kernel } from './kernel.ts';
import { Pid } from './pid.ts';
import { FLAG, Process } from './process.ts';
import type { Packet } from './transport.ts';

/** What `locate` finds: an actor of this worker, the place of another worker, or why neither. */
export type Location = Process | number | 'noproc' | 'noconnection';

/** Where `to` lives. */
export function locate(kernel: Kernel, to: Target): Location {
  if (isNear(kernel, to)) return (to.flags & FLAG.dead) === 0 ? to : 'noproc';
  return locateOther(kernel, to);
}

/** Whether `to` is the record of an actor of this worker, living or not. One load, where `instanceof` walks a chain. */
export function isNear(kernel: Kernel, to: Target): to is Process {
  return typeof to === 'object' && to !== null && (to as Partial<Process>).kernel === kernel;
}

/** Where `to` lives that is no record of this worker. Apart, so that what nearly every send needs is small enough to be inlined. */
export function locateOther(kernel: Kernel, to: Target): Location {
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
