/**
 * Where the shards of a cluster should be, and where they are.
 *
 * The 1,024 partitions are dealt out to shards (`../partition.ts`), and a shard is what has an owner: one LMDB environment, one row of
 * actors, one log, so that one group commit is one flush and one record of the log. A cluster chooses its number of shards when it is
 * made, at most one for each partition; every node has the same number, and opens those that it owns or copies.
 *
 * `assignShards` is pure and the same on every node: rendezvous hashing, with a bound on what one node takes. Nothing hangs on two
 * nodes agreeing: they only propose by it, and the registry decides (`decision.ts`).
 */

/** A worker thread of a node that serves shards. */
export interface Seat {
  readonly node: string;
  readonly worker: number;
}

/** Where each shard is served now, as far as this node knows. */
export interface Placement {
  /** `undefined` while nobody is known to serve it. */
  ownerOf(shard: number): Seat | undefined;
}

/** The nodes that should have a shard. */
export interface Assignment {
  readonly owner: string;
  /** Missing where there is one node alone. */
  readonly standby: string | undefined;
}

/**
 * Deals the shards out to the nodes: the owner is the node that ranks first for the shard and is not full, the standby the next one.
 * A node is full when it owns, or stands by for, its share rounded up. A node that comes or goes moves few shards beside its own.
 *
 * @param nodes - In any order; at least one.
 * @param first - The first of them: a data centre has some in a row (`centres.ts`).
 * @returns By shard, from the first.
 */
export function assignShards(shardCount: number, nodes: readonly string[], first = 0): Assignment[] {
  if (nodes.length === 0) throw new RangeError('"nodes" expected at least one');
  const shareMax = Math.ceil(shardCount / nodes.length);
  const owned = new Map<string, number>();
  const stoodBy = new Map<string, number>();
  return Array.from({ length: shardCount }, (_, index) => {
    const ranked = rankNodes(first + index, nodes);
    const owner = takeFirst(ranked, owned, shareMax)!;
    return { owner, standby: takeFirst(ranked, stoodBy, shareMax, owner) };
  });
}

function takeFirst(
  ranked: readonly string[],
  taken: Map<string, number>,
  shareMax: number,
  except?: string,
): string | undefined {
  const others = ranked.filter((node) => node !== except);
  // With a share rounded up somebody has room, but it may be the owner alone: then the bound gives way.
  const node = others.find((each) => (taken.get(each) ?? 0) < shareMax) ?? others[0];
  if (node !== undefined) taken.set(node, (taken.get(node) ?? 0) + 1);
  return node;
}

/** The nodes by their weight for a shard, heaviest first (highest random weight; Thaler and Ravishankar, 1998). */
export function rankNodes(shard: number, nodes: readonly string[]): string[] {
  const weights = new Map(nodes.map((node) => [node, weightOf(`${shard}/${node}`)]));
  return [...nodes].sort((left, right) => weights.get(right)! - weights.get(left)! || (left < right ? -1 : 1));
}

/** FNV-1a over the text, then the mixing steps of MurmurHash3: names that differ in one digit must not rank alike. */
function weightOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
