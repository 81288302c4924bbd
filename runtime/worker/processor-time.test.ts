import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import t from 'tap';

import { numberOfThread, processorTimes } from './processor-time.ts';

const isCounted = existsSync('/proc/thread-self/schedstat');
const BUSY =
  'const { parentPort } = require("node:worker_threads"); for (const end = Date.now() + 300; Date.now() < end;);';

t.test(
  'more busy threads than processors wait for one',
  { skip: !isCounted && 'this kernel does not count' },
  async (t) => {
    const own = numberOfThread();
    t.ok(own > 0);
    const before = processorTimes(own)!;
    const count = 2 * availableParallelism();
    const ends = Array.from({ length: count }, () => {
      const worker = new Worker(BUSY, { eval: true });
      return new Promise((resolve) => worker.once('exit', resolve));
    });
    const untilMs = performance.now() + 300;
    while (performance.now() < untilMs);
    const after = processorTimes(own)!;
    t.ok(after.waitedMs > before.waitedMs, 'this thread was one of them');
    t.ok(after.ranMs > before.ranMs, 'and ran');
    await Promise.all(ends);
  },
);

t.test('of a thread that is not there, nothing is known', async (t) => {
  t.equal(processorTimes(0), undefined);
  t.equal(processorTimes(2 ** 31 - 1), undefined);
});
