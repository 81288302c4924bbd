/**
 * `top`: the node, its workers and the first of its actors by queue, age, work or memory; again and again.
 */

import type { RankBy, SurveyGroup } from '../../runtime/index.ts';
import { askEach, type Askable, type EachAnswer } from './ask.ts';
import { LIMITS } from './limits.ts';
import { pause } from '../pause.ts';
import { nodeStatus, type NodeFacts, type NodeStatus } from './status.ts';
import type { TopQuestion, TopRow, WorkerTop } from './surveyor.ts';
import { defineVerb, type Verb } from './verb.ts';

export const TOP = {
  name: 'top',
  summary: 'who is busy: workers, behaviours and actors, live',
  changes: false,
  parameters: {
    by: {
      kind: 'choice',
      choices: ['queue', 'age', 'messages', 'time', 'memory'],
      default: 'messages',
      help: 'what actors are ranked by',
    },
    rows: { kind: 'integer', min: 1, max: 200, default: 20, help: 'actors shown' },
    behavior: { kind: 'text', help: 'only actors of this behaviour, as in actors/connection' },
    intervalMs: { kind: 'integer', min: 200, max: 60_000, default: 1_000, help: 'milliseconds between two frames' },
    frames: { kind: 'integer', min: 0, max: 1_000_000, default: 0, help: 'frames to tell; 0 until nobody looks' },
  },
} as const;

/** One worker of a frame. Rates are per second, shares of one core. */
export interface TopWorker {
  readonly worker: number;
  readonly error?: string;
  readonly busyShare?: number;
  readonly messagesPerS?: number;
  readonly storedPerS?: number;
  readonly connections?: number;
  readonly actors?: number;
  readonly ready?: number;
  readonly queued?: number;
  readonly heapBytes?: number;
  readonly heapBytesMax?: number;
}

export interface TopGroup {
  readonly behavior: string;
  readonly count: number;
  readonly queued: number;
  readonly messagesPerS: number;
  readonly timeShare: number;
}

/** An actor: `messages` and `timeMs` have become rates. */
export interface TopActor extends Omit<TopRow, 'messages' | 'timeMs'> {
  readonly worker: number;
  readonly messagesPerS: number;
  readonly timeShare: number;
}

export interface TopFrame {
  readonly status: NodeStatus;
  /** Monotonic milliseconds of the main thread. */
  readonly atMs: number;
  /** How much of all actors was seen for this frame, 0 to 1; less than 1 where there are very many. */
  readonly coverage: number;
  readonly workers: readonly TopWorker[];
  readonly groups: readonly TopGroup[];
  readonly actors: readonly TopActor[];
}

type Look = Pick<TopQuestion, 'by' | 'rows' | 'behavior'>;

export function topVerb(workers: Askable, facts: NodeFacts): Verb {
  return defineVerb(TOP, async function* ({ by, rows, behavior, intervalMs, frames }, { signal }) {
    const { clock } = workers.node;
    let before: NodeStatus | undefined;
    for (let count = 0; frames === 0 || count < frames; count += 1) {
      const dueMs = clock.monotonicMs() + intervalMs;
      const frame = await topFrame(workers, facts, { by: by as RankBy, rows, behavior }, before);
      before = frame.status;
      yield frame;
      // Whoever asked for so many is not kept waiting for one that does not come.
      if (count + 1 === frames) return;
      await pause(clock, Math.max(LIMITS.frameMsMin / 2, dueMs - clock.monotonicMs()), signal);
      if (signal.aborted) return;
    }
  });
}

