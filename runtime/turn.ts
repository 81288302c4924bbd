/**
 * One turn of one actor: signals first, then a code change if there is one, then a budget of messages.
 *
 * The only place that calls handlers. What a handler throws ends its actor and nothing else; what it returns as a
 * promise suspends its actor and nobody else.
 */

import { cancelReceiveTimeout, isNeeded, relax, wake } from './attention.ts';
import { type BehaviorSlot, NO_REPLY } from './behavior.ts';
import { reply } from './call.ts';
import type { Actor } from './actor.ts';
import { type CallEnvelope, type Down, type Exit, KIND, type Kind } from './envelope.ts';
import { RuntimeError } from './errors.ts';
import { finishExit, finishOwn, isPromise, terminate } from './exit.ts';
import { type ExitReason, fromThrown } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { LIMITS } from './limits.ts';
import { removeLink } from './links.ts';
import { hasMessages, kindOf, oldestEntry, shift } from './mailbox.ts';
import type { Monitor } from './monitors.ts';
import { type Pid, samePid } from './pid.ts';
import { carryCounts, COUNT_CARRY, FLAG, type Process } from './process.ts';
import { linkKeyOf } from './relations.ts';
import { deliverAlways } from './routing.ts';
import { type ExitSignal, receiveExit } from './signals.ts';
import { goOn, runInit } from './init.ts';
import { answerSystem, convertState } from './system.ts';
import { traceHandled } from './trace.ts';

/** Runs `process` until it waits, ends, or has used its budget. Never throws. */
export function runTurn(kernel: Kernel, process: Process): void {
  kernel.pulse.enter(process);
  if ((process.flags & UNUSUAL) !== 0 && !prepareTurn(kernel, process)) return;
  if (process.behavior.version !== process.version && !changeCode(kernel, process)) return;
  runMessages(kernel, process);
}

const UNUSUAL = FLAG.interrupted | FLAG.starting | FLAG.suspended | FLAG.dead | FLAG.attention;

/** Does what goes before messages. Returns whether they are to be handled now. */
function prepareTurn(kernel: Kernel, process: Process): boolean {
  if (process.signals !== null) drainSignals(kernel, process);
  if ((process.flags & (FLAG.dead | FLAG.suspended)) !== 0) return false;
  if ((process.flags & FLAG.starting) !== 0) {
    void runInit(kernel, process);
    return false;
  }
  if ((process.flags & FLAG.attention) === 0) return true;
  attend(kernel, process);
  return false;
}

/** A turn of an actor that has more to attend to than messages: what goes before them, and then they. */
function attend(kernel: Kernel, process: Process): void {
  if (process.stopReason === null) process.flags &= ~FLAG.interrupted;
  if (!isNeeded(process) || !wakeUp(kernel, process)) return;
  const continues = process.annex?.attention?.continues;
  if (continues !== undefined && continues.length > 0) {
    return continueOne(kernel, process, continues.shift());
  }
  answerSystem(kernel, process);
  if (!process.has(FLAG.paused | FLAG.dead | FLAG.exiting)) runAttended(kernel, process);
  if (!process.has(FLAG.dead | FLAG.exiting | FLAG.suspended)) rest(kernel, process);
}

/** The messages of a turn that attends. */
function runAttended(kernel: Kernel, process: Process): void {
  if (process.behavior.version !== process.version && !changeCode(kernel, process)) return;
  if (hasMessages(process)) {
    cancelReceiveTimeout(kernel, process);
    process.flags &= ~FLAG.hibernate;
  }
  if (process.annex?.attention?.trace == null) runMessages(kernel, process);
  else runTraced(kernel, process);
}

function wakeUp(kernel: Kernel, process: Process): boolean {
  try {
    wake(process);
    return true;
  } catch (thrown) {
    finishOwn(kernel, process, fromThrown(thrown));
    return false;
  }
}

function rest(kernel: Kernel, process: Process): void {
  try {
    relax(process);
  } catch (thrown) {
    finishOwn(kernel, process, fromThrown(thrown));
  }
}

/** Handles one continue, and arranges for the next turn. */
function continueOne(kernel: Kernel, process: Process, term: unknown): void {
  if (handleOne(kernel, process, KIND.continue, term)) kernel.scheduler.schedule(process);
}

/** As one round of `runMessages`. Returns whether the actor goes on now. */
function handleOne(kernel: Kernel, process: Process, kind: Kind, payload: unknown): boolean {
  try {
    const pending = handle(kernel, process, process.behavior, kind, payload);
    if (pending !== undefined) suspendOn(kernel, process, pending, kind, payload);
    else if (process.stopReason !== null) terminate(kernel, process, process.stopReason);
    else return true;
  } catch (thrown) {
    terminate(kernel, process, fromThrown(thrown));
  }
  return false;
}

