/**
 * Lets the sides of one program run in turn, so that what disturbs the machine disturbs all of them, and takes the median.
 */

import { systemClock } from '../harness/clock.ts';
import { medianOf } from '../harness/median.ts';
import { LIMITS } from '../limits.ts';
import type { Performer } from './performer.ts';
import { type Figure, type PeerName, type Program, type Rounds, type Scale, sizesAt } from './program.ts';

/** A participant: ours or a peer. The performer is started when the contest begins and stopped at its end. */
export interface Side {
  readonly name: 'ours' | PeerName;
  readonly start: () => Performer;
  readonly rounds: number;
}

/** What each side reached: the median of all its values of a metric. */
export type Standings = ReadonlyMap<string, ReadonlyMap<string, number>>;

/**
 * Has all sides run in turn, each warmed up by one run of its process.
 *
 * @throws {BenchError} When a side fails: a contest with one of them missing is none.
 */
export async function contest(program: Program, scale: Scale, sides: readonly Side[]): Promise<Standings> {
  const figures = new Map(sides.map(({ name }): [Side['name'], Figure[]] => [name, []]));
  for (const bout of boutsOf(program.rounds, sides)) {
    for (const [name, reached] of await fight(program, scale, bout)) figures.get(name)!.push(...reached);
  }
  return new Map([...figures].map(([name, reached]) => [name, mediansOf(reached)]));
}

/** One bout with all rounds, or, where each round wants fresh processes, as many bouts of one round. */
export function boutsOf({ isFresh = false }: Rounds, sides: readonly Side[]): Side[][] {
  if (!isFresh) return [[...sides]];
  const count = Math.max(...sides.map(({ rounds }) => rounds));
  return Array.from({ length: count }, (_, bout) =>
    sides.filter(({ rounds }) => rounds > bout).map((side) => ({ ...side, rounds: 1 })),
  );
}

/** From the start of a process for each side to the end of all of them. */
async function fight(program: Program, scale: Scale, sides: readonly Side[]): Promise<[Side['name'], Figure[]][]> {
  const performers = sides.map(({ start }) => start());
  const figures = sides.map(({ name }): [Side['name'], Figure[]] => [name, []]);
  const run = (side: number, at: Scale): Promise<readonly Figure[]> =>
    performers[side]!.run(sizesAt(program, at, sides[side]!.name));
  try {
    await Promise.all(performers.map((performer) => performer.started()));
    await Promise.all(sides.map((_, side) => warmUp(() => run(side, 'warmUp'), scale)));
    for (const side of turnsOf(sides.map(({ rounds }) => rounds))) figures[side]![1].push(...(await run(side, scale)));
    return figures;
  } finally {
    await Promise.all(performers.map((performer) => performer.stop()));
  }
}

/** Runs again and again until compilers have seen enough; at the scale of unit tests once. */
async function warmUp(run: () => Promise<unknown>, scale: Scale): Promise<void> {
  const endMs = scale === 'tiny' ? 0 : systemClock.nowMs() + LIMITS.actorsWarmUpMs;
  do await run();
  while (systemClock.nowMs() < endMs);
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

function mediansOf(figures: readonly Figure[]): Map<string, number> {
  const values = new Map<string, number[]>();
  for (const [metric, value] of figures) values.set(metric, [...(values.get(metric) ?? []), value]);
  return new Map([...values].map(([metric, list]) => [metric, medianOf(list)]));
}
