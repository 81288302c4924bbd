/**
 * A node for tests: virtual time, a loop moved by hand, seeded randomness, and a log that is kept.
 *
 * Supervisors and actors test against it: nothing happens between two calls of `settle` or `advance`.
 */

import type { Logger } from '../contracts.ts';
import { createNode, type RuntimeNode } from '../node.ts';
import type { RunQueue } from '../scheduler.ts';
import { createSeededRandom } from './seeded-random.ts';
import { ManualLoop, VirtualClock } from './virtual-clock.ts';

/** One line of the log. */
export interface LogEntry {
  level: 'debug' | 'info' | 'warn' | 'error';
  event: string;
  fields: Readonly<Record<string, unknown>>;
}

export interface TestNode {
  readonly node: RuntimeNode;
  readonly clock: VirtualClock;
  readonly loop: ManualLoop;
  /** Everything that was logged, oldest first. */
  readonly logged: LogEntry[];
  /** Runs actors and promises until nothing is left to do at this moment of virtual time. */
  settle(): Promise<void>;
  /** Settles, moves time on by `ms` in steps of `stepMs`, and settles after each. */
  advance(ms: number, stepMs?: number): Promise<void>;
}

export interface TestNodeOptions {
  /** Default `'test'`. */
  name?: string;
  worker?: number;
  /** Of the node's randomness. Default 1. */
  seed?: number;
  /** One to share with other nodes. */
  clock?: VirtualClock;
  /** Chooses the next of the ready actors; see `simulation.ts`. */
  runQueue?: RunQueue;
}

export function createTestNode(options: TestNodeOptions = {}): TestNode {
  const { name = 'test', worker = 0, seed = 1, clock = new VirtualClock(), runQueue } = options;
  const loop = new ManualLoop();
  const logged: LogEntry[] = [];
  const node = createNode({
    name,
    worker,
    clock,
    loop,
    random: createSeededRandom(seed),
    log: createMemoryLog(logged),
    runQueue,
  });
  return {
    node,
    clock,
    loop,
    logged,
    settle: () => loop.settle(),
    async advance(ms, stepMs = ms) {
      await loop.settle();
      for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
        clock.advance(Math.min(stepMs, leftMs));
        await loop.settle();
      }
    },
  };
}

/** A logger that appends to `entries`. */
export function createMemoryLog(entries: LogEntry[]): Logger {
  const at =
    (level: LogEntry['level']) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void =>
      void entries.push({ level, event, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
