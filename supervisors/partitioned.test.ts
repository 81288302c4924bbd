import fc from 'fast-check';
import t from 'tap';

import type { Behavior, Pid } from '../runtime/index.ts';
import { createTestNode } from '../runtime/testing/test-node.ts';
import {
  countChildren,
  dynamicSupervisor,
  type PartitionSet,
  partitionOf,
  type PartitionSupervisorOptions,
  partitionSupervisorSpec,
  partitionTarget,
  partitionTargets,
  startDynamicChild,
  startPartitionSupervisor,
  startSupervisor,
  whichChildren,
} from './index.ts';
import { LIMITS } from './limits.ts';

const cell: Behavior<
  { partition: number; shared: string },
  { partition: number; shared: string },
  'crash',
  'who',
  unknown
> = {
  name: 'cell',
  init: (args) => args,
  handleCast() {
    throw new Error('crash');
  },
  handleCall: (_request, _from, state) => state,
};
const SET: PartitionSet = { name: 'cells', partitions: 4 };
const OPTIONS: PartitionSupervisorOptions = { ...SET, child: { start: { behavior: cell, args: { shared: 'all' } } } };

t.test('each partition is a child with its number, its name and the shared arguments', async (t) => {
  const test = createTestNode();
  startPartitionSupervisor(test.node, OPTIONS);
  for (let partition = 0; partition < 4; partition += 1) {
    const asked = test.node.call(`cells.${partition}`, 'who', 100);
    await test.settle();
    t.strictSame(await asked, { shared: 'all', partition });
  }
  const asked = whichChildren(test.node, 'cells');
  await test.settle();
  t.strictSame(
    (await asked).map(({ id, pid }) => [id, pid]),
    [0, 1, 2, 3].map((partition) => [`${partition}`, test.node.whereis(`cells.${partition}`)]),
  );
});

t.test('a key always leads to the same partition, before and after a crash of it', async (t) => {
  const test = createTestNode();
  startPartitionSupervisor(test.node, OPTIONS);
  const target = partitionTarget(SET, 'alice') as string;
  t.equal(target, `cells.${partitionOf('alice', 4)}`);
  const before = test.node.whereis(target);
  const others = test.node.processes().filter((pid) => pid !== before).length;
  test.node.cast(target, 'crash');
  await test.settle();
  t.ok(test.node.whereis(target));
  t.not(test.node.whereis(target), before);
  t.equal(test.node.processes().length, others + 1);
});

t.test('partitions may be dynamic supervisors: a fleet without a bottleneck', async (t) => {
  const test = createTestNode();
  const fleets: PartitionSet = { name: 'fleets', partitions: 3 };
  const args = { name: 'fleet', child: { start: { behavior: cell } } };
  const child = { start: { behavior: dynamicSupervisor, args }, type: 'supervisor' } as const;
  startSupervisor(test.node, { name: 'root', children: [partitionSupervisorSpec({ ...fleets, child })] });
  for (let user = 0; user < 30; user += 1) {
    const asked = startDynamicChild(test.node, partitionTarget(fleets, user));
    await test.settle();
    t.ok('ok' in (await asked));
  }
  const counts = partitionTargets(fleets).map((target) => countChildren(test.node, target));
  await test.settle();
  const active = (await Promise.all(counts)).map((count) => count.active);
  t.equal(
    active.reduce((sum, count) => sum + count),
    30,
  );
  t.notOk(active.includes(0), `spread: ${active.join()}`);
  const root = test.node.whereis('root') as Pid;
  test.node.exit(root, 'shutdown');
  await test.settle();
  t.equal(test.node.info().processCount, 0);
});

t.test('over workers, each has its own partitions and everybody knows where they are', async (t) => {
  const set: PartitionSet = { name: 'cells', partitions: 5, workers: [1, 2] };
  const names = [0, 1, 2].map((worker) => {
    const { node } = createTestNode({ worker });
    startPartitionSupervisor(node, { ...OPTIONS, ...set });
    return [0, 1, 2, 3, 4].filter((partition) => node.whereis(`cells.${partition}`) !== undefined);
  });
  t.strictSame(names, [[], [0, 2, 4], [1, 3]]);
  t.strictSame(partitionTargets(set), [
    { name: 'cells.0', worker: 1 },
    { name: 'cells.1', worker: 2 },
    { name: 'cells.2', worker: 1 },
    { name: 'cells.3', worker: 2 },
    { name: 'cells.4', worker: 1 },
  ]);
});

t.test('a key is known by its text, and its partition is the same in every version', async (t) => {
  t.equal(partitionOf(7, 1_000), partitionOf('7', 1_000));
  t.equal(partitionOf(7n, 1_000), partitionOf('7', 1_000));
  // Computed by another program: a change of the hash would send keys to partitions that do not have their state.
  t.strictSame(
    ['', 'a', 'alice', '+4915100000001', 'ü', 12_345].map((key) => partitionOf(key, 1_024)),
    [11, 435, 542, 903, 209, 251],
  );
});

t.test('keys spread evenly, whatever their pattern', async (t) => {
  const patterns: [string, (index: number) => string | number][] = [
    ['counted', (index) => index],
    ['counted by 1,024', (index) => index * 1_024],
    ['phone numbers', (index) => `+49151${String(index).padStart(8, '0')}`],
    ['one letter at the front', (index) => `${index}-a-long-common-tail`],
  ];
  for (const [name, keyOf] of patterns) {
    for (const partitions of [3, 16, 100]) {
      const counts = new Array<number>(partitions).fill(0);
      const keys = 1_000 * partitions;
      for (let index = 0; index < keys; index += 1) counts[partitionOf(keyOf(index), partitions)]! += 1;
      const chiSquare = counts.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0);
      // Mean partitions - 1, variance twice that; five standard deviations above.
      const bound = partitions - 1 + 5 * Math.sqrt(2 * (partitions - 1));
      t.ok(chiSquare < bound, `${name} over ${partitions}: ${chiSquare.toFixed(1)} below ${bound.toFixed(1)}`);
    }
  }
});

t.test('any key has a partition within the set', async (t) => {
  const within = fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 1_024 }), (key, partitions) => {
    const partition = partitionOf(key, partitions);
    return Number.isInteger(partition) && partition >= 0 && partition < partitions;
  });
  fc.assert(within);
  t.pass();
});

const wrong: [string, Partial<PartitionSet>, RegExp][] = [
  ['no partitions', { partitions: 0 }, /"partitions" expected 1 to 1024, got 0/],
  ['too many', { partitions: LIMITS.partitionCountMax + 1 }, /"partitions"/],
  ['half a partition', { partitions: 1.5 }, /"partitions"/],
  ['no workers to spread over', { workers: [] }, /"workers"/],
];
for (const [name, change, message] of wrong) {
  t.test(`${name}: the start fails and says why`, async (t) => {
    const { node } = createTestNode();
    t.match(startPartitionSupervisor(node, { ...OPTIONS, ...change }), { error: { error: { message } } });
  });
}
