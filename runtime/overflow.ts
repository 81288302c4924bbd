/**
 * What becomes of a message for which a mailbox has no room: the policies of `SpawnOptions.overflow`.
 *
 *   refuse       the sender gets it back: its send returns 'full'. The default.
 *   drop_newest  it is lost, and the sender is told 'ok'
 *   drop_oldest  the oldest waiting message is lost in its place, and the sender is told 'ok'
 *   exit         the sender gets it back, and the actor ends with RT_MAILBOX_OVERFLOW
 *
 * An actor whose behaviour says `hearsOverflow` is told as well, once. A caller whose request is lost hears RT_CALL_FULL at once, whatever the policy. What a mailbox must keep (a `Down`, a
 * trapped `Exit`, a timer's message) is never lost; if nothing else waits, drop_oldest loses the new message. Every loss
 * and every refusal is counted: `ProcessInfo.droppedCount`, `refusedCount`. Rarely run, so kept out of `routing.ts`.
 */

import type { OverflowPolicy } from './behavior.ts';
import { type CallEnvelope, KIND, type Kind, type SendResult } from './envelope.ts';
import { RuntimeError } from './errors.ts';
import { fromThrown } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { dropOldest, kindOf, push } from './mailbox.ts';
import { Monitor } from './monitors.ts';
import { annexOf, type Process } from './process.ts';
import { endByForce } from './exit-signals.ts';
import { signalTo } from './location.ts';
import { PACKET } from './transport.ts';

/** What an actor gets whose behaviour says `hearsOverflow`. */
export const MAILBOX_OVERFLOW = 'mailbox_overflow';

/** Carries out the policy of `process` on a message that its mailbox did not take. */
export function overflow(kernel: Kernel, process: Process, entry: number, payload: unknown): SendResult {
  const annex = annexOf(process);
  const { overflow: policy } = annex;
  if (process.behavior.current.hearsOverflow === true && !annex.heardOverflow) tellOverflow(kernel, process);
  if (policy === 'refuse' || policy === 'exit') {
    annex.refusedCount += 1;
    kernel.refusedCount += 1;
    if (policy === 'exit') endOverflowed(kernel, process);
    return 'full';
  }
  const lost = policy === 'drop_oldest' ? dropOldest(process) : undefined;
  annex.droppedCount += 1;
  kernel.droppedCount += 1;
  if (lost === undefined) return loseNewest(kindOf(entry));
  push(process, entry, payload);
  if (kindOf(lost.entry) === KIND.call) refuseCall(kernel, lost.payload as CallEnvelope);
  return 'ok';
}

/** A full mailbox has messages, so its actor is scheduled already, or will be when it goes on. */
function tellOverflow(kernel: Kernel, process: Process): void {
  annexOf(process).heardOverflow = true;
  push(process, kernel.scheduler.stamp() | KIND.notice, MAILBOX_OVERFLOW);
}

/** @throws {RangeError} if `policy` is none. */
export function checkPolicy(policy: OverflowPolicy): void {
  if (!POLICIES.includes(policy)) {
    throw new RangeError(`"overflow" expected ${POLICIES.join(', ')}, got ${String(policy)}`);
  }
}

const POLICIES: readonly OverflowPolicy[] = ['refuse', 'drop_oldest', 'drop_newest', 'exit'];

/** A request is given back and not lost: its caller waits. */
function loseNewest(kind: Kind): SendResult {
  return kind === KIND.call ? 'full' : 'ok';
}

function refuseCall(kernel: Kernel, { from }: CallEnvelope): void {
  const found = from.ref instanceof Monitor ? from.ref : kernel.expectedBy(from.ref);
  if (found !== undefined) found.waiter?.onRefused('full');
  else signalTo(kernel, from.pid, [PACKET.refused, from.ref, 'full']);
}

/** Once: until the actor gets to its end, further messages are refused and nothing else. */
function endOverflowed(kernel: Kernel, process: Process): void {
  const { mailboxMax, behavior } = process;
  annexOf(process).overflow = 'refuse';
  kernel.log.warn('mailbox_overflow', { pid: process.toString(), behavior: behavior.name, mailboxMax });
  const error = new RuntimeError('RT_MAILBOX_OVERFLOW', `the mailbox holds ${mailboxMax} messages and took no more`);
  endByForce(kernel, process, fromThrown(error));
}
