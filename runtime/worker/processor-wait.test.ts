import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import t from 'tap';

import { numberOfThread, processorWaitMs } from './processor-wait.ts';

const isCounted = existsSync('/proc/thread-self/schedstat');
const BUSY =
  'const { parentPort } = require("node:worker_threads"); for (const end = Date.now() + 300; Date.now() < end;);';

t.test(
  'more busy threads than processors wait for one',
  { skip: !isCounted && 'this kernel does not count' },
  async (t) => {
    const own = numberOfThread();
    t.ok(own > 0);
    const before = processorWaitMs(own);
    const count = 2 * availableParallelism();
    const ends = Array.from({ length: count }, () => {
      const worker = new Worker(BUSY, { eval: true });
      return new Promise((resolve) => worker.once('exit', resolve));
    });
    const untilMs = performance.now() + 300;
    while (performance.now() < untilMs);
    t.ok(processorWaitMs(own) > before, 'this thread was one of them');
    await Promise.all(ends);
  },
);

t.test('of a thread that is not there, nothing is known', async (t) => {
  t.equal(processorWaitMs(0), 0);
  t.equal(processorWaitMs(2 ** 31 - 1), 0);
});
