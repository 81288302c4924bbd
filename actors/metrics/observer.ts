/**
 * Looks at its worker ten times a second, or once where it has little to do or the machine is crowded, and writes what it sees into the meter: how late the
 * event loop is, garbage collection, the heap, the queues. What happens by itself (a login, a commit, a refusal) is counted where it happens.
 *
 * Runs on the worker that it watches, because only it can tell; it costs about 20 µs a look. A scrape reads what was written last.
 */

import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { RuntimeNode } from '../../runtime/index.ts';
import type { AdmissionStatistics } from '../admission.ts';
import type { InboxStatistics } from '../inbox.ts';
import { LIMITS } from '../limits.ts';
import { loopBusyMs } from '../host/loop-use.ts';
import type { PresenceStatistics } from '../presence/state.ts';
import { inboxName, presenceName } from '../routes.ts';
import type { InboxStore, StoreStock } from '../store/inbox-store.ts';
import { untilWhole } from '../host/whole-second.ts';
import { behaviorLabel, METRICS } from './catalogue.ts';
import { Distribution, gauge, set, type Gauge } from './meter.ts';

/** What is watched. */
export interface Watched {
  readonly node: RuntimeNode;
  readonly shards: readonly number[];
  /** Of the shards. */
  readonly stores: readonly Pick<InboxStore, 'stock'>[];
  readonly admission: { statistics(): AdmissionStatistics };
  /** Bytes that the shards of this worker may hold; Infinity does not count. */
  readonly queuedBytesMax: () => number;
  /** Whether a shard takes no new messages because the disk is full. */
  readonly isReadOnly: () => boolean;
  /** Whether others want the processors so much that to look often would cost more than it tells. */
  readonly isCrowded: () => boolean;
  /** What is on its disk and not in the logs of its shards yet. */
  readonly tailBytes: () => number;
}

const LOOP_DELAY = new Distribution('blindbeam_event_loop_delay_seconds');
const HEARTBEAT = gauge('blindbeam_worker_heartbeat_timestamp_seconds');
const GREETED = gauge('blindbeam_connections', { state: 'greeted' });
const LIVE = gauge('blindbeam_connections', { state: 'live' });
const CAPACITY = gauge('blindbeam_login_capacity_per_second');
const QUEUED_BYTES = gauge('blindbeam_store_queued_bytes');
const QUEUED_BYTES_MAX = gauge('blindbeam_store_queued_bytes_max');
const QUEUE_DEPTH = gauge('blindbeam_store_commit_queue_depth');
const ACCEPTED = gauge('blindbeam_messages_accepted_total');
const LOST_EXPIRED = gauge('blindbeam_messages_lost_total', { reason: 'expired' });
const LOST_PRUNED = gauge('blindbeam_messages_lost_total', { reason: 'pruned' });
const LOST_RESTORED = gauge('blindbeam_messages_lost_total', { reason: 'restored' });
const LOST_UNDELIVERABLE = gauge('blindbeam_messages_lost_total', { reason: 'undeliverable' });
const OLDEST = gauge('blindbeam_store_oldest_message_timestamp_seconds');
const OUTBOX_MESSAGES = gauge('blindbeam_outbox_messages');
const OUTBOX_BYTES = gauge('blindbeam_outbox_bytes');
const OUTBOX_OLDEST = gauge('blindbeam_outbox_oldest_timestamp_seconds');
const TAIL_BYTES = gauge('blindbeam_cluster_tail_bytes');
const READ_ONLY = gauge('blindbeam_store_read_only');
const OVERLOADED = gauge('blindbeam_overloaded');
const DEVICES = gauge('blindbeam_devices');
const ONE_TIME_KEYS = gauge('blindbeam_one_time_keys', { kind: 'curve' });
const ONE_TIME_KEM_KEYS = gauge('blindbeam_one_time_keys', { kind: 'kem' });
const SHED = gauge('blindbeam_presence_shed_total');
const ACTORS = gauge('blindbeam_actors');
const HANDLED = gauge('blindbeam_actor_messages_total', { outcome: 'handled' });
const REFUSED = gauge('blindbeam_actor_messages_total', { outcome: 'refused' });
const DROPPED = gauge('blindbeam_actor_messages_total', { outcome: 'dropped' });
const SCHEDULER_BUSY = gauge('blindbeam_scheduler_busy_seconds_total');
const LOOP_BUSY = gauge('blindbeam_event_loop_busy_seconds_total');
const HEAP_USED = gauge('blindbeam_heap_used_bytes');
const HEAP_LIMIT = gauge('blindbeam_heap_limit_bytes');

/** Watches from now on. Returns how to end it. */
export function observeWorker(watched: Watched): () => void {
  const { node } = watched;
  const stopSampling = sampleTurns(node);
  const collector = observeCollections();
  const { clock } = node;
  let dueMs = clock.monotonicMs();
  let closelyMs = dueMs;
  let lookedMs = dueMs;
  let busyMs = loopBusyMs();
  const isQuiet = (nowMs: number): boolean => {
    const [beforeMs, elapsedMs] = [busyMs, nowMs - lookedMs];
    [busyMs, lookedMs] = [loopBusyMs(), nowMs];
    return busyMs - beforeMs < elapsedMs * LIMITS.observeQuietShare;
  };
  const look = (): void => {
    const nowMs = clock.monotonicMs();
    LOOP_DELAY.note(Math.max(0, nowMs - dueMs) / 1_000);
    set(HEARTBEAT, clock.nowMs() / 1_000);
    if (nowMs >= closelyMs) {
      lookClosely(watched);
      closelyMs = nowMs + untilWhole(clock, LIMITS.observeCloselyMs);
    }
    dueMs = isQuiet(nowMs) || watched.isCrowded() ? closelyMs : Math.min(nowMs + LIMITS.observeMs, closelyMs);
    timer = clock.setTimer(Math.ceil(dueMs - nowMs), look);
  };
  let timer = clock.setTimer(0, look);
  return () => {
    clock.clearTimer(timer);
    stopSampling();
    collector.disconnect();
  };
}

