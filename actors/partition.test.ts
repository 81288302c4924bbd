import t from 'tap';
import { partitionOf, PARTITION_COUNT, shardsOfWorker, workerOfShard } from './partition.ts';

t.test('user ids spread evenly over the partitions', async (t) => {
  const counts = new Uint32Array(PARTITION_COUNT);
  const users = 200 * PARTITION_COUNT;
  for (let index = 0; index < users; index++) counts[partitionOf(String(100_000_000_000_000 + index * 7))]!++;
  t.ok(Math.min(...counts) > 120, `least ${Math.min(...counts)} of 200`);
  t.ok(Math.max(...counts) < 290, `most ${Math.max(...counts)} of 200`);
});

t.test('the placement of known ids never changes', async (t) => {
  t.equal(partitionOf('100000000000001'), 633);
  t.equal(partitionOf('123456789012345'), 207);
});

t.test('every shard has exactly one worker, whatever their numbers', async (t) => {
  for (const [shards, workers] of [
    [1, 1],
    [4, 1],
    [4, 3],
    [2, 8],
  ] as const) {
    const owned = Array.from({ length: workers }, (_, index) => shardsOfWorker(index + 1, shards, workers)).flat();
    t.strictSame(
      owned.sort(),
      Array.from({ length: shards }, (_, shard) => shard),
    );
    t.ok(workerOfShard(shards - 1, workers) <= workers);
  }
});
