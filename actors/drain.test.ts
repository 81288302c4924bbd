import t from 'tap';
import { dueCount } from './drain.ts';
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
