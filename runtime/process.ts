/**
 * One live actor, as data: who it is, what waits for it, whom its end concerns.
 *
 * It decides nothing. `turn.ts` runs it, `exit.ts` ends it, `routing.ts` puts messages into it. The fields are few and
 * ordered for memory: with its pid, mailbox and context an idle actor costs about 320 bytes; docs/internals/scheduler.md
 * has the account.
 */

import type { BehaviorSlot, Context } from './behavior.ts';
import type { ExitReason } from './exit-reason.ts';
import type { Links } from './links.ts';
import type { Mailbox } from './mailbox.ts';
import type { Monitor } from './monitors.ts';
import type { Pid } from './pid.ts';
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
  /** The end of a turn passed while it was suspended; its `handleTurnEnd` is due when it resumes. */
  turnEndLate: 128,
});

export class Process {
  readonly pid: Pid;
  readonly behavior: BehaviorSlot;
  /** Version of the code that made `state`. */
  version: number;
  flags: number;
  state: unknown;
  readonly mailbox: Mailbox;
  context: Context | null = null;
  /** Exit signals that arrived and have not acted. */
  signals: ExitSignal[] | null = null;
  links: Links = null;
  /** First of the monitors that this actor made. */
  watching: Monitor | null = null;
  /** First of the monitors on this actor. */
  watchers: Monitor | null = null;
  /** First of the timers that this actor set. */
  timers: Timer | null = null;
  name: string | null = null;
  /** Who started it with startLink; null after a plain spawn. */
  readonly parent: Pid | null;
  /** Why it is to end when the running handler returns; once it is dead, why it ended. */
  stopReason: ExitReason | null = null;

  constructor(pid: Pid, behavior: BehaviorSlot, args: unknown, mailbox: Mailbox, parent: Pid | null) {
    this.pid = pid;
    this.behavior = behavior;
    this.version = behavior.version;
    this.flags = FLAG.starting;
    this.state = args;
    this.mailbox = mailbox;
    this.parent = parent;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
}
