/**
 * From a target to a mailbox: near by a pointer, far by a packet. Where a target lives, `location.ts` says.
 */

import { KIND, type Kind, type SendResult, type Target } from './envelope.ts';
import type { Kernel } from './kernel.ts';
import { isNear, locateOther, remoteName } from './location.ts';
import { offer, push } from './mailbox.ts';
import { overflow } from './overflow.ts';
import { FLAG, type Process } from './process.ts';

// An actor in one of these states is not put into the run queue for a message.
const NOT_READY = FLAG.queued | FLAG.suspended | FLAG.paused;

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
