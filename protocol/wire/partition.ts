/**
 * The partition of an id: where, of 1,024 places, a server keeps what belongs to a user or a group. Pure arithmetic, and part of every stored key's placement: it never
 * changes.
 *
 * A client need not know it, but for one thing: the id of a group is drawn by who makes it, and one that falls where its maker lives is served beside
 * its maker, in the same data centre.
 */

/** Partitions of the whole service. */
export const PARTITION_COUNT = 1024;

const ID_DIGITS = 15;
const ID_COUNT = 10 ** ID_DIGITS;

/** The partition of a user id or group id: FNV-1a over its ASCII digits, folded to ten bits. */
export function partitionOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index++) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (PARTITION_COUNT - 1);
}

/**
 * The first id in the partition of another one, going up from a number, and from the last one on to 0. Some 1,024 steps, well under a millisecond.
 *
 * @param from - Integer, 0 to 10^15 - 1. @param id - 15 digits.
 * @returns 15 digits.
 */
export function idBeside(from: number, id: string): string {
  const partition = partitionOf(id);
  for (let number = from; ; number = (number + 1) % ID_COUNT) {
    const digits = String(number).padStart(ID_DIGITS, '0');
    if (partitionOf(digits) === partition) return digits;
  }
}
