/**
 * What an actor attends to besides its messages: continues, system requests, a receive timeout, a trace, hibernation.
 *
 * Few actors ever have any of it, so it lies in a record of its own behind one flag: an actor without it pays one test a
 * turn and no memory. `turn.ts` looks here before it takes messages; a turn that is under way is interrupted after its
 * current message, as for an exit signal.
 */

import { codeOf } from './behavior.ts';
import { type CallEnvelope, KIND } from './envelope.ts';
import type { Kernel } from './kernel.ts';
import { LIMITS } from './limits.ts';
import { hasMessages } from './mailbox.ts';
import { annexOf, FLAG, type Process } from './process.ts';
import { deliverAlways } from './routing.ts';
import { Timer } from './timers.ts';
import type { Trace } from './trace.ts';

export class Attention {
  /** Terms for `handleContinue`, oldest first. */
  readonly continues: unknown[] = [];
  /** System requests that wait, oldest first. */
  readonly requests: CallEnvelope[] = [];
  /** Runs out if no message comes. */
  receiveTimer: Timer | null = null;
  trace: Trace | null = null;
}

/** The message of a timer that is the runtime's own business. */
export class Alarm {
  readonly onExpire: (kernel: Kernel, process: Process) => void;

  constructor(onExpire: (kernel: Kernel, process: Process) => void) {
    this.onExpire = onExpire;
  }
}

/** What a receive timeout delivers to `handleInfo`, as in OTP. */
const TIMEOUT = 'timeout';

/** The record of `process`, made if there is none; its next turn looks at it. */
export function attentionOf(process: Process): Attention {
  process.flags |= FLAG.attention;
  return (annexOf(process).attention ??= new Attention());
}

/** Ends the turn of `process` after the current message, and arranges for the one that attends. */
function interrupt(kernel: Kernel, process: Process): void {
  process.flags |= FLAG.attention | FLAG.interrupted;
  kernel.scheduler.schedule(process);
}

export function continueWith(kernel: Kernel, process: Process, term: unknown): void {
  attentionOf(process).continues.push(term);
  interrupt(kernel, process);
}

/** Sets or, with `'infinity'`, takes back the receive timeout. */
export function setReceiveTimeout(kernel: Kernel, process: Process, timeoutMs: number | 'infinity'): void {
  cancelReceiveTimeout(kernel, process);
  if (timeoutMs === 'infinity') return;
  const { timers, refs } = kernel;
  const timer = new Timer(refs, timers.dueTick(timeoutMs), process, process, RECEIVE_TIMEOUT, null);
  attentionOf(process).receiveTimer = timer;
  timers.add(timer);
  interrupt(kernel, process);
}

/** A message came, or another timeout is set. */
export function cancelReceiveTimeout(kernel: Kernel, process: Process): void {
  const timer = process.annex?.attention?.receiveTimer ?? null;
  if (timer === null) return;
  kernel.timers.cancel(timer);
  attentionOf(process).receiveTimer = null;
}

const RECEIVE_TIMEOUT: Alarm = new Alarm((kernel, process) => {
  attentionOf(process).receiveTimer = null;
  // A message that came before is there and has not been seen yet: it was in time.
  if (!hasMessages(process)) deliverAlways(kernel, process, KIND.notice, TIMEOUT);
});

/** Lays a system request before `process`. It waits for an open handler and for nothing else. */
export function deliverSystem(kernel: Kernel, process: Process, envelope: CallEnvelope): 'ok' | 'full' {
  const { requests } = attentionOf(process);
  if (requests.length >= LIMITS.systemRequestCountMax) return 'full';
  requests.push(envelope);
  if ((process.flags & FLAG.suspended) === 0) interrupt(kernel, process);
  return 'ok';
}

export function askToHibernate(kernel: Kernel, process: Process): void {
  process.flags |= FLAG.hibernate;
  interrupt(kernel, process);
}

/** Asks again for a turn end that passed while the actor could not be told. */
export function catchUpTurnEnd(kernel: Kernel, process: Process): void {
  if (!process.has(FLAG.turnEndLate)) return;
  process.flags &= ~FLAG.turnEndLate;
  kernel.scheduler.requestTurnEnd(process);
}

/** Drops what is not needed, after a turn that attended: the record if it is empty, and the state if that was asked. */
export function relax(process: Process): void {
  const wanted = process.has(FLAG.hibernate);
  const attention = process.annex?.attention ?? null;
  process.flags &= ~FLAG.hibernate;
  if (attention !== null && isEmpty(attention)) process.annex!.attention = null;
  if (wanted && !hasMessages(process) && !isAsked(attention)) hibernate(process);
  const quiet = process.annex === null || process.annex.attention === null;
  if (quiet && !process.has(FLAG.paused | FLAG.hibernated)) process.flags &= ~FLAG.attention;
}

/** Whether there is anything for a turn to do: an actor that hibernates is not to wake for nothing. */
export function isNeeded(process: Process): boolean {
  return hasMessages(process) || process.has(FLAG.hibernate) || process.annex?.attention != null;
}

/** Unpacks the state of an actor that hibernates. Throws what `wake` throws. */
export function wake(process: Process): void {
  if (!process.has(FLAG.hibernated)) return;
  process.flags &= ~FLAG.hibernated;
  const behavior = codeOf(process);
  if (behavior.wake !== undefined) process.state = behavior.wake(process.state);
}

/** Packs the state, by the code that it is of. Throws what `hibernate` of the behaviour throws. */
export function hibernate(process: Process): void {
  const behavior = codeOf(process);
  process.flags |= FLAG.hibernated;
  if (behavior.hibernate !== undefined) process.state = behavior.hibernate(process.state);
}

function isAsked(attention: Attention | null): boolean {
  return attention !== null && (attention.continues.length > 0 || attention.requests.length > 0);
}

function isEmpty(attention: Attention): boolean {
  return !isAsked(attention) && attention.receiveTimer === null && attention.trace === null;
}
