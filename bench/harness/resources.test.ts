import t from 'tap';
import {
  parseMachineCpuMs,
  parseProcessUse,
  parseRunMs,
  parseRunQueueWaitMs,
  readProcessUse,
  readRunQueueWaitMs,
  readThreadTimes,
  threadTimeBetween,
} from './resources.ts';

t.test('CPU and memory are read from the text of /proc, whatever the process is called', async (t) => {
  const stat = '42 (a) b (c) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 7 0 100 1000000 2000 18446744073709551615';
  const status = 'Name:\ta) b (c\nVmHWM:\t    3000 kB\nVmRSS:\t    2000 kB\nThreads:\t7\n';
  t.same(parseProcessUse(stat, status), { cpuMs: 2000, rssBytes: 2_048_000, rssBytesMax: 3_072_000 });
});

t.test('CPU of the machine is everything but idle and waiting', async (t) => {
  t.equal(parseMachineCpuMs('cpu  100 10 50 99999 777 3 7 30 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n'), 2000);
});

t.test('a process that does not exist uses nothing that could be read', async (t) => {
  t.equal(readProcessUse(2 ** 30), undefined);
  if (process.platform === 'linux') t.ok(readProcessUse(process.pid)!.rssBytes > 1_000_000, 'this one does');
});

t.test(
  'the time on run queues is that of all threads of all processes, and unknown when one of them has gone',
  async (t) => {
    t.equal(parseRunQueueWaitMs('123456789 2500000 42\n'), 2.5);
    t.equal(readRunQueueWaitMs([]), 0);
    t.equal(readRunQueueWaitMs([2 ** 30]), undefined);
    if (process.platform !== 'linux') return;
    const once = readRunQueueWaitMs([process.pid])!;
    t.ok(once >= 0);
    // Added up in another order, so the last digits may differ.
    t.ok(readRunQueueWaitMs([process.pid, process.pid])! >= 2 * once - 0.001, 'summed');
  },
);

t.test('the time on a core is that of each thread, exact, and of those that were there at both looks', async (t) => {
  t.equal(parseRunMs('123456789 2500000 42\n'), 123.456789);
  const [before, now] = [
    new Map(Object.entries({ 1: 10, 2: 20, 3: 5 })),
    new Map(Object.entries({ 1: 11.5, 2: 20, 4: 3 })),
  ];
  t.equal(threadTimeBetween(before, now), 4.5, 'one began and one ended');
  t.equal(readThreadTimes(2 ** 30), undefined);
  if (process.platform !== 'linux') return;
  const times = readThreadTimes(process.pid)!;
  const used = process.cpuUsage();
  let count = 0;
  // Work until the process's own account has moved: no time is waited for.
  for (let now = used; now.user + now.system < used.user + used.system + 40_000; now = process.cpuUsage()) count += 1;
  t.ok(threadTimeBetween(times, readThreadTimes(process.pid)!) >= 20, `${count} looks`);
});
