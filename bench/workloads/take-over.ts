/**
 * What people notice when a node is killed: pairs of them, with the SDK, on nodes that live on, write to each other the whole time. Some have
 * their shard on the node that dies.
 *
 * Every message that its sender was told to be stored must arrive, once.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { BenchError } from '../errors.ts';
import { systemClock } from '../harness/clock.ts';
import {
  closePairs,
  countAcknowledged,
  countDoubled,
  countLost,
  openPairs,
  untilNothingIsMissing,
  type Pair,
  type PairsPlan,
} from './sdk-pairs.ts';

/** +49 152 …: numbers that no other phase uses. */
const PHONE_PREFIX = '+49152000000';

export interface TakeOverPlan {
  /** Nodes that live on: senders on the first, recipients on the second. */
  readonly senderUrl: string;
  readonly recipientUrl: string;
  readonly pairs: number;
  /** Before the kill, after it, and for what is still under way then. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly settleMsMax: number;
  readonly kill: () => void;
  readonly codeOf: PairsPlan['codeOf'];
}

export interface TakeOverResult {
  /** From the kill until every recipient had a message that was written after it. */
  readonly takeOverMs: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
}

/** @throws {BenchError} BENCH_LOST if somebody hears nothing after the kill. */
export async function measureTakeOver(plan: TakeOverPlan): Promise<TakeOverResult> {
  const { codeOf, senderUrl, recipientUrl } = plan;
  const urls = { senderUrl: () => senderUrl, recipientUrl: () => recipientUrl };
  const pairs = await openPairs({ pairs: plan.pairs, ...urls, phonePrefix: PHONE_PREFIX, codeOf });
  let writing = true;
  const writers = pairs.map((pair) => write(pair, () => writing));
  await delay(plan.beforeMs);
  const killedMs = systemClock.nowMs();
  plan.kill();
  await delay(plan.afterMs);
  writing = false;
  const deadlineMs = systemClock.nowMs() + plan.settleMsMax;
  await Promise.race([Promise.all(writers), delay(plan.settleMsMax)]);
  await untilNothingIsMissing(pairs, deadlineMs);
  await closePairs(pairs);
  const firsts = pairs.map((pair) => firstAfter(pair, killedMs));
  if (firsts.includes(Infinity)) throw new BenchError('BENCH_LOST', 'somebody got nothing after a node was killed');
  return {
    takeOverMs: Math.max(...firsts) - killedMs,
    acknowledged: countAcknowledged(pairs),
    lost: countLost(pairs),
    doubled: countDoubled(pairs),
  };
}

/** One message after the other; the next when the last is stored. */
async function write(pair: Pair, goesOn: () => boolean): Promise<void> {
  for (let number = 0; goesOn(); number += 1) {
    pair.begunMs[number] = systemClock.nowMs();
    await pair.sender.send(pair.to, String(number));
    pair.acknowledged.add(number);
    await delay(5);
  }
}

/** When the first message came that was written after the kill. */
function firstAfter({ begunMs, receivedMs }: Pair, killedMs: number): number {
  let first = Infinity;
  for (const [number, atMs] of receivedMs) if (begunMs[number]! > killedMs) first = Math.min(first, atMs);
  return first;
}
