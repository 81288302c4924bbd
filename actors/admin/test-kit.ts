/**
 * For tests of what operators see: a desk with verbs of the test, an audit log in a directory of its own, and the threads of a
 * node under virtual time.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { systemClock } from '../../runtime/index.ts';
import { createMemoryLog, createTestNode, type LogEntry, type TestNode } from '../../runtime/testing/test-node.ts';
import { SimNetwork } from '../../runtime/testing/test-workers.ts';
import type { Askable } from './ask.ts';
import { Audit } from './audit.ts';
import { Desk } from './desk.ts';
import { VerbTable, type Verb } from './verb.ts';

export interface DeskFixture {
  readonly desk: Desk;
  readonly audit: Audit;
  readonly directory: string;
  readonly logged: LogEntry[];
}

export function createDesk(t: Test, verbs: readonly Verb[]): DeskFixture {
  const directory = temporaryDirectory(t);
  const logged: LogEntry[] = [];
  const log = createMemoryLog(logged);
  const audit = new Audit({ directory, clock: systemClock, log });
  return { desk: new Desk({ table: new VerbTable(verbs), audit, log }), audit, directory, logged };
}

/** A directory that goes with the test. */
export function temporaryDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-admin-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

/** A main thread and workers of one node, joined, under one virtual clock. */
export interface Threads {
  readonly workers: Askable;
  readonly workerNodes: readonly TestNode[];
  settle(): Promise<void>;
  advance(ms: number): Promise<void>;
  /** Settles until `promise` does. */
  outcome<T>(promise: Promise<T>): Promise<T>;
}

export function createThreads(workerCount: number): Threads {
  const main = createTestNode({ worker: 0 });
  const numbers = Array.from({ length: workerCount }, (_, index) => index + 1);
  const workerNodes = numbers.map((worker) => createTestNode({ worker, clock: main.clock }));
  const all = [main, ...workerNodes];
  const network = new SimNetwork(all.map(({ node }) => node));
  const settle = async (): Promise<void> => {
    do for (const each of all) await each.settle();
    while (network.deliver());
  };
  const advance = async (ms: number): Promise<void> => {
    await settle();
    main.clock.advance(ms);
    await settle();
  };
  return {
    workers: { node: main.node, workerCount },
    workerNodes,
    settle,
    advance,
    async outcome(promise) {
      let isDone = false;
      const watched = promise.finally(() => (isDone = true));
      watched.catch(() => undefined);
      // A pause of no time is one step of the clock.
      for (let round = 0; round < 50 && !isDone; round++) await advance(round % 5 === 4 ? 1 : 0);
      return watched;
    },
  };
}
