/**
 * Sums over the shards of a worker, as `status` and the metrics of its node want them.
 */

import { getHeapStatistics } from 'node:v8';
import type { RuntimeNode } from '../runtime/index.ts';
import type { Admission } from './admission.ts';
import type { InboxStatistics } from './inbox.ts';
import { LIMITS } from './limits.ts';
import type { PresenceStatistics } from './presence/state.ts';
import { inboxName, presenceName } from './routes.ts';

/** Sums over the shards of a worker. */
export interface WorkerStatistics {
  readonly commits: number;
  readonly committedMessages: number;
  readonly queuedBytes: number;
  readonly connections: number;
  /** Logins by ticket that are taken in a second, as measured. */
  readonly loginsPerSecond: number;
  /** Connections and logins that were told to come back later. */
  readonly deferred: number;
  /** Presence and typing that were dropped, refused or put off. */
  readonly presenceShed: number;
  /** What the objects in the heap of V8 take, garbage included. */
  readonly heapBytes: number;
}

/** Asks the shards. */
export async function collectStatistics(
  node: RuntimeNode,
  shards: readonly number[],
  admission: Admission,
): Promise<WorkerStatistics> {
  const calls = shards.map((shard) => node.call<InboxStatistics>(inboxName(shard), 'statistics', LIMITS.callTimeoutMs));
  const presences = shards.map((shard) =>
    node.call<PresenceStatistics>(presenceName(shard), 'statistics', LIMITS.callTimeoutMs),
  );
  const { used_heap_size: heapBytes } = getHeapStatistics();
  const sum = {
    commits: 0,
    committedMessages: 0,
    queuedBytes: 0,
    presenceShed: 0,
    heapBytes,
    ...admission.statistics(),
  };
  for (const each of await Promise.all(calls)) {
    sum.commits += each.commits;
    sum.committedMessages += each.committedMessages;
    sum.queuedBytes += each.queuedBytes;
  }
  for (const { shed } of await Promise.all(presences)) sum.presenceShed += shed;
  return sum;
}
