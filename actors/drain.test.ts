import t from 'tap';
import type { RuntimeNode } from '../runtime/index.ts';
import { VirtualClock } from '../runtime/testing/index.ts';
import { promisesSettled } from '../runtime/testing/virtual-clock.ts';
import type { Admission } from './admission.ts';
import { connection } from './connection.ts';
import { dueCount, drainWorker } from './drain.ts';
import { LIMITS } from './limits.ts';

t.test('a drain keeps its rate, catches up after a late slice, and ends in its time', async (t) => {
  const order = { perSecond: 1_000, withinMs: 5_000 };
  const slice = (1_000 * LIMITS.drainSliceMs) / 1_000;
  t.equal(dueCount(order, 0, 100_000), slice, 'the first slice goes at once');
  t.equal(dueCount(order, 980, 100_000), 980 + slice);
  t.equal(dueCount(order, 3_000, 100_000), 3_000 + slice, 'a worker that was busy for long catches up');
  t.equal(dueCount(order, 4_999, 2_000), 2_000, 'no more than there are');
  t.equal(dueCount(order, 5_000, 100_000), 100_000, 'then all that are left');
  t.equal(dueCount({ perSecond: 1, withinMs: 0 }, 0, 7), 7);
});

t.test('a drain ends when clients are let in again, and whoever came since stays', async (t) => {
  const clock = new VirtualClock();
  const open = Array.from({ length: 100 }, (_, serial) => serial);
  const told: number[] = [];
  const node = {
    clock,
    processes: () => [...open],
    processInfo: () => ({ behavior: connection.name }),
    cast: (pid: number) => void told.push(pid),
  } as unknown as RuntimeNode;
  const admission = { isDraining: false, statistics: () => ({ connections: open.length }) } as unknown as Admission;
  const drained = drainWorker(node, admission, { perSecond: 1_000, withinMs: 5_000 });
  t.ok(admission.isDraining);
  const slices = async (count: number): Promise<void> => {
    for (let slice = 0; slice < count; slice += 1) {
      await promisesSettled();
      clock.advance(LIMITS.drainSliceMs);
    }
    await promisesSettled();
  };
  await slices(2);
  t.ok(told.length > 0 && told.length < 100, `${told.length} were told`);
  admission.isDraining = false;
  const before = told.length;
  open.push(100, 101);
  await slices(100);
  t.equal(told.length, before, 'nobody is sent away any more');
  t.same(await drained, { told: before, left: 102 });
});
