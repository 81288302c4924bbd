/**
 * A model of death: who ends, and who hears what, computed over a graph of links and monitors in the plainest way.
 */

import fc from 'fast-check';

import { type ExitReason, type ExitRequest, isAbnormal } from './exit-reason.ts';

/** Actors of a graph. */
const ACTOR_COUNT = 8;

/** Who traps exits, who is linked to whom, who monitors whom, and who gets an exit signal with what reason. */
export interface Graph {
  traps: boolean[];
  links: [number, number][];
  monitors: [number, number][];
  victim: number;
  reason: ExitRequest;
}
/** Who lives on, and what each one heard. */
export interface Outcome {
  alive: boolean[];
  exits: string[][];
  downs: string[][];
}

/** What the exit signal does to the graph. */
export function predict({ traps, links, monitors, victim, reason }: Graph): Outcome {
  const ends = new Map<number, ExitReason>();
  const exits: string[][] = traps.map(() => []);
  const queue: [number, ExitReason][] = [];
  if (reason === 'kill') queue.push([victim, 'killed']);
  else if (traps[victim]) exits[victim]!.push(`node ${describe(reason)}`);
  else if (reason !== 'normal') queue.push([victim, reason]);
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [dying, why] = next;
    if (ends.has(dying)) continue;
    ends.set(dying, why);
    for (const peer of new Set(links.filter((pair) => pair.includes(dying)).map(([a, b]) => (a === dying ? b : a)))) {
      if (peer === dying || ends.has(peer)) continue;
      if (traps[peer]) exits[peer]!.push(`${dying} ${describe(why)}`);
      else if (isAbnormal(why) || why !== 'normal') queue.push([peer, why]);
    }
  }
  const downs = traps.map((_, watcher) =>
    monitors.filter(([by, of]) => by === watcher && ends.has(of)).map(([, of]) => `${of} ${describe(ends.get(of)!)}`),
  );
  return { alive: traps.map((_, index) => !ends.has(index)), exits, downs };
}

export const describe = (reason: ExitRequest): string =>
  typeof reason === 'string' ? reason : Object.keys(reason)[0]!;

const index = fc.nat(ACTOR_COUNT - 1);
const pairs = fc.array(fc.tuple(index, index), { maxLength: 12 });

export const graphs: fc.Arbitrary<Graph> = fc.record({
  traps: fc.array(fc.boolean(), { minLength: ACTOR_COUNT, maxLength: ACTOR_COUNT }),
  links: pairs,
  monitors: pairs.map((list) => list.filter(([by, of]) => by !== of)),
  victim: index,
  reason: fc.constantFrom<ExitRequest>('kill', 'normal', 'shutdown', { error: { name: 'E', message: 'm' } }),
});
