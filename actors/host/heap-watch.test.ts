import t from 'tap';
import { createMemoryLog, type LogEntry } from '../../runtime/testing/test-node.ts';
import { VirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { watchHeap } from './heap-watch.ts';

const MB = 2 ** 20;

t.test('a heap that fills is told once, and again only after it has emptied', async (t) => {
  const clock = new VirtualClock();
  const logged: LogEntry[] = [];
  let used = 0;
  const stop = watchHeap(clock, createMemoryLog(logged), () => ({ used, limit: 1_000 * MB }));
  const tellings = (usedMb: number): number => {
    used = usedMb * MB;
    clock.advance(1_000);
    return logged.length;
  };
  t.strictSame([799, 800, 990, 700, 900, 599, 850].map(tellings), [0, 1, 1, 1, 1, 1, 2]);
  t.match(logged[0], { level: 'warn', event: 'heap_high', fields: { usedMb: 800, limitMb: 1_000 } });
  stop();
  t.strictSame([100, 900].map(tellings), [2, 2]);
});

t.test('the heap of this thread is read', async (t) => {
  const clock = new VirtualClock();
  const stop = watchHeap(clock, createMemoryLog([]));
  clock.advance(3_000);
  stop();
  t.equal(clock.timerCount, 0);
});
