import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import t from 'tap';

import { numberOfThread, processorTimes } from './processor-time.ts';

const isCounted = existsSync('/proc/thread-self/schedstat');
/** Runs until it is told that it is over. */
const BUSY = 'const { workerData } = require("node:worker_threads"); while (Atomics.load(workerData, 0) === 0);';
const PATIENCE_MS = 120_000;

t.test(
  'more busy threads than processors wait for one',
  { skip: !isCounted && 'this kernel does not count' },
  async (t) => {
    const own = numberOfThread();
    t.ok(own > 0);
    const before = processorTimes(own)!;
    const count = 2 * availableParallelism();
    const isOver = new Int32Array(new SharedArrayBuffer(4));
    const ends = Array.from({ length: count }, () => {
      const worker = new Worker(BUSY, { eval: true, workerData: isOver });
      return new Promise((resolve) => worker.once('exit', resolve));
    });
    let after = processorTimes(own)!;
    const untilMs = performance.now() + PATIENCE_MS;
    // The threads take their time to start; this one is busy all the while.
    while (!(after.waitedMs > before.waitedMs && after.ranMs > before.ranMs) && performance.now() < untilMs) {
      after = processorTimes(own)!;
    }
    Atomics.store(isOver, 0, 1);
    t.ok(after.waitedMs > before.waitedMs, 'this thread was one of them');
    t.ok(after.ranMs > before.ranMs, 'and ran');
    await Promise.all(ends);
  },
);

t.test('of a thread that is not there, nothing is known', async (t) => {
  t.equal(processorTimes(0), undefined);
  t.equal(processorTimes(2 ** 31 - 1), undefined);
});