/** As `runMessages`, and tells the tracer of each message. */
function runTraced(kernel: Kernel, process: Process): void {
  for (let budget = LIMITS.turnMessagesMax; budget > 0 && hasMessages(process); budget -= 1) {
    const kind = kindOf(oldestEntry(process));
    const payload = shift(process);
    process.handledCount += 1;
    kernel.handledCount += 1;
    const startMs = kernel.clock.monotonicMs();
    const goesOn = handleOne(kernel, process, kind, payload);
    traceHandled(kernel, process, kind, payload, startMs);
    if (!goesOn) return;
    if (process.has(FLAG.interrupted)) break;
  }
  if (hasMessages(process) || process.signals !== null) kernel.scheduler.schedule(process);
}

/** Runs `handleTurnEnd`, or puts it off until an open handler is done and `sys` lets the actor go on. Never throws. */
export function runTurnEnd(kernel: Kernel, process: Process): void {
  if ((process.flags & (FLAG.dead | FLAG.exiting)) !== 0) return;
  kernel.pulse.enter(process);
  if ((process.flags & (FLAG.suspended | FLAG.paused)) !== 0) {
    process.flags |= FLAG.turnEndLate;
    return;
  }
  if (!wakeUp(kernel, process)) return;
  if (process.behavior.version !== process.version && !changeCode(kernel, process)) return;
  try {
    process.behavior.current.handleTurnEnd?.(process.state, process as Actor);
  } catch (thrown) {
    return terminate(kernel, process, fromThrown(thrown));
  }
  if (process.stopReason !== null) terminate(kernel, process, process.stopReason);
}

function runMessages(kernel: Kernel, process: Process): void {
  const count = handleMessages(kernel, process);
  process.handledCount += count;
  kernel.handledCount += count;
  if ((process.flags & STAYS_QUIET) !== 0) return;
  if (process.handledCount >= COUNT_CARRY || process.busyUs >= COUNT_CARRY) carryCounts(process);
  if (hasMessages(process) || process.signals !== null) kernel.scheduler.schedule(process);
}

// An actor in one of these states is put into the run queue by what ends the state, if by anything.
const STAYS_QUIET = FLAG.suspended | FLAG.exiting | FLAG.dead;

/** Handles messages up to the budget. Returns how many. */
function handleMessages(kernel: Kernel, process: Process): number {
  const { behavior } = process;
  let count = 0;
  try {
    while (count < LIMITS.turnMessagesMax) {
      const entry = oldestEntry(process);
      if (entry === 0) break;
      const kind = kindOf(entry);
      const payload = shift(process);
      count += 1;
      const pending = handle(kernel, process, behavior, kind, payload);
      if (pending !== undefined) {
        suspendOn(kernel, process, pending, kind, payload);
        break;
      }
      if ((process.flags & FLAG.interrupted) === 0) continue;
      if (process.stopReason !== null) terminate(kernel, process, process.stopReason);
      break;
    }
  } catch (thrown) {
    terminate(kernel, process, fromThrown(thrown));
  }
  return count;
}

/** Handles one message. Returns the promise if the handler was asynchronous. */
function handle(
  kernel: Kernel,
  process: Process,
  slot: BehaviorSlot,
  kind: Kind,
  payload: unknown,
): PromiseLike<unknown> | undefined {
  if (kind === KIND.call) return handleCall(kernel, process, slot, payload as CallEnvelope);
  if (kind === KIND.continue) return handleContinue(process, slot, payload);
  const handler = kind === KIND.cast ? slot.handleCast : slot.handleInfo;
  if (handler === undefined) return withoutHandler(kernel, process, kind);
  if (kind === KIND.down && !((payload as Down).ref as Monitor).wanted) return undefined;
  const result: unknown = handler.call(slot.current, payload, process.state, process as Actor);
  return result !== undefined && isPromise(result) ? result : undefined;
}

function handleCall(
  kernel: Kernel,
  process: Process,
  slot: BehaviorSlot,
  envelope: CallEnvelope,
): PromiseLike<unknown> | undefined {
  if (slot.handleCall === undefined) throw noHandler(slot, 'handleCall');
  const { from, request } = envelope;
  const result: unknown = slot.handleCall.call(slot.current, request, from, process.state, process as Actor);
  if (isPromise(result)) return result;
  finishCall(kernel, envelope, result);
  return undefined;
}

