/**
 * The first thing that an actor does: `init`, at once or when a promise settles.
 *
 * An actor whose `init` fails was never seen to run: its links to the starter are removed before it ends. Who calls it:
 * `actor.ts` for a start that waits for its outcome, `turn.ts` for the first turn of a spawned one.
 */

import type { Actor } from './actor.ts';
import { catchUpTurnEnd } from './attention.ts';
import { finishOwn, isPromise } from './exit.ts';
import { type ExitReason, fromThrown } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { hasMessages } from './mailbox.ts';
import { FLAG, type Process } from './process.ts';

/** Runs `init`. If it is asynchronous, the actor is suspended until the returned promise settles; it never rejects. */
export function runInit(kernel: Kernel, process: Process): Promise<void> | undefined {
  try {
    const made: unknown = process.behavior.current.init(process.state, process as Actor);
    if (!isPromise(made)) return finishInit(kernel, process, made);
    process.flags |= FLAG.suspended;
    return Promise.resolve(made).then(
      (state) => finishInit(kernel, process, state),
      (thrown: unknown) => failInit(kernel, process, fromThrown(thrown)),
    );
  } catch (thrown) {
    return failInit(kernel, process, fromThrown(thrown));
  }
}

function finishInit(kernel: Kernel, process: Process, state: unknown): undefined {
  if (process.has(FLAG.dead)) return;
  if (process.stopReason !== null) return failInit(kernel, process, process.stopReason);
  process.state = state;
  process.flags &= ~(FLAG.starting | FLAG.suspended);
  goOn(kernel, process);
}

/** Makes up for what an actor that has just been waiting for a promise missed. */
export function goOn(kernel: Kernel, process: Process): void {
  catchUpTurnEnd(kernel, process);
  if (hasMessages(process) || process.signals !== null || process.has(FLAG.attention)) {
    kernel.scheduler.schedule(process);
  }
}

function failInit(kernel: Kernel, process: Process, reason: ExitReason): undefined {
  if (process.has(FLAG.dead)) return;
  finishOwn(kernel, process, reason);
}
