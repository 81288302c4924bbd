/**
 * What is measured of `protocol/signal`, one operation each, and how its rate is taken.
 *
 * An operation is done in batches: `refill` makes what a batch consumes and checks what the last one gave, outside of the
 * time; `work` does the batch. A rate is the median over rounds, since a neighbour on the machine takes a round and not
 * the half of them. Nothing here knows a provider: the process does (`main.ts`).
 */

import { BenchError } from '../errors.ts';
import type { Clock } from '../harness/clock.ts';
import { medianOf } from '../harness/median.ts';

/** Who does the arithmetic. */
export type ProviderName = 'native' | 'noble';

export const PROVIDERS: readonly ProviderName[] = ['native', 'noble'];

export type SignalUnit = 'msg/s' | 'op/s' | 'MB/s';

/** One operation. */
export interface SignalTask {
  readonly name: string;
  readonly metric: string;
  readonly unit: SignalUnit;
  begin(provider: ProviderName): Promise<TaskRun> | TaskRun;
}

/** An operation that is being measured. */
export interface TaskRun {
  /** Makes what the next batch consumes, and checks the last one. Not timed. @throws {BenchError} BENCH_RESULT. */
  refill(): Promise<void> | void;
  /** Does a batch. @returns How many units it was. */
  work(): Promise<number> | number;
}

/** How long an operation is measured. */
export interface TaskTimes {
  readonly warmUpMs: number;
  /** Of working time; refilling comes on top. */
  readonly roundMs: number;
  readonly rounds: number;
}

/** One round: when it ended, in milliseconds since the first began to warm up, and its rate. */
export type Round = readonly [endedMs: number, rate: number];

/**
 * Measures one operation.
 *
 * @param onRound - Told of each round.
 * @returns Units a second, the median of the rounds.
 */
export async function measureTask(
  run: TaskRun,
  times: TaskTimes,
  clock: Pick<Clock, 'nowMs'>,
  onRound: (round: Round) => void = () => undefined,
): Promise<number> {
  const beganMs = clock.nowMs();
  await rateOf(run, times.warmUpMs, clock);
  const rates: number[] = [];
  for (let round = 0; round < times.rounds; round++) {
    const rate = await rateOf(run, times.roundMs, clock);
    rates.push(rate);
    onRound([clock.nowMs() - beganMs, rate]);
  }
  await run.refill();
  return medianOf(rates);
}

async function rateOf(run: TaskRun, roundMs: number, clock: Pick<Clock, 'nowMs'>): Promise<number> {
  let workedMs = 0;
  let units = 0;
  while (workedMs < roundMs) {
    await run.refill();
    const beganMs = clock.nowMs();
    units += await run.work();
    workedMs += clock.nowMs() - beganMs;
  }
  return (units * 1000) / workedMs;
}

/** Ends a run whose work is wrong, however fast it was. */
export function requireResult(isRight: boolean, what: string): void {
  if (!isRight) throw new BenchError('BENCH_RESULT', what);
}