interface TurnFigures {
  readonly duration: Distribution;
  readonly depth: Distribution;
  readonly version: Gauge;
}

/** Durations and depths by behaviour, from the turns that the scheduler times anyway. */
function sampleTurns(node: RuntimeNode): () => void {
  const figures = new Map<string, TurnFigures>();
  for (const behavior of METRICS.blindbeam_actor_mailbox_depth.labels.behavior) {
    const labels = { behavior };
    figures.set(behavior, {
      duration: new Distribution('blindbeam_actor_turn_duration_seconds', labels),
      depth: new Distribution('blindbeam_actor_mailbox_depth', labels),
      version: gauge('blindbeam_behavior_version', labels),
    });
  }
  return node.onTimedTurn(({ behavior, version, durationMs, waitingCount }) => {
    const turn = figures.get(behaviorLabel(behavior))!;
    turn.duration.note(durationMs / 1_000);
    turn.depth.note(waitingCount);
    set(turn.version, version);
  });
}

const PAUSES: ReadonlyMap<number, Distribution> = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, pauseOf('minor')],
  [constants.NODE_PERFORMANCE_GC_MAJOR, pauseOf('major')],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, pauseOf('incremental')],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, pauseOf('weak')],
]);

function pauseOf(kind: string): Distribution {
  return new Distribution('blindbeam_gc_pause_seconds', { kind });
}

function observeCollections(): PerformanceObserver {
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as PerformanceEntry & { readonly detail: { readonly kind: number } }).detail;
      PAUSES.get(kind)?.note(entry.duration / 1_000);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return observer;
}

function lookClosely(watched: Watched): void {
  const { node, admission, stores } = watched;
  const { connections, live, loginsPerSecond, isFull } = admission.statistics();
  set(LIVE, live);
  set(GREETED, Math.max(0, connections - live));
  set(CAPACITY, loginsPerSecond);
  set(OVERLOADED, isFull ? 1 : 0);
  set(READ_ONLY, watched.isReadOnly() ? 1 : 0);
  set(TAIL_BYTES, watched.tailBytes());
  set(QUEUED_BYTES_MAX, watched.queuedBytesMax());
  const { processCount, handledCount, refusedCount, droppedCount, busyMs } = node.info();
  lookAtStock(stores.map((store) => store.stock()));
  set(ACTORS, processCount);
  set(HANDLED, handledCount);
  set(REFUSED, refusedCount);
  set(DROPPED, droppedCount);
  set(SCHEDULER_BUSY, busyMs / 1_000);
  set(LOOP_BUSY, loopBusyMs() / 1_000);
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  set(HEAP_USED, used);
  set(HEAP_LIMIT, limit);
  askShards(watched).catch(ignore);
}

function lookAtStock(stocks: readonly StoreStock[]): void {
  const sum = (pick: (stock: StoreStock) => number): number => stocks.reduce((total, each) => total + pick(each), 0);
  set(
    DEVICES,
    sum(({ devices }) => devices),
  );
  set(
    ONE_TIME_KEYS,
    sum(({ preKeys }) => preKeys),
  );
  set(
    ONE_TIME_KEM_KEYS,
    sum(({ kemPreKeys }) => kemPreKeys),
  );
}

/** By messages, as everybody asks actors: their answers come with the next turns. */
async function askShards({ node, shards }: Watched): Promise<void> {
  const inboxes = await Promise.all(
    shards.map((shard) => node.call<InboxStatistics>(inboxName(shard), 'statistics', LIMITS.callTimeoutMs)),
  );
  const presences = await Promise.all(
    shards.map((shard) => node.call<PresenceStatistics>(presenceName(shard), 'statistics', LIMITS.callTimeoutMs)),
  );
  const sum = (pick: (each: InboxStatistics) => number): number =>
    inboxes.reduce((total, each) => total + pick(each), 0);
  set(
    QUEUED_BYTES,
    sum((each) => each.queuedBytes),
  );
  set(
    QUEUE_DEPTH,
    sum((each) => each.queuedCount),
  );
  set(
    ACCEPTED,
    sum((each) => each.committedMessages),
  );
  set(
    LOST_EXPIRED,
    sum((each) => each.expiredMessages),
  );
  set(
    LOST_PRUNED,
    sum((each) => each.prunedMessages),
  );
  set(
    LOST_UNDELIVERABLE,
    sum((each) => each.undeliverableMessages),
  );
  set(
    LOST_RESTORED,
    sum((each) => each.restoredMessages),
  );
  set(
    OUTBOX_MESSAGES,
    sum((each) => each.outboxCount),
  );
  set(
    OUTBOX_BYTES,
    sum((each) => each.outboxBytes),
  );
  set(OUTBOX_OLDEST, earliest(inboxes.map((each) => each.outboxOldestMs)) / 1_000);
  set(OLDEST, earliest(inboxes.map((each) => each.oldestMs)) / 1_000);
  set(
    SHED,
    presences.reduce((total, each) => total + each.shed, 0),
  );
}

/** The least of those that are not 0; 0 if all are. */
function earliest(times: readonly number[]): number {
  const given = times.filter((each) => each > 0);
  return given.length === 0 ? 0 : Math.min(...given);
}

/** An inbox that restarts answers the next look. */
function ignore(): void {}
