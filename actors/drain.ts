/**
 * Sends the clients of one worker away, so many a second, each with the advice to come back after some seconds, to this address:
 * another node behind it, or this one after its restart.
 *
 * Nothing is lost by it. What the server has acknowledged is on the disk; what it has not, a client sends again; what it has
 * pushed and not seen acknowledged waits in the inbox.
 */

import type { Pid, RuntimeNode } from '../runtime/index.ts';
import type { Admission } from './admission.ts';
import { connection } from './connection.ts';
import { LIMITS } from './limits.ts';
import type { ConnectionMessage } from './messages.ts';
import { pause } from './pause.ts';

export interface DrainOrder {
  /** Connections of this worker in a second. */
  readonly perSecond: number;
  /** After so long all that are left are sent away at once. */
  readonly withinMs: number;
}

/** What became of a drain. */
export interface DrainResult {
  /** Connections that were told to go. */
  readonly told: number;
  /** Connections that are still open. */
  readonly left: number;
}

/** How many have to be told by now. Pure: a slice that comes late is as much the larger. */
export function dueCount(order: DrainOrder, elapsedMs: number, openCount: number): number {
  if (elapsedMs >= order.withinMs) return openCount;
  return Math.min(openCount, Math.ceil((order.perSecond * (elapsedMs + LIMITS.drainSliceMs)) / 1_000));
}

/**
 * Lets nobody in from now on, and sends everybody away. Who lost its actor meanwhile is gone by itself. Ends early when clients are let in again: who is there
 * then stays.
 */
export async function drainWorker(node: RuntimeNode, admission: Admission, order: DrainOrder): Promise<DrainResult> {
  const { clock } = node;
  admission.isDraining = true;
  const open = connectionsOf(node);
  const beganMs = clock.monotonicMs();
  let told = 0;
  while (told < open.length && admission.isDraining) {
    const due = dueCount(order, clock.monotonicMs() - beganMs, open.length);
    for (; told < due; told += 1) node.cast(open[told]!, { kind: 'drain' });
    await pause(clock, LIMITS.drainSliceMs);
  }
  if (!admission.isDraining) return { told, left: admission.statistics().connections };
  // Those that were let in before and had no actor yet.
  for (const late of connectionsOf(node)) node.cast(late, { kind: 'drain' });
  await pause(clock, LIMITS.drainSliceMs);
  return { told, left: admission.statistics().connections };
}

function connectionsOf(node: RuntimeNode): Pid<ConnectionMessage>[] {
  return node.processes().filter((pid) => node.processInfo(pid)?.behavior === connection.name);
}
