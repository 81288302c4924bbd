/**
 * What people notice when a node joins a cluster and leaves it again: pairs of them, with the SDK, on nodes that stay, write at a steady pace, each
 * message when its time has come, whatever became of those before. Shards of theirs move to the new node and back.
 *
 * A latency counts from the time at which the message should have been written until its recipient has it. It belongs to the stage in which it should
 * have been written: before, from the start of the new node until all is moved, from its leave until all is back.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import { LatencyHistogram } from '../harness/histogram.ts';
import {
  closePairs,
  countAcknowledged,
  countDoubled,
  countLost,
  countUnstored,
  openPairs,
  untilNothingIsMissing,
  type Pair,
  type PairsPlan,
} from './sdk-pairs.ts';

/** +49 153 …: numbers that no other phase uses. */
const PHONE_PREFIX = '+49153000000';

export const JOIN_STAGES = ['before', 'join', 'leave'] as const;
export type JoinStage = (typeof JOIN_STAGES)[number];

export interface JoinPlan {
  /** Nodes that stay. Each sender is on one of them, its recipient on the next. */
  readonly urls: readonly string[];
  readonly pairs: number;
  /** Of all pairs. */
  readonly ratePerSecond: number;
  /** Left out at the beginning: code that has not run yet. */
  readonly warmUpMs: number;
  readonly beforeMs: number;
  readonly settleMsMax: number;
  /** Starts the node; resolves when everything that moves has moved. */
  readonly join: () => Promise<void>;
  /** Has it leave; resolves when it has ended. */
  readonly leave: () => Promise<void>;
  readonly codeOf: PairsPlan['codeOf'];
}

export interface JoinResult {
  readonly latency: Readonly<Record<JoinStage, LatencyHistogram>>;
  /** Seconds of each stage. */
  readonly seconds: Readonly<Record<JoinStage, number>>;
  /** The most that one pair connected again, of both its ends; and logged in again, there or after a second greeting. */
  readonly comings: number;
  readonly logins: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
  /** Never acknowledged, and so in no latency if they did not come: the run is void. */
  readonly unstored: number;
}

type Seen = Pick<Pair, 'begunMs' | 'receivedMs'>;

export async function measureJoin(plan: JoinPlan): Promise<JoinResult> {
  const { urls, codeOf } = plan;
  const url = (index: number): string => urls[index % urls.length]!;
  const ends = { senderUrl: url, recipientUrl: (index: number) => url(index + 1) };
  const pairs = await openPairs({ pairs: plan.pairs, ...ends, phonePrefix: PHONE_PREFIX, codeOf });
  let writing = true;
  const everyMs = (1_000 * plan.pairs) / plan.ratePerSecond;
  const writers = pairs.map((pair, index) => write(pair, everyMs, (index * everyMs) / plan.pairs, () => writing));
  await delay(plan.warmUpMs);
  const bounds = [systemClock.nowMs()];
  for (const pair of pairs) pair.comings = pair.logins = 0;
  for (const stage of [() => delay(plan.beforeMs), plan.join, plan.leave]) {
    await stage();
    bounds.push(systemClock.nowMs());
  }
  writing = false;
  const deadlineMs = systemClock.nowMs() + plan.settleMsMax;
  await Promise.race([Promise.all(writers), delay(plan.settleMsMax)]);
  await untilNothingIsMissing(pairs, deadlineMs);
  const comings = Math.max(...pairs.map((pair) => pair.comings));
  const logins = Math.max(...pairs.map((pair) => pair.logins));
  await closePairs(pairs);
  return {
    ...gatherStages(pairs, bounds),
    comings,
    logins,
    acknowledged: countAcknowledged(pairs),
    lost: countLost(pairs),
    doubled: countDoubled(pairs),
    unstored: countUnstored(pairs),
  };
}

/** @throws {BenchError} BENCH_LOST if the latencies leave something out. */
export function checkWhole({ doubled, unstored }: Pick<JoinResult, 'doubled' | 'unstored'>): void {
  if (doubled > 0) throw new BenchError('BENCH_LOST', `${doubled} messages came twice`);
  if (unstored > 0) throw new BenchError('BENCH_LOST', `${unstored} messages were never acknowledged`);
}

/** Message `n` at its time. Resolves when all of them are stored. */
async function write(pair: Pair, everyMs: number, offsetMs: number, goesOn: () => boolean): Promise<void> {
  const startMs = systemClock.nowMs() + offsetMs;
  const stored: Promise<void>[] = [];
  for (let number = 0; goesOn(); number += 1) {
    const dueMs = startMs + number * everyMs;
    const waitMs = dueMs - systemClock.nowMs();
    if (waitMs > 0) await delay(waitMs);
    pair.begunMs[number] = dueMs;
    const { sent } = await pair.sender.enqueue(pair.to, String(number));
    stored.push(sent.then(() => void pair.acknowledged.add(number)));
  }
  await Promise.all(stored);
}

/**
 * Latencies by stage; what has not come by now is lost, and counted as that.
 *
 * @param bounds - When each stage began, and when the last one ended.
 */
export function gatherStages(
  pairs: readonly Seen[],
  bounds: readonly number[],
): Pick<JoinResult, 'latency' | 'seconds'> {
  const latency = { before: new LatencyHistogram(), join: new LatencyHistogram(), leave: new LatencyHistogram() };
  const seconds = { before: 0, join: 0, leave: 0 };
  for (const [index, stage] of JOIN_STAGES.entries()) {
    const [fromMs, toMs] = [bounds[index]!, bounds[index + 1]!];
    seconds[stage] = (toMs - fromMs) / 1_000;
    for (const pair of pairs) recordStage(pair, fromMs, toMs, latency[stage]);
  }
  return { latency, seconds };
}

function recordStage({ begunMs, receivedMs }: Seen, fromMs: number, toMs: number, latency: LatencyHistogram): void {
  for (const [number, atMs] of receivedMs) {
    const dueMs = begunMs[number]!;
    if (dueMs >= fromMs && dueMs < toMs) latency.record(atMs - dueMs);
  }
}
