import t from 'tap';
import { checkWhole, gatherStages } from './node-join.ts';
import { countUnstored } from './sdk-pairs.ts';

t.test('a message counts in the stage in which it should have been written, whenever it came', async (t) => {
  const begunMs = [0, 90, 110, 190, 250, 310];
  const receivedMs = new Map([
    [0, 5],
    [1, 290],
    [2, 112],
    [4, 251],
    [5, 311],
  ]);
  const { latency, seconds } = gatherStages([{ begunMs, receivedMs }], [0, 100, 200, 300]);
  t.strictSame(
    [latency.before, latency.join, latency.leave].map(({ count }) => count),
    [2, 1, 1],
    'what never came and what belongs to no stage is left out',
  );
  t.equal(Math.round(latency.before.maxMs()!), 200, 'it waited through two stages, and was of the first');
  t.strictSame(seconds, { before: 0.1, join: 0.1, leave: 0.1 });
});

t.test('without a message there is no latency', async (t) => {
  const { latency } = gatherStages([], [0, 1, 2, 3]);
  t.equal(latency.join.percentileMs(99), undefined);
});

t.test('a message that was never acknowledged voids the run, whether it came or not', async (t) => {
  const pairs = [
    { begunMs: [0, 10, 20], acknowledged: new Set([0, 2]) },
    { begunMs: [5], acknowledged: new Set([0]) },
  ];
  t.equal(countUnstored(pairs), 1);
  t.throws(() => checkWhole({ doubled: 0, unstored: 1 }), { code: 'BENCH_LOST' });
  t.throws(() => checkWhole({ doubled: 1, unstored: 0 }), { code: 'BENCH_LOST' });
  t.doesNotThrow(() => checkWhole({ doubled: 0, unstored: 0 }));
});
