/**
 * The data centres of a cluster: which shards belong to which, and which people live where. Pure.
 *
 * A shard belongs to one centre for ever: its owner and its copies are nodes of that centre, its log and its lease lie on the servers of that centre. So
 * nothing has to be agreed upon across the line between two centres, and a cut of it moves nothing. A person's centre is told by the
 * beginning of the phone number, which every node can read from it, and which never changes.
 *
 * Nothing here knows how centres are joined: that is the servers' affair (docs/internals/centres.md).
 */

import { PARTITION_COUNT } from '../partition.ts';

export interface Centre {
  readonly name: string;
  /** Beginnings of phone numbers, with their plus. Numbers that begin with none of any centre live in the first one. */
  readonly prefixes: readonly string[];
}

/** Shards in a row. */
export interface ShardRange {
  readonly first: number;
  readonly count: number;
}

/** What a setting says, as in `east:+49+43,west:+1`. @returns What is wrong with it, as a sentence, or the centres. */
export function parseCentres(text: string): readonly Centre[] | string {
  const parts = text.split(',').map((part) => part.trim());
  const centres: Centre[] = [];
  for (const part of parts.filter((each) => each !== '')) {
    const match = /^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?::((?:\+\d{1,14})+))?$/.exec(part);
    if (match === null) return `expected names with the beginnings of their phone numbers, as in east:+49+43,west:+1`;
    const prefixes = [...(match[2] ?? '').matchAll(/\+\d+/g)].map(([prefix]) => prefix);
    centres.push({ name: match[1]!, prefixes });
  }
  const repeated = repeatedOf(centres.map(({ name }) => name)) ?? repeatedOf(centres.flatMap((each) => each.prefixes));
  if (repeated !== undefined) return `expected "${repeated}" once`;
  if (centres.length === 1) return 'expected two centres at least, or none';
  return centres;
}

/** The text by which nodes compare their centres: order matters, for it says which shards are whose. */
export function formatCentres(centres: readonly Centre[]): string {
  const textOf = ({ name, prefixes }: Centre): string =>
    prefixes.length === 0 ? name : `${name}:${[...prefixes].sort().join('')}`;
  return centres.map(textOf).join(',');
}

function repeatedOf(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) < index);
}

/** The shards of a centre: an even share, in the order of the centres. */
export function shardsOfCentre(index: number, centreCount: number, shardCount: number): ShardRange {
  const first = Math.floor((index * shardCount) / centreCount);
  return { first, count: Math.floor(((index + 1) * shardCount) / centreCount) - first };
}

/** Where a number lives: the longest beginning that fits decides. */
export function centreOfPhone(phone: string, centres: readonly Centre[]): number {
  let [found, length] = [0, 0];
  centres.forEach(({ prefixes }, index) => {
    for (const prefix of prefixes) {
      if (prefix.length > length && phone.startsWith(prefix)) [found, length] = [index, prefix.length];
    }
  });
  return found;
}

/**
 * A partition among those of some shards.
 *
 * @param which - Chooses the shard. @param among - Chooses one of its partitions. Integers from 0, drawn evenly.
 */
export function partitionWithin(
  { first, count }: ShardRange,
  shardCount: number,
  which: number,
  among: number,
): number {
  const shard = first + (which % count);
  // Those of a shard are `shard`, `shard + shardCount`, …: `shardOfPartition` is the remainder.
  return shard + shardCount * (among % Math.ceil((PARTITION_COUNT - shard) / shardCount));
}
