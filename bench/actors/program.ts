/**
 * What a program of `bench actors` is: a piece of work with a result that can be checked, and the figures it yields.
 *
 * A program runs on the public doors of `runtime/` and `supervisors/` with what users get by default: links, accounting,
 * bounded mailboxes. It knows nothing of processes, rounds and peers; its twins do the same work elsewhere
 * (`../peers/erlang/<name>.erl` and others). Read next: `programs/ping-pong.ts`, then `host-worker.ts`, which runs it.
 */

import type { RuntimeNode } from '../../runtime/index.ts';
import { BenchError } from '../errors.ts';
import type { Unit } from '../harness/report.ts';

/** How much work: for a person with time, for `--quick`, to warm up, for a unit test. */
export type Scale = 'full' | 'quick' | 'warmUp' | 'tiny';

/** One size of a program at each scale. Warming up takes the quick size unless it says otherwise. */
export interface Size {
  readonly full: number;
  readonly quick: number;
  readonly warmUp?: number;
  readonly tiny: number;
  /** At most this for nact, where our sizes would take it minutes. */
  readonly nactMax?: number;
}

export type Sizes<Name extends string = string> = Readonly<Record<Name, number>>;

/** A metric and one value of it. A program may yield several of one metric; the contest takes the median of all. */
export type Figure = readonly [metric: string, value: number];

export type PeerName = 'beam' | 'nact' | 'bare_js';

/** How many times each side runs: ours, and the peers where they take much longer. */
export interface Rounds {
  readonly full: number;
  readonly quick: number;
  readonly peerFull?: number;
  readonly peerQuick?: number;
  /**
   * Each run in a process that has only warmed up. Memory that a process has had before is several times faster to have
   * again, so the first million of actors and the second are different questions; this asks for the first.
   */
  readonly isFresh?: boolean;
}

export const ROUNDS: Rounds = { full: 7, quick: 3 };

export interface Program<Name extends string = string> {
  /** As the Erlang module is called. */
  readonly name: string;
  /** The question that it answers, in one line. */
  readonly question: string;
  /** What it yields, with units. */
  readonly metrics: Readonly<Record<string, Unit>>;
  /** In the order in which the twins take them. */
  readonly sizes: Readonly<Record<Name, Size>>;
  readonly peers: readonly PeerName[];
  readonly rounds: Rounds;
  /** Worker threads that it runs on; the first runs it. Default 1. */
  readonly workers?: number;
  /** Prepares a thread that is not the first. */
  assist?(node: RuntimeNode): void;
  /**
   * Does the work once, on a node without other actors of its own, and leaves none behind.
   *
   * @throws {BenchError} BENCH_RESULT when the work was not done as it should be.
   */
  run(node: RuntimeNode, sizes: Sizes<Name>): Promise<Figure[]>;
}

/** The sizes of a program at one scale, in the order of its twins, for one side. */
export function sizesAt(program: Program, scale: Scale, side: 'ours' | PeerName = 'ours'): Sizes {
  const entries = Object.entries(program.sizes).map(([name, size]) => {
    const value = size[scale] ?? size.quick;
    return [name, side === 'nact' ? Math.min(value, size.nactMax ?? value) : value];
  });
  return Object.fromEntries(entries) as Sizes;
}

/** A rate from a count and the milliseconds that it took. */
export function perSecond(count: number, elapsedMs: number): number {
  return (count * 1000) / elapsedMs;
}

/** @throws {BenchError} BENCH_RESULT if a program's result is not what its work must yield. */
export function verify(what: string, actual: number, expected: number): void {
  if (actual === expected) return;
  throw new BenchError('BENCH_RESULT', `${what} expected ${expected}, got ${actual}`);
}