function handleContinue(process: Process, slot: BehaviorSlot, term: unknown): PromiseLike<unknown> | undefined {
  const { current } = slot;
  if (current.handleContinue === undefined) throw noHandler(slot, 'handleContinue');
  const result: unknown = current.handleContinue(term, process.state, process as Actor);
  return isPromise(result) ? result : undefined;
}

function finishCall(kernel: Kernel, envelope: CallEnvelope, result: unknown): void {
  if (result !== NO_REPLY) reply(kernel, envelope.from, result);
}

function suspendOn(
  kernel: Kernel,
  process: Process,
  pending: PromiseLike<unknown>,
  kind: Kind,
  payload: unknown,
): void {
  process.flags |= FLAG.suspended;
  pending.then(
    (result) => resume(kernel, process, kind === KIND.call ? (payload as CallEnvelope) : null, result),
    (thrown: unknown) => resumeThrown(kernel, process, thrown),
  );
}

function resume(kernel: Kernel, process: Process, envelope: CallEnvelope | null, result: unknown): void {
  if (process.has(FLAG.dead)) return;
  process.flags &= ~FLAG.suspended;
  if (envelope !== null) finishCall(kernel, envelope, result);
  if (process.stopReason !== null) return terminate(kernel, process, process.stopReason);
  goOn(kernel, process);
}

function resumeThrown(kernel: Kernel, process: Process, thrown: unknown): void {
  if (process.has(FLAG.dead)) return;
  process.flags &= ~FLAG.suspended;
  terminate(kernel, process, fromThrown(thrown));
}

/** Carries out what the waiting exit signals decide. */
function drainSignals(kernel: Kernel, process: Process): void {
  const { signals } = process;
  process.signals = null;
  if (process.stopReason === null) process.flags &= ~FLAG.interrupted;
  for (const signal of signals!) {
    if (process.has(FLAG.dead)) return;
    receive(kernel, process, signal);
  }
}

function receive(kernel: Kernel, process: Process, signal: ExitSignal): void {
  const effect = receiveExit(signal, {
    trapsExits: process.has(FLAG.trapExit),
    fromSelf: samePid(signal.from, process),
    fromParent: process.parent !== null && samePid(signal.from, process.parent),
    linked: signal.byLink && takeLink(kernel, process, signal.from),
  });
  if (effect.type === 'message') deliverExit(kernel, process, signal, effect.reason);
  else if (effect.type === 'end') finishExit(kernel, process, effect.reason);
  else if (effect.type === 'terminate') endForParent(kernel, process, effect.reason, signal.byLink);
}

/** Removes the link to `from`, whose end it has just told. Returns whether there was one. */
function takeLink(kernel: Kernel, process: Process, from: Pid): boolean {
  return removeLink(process, linkKeyOf(kernel, from));
}

function deliverExit(kernel: Kernel, process: Process, signal: ExitSignal, reason: ExitReason): void {
  // In its terminate an actor handles no messages: a supervisor that stops a million children would pile up as many.
  if (process.has(FLAG.exiting)) return;
  const exit: Exit = { type: 'EXIT', pid: signal.from, reason };
  deliverAlways(kernel, process, KIND.notice, exit);
}

/** An open handler is left to finish first: its `terminate` must find the state whole. A start is not. */
function endForParent(kernel: Kernel, process: Process, reason: ExitReason, parentEnded: boolean): void {
  if (process.has(FLAG.exiting)) {
    // Nobody is left who would lose patience with a `terminate` that does not end.
    if (parentEnded) finishExit(kernel, process, reason);
    return;
  }
  if (process.has(FLAG.starting)) return finishExit(kernel, process, reason);
  if (process.has(FLAG.suspended)) process.stopReason = reason;
  else terminate(kernel, process, reason);
}

function changeCode(kernel: Kernel, process: Process): boolean {
  try {
    return convertState(process);
  } catch (thrown) {
    // Not terminate(): it would be the new code's, over a state that it does not understand.
    finishOwn(kernel, process, fromThrown(thrown));
    return false;
  }
}

function withoutHandler(kernel: Kernel, process: Process, kind: Kind): undefined {
  if (kind === KIND.cast) throw noHandler(process.behavior, 'handleCast');
  kernel.log.warn('info_unhandled', { pid: process.toString(), behavior: process.behavior.name });
}

function noHandler(behavior: BehaviorSlot, handler: string): RuntimeError {
  return new RuntimeError('RT_NO_HANDLER', `'${behavior.name}' has no ${handler}`);
}
