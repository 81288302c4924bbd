/**
 * What a connection has handed over and has not heard of, and what becomes of it when it hears nothing.
 *
 * A cast between threads may be lost where its sender does not see it: in a full mailbox, with the actor that had it. So whatever a
 * client waits for is looked at in turns: what was pending at one look and still is at the next ends the connection, and the
 * client says all of it again on its next one. Nobody answers an acknowledgement; the last one is said a second time at a look, which
 * costs nothing where the first arrived.
 *
 * An acknowledgement is cumulative, a refusal is of one message: what was handed over before it may still be in a commit that hangs. What that leaves unanswered:
 * `runs.ts`. Read next: `unanswered.ts`, which holds the timer.
 */

import type { Receipt } from '../messages.ts';
import { seeAll, type Runs } from './runs.ts';

export interface Pending {
  /** By recipient, the messages that no inbox or outbox has answered yet. A state from before a reload of the code may lack it: it counted otherwise. */
  runs?: Runs;
  /** By group, those that its owner has not answered. The same. */
  groupRuns?: Runs;
  /** In a cluster, by group: the first message that its owner has refused and that has not come again. Made with the first. */
  groupRefusals?: Map<string, number>;
  /** Receipts that wait for an answer, by type and recipient; a later one replaces an earlier one. */
  readonly receipts: Map<string, Receipt>;
  /** The last acknowledgement since the last look; 0 for none. */
  acknowledged: number;
  /** Whether a look is due. */
  isTimed: boolean;
}

export function noPending(): Pending {
  return { runs: new Map(), groupRuns: new Map(), receipts: new Map(), acknowledged: 0, isTimed: false };
}

/** Whether a message to somebody has no answer yet. */
export function hasUnanswered({ runs }: Pending): boolean {
  return runs !== undefined && runs.size > 0;
}

/** Nothing is pending any more. A look that is due stays due: a second one beside it would come too soon for what is pending then. */
export function dropPending(pending: Pending): void {
  pending.runs?.clear();
  pending.groupRuns?.clear();
  pending.groupRefusals?.clear();
  pending.receipts.clear();
  pending.acknowledged = 0;
}

/** What a look finds: that an answer is overdue, or what to do until the next one. */
export type Look = 'overdue' | { readonly acknowledgeAgain: number; readonly isIdle: boolean };

/** Looks, and notes what the next look must not find again. */
export function look(pending: Pending): Look {
  const isOverdue = seeAll(pending.runs);
  if (seeAll(pending.groupRuns) || isOverdue) return 'overdue';
  const acknowledgeAgain = pending.acknowledged;
  pending.acknowledged = 0;
  const isIdle = !hasUnanswered(pending) && (pending.groupRuns?.size ?? 0) === 0;
  return { acknowledgeAgain, isIdle };
}
