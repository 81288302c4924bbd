/**
 * One live actor, as data: who it is, what waits for it, whom its end concerns.
 *
 * It decides nothing. `turn.ts` runs it, `exit.ts` ends it, `routing.ts` puts messages into it, and `actor.ts` extends
 * it by the methods of its context. So an actor is one object: its pid, its context and its mailbox with the oldest
 * message are this record, and a message to it touches no other memory. docs/internals/scheduler.md has the account.
 */

import type { Attention } from './attention.ts';
import type { Backlog } from './backlog.ts';
import type { BehaviorSlot, OverflowPolicy } from './behavior.ts';
import type { ExitReason } from './exit-reason.ts';
import type { Kernel } from './kernel.ts';
import type { Links } from './links.ts';
import type { Mailbox } from './mailbox.ts';
import type { Monitor } from './monitors.ts';
import { Pid } from './pid.ts';
import type { ExitSignal } from './signals.ts';
import type { Timer } from './timers.ts';

/** Bits of `Process.flags`. */
export const FLAG: Readonly<{
  queued: 1;
  starting: 2;
  suspended: 4;
  trapExit: 8;
  turnEnd: 16;
  exiting: 32;
  dead: 64;
  turnEndLate: 128;
  interrupted: 256;
  attention: 512;
  paused: 1024;
  hibernate: 2048;
  hibernated: 4096;
}> = Object.freeze({
  /** In the run queue. */
  queued: 1,
  /** `init` has not returned; `state` holds its argument. */
  starting: 2,
  /** The promise of a handler is open. */
  suspended: 4,
  trapExit: 8,
  /** Asked for `handleTurnEnd`. */
  turnEnd: 16,
  /** `terminate` has been called. */
  exiting: 32,
  dead: 64,
  /** The end of a turn passed while it was suspended or paused; its `handleTurnEnd` is due when it goes on. */
  turnEndLate: 128,
  /** Something goes before its next message: an exit signal, or its own wish to stop. The one bit that a turn looks at. */
  interrupted: 256,
  /** There is more to look at than messages; see `attention.ts`. */
  attention: 512,
  /** Suspended by `sys`. */
  paused: 1024,
  /** Asked to hibernate. */
  hibernate: 2048,
  /** Its state is packed. */
  hibernated: 4096,
});

export class Process extends Pid implements Mailbox {
  // Ordered by use: what a send and a turn touch comes first and shares cache lines.
  declare readonly kernel: Kernel;
  flags: number = FLAG.starting;
  entry: number = 0;
  payload: unknown = undefined;
  backlog: Backlog | null = null;
  declare readonly mailboxMax: number;
  /** One for all its actors; another only within a reload, for those that try a version or have gone back from it. */
  declare behavior: BehaviorSlot;
  /** Version of the code that made `state`. */
  declare version: number;
  declare state: unknown;
  /** Messages handled, up to `COUNT_CARRY`; what is above is carried into the annex. */
  handledCount: number = 0;
  /** Microseconds of its turns, estimated from samples, up to `COUNT_CARRY`. */
  busyUs: number = 0;
  /** Exit signals that arrived and have not acted. */
  signals: ExitSignal[] | null = null;
  links: Links = null;
  /** Where it stands among the links of another; see `links.ts`. */
  linkAt: number = 0;
  /** First of the monitors that this actor made. */
  watching: Monitor | null = null;
  /** First of the monitors on this actor. */
  watchers: Monitor | null = null;
  /** First of the timers that this actor set. */
  timers: Timer | null = null;
  /** Who started it with startLink; null after a plain spawn, and once it is dead. */
  declare parent: Pid | null;
  /** Why it is to end when the running handler returns; once it is dead, why it ended. */
  stopReason: ExitReason | null = null;
  /** What few actors have; see `annexOf`. */
  annex: Annex | null = null;

  constructor(
    kernel: Kernel,
    slot: number,
    behavior: BehaviorSlot,
    args: unknown,
    mailboxMax: number,
    parent: Pid | null,
  ) {
    super(kernel.name, kernel.worker, slot, kernel.processes.creationOf(slot));
    this.kernel = kernel;
    this.mailboxMax = mailboxMax;
    this.behavior = behavior;
    this.version = behavior.version;
    this.state = args;
    this.parent = parent;
  }

  /** Its registered name, if it has one. */
  get registeredName(): string | null {
    return this.annex === null ? null : this.annex.name;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
}

/** What few actors have, in an object of its own so that the others do not pay for it. */
export class Annex {
  name: string | null = null;
  /** What becomes of a message for which there is no room. */
  overflow: OverflowPolicy = 'refuse';
  /** Whether its actor was told that there was no room. */
  heardOverflow: boolean = false;
  /** Messages given back to their senders because there was no room. */
  refusedCount: number = 0;
  /** Messages lost because there was no room. */
  droppedCount: number = 0;
  /** Carried from `handledCount` and `busyUs`. */
  carriedCount: number = 0;
  carriedUs: number = 0;
  /** What goes before messages; null while there is nothing. */
  attention: Attention | null = null;
}

/** The annex of `process`, made at its first use. */
export function annexOf(process: Process): Annex {
  return (process.annex ??= new Annex());
}

/**
 * From here on a count goes into the annex: it stays a small integer of V8, which is stored in place, and a process
 * that handled more than two billion messages is not rewritten for it.
 */
export const COUNT_CARRY: number = 2 ** 30;

/** Keeps the counts of `process` small. Called once a turn at most. */
export function carryCounts(process: Process): void {
  const annex = annexOf(process);
  annex.carriedCount += process.handledCount;
  annex.carriedUs += process.busyUs;
  process.handledCount = 0;
  process.busyUs = 0;
}
