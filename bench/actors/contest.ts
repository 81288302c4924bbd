/**
 * Lets the sides of one program run in turn, so that what disturbs the machine disturbs all of them, and takes the median.
 */

import type { Performer } from './performer.ts';
import { type Figure, type Program, type Rounds, type Scale, sizesAt } from './program.ts';

/** A participant: ours or a peer. The performer is started when the contest begins and stopped at its end. */
export interface Side {
  readonly name: string;
  readonly start: () => Performer;
  readonly rounds: number;
}

/** What each side reached: the median of all its values of a metric. */
export type Standings = ReadonlyMap<string, ReadonlyMap<string, number>>;

/**
 * Starts all sides, warms each of them up with one run, and has them run in turn.
 *
 * @throws {BenchError} When a side fails: a contest with one of them missing is none.
 */
export async function contest(program: Program, scale: Scale, sides: readonly Side[]): Promise<Standings> {
  const performers = sides.map(({ start }) => start());
  const figures = sides.map((): Figure[] => []);
  try {
    await Promise.all(performers.map((performer) => performer.started()));
    if (hasWarmUp(program)) for (const performer of performers) await performer.run(sizesAt(program, 'warmUp'));
    const sizes = sizesAt(program, scale);
    const turns = turnsOf(sides.map(({ rounds }) => rounds));
    for (const side of turns) figures[side]!.push(...(await performers[side]!.run(sizes)));
  } finally {
    await Promise.all(performers.map((performer) => performer.stop()));
  }
  return new Map(sides.map(({ name }, side) => [name, mediansOf(figures[side]!)]));
}

/** A program that may run only once in a process finds it as it was started. */
function hasWarmUp({ rounds }: Program): boolean {
  return rounds.full > 1;
}

/**
 * The order of the runs: indexes of sides. Each round begins with another side, since what comes first in a round finds the
 * processor as the round before left it.
 */
export function turnsOf(rounds: readonly number[]): number[] {
  const turns: number[] = [];
  for (let round = 0; round < Math.max(...rounds); round += 1) {
    for (let place = 0; place < rounds.length; place += 1) {
      const side = (place + round) % rounds.length;
      if (round < rounds[side]!) turns.push(side);
    }
  }
  return turns;
}

/** Rounds of our side and of a peer. */
export function roundsOf({ full, quick, peerFull = full, peerQuick = quick }: Rounds, scale: Scale): [number, number] {
  return scale === 'full' ? [full, peerFull] : [quick, peerQuick];
}

/** Of an even count the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function mediansOf(figures: readonly Figure[]): Map<string, number> {
  const values = new Map<string, number[]>();
  for (const [metric, value] of figures) values.set(metric, [...(values.get(metric) ?? []), value]);
  return new Map([...values].map(([metric, list]) => [metric, median(list)]));
}
