/**
 * One child, many times over: partitions of a kind of work, each found by the hash of a key.
 *
 * For an actor that would be a bottleneck and whose state falls apart by key: a cache by user, a dynamic supervisor by
 * connection. Each partition is a child of its own with a registered name, so that finding one is arithmetic and needs no
 * table and no message. The partitions may be spread over worker threads; each worker then runs a supervisor for its own.
 *
 *   sessions (partition_supervisor), on worker 1          sessions (partition_supervisor), on worker 2
 *   ├─ sessions.0                                         ├─ sessions.1
 *   └─ sessions.2                                         └─ sessions.3
 */

import type { StartResult, Target } from '../runtime/index.ts';
import type { ChildSpec, ChildStart } from './child-spec.ts';
import { LIMITS } from './limits.ts';
import {
  defineSupervisor,
  registration,
  startActor,
  type Starter,
  type SupervisorBehavior,
  type SupervisorFlags,
} from './supervisor.ts';

/** What a caller must know to find a partition. Plain data; the same for everybody. */
export interface PartitionSet {
  /** Of the supervisor; partition n is registered as `name.n`. */
  readonly name: string;
  /** 1 to LIMITS.partitionCountMax. A key's partition depends on it, so it should not change. */
  readonly partitions: number;
  /**
   * The worker threads that the partitions are spread over, in turn: partition n lives on `workers[n % workers.length]`.
   * Default: all live on the thread of their supervisor and are known on that thread.
   */
  readonly workers?: readonly number[];
}

export interface PartitionSupervisorOptions extends PartitionSet, Omit<SupervisorFlags, 'children' | 'autoShutdown'> {
  readonly register?: boolean;
  /**
   * What every partition is. `start.args` must be an object, or nothing: `init` gets `{ ...args, partition }`. Its id is
   * the number, its name is given.
   */
  readonly child: Omit<ChildSpec, 'id' | 'significant'>;
}

/** The partition of `key`, 0 to `partitions` - 1. The same key has the same partition everywhere and in every version. */
export function partitionOf(key: string | number | bigint, partitions: number): number {
  return hash(String(key)) % partitions;
}

/**
 * Where the partition of `key` is: a target for `cast`, `call`, `startDynamicChild` and their like.
 *
 * ```ts
 * const sessions: PartitionSet = { name: 'sessions', partitions: 16 };
 * ctx.cast(partitionTarget(sessions, userId), { type: 'seen', userId });
 * ```
 */
export function partitionTarget(set: PartitionSet, key: string | number | bigint): Target {
  return targetOf(set, partitionOf(key, set.partitions));
}

/** Every partition, for a message to all. */
export function partitionTargets(set: PartitionSet): Target[] {
  return Array.from({ length: set.partitions }, (_, partition) => targetOf(set, partition));
}

/** Starts the supervisor of a set, with the partitions of this worker. */
export function startPartitionSupervisor(
  starter: Starter,
  options: PartitionSupervisorOptions,
): StartResult<never> | Promise<StartResult<never>> {
  return startActor(starter, partitionSupervisor, options, options);
}

/** A specification for the supervisor of a set as a child of another. */
export function partitionSupervisorSpec(
  options: PartitionSupervisorOptions,
  rest: Omit<ChildSpec, 'id' | 'start'> = {},
): ChildSpec {
  const start = { behavior: partitionSupervisor, args: options, options: registration(options) };
  return { type: 'supervisor', ...rest, id: options.name, start };
}

/**
 * An ordinary supervisor with a child for each partition of its worker.
 *
 * Source: Elixir's PartitionSupervisor. Differs: partitions may live on several workers, and cannot be resized.
 */
export const partitionSupervisor: SupervisorBehavior<PartitionSupervisorOptions> = defineSupervisor({
  name: 'partition_supervisor',
  init(options: PartitionSupervisorOptions, worker: number) {
    checkSet(options);
    const own = Array.from({ length: options.partitions }, (_, partition) => partition).filter(
      (partition) => (workerOf(options, partition) ?? worker) === worker,
    );
    return { ...options, children: own.map((partition) => partitionSpec(options, partition)) };
  },
});

function partitionSpec({ name, child }: PartitionSupervisorOptions, partition: number): ChildSpec {
  const { behavior, args, options } = child.start;
  const start: ChildStart = {
    behavior,
    args: { ...(args as object | undefined), partition },
    options: { ...options, name: nameOf(name, partition) },
  };
  return { ...child, id: String(partition), start };
}

function targetOf(set: PartitionSet, partition: number): Target {
  const name = nameOf(set.name, partition);
  const worker = workerOf(set, partition);
  return worker === undefined ? name : { name, worker };
}

function nameOf(name: string, partition: number): string {
  return `${name}.${partition}`;
}

function workerOf({ workers }: PartitionSet, partition: number): number | undefined {
  return workers?.[partition % workers.length];
}

function checkSet({ partitions, workers }: PartitionSet): void {
  if (!(Number.isInteger(partitions) && partitions >= 1 && partitions <= LIMITS.partitionCountMax)) {
    throw new RangeError(`"partitions" expected 1 to ${LIMITS.partitionCountMax}, got ${partitions}`);
  }
  if (workers?.length === 0) throw new RangeError('"workers" expected at least one, or to be left out');
}

/**
 * FNV-1a over the UTF-16 units, and the finalizer of MurmurHash3, since the low bits of FNV alone follow those of the last
 * unit. Spreads keys; it does not withstand somebody who chooses them.
 */
function hash(text: string): number {
  let mixed = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x01000193);
  }
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
