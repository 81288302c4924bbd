/** Each program in a tiny size: it does its work, yields the figures that it announces, and leaves no actor behind. */

import t from 'tap';
import { createNode, type RuntimeNode, systemClock, systemLoop, systemRandom } from '../../runtime/index.ts';
import { stderrLog } from './host-log.ts';
import { inRandomOrder } from './programs/million.ts';
import { findProgram, PROGRAMS } from './programs/index.ts';
import { perform } from './perform.ts';
import { perSecond, sizesAt, verify } from './program.ts';

function testNode(): RuntimeNode {
  return createNode({ name: 'bench', clock: systemClock, random: systemRandom, loop: systemLoop, log: stderrLog });
}

// Programs of several threads run in performer.test.ts, and one that reads memory needs a flag of the process.
const HERE = PROGRAMS.filter(({ name, workers = 1 }) => workers === 1 && name !== 'idle_memory');

for (const program of HERE) {
  t.test(`${program.name} does its work and ends`, async (t) => {
    const node = testNode();
    const figures = await program.run(node, sizesAt(program, 'tiny'));
    t.same([...new Set(figures.map(([metric]) => metric))], Object.keys(program.metrics));
    for (const [metric, value] of figures) t.ok(value > 0 && Number.isFinite(value), `${metric} ${value}`);
    t.equal(node.info().processCount, 0, 'no actor is left');
    await node.stop();
  });
}

t.test('names and metrics are told apart', async (t) => {
  const names = PROGRAMS.map(({ name }) => name);
  t.equal(new Set(names).size, names.length);
  const metrics = PROGRAMS.flatMap((program) => Object.keys(program.metrics));
  t.equal(new Set(metrics).size, metrics.length);
  t.throws(() => findProgram('nothing'), RangeError);
});

t.test('a result that is not the work’s is refused', async (t) => {
  t.doesNotThrow(() => verify('sum', 45, 45));
  t.throws(() => verify('sum', 44, 45), { code: 'BENCH_RESULT', message: /sum expected 45, got 44/ });
});

t.test('a root that leaves actors behind is found out', async (t) => {
  const node = testNode();
  const idle = { name: 'idle', init: () => null };
  const careless = { name: 'careless', init: () => null, handleCall: () => void node.spawn(idle, undefined) };
  await t.rejects(perform(node, careless, undefined, 20), { code: 'BENCH_RESULT', message: /1 actors outlived/ });
  await node.stop();
});

t.test('the random order visits everything once, and not in order', async (t) => {
  const items = Array.from({ length: 1_500 }, (_, index) => index);
  const order = inRandomOrder(items);
  t.same(
    order.toSorted((a, b) => a - b),
    items,
  );
  const neighbours = order.filter((item, index) => Math.abs(item - (order[index + 1] ?? 0)) <= 1);
  t.ok(neighbours.length < 20, `${neighbours.length} neighbours follow each other`);
});

t.test('a rate is a count in a time', async (t) => {
  t.equal(perSecond(500, 250), 2_000);
});
