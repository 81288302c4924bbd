/**
 * Whether a node lives, is ready, has started: decided from what its workers last wrote of themselves. Pure.
 *
 *   /livez      its main thread answers, and every worker has looked at itself lately       else: start it anew
 *   /readyz     it serves, takes messages, and is not full                                  else: send clients elsewhere
 *   /startupz   every worker listens                                                        else: wait
 */

import { LIMITS } from '../limits.ts';
import { seriesOf, placeOf } from './layout.ts';
import type { ThreadFigures } from './exposition.ts';

/** What a node does. */
export type Phase = 'starting' | 'serving' | 'draining' | 'stopping';

/** The answer to one question; the reasons are for the person who asks why. */
export interface Verdict {
  readonly ok: boolean;
  readonly reasons: readonly string[];
}

export interface NodeView {
  readonly phase: Phase;
  readonly nowMs: number;
  readonly threads: readonly ThreadFigures[];
}

const HEARTBEAT = placeOf('blindbeam_worker_heartbeat_timestamp_seconds');
const READ_ONLY = placeOf('blindbeam_store_read_only');
const OVERLOADED = placeOf('blindbeam_overloaded');

export function judgeLife({ phase, nowMs, threads }: NodeView): Verdict {
  // Before a worker has looked at itself for the first time, the start has bounds of its own.
  const silent = threads.filter(({ worker, values }) => {
    const seenMs = values[HEARTBEAT]! * 1_000;
    return worker > 0 && phase !== 'starting' && nowMs - seenMs > LIMITS.heartbeatMsMax;
  });
  return verdict(
    silent.map(({ worker }) => `worker ${worker} has not turned its loop for ${LIMITS.heartbeatMsMax} ms`),
  );
}

export function judgeReadiness(view: NodeView): Verdict {
  const { phase, threads } = view;
  const reasons = [...judgeLife(view).reasons];
  if (phase !== 'serving') reasons.unshift(`the node is ${phase}`);
  if (threads.some(({ values }) => values[READ_ONLY]! > 0)) reasons.push('the disk is full: new messages are refused');
  if (threads.some(({ values }) => values[OVERLOADED]! > 0)) reasons.push('a worker is full: it lets nobody in');
  return verdict(reasons);
}

export function judgeStart({ phase }: NodeView): Verdict {
  return verdict(phase === 'starting' ? ['the node is starting'] : []);
}

/** Connections that are open now, greeted and live. */
export function openConnections(threads: readonly ThreadFigures[]): number {
  return sumOf('blindbeam_connections', threads);
}

/** Messages in the outboxes of the node's shards, as its workers last counted them. */
export function outboxMessages(threads: readonly ThreadFigures[]): number {
  return sumOf('blindbeam_outbox_messages', threads);
}

function sumOf(name: Parameters<typeof seriesOf>[0], threads: readonly ThreadFigures[]): number {
  let sum = 0;
  for (const { values } of threads) for (const { place } of seriesOf(name)) sum += values[place]!;
  return sum;
}

function verdict(reasons: readonly string[]): Verdict {
  return { ok: reasons.length === 0, reasons };
}
