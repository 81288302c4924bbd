/**
 * Values to bytes and back, between our own threads, nodes and disks. The only importer of msgpackr.
 *
 * Never give it a client's bytes: it allocates what the bytes ask for. Written are plain data (null, booleans, numbers,
 * strings, bigints, arrays, objects), Map, Set, Date, Error, RegExp, typed arrays, and `Pid` and `Ref`. An instance of
 * any other class is written as its own fields and read as a plain object; what has no such meaning (functions,
 * symbols, promises, weak collections, cycles) is refused and not silently dropped. A key `__proto__` is renamed.
 */

import { addExtension, Packr } from 'msgpackr';

import { RuntimeError } from './errors.ts';
import { Pid } from './pid.ts';
import { Ref } from './ref.ts';

// Extension types are part of the stored format: append, never renumber.
const TYPE = { pid: 1, ref: 2, refused: 3 } as const;

addExtension({
  Class: Pid,
  type: TYPE.pid,
  write: ({ node, worker, slot, creation }: Pid) => [node, worker, slot, creation],
  read: ([node, worker, slot, creation]: [string, number, number, number]) => new Pid(node, worker, slot, creation),
});

// Monitors and timers are refs too; what travels is the ref.
addExtension({
  Class: Ref,
  type: TYPE.ref,
  write: ({ node, worker, creation, id }: Ref) => [node, worker, creation, id],
  read: ([node, worker, creation, id]: [string, number, number, number]) => new Ref(node, worker, creation, id),
});

for (const Class of [Promise, WeakMap, WeakSet, WeakRef]) {
  addExtension({
    Class,
    type: TYPE.refused,
    write: () => refuse(`a ${Class.name}`),
    read: () => refuse(`a ${Class.name}`),
  });
}

// Records without a shared history of structures: each encoding holds its own definitions, so a message that fails
// half-way, a lost one, or a record read years later depends on no other. (msgpackr's plain maps would be as compact
// and read a Map back as an object.)
const packr = new Packr({
  useRecords: true,
  moreTypes: true,
  copyBuffers: true,
  useBigIntExtension: true,
  writeFunction: () => refuse('a function'),
});

/**
 * Encodes `value`.
 *
 * @returns Owned by the caller. It is a view of a larger buffer: copy it before transferring it to another thread.
 * @throws {RuntimeError} RT_ENCODE.
 */
export function encode(value: unknown): Uint8Array {
  try {
    return packr.pack(value);
  } catch (cause) {
    throw new RuntimeError('RT_ENCODE', `the value cannot be encoded: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Decodes what `encode` wrote.
 *
 * @param bytes - Borrowed; the result holds no view of it. Given once for many values and read in place between
 *   `start` and `end`, it saves a view for each.
 * @throws {RuntimeError} RT_DECODE.
 */
export function decode(bytes: Uint8Array, start: number = 0, end: number = bytes.length): unknown {
  try {
    if (end <= start) throw new RangeError('no bytes');
    return packr.unpack(bytes, { start, end });
  } catch (cause) {
    throw new RuntimeError('RT_DECODE', `the bytes cannot be decoded: ${(cause as Error).message}`, { cause });
  }
}

function refuse(what: string): never {
  throw new TypeError(`${what} cannot leave its thread`);
}
