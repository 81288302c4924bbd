/**
 * How a crowd is spread over processes: as many nodes as descriptors make necessary, and one generator for each of them. Pure.
 */

import { connectionsOfProcess } from '../harness/descriptors.ts';

/** One node and the generator that holds its connections. */
export interface CrowdPart {
  readonly index: number;
  readonly connections: number;
  /** Number of its first account. */
  readonly first: number;
  readonly port: number;
  /** Loopback addresses to connect from; of no other part. */
  readonly sources: readonly string[];
}

/** Ports from one address to one port that are surely free; the range of the kernel has 28,232 by default. */
const CONNECTIONS_OF_SOURCE = 14_000;
/** Addresses of 127.16.0.0/12 that are given out in a row. */
const SOURCE_BASE = 16;

/**
 * Plans `connections` on nodes from `port` on.
 *
 * @param perProcess - Connections of a node at most; by default what its descriptors allow.
 * @throws {RangeError} More than 127.16.0.0/12 has addresses for, or ports behind `port`.
 */
export function planCrowd(
  connections: number,
  port: number,
  perProcess: number = connectionsOfProcess(),
  least: number = 1,
): CrowdPart[] {
  const count = Math.max(least, Math.ceil(connections / perProcess));
  if (port + count > 65_536) throw new RangeError(`"port" expected the first of ${count} ports, got ${port}`);
  const edge = (index: number): number => Math.floor((connections * index) / count);
  return Array.from({ length: count }, (_, index) => {
    const own = edge(index + 1) - edge(index);
    const sources = Math.ceil(own / CONNECTIONS_OF_SOURCE);
    return { index, connections: own, first: edge(index), port: port + index, sources: sourcesOf(index, sources) };
  });
}

/** Most connections from one source to one port. */
export function connectionsOfSource(parts: readonly CrowdPart[]): number {
  return Math.max(...parts.map(({ connections, sources }) => Math.ceil(connections / sources.length)));
}

function sourcesOf(part: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const number = part * 4 + index;
    return `127.${SOURCE_BASE + (number >> 15)}.${(number >> 7) & 0xff}.${1 + (number & 0x7f)}`;
  });
}
