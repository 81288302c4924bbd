/**
 * Sending exit signals, near and far. A signal lies before its actor until the actor's next turn; what it does there,
 * `signals.ts` decides.
 */

import type { ExitReason, ExitRequest } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { locate } from './location.ts';
import type { Pid } from './pid.ts';
import { FLAG, type Process } from './process.ts';
import type { ExitSignal } from './signals.ts';
import { PACKET } from './transport.ts';

/** Sends an exit signal from `from` to `pid`. To nobody, it is lost. */
export function exit(kernel: Kernel, from: Pid, pid: Pid, reason: ExitRequest): void {
  sendExit(kernel, pid, { from, reason, byLink: false });
}

/** Sends an exit signal to the actor of `pid`, wherever it lives. To nobody, it is lost. */
export function sendExit(kernel: Kernel, pid: Pid, signal: ExitSignal): void {
  const location = locate(kernel, pid);
  if (typeof location === 'object') return signalExit(kernel, location, signal);
  if (typeof location !== 'number') return;
  kernel.transport!.signal(location, [PACKET.exit, pid, signal.from, signal.reason, signal.byLink]);
}

/** Lays an exit signal before a living actor of this worker; it acts at the actor's next turn. */
export function signalExit(kernel: Kernel, process: Process, signal: ExitSignal): void {
  if (process.signals === null) process.signals = [signal];
  else process.signals.push(signal);
  process.flags |= FLAG.interrupted;
  kernel.scheduler.schedule(process);
}

/** Ends an actor of this worker at its next turn, for `reason`, whether or not it traps exits. */
export function endByForce(kernel: Kernel, process: Process, reason: ExitReason): void {
  signalExit(kernel, process, { from: process, reason, byLink: false, byForce: true });
}
