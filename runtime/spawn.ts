/**
 * How an actor comes to life: allocate, name, link, and only then run `init`.
 *
 * `spawn` returns before `init` has run; `startLink` runs it at once and tells its outcome exactly once, as its result.
 * An actor whose `init` fails was never seen to run: its links to the starter are removed before it ends.
 */

import { catchUpTurnEnd } from './attention.ts';
import { type AnyBehavior, behaviorSlotOf, type SpawnOptions, type StartResult } from './behavior.ts';
import { Actor } from './context.ts';
import { RuntimeError } from './errors.ts';
import { finishOwn, isPromise } from './exit.ts';
import { type ExitReason, fromThrown } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import { LIMITS } from './limits.ts';
import { hasMessages } from './mailbox.ts';
import { checkPolicy } from './overflow.ts';
import type { Pid } from './pid.ts';
import { annexOf, FLAG, type Process } from './process.ts';
import { checkName } from './registry.ts';
import { demonitor, linkBoth, monitor } from './relations.ts';

const NO_OPTIONS: SpawnOptions = Object.freeze({});

/** Starts an actor whose `init` runs in its first turn. `spawner` is null for a spawn from outside of actors. */
export function spawn(
  kernel: Kernel,
  spawner: Process | null,
  behavior: AnyBehavior,
  args: unknown,
  options: SpawnOptions = NO_OPTIONS,
): Pid {
  const process = create(kernel, behavior, args, options, null);
  if (spawner !== null && options.link === true) linkBoth(spawner, process);
  if (spawner !== null && options.monitor === true) monitor(kernel, spawner, process, null);
  kernel.scheduler.schedule(process);
  return process;
}

/** Starts an actor and runs its `init` now. `starter` is null for a start by the node, which has nothing to link. */
export function startLink(
  kernel: Kernel,
  starter: Process | null,
  behavior: AnyBehavior,
  args: unknown,
  options: SpawnOptions = NO_OPTIONS,
): StartResult | Promise<StartResult> {
  const taken = options.name === undefined ? undefined : kernel.registry.whereis(options.name);
  if (taken !== undefined) return { error: fromThrown(nameTaken(options.name!)) };
  const process = create(kernel, behavior, args, options, starter ?? kernel.self);
  if (starter === null) kernel.roots.add(process);
  else linkBoth(starter, process);
  if (starter !== null && options.monitor === true) monitor(kernel, starter, process, null);
  const pending = runInit(kernel, process);
  return pending === undefined ? outcome(process) : outcomeOf(kernel, process, pending);
}

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

/** Waits for `init` or for the end of the actor, whichever comes first: a killed one may never settle its `init`. */
function outcomeOf(kernel: Kernel, process: Process, pending: Promise<void>): Promise<StartResult> {
  return new Promise((resolve) => {
    const finish = (): void => resolve(outcome(process));
    const none = (): void => {};
    const made = monitor(kernel, null, process, {
      onDown: finish,
      onReply: none,
      onRefused: none,
      onTimeout: none,
    });
    void pending.then(() => {
      demonitor(kernel, made);
      finish();
    });
  });
}

function outcome(process: Process): StartResult {
  return process.has(FLAG.dead) ? { error: process.stopReason! } : { ok: process };
}

function create(
  kernel: Kernel,
  behavior: AnyBehavior,
  args: unknown,
  options: SpawnOptions,
  parent: Pid | null,
): Actor {
  if (kernel.stopping) throw new RuntimeError('RT_NODE_STOPPED', 'the node is stopping and starts no actors');
  const { name, mailboxMax = LIMITS.mailboxCountMax, overflow = 'refuse' } = options;
  if (!(mailboxMax >= 1)) throw new RangeError(`"mailboxMax" expected at least 1, got ${mailboxMax}`);
  // A small integer in every actor, `Infinity` too: more messages than this no heap holds.
  const countMax = Math.min(Math.trunc(mailboxMax), 2 ** 30);
  if (overflow !== 'refuse') checkPolicy(overflow);
  if (name !== undefined) checkFree(kernel, name);
  const { processes } = kernel;
  const slot = processes.allocate();
  if (slot === 0) throw new RuntimeError('RT_PROCESS_LIMIT', 'the worker holds as many actors as it may');
  const process = new Actor(kernel, slot, behaviorSlotOf(behavior), args, countMax, parent);
  processes.insert(process);
  if (overflow !== 'refuse') annexOf(process).overflow = overflow;
  if (name !== undefined) kernel.registry.register(name, process);
  return process;
}

function checkFree(kernel: Kernel, name: string): void {
  checkName(name);
  if (kernel.registry.whereis(name) !== undefined) throw nameTaken(name);
}

function nameTaken(name: string): RuntimeError {
  return new RuntimeError('RT_NAME_TAKEN', `'${name}' is registered to another actor`);
}
