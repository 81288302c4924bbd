/**
 * From a target to a mailbox: near by a table look-up, far by a packet.
 */

import { KIND, type Kind, type SendResult, type Target } from './envelope.ts';
import type { Kernel } from './kernel.ts';
import { Pid } from './pid.ts';
import { FLAG, type Process } from './process.ts';
import { PACKET, type Packet } from './transport.ts';

/** What `locate` finds: an actor of this worker, the number of another worker, or why neither. */
export type Location = Process | number | 'noproc' | 'noconnection';

/** Where `to` lives. */
export function locate(kernel: Kernel, to: Target): Location {
  if (typeof to === 'string') return kernel.registry.whereis(to) ?? 'noproc';
  if (to instanceof Pid) {
    const process = kernel.processes.get(to);
    if (process !== undefined) return process;
    if (to.node !== kernel.name) return 'noconnection';
    return locateWorker(kernel, to.worker);
  }
  checkAddress(to);
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
  const location = locate(kernel, to);
  if (typeof location === 'object') return deliver(kernel, location, kind, message);
  if (typeof location === 'string') return location;
  const packet: Packet =
    kind === KIND.cast ? [PACKET.cast, remoteName(to), message] : [PACKET.info, remoteName(to), message];
  return kernel.transport!.send(location, packet);
}

/** Puts a message that may be refused into the mailbox of an actor here. */
export function deliver(kernel: Kernel, process: Process, kind: Kind, payload: unknown): SendResult {
  if (!process.mailbox.offer(kind, payload)) return 'full';
  if ((process.flags & (FLAG.queued | FLAG.suspended)) === 0) kernel.scheduler.schedule(process);
  return 'ok';
}

/** Puts what may not be refused into the mailbox of an actor here: news of a death, its own timer. */
export function deliverAlways(kernel: Kernel, process: Process, kind: Kind, payload: unknown): void {
  process.mailbox.push(kind, payload);
  if ((process.flags & (FLAG.queued | FLAG.suspended)) === 0) kernel.scheduler.schedule(process);
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

function checkAddress(to: { name: string; worker: number }): void {
  if (typeof to?.name !== 'string' || !Number.isInteger(to.worker)) {
    throw new TypeError('"to" expected a Pid, a name, or { name, worker }');
  }
}
