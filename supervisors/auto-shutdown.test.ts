import t from 'tap';

import type { AutoShutdown, Restart } from './child-spec.ts';
import {
  castStartChild,
  type ChildSpec,
  startDynamicSupervisor,
  startSupervisor,
  supervisorSpec,
  terminateChild,
} from './index.ts';
import { newWorld, plantTree, spec, startTree, type Tree, worker } from './test-kit.ts';

// The names before the colons are those of the cases in OTP's supervisor_SUITE.

const SIGNIFICANT = { significant: true } as const;

async function ended(tree: Tree): Promise<boolean> {
  await tree.settle();
  return tree.node.processInfo(tree.root) === undefined;
}

/** Who is significant, which of them end and how: is the supervisor still there? */
const rows: [string, AutoShutdown, Restart, significant: string[], ends: [string, string][], boolean][] = [
  [
    'nonsignificant_temporary',
    'any_significant',
    'temporary',
    ['c'],
    [
      ['a', 'an error thrown'],
      ['b', 'normal'],
    ],
    false,
  ],
  [
    'nonsignificant_transient',
    'all_significant',
    'transient',
    ['c'],
    [
      ['a', 'normal'],
      ['b', 'shutdown'],
    ],
    false,
  ],
  ['significant_temporary', 'any_significant', 'temporary', ['a'], [['a', 'normal']], true],
  ['significant_temporary', 'any_significant', 'temporary', ['a'], [['a', 'an error thrown']], true],
  ['significant_temporary', 'any_significant', 'temporary', ['a'], [['a', 'kill']], true],
  ['significant_temporary', 'all_significant', 'temporary', ['a', 'b'], [['a', 'kill']], false],
  [
    'significant_temporary',
    'all_significant',
    'temporary',
    ['a', 'b'],
    [
      ['a', 'kill'],
      ['b', 'normal'],
    ],
    true,
  ],
  ['significant_transient', 'any_significant', 'transient', ['a'], [['a', 'normal']], true],
  ['significant_transient', 'any_significant', 'transient', ['a'], [['a', '{shutdown, …}']], true],
  ['significant_transient', 'any_significant', 'transient', ['a'], [['a', 'an error thrown']], false],
  ['significant_transient', 'all_significant', 'transient', ['a', 'b'], [['a', 'normal']], false],
  [
    'significant_transient',
    'all_significant',
    'transient',
    ['a', 'b'],
    [
      ['a', 'normal'],
      ['b', 'kill'],
    ],
    false,
  ],
  [
    'significant_transient',
    'all_significant',
    'transient',
    ['a', 'b'],
    [
      ['b', 'normal'],
      ['a', 'shutdown'],
    ],
    true,
  ],
];
for (const [name, autoShutdown, restart, significant, ends, shutsDown] of rows) {
  const how = ends.map(([id, way]) => `${id} by ${way}`).join(', then ');
  const verdict = shutsDown ? 'shuts down' : 'goes on';
  t.test(`${name}: ${autoShutdown} of ${significant.join(', ')} ${verdict} after ${how}`, async (t) => {
    const tree = await startTree(
      (world) => ['a', 'b', 'c'].map((id) => spec(world, id, { restart, significant: significant.includes(id) })),
      { autoShutdown },
    );
    const end = tree.node.awaitExit(tree.root, 'infinity');
    for (const [id, way] of ends) await tree.end(id, way);
    t.equal(await ended(tree), shutsDown);
    if (!shutsDown) return;
    t.equal(await end, 'shutdown');
    t.equal(tree.node.info().processCount, 0);
    t.notOk(tree.reports().includes('shutdown a'), 'and that is no error');
  });
}

t.test('significant_bystander: one that its supervisor stops does not count', async (t) => {
  for (const autoShutdown of ['any_significant', 'all_significant'] as const) {
    const tree = await startTree(
      (world) => [spec(world, 'a', { restart: 'temporary', ...SIGNIFICANT }), spec(world, 'b'), spec(world, 'c')],
      { autoShutdown, strategy: 'one_for_all' },
    );
    await tree.end('b');
    t.strictSame([tree.pidOf('a'), await ended(tree)], [undefined, false], `${autoShutdown}: stopped with its sibling`);
  }
  const tree = await startTree((world) => [spec(world, 'a', { restart: 'transient', ...SIGNIFICANT })], {
    autoShutdown: 'any_significant',
  });
  await tree.ask(terminateChild(tree.node, 'root', 'a'));
  t.equal(await ended(tree), false, 'stopped by request');
});

t.test('significant_escalation: the shutdown of a significant supervisor is the end of its own', async (t) => {
  const inner = (children: ChildSpec[]): ChildSpec =>
    supervisorSpec(
      { name: 'inner', autoShutdown: 'any_significant', children },
      { restart: 'transient', ...SIGNIFICANT },
    );
  const tree = await startTree(
    (world) => [inner([spec(world, 'a', { restart: 'transient', ...SIGNIFICANT })]), spec(world, 'b')],
    { autoShutdown: 'any_significant' },
  );
  await tree.end('a', 'normal');
  t.equal(await ended(tree), true);
  t.equal(tree.node.info().processCount, 0);
  t.strictSame(tree.reports(), []);
});

t.test('a significant child that is to be restarted holds the supervisor up', async (t) => {
  const transient = { restart: 'transient', ...SIGNIFICANT } as const;
  const tree = await startTree((world) => [spec(world, 'a', transient), spec(world, 'b', transient)], {
    autoShutdown: 'all_significant',
  });
  tree.world.failing.set('a', 2);
  await tree.end('a');
  await tree.end('b', 'normal');
  t.equal(await ended(tree), false, 'a is coming back');
  await tree.advance(5, 1);
  await tree.end('a', 'normal');
  t.equal(await ended(tree), true);
});

for (const [autoShutdown, left] of [
  ['any_significant', 1],
  ['all_significant', 2],
] as const) {
  t.test(`significant_simple: a dynamic supervisor with ${autoShutdown} ends with child ${left} of 2`, async (t) => {
    const world = newWorld();
    const child = { start: { behavior: worker, args: { world, id: 'x' } }, ...SIGNIFICANT };
    const tree = await plantTree(world, (test) =>
      startDynamicSupervisor(test.node, { name: 'root', child, autoShutdown }),
    );
    for (let index = 0; index < 2; index += 1) castStartChild(tree.node, 'root');
    await tree.settle();
    const children = tree.node.processes().filter((pid) => pid !== tree.root);
    for (const [index, pid] of children.entries()) {
      t.equal(await ended(tree), index >= left, `before the end of child ${index + 1}`);
      tree.node.cast(pid, 'normal');
    }
    t.equal(await ended(tree), true);
    t.equal(tree.node.info().processCount, 0);
  });
}

t.test('nobody heeds a significant child of a dynamic supervisor by default, so it is refused', async (t) => {
  const world = newWorld();
  const tree = await startTree(() => []);
  const child = { start: { behavior: worker, args: { world, id: 'x' } }, ...SIGNIFICANT };
  const result = startDynamicSupervisor(tree.node, { name: 'fleet', child });
  t.match(result, { error: { error: { message: /"autoShutdown" is never/ } } });
  const both = startSupervisor(tree.node, { name: 'other', children: [{ ...child, id: 'a', restart: 'temporary' }] });
  t.match(both, { error: { error: { message: /"autoShutdown" is never/ } } });
});
