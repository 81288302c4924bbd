/**
 * `status`: how the node is, at one look. Counts and times since the start; rates are for `top` to make of two of them.
 */

import { getHeapStatistics } from 'node:v8';
import type { RuntimeNode } from '../../runtime/index.ts';
import { loopBusyMs } from '../host/loop-use.ts';
import type { WorkerStatistics } from '../worker-statistics.ts';
import { askEach, type Askable, type EachAnswer } from './ask.ts';
import { defineVerb, type Verb } from './verb.ts';

export const STATUS = {
  name: 'status',
  summary: 'how the node is: workers, connections, messages, memory',
  changes: false,
  parameters: {},
} as const;

/** What one worker thread tells of itself. */
export interface WorkerFigures extends WorkerStatistics {
  readonly actors: number;
  /** Actors in the run queue. */
  readonly ready: number;
  readonly timers: number;
  /** Messages between actors: handled, given back, lost. */
  readonly handled: number;
  readonly refused: number;
  readonly dropped: number;
  /** Milliseconds in which the event loop worked, and since when. */
  readonly busyMs: number;
  readonly monotonicMs: number;
  readonly heapBytes: number;
  readonly heapBytesMax: number;
}

/** What does not change while a node runs. */
export interface NodeFacts {
  readonly name: string;
  readonly url: string;
  /** Directory of the store. */
  readonly data: string;
  readonly startedAtMs: number;
  readonly version: string;
}

export interface NodeStatus {
  readonly node: string;
  readonly url: string;
  readonly data: string;
  readonly version: string;
  readonly nodeVersion: string;
  readonly pid: number;
  /** Wall time, milliseconds. */
  readonly nowMs: number;
  readonly uptimeMs: number;
  readonly memoryBytes: number;
  readonly workers: readonly EachAnswer<WorkerFigures>[];
}

/** Asked of a worker under `figures`. */
export async function workerFigures(
  node: RuntimeNode,
  statistics: () => Promise<WorkerStatistics>,
): Promise<WorkerFigures> {
  const { used_heap_size: heapBytes, heap_size_limit: heapBytesMax } = getHeapStatistics();
  const { processCount, readyCount, timerCount, handledCount, refusedCount, droppedCount } = node.info();
  const { commits, committedMessages, queuedBytes, connections, loginsPerSecond, deferred, presenceShed } =
    await statistics();
  return {
    commits,
    committedMessages,
    queuedBytes,
    connections,
    loginsPerSecond,
    deferred,
    presenceShed,
    actors: processCount,
    ready: readyCount,
    timers: timerCount,
    handled: handledCount,
    refused: refusedCount,
    dropped: droppedCount,
    busyMs: loopBusyMs(),
    monotonicMs: node.clock.monotonicMs(),
    heapBytes,
    heapBytesMax,
  };
}

export function statusVerb(workers: Askable, facts: NodeFacts): Verb {
  return defineVerb(STATUS, () => nodeStatus(workers, facts));
}

export async function nodeStatus(workers: Askable, facts: NodeFacts): Promise<NodeStatus> {
  const each = await askEach<WorkerFigures>(workers, 'figures');
  const nowMs = workers.node.clock.nowMs();
  return {
    node: facts.name,
    url: facts.url,
    data: facts.data,
    version: facts.version,
    nodeVersion: process.version,
    pid: process.pid,
    nowMs,
    uptimeMs: nowMs - facts.startedAtMs,
    memoryBytes: process.memoryUsage.rss(),
    workers: each,
  };
}