/** @param before - The status of the frame before; without it the rates of workers are those since their start. */
async function topFrame(
  workers: Askable,
  facts: NodeFacts,
  look: Look,
  before: NodeStatus | undefined,
): Promise<TopFrame> {
  const [status, tops] = await Promise.all([nodeStatus(workers, facts), askEach<WorkerTop>(workers, 'top', look)]);
  const seen = tops.flatMap((each) => ('ok' in each ? [{ worker: each.worker, top: each.ok }] : []));
  const visited = seen.reduce((sum, { top }) => sum + top.visited, 0);
  const living = seen.reduce((sum, { top }) => sum + Math.max(top.actors, top.visited), 0);
  const actors = seen.flatMap(({ worker, top }) => top.rows.map((row) => actorOf(worker, row, top.windowMs)));
  return {
    status,
    atMs: workers.node.clock.monotonicMs(),
    coverage: living === 0 ? 1 : visited / living,
    workers: status.workers.map((each, index) => workerOf(each, before?.workers[index], tops[index]!)),
    groups: mergeGroups(seen.map(({ top }) => top)),
    actors: actors.sort((one, other) => valueOf(other, look.by) - valueOf(one, look.by)).slice(0, look.rows),
  };
}

function workerOf(
  now: NodeStatus['workers'][number],
  before: NodeStatus['workers'][number] | undefined,
  top: EachAnswer<WorkerTop>,
): TopWorker {
  if ('error' in now) return { worker: now.worker, error: now.error };
  const { ok } = now;
  const zero = { busyMs: 0, monotonicMs: 0, handled: 0, committedMessages: 0 };
  const then = before !== undefined && 'ok' in before ? before.ok : zero;
  const elapsedMs = Math.max(1, ok.monotonicMs - then.monotonicMs);
  return {
    worker: now.worker,
    busyShare: (ok.busyMs - then.busyMs) / elapsedMs,
    messagesPerS: ((ok.handled - then.handled) * 1_000) / elapsedMs,
    storedPerS: ((ok.committedMessages - then.committedMessages) * 1_000) / elapsedMs,
    connections: ok.connections,
    actors: ok.actors,
    ready: ok.ready,
    ...('ok' in top ? { queued: top.ok.queued } : undefined),
    heapBytes: ok.heapBytes,
    heapBytesMax: ok.heapBytesMax,
  };
}

/** Without a pass before, what an actor did since its start is all there is, and no rate. */
function rates(messages: number, timeMs: number, windowMs: number): { messagesPerS: number; timeShare: number } {
  if (windowMs === 0) return { messagesPerS: 0, timeShare: 0 };
  return { messagesPerS: (messages * 1_000) / windowMs, timeShare: timeMs / windowMs };
}

function actorOf(worker: number, row: TopRow, windowMs: number): TopActor {
  const { messages, timeMs, ...rest } = row;
  const { messagesPerS, timeShare } = rates(messages, timeMs, windowMs);
  return { ...rest, worker, messagesPerS, timeShare };
}

function valueOf(actor: TopActor, by: RankBy): number {
  switch (by) {
    case 'queue':
      return actor.queue;
    case 'age':
      return actor.ageMs;
    case 'messages':
      return actor.messagesPerS;
    case 'time':
      return actor.timeShare;
    case 'memory':
      return actor.bytes;
  }
}

function mergeGroups(tops: readonly WorkerTop[]): TopGroup[] {
  const merged = new Map<string, { count: number; queued: number; messagesPerS: number; timeShare: number }>();
  for (const { groups, windowMs } of tops) for (const group of groups) addGroup(merged, group, windowMs);
  return [...merged]
    .map(([behavior, { count, queued, messagesPerS, timeShare }]) => ({
      behavior,
      count,
      queued,
      messagesPerS,
      timeShare,
    }))
    .sort((one, other) => other.timeShare - one.timeShare || other.count - one.count);
}

function addGroup(
  merged: Map<string, { count: number; queued: number; messagesPerS: number; timeShare: number }>,
  { behavior, count, queued, messages, timeMs }: SurveyGroup,
  windowMs: number,
): void {
  const sum = merged.get(behavior) ?? { count: 0, queued: 0, messagesPerS: 0, timeShare: 0 };
  const { messagesPerS, timeShare } = rates(messages, timeMs, windowMs);
  sum.count += count;
  sum.queued += queued;
  sum.messagesPerS += messagesPerS;
  sum.timeShare += timeShare;
  merged.set(behavior, sum);
}
