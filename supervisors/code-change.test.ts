import t from 'tap';

import { type AnyBehavior, behaviorSlotOf, type Pid, replaceBehavior } from '../runtime/index.ts';
import {
  castStartChild,
  type ChildSpec,
  defineDynamicSupervisor,
  defineSupervisor,
  getChildSpec,
  restartChild,
  type SupervisorFlags,
  whichChildren,
} from './index.ts';
import { newWorld, plantTree, spec, type Tree, worker, type World } from './test-kit.ts';

// The names before the colons are those of the cases in OTP's supervisor_SUITE.

type Flags = (world: World) => SupervisorFlags;

/** A tree of version 0 and what makes it one of version 1. */
async function startVersions(before: Flags, after: Flags): Promise<Tree & { change(): Promise<void> }> {
  const old = defineSupervisor({ name: 'changing', init: before });
  const next = defineSupervisor({ name: 'changing', version: 1, init: after });
  const tree = await plantTree(newWorld(), (test) => test.node.start(old, world, { name: 'root' }));
  return { ...tree, change: () => replace(tree, old, next) };
}
const world = newWorld();

async function replace(tree: Tree, old: AnyBehavior, next: AnyBehavior): Promise<void> {
  replaceBehavior(behaviorSlotOf(old), next);
  // It meets its new code at its next turn.
  await tree.ask(whichChildren(tree.node, tree.root));
}

function ids(children: { id: string }[]): string {
  return children.map(({ id }) => id).join('');
}

async function specOf(tree: Tree, id: string | Pid): Promise<ChildSpec> {
  return ((await tree.ask(getChildSpec(tree.node, tree.root, id))) as { ok: ChildSpec }).ok;
}

t.test(
  'code_change: a new specification holds from the next start, and the child that runs is left alone',
  async (t) => {
    const tree = await startVersions(
      (world) => ({ children: [spec(world, 'a', { shutdown: 100 })] }),
      (world) => ({ children: [spec(world, 'a', { shutdown: 200, restart: 'transient' })] }),
    );
    const before = tree.pidOf('a');
    await tree.change();
    t.equal(tree.pidOf('a'), before);
    t.match(await specOf(tree, 'a'), { shutdown: 200, restart: 'transient' });
    await tree.end('a', 'normal');
    t.equal(tree.pidOf('a'), undefined, 'it was permanent when it was started and is transient now');
  },
);

t.test('code_change: what is new is not started, what is missing is kept, and the new order holds', async (t) => {
  const tree = await startVersions(
    (world) => ({ children: ['a', 'b', 'c'].map((id) => spec(world, id)) }),
    (world) => ({ children: ['d', 'c', 'a'].map((id) => spec(world, id)) }),
  );
  const before = ['a', 'b', 'c'].map((id) => tree.pidOf(id));
  await tree.change();
  const children = await tree.ask(whichChildren(tree.node, tree.root));
  t.equal(ids(children), 'dcab');
  t.strictSame(
    children.map(({ pid }) => pid),
    [undefined, before[2], before[0], before[1]],
  );
  t.match(await tree.ask(restartChild(tree.node, tree.root, 'd')), { ok: tree.pidOf('d') });
  world.events.length = 0;
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.strictSame(world.events, ['stop b', 'stop a', 'stop c', 'stop d']);
});

t.test('code_change: strategy and limits hold at once', async (t) => {
  const children = (world: World): ChildSpec[] => ['a', 'b'].map((id) => spec(world, id));
  const tree = await startVersions(
    (world) => ({ children: children(world), intensity: 0 }),
    (world) => ({ children: children(world), intensity: 5, strategy: 'one_for_all' }),
  );
  await tree.change();
  world.events.length = 0;
  await tree.end('a');
  t.strictSame(world.events, ['stop a', 'stop b', 'start a', 'start b']);
});

t.test('code_change: a restart that is to be tried again is tried with the new specification', async (t) => {
  const tree = await startVersions(
    (world) => ({ children: [spec(world, 'a')], intensity: 9 }),
    (world) => ({ children: [spec(world, 'a', { ends: 'at once' })], intensity: 9 }),
  );
  world.failing.set('a', 1);
  await tree.end('a');
  await tree.change();
  t.match(await tree.ask(whichChildren(tree.node, tree.root)), [{ pid: 'restarting' }]);
  await tree.advance(3, 1);
  t.equal(tree.node.processInfo(tree.pidOf('a')!)?.trapsExits, false);
});

const wrong: [string, Flags][] = [
  ['a strategy that there is none', () => ({ strategy: 'some' as never, children: [] })],
  ['an id twice', (world) => ({ children: [spec(world, 'a'), spec(world, 'a')] })],
  [
    'significant_upgrade_any_never',
    (world) => ({ children: [spec(world, 'a', { restart: 'transient', significant: true })] }),
  ],
  [
    'an init that throws',
    () => {
      throw new Error('no flags today');
    },
  ],
];
for (const [name, after] of wrong) {
  t.test(`${name}: changes nothing, and is logged`, async (t) => {
    const tree = await startVersions((world) => ({ children: [spec(world, 'a')], intensity: 1 }), after);
    const before = tree.pidOf('a');
    await tree.change();
    t.equal(tree.pidOf('a'), before);
    t.match(await specOf(tree, 'a'), { restart: 'permanent', significant: false });
    t.match(tree.logged, [{ level: 'error', event: 'supervisor_change_refused', fields: { supervisor: 'changing' } }]);
    await tree.end('a');
    t.ok(tree.pidOf('a'), 'and it goes on as before');
  });
}

for (const [before, after, ends] of [
  ['never', 'any_significant', true],
  ['never', 'all_significant', false],
  ['any_significant', 'all_significant', false],
  ['all_significant', 'any_significant', true],
] as const) {
  t.test(`significant_upgrade_${before}_${after}: the first of two significant ends`, async (t) => {
    const significant = { restart: 'temporary', significant: true } as const;
    const flags =
      (autoShutdown: SupervisorFlags['autoShutdown'] & string): Flags =>
      (world) => ({
        autoShutdown,
        children: ['a', 'b'].map((id) => spec(world, id, autoShutdown === 'never' ? {} : significant)),
      });
    const tree = await startVersions(flags(before), flags(after));
    await tree.change();
    await tree.end('a', 'normal');
    t.equal(tree.node.processInfo(tree.root) === undefined, ends);
  });
}

t.test('code_change_simple: children that are started or restarted from now on are of the new kind', async (t) => {
  const child = (ends: 'at once' | 'in order', restart: 'permanent' | 'transient'): object => ({
    child: { start: { behavior: worker, args: { world, id: 'x', ends } }, restart },
    intensity: 9,
  });
  const old = defineDynamicSupervisor({ name: 'fleet', init: () => child('at once', 'permanent') as never });
  const next = defineDynamicSupervisor({
    name: 'fleet',
    version: 1,
    init: () => child('in order', 'transient') as never,
  });
  const tree = await plantTree(world, (test) => test.node.start(old, undefined, { name: 'root' }));
  castStartChild(tree.node, 'root');
  await tree.settle();
  const first = tree.node.processes().find((pid) => pid !== tree.root)!;
  await replace(tree, old, next);
  t.equal(tree.node.processInfo(first)?.trapsExits, false);
  t.match(await specOf(tree, first), { restart: 'transient' });
  tree.node.cast(first, 'crash');
  await tree.settle();
  const second = tree.node.processes().find((pid) => pid !== tree.root)!;
  t.equal(tree.node.processInfo(second)?.trapsExits, true);
});

t.test('a dynamic supervisor refuses a change that it cannot make, too', async (t) => {
  const flags = { child: { start: { behavior: worker, args: { world, id: 'x' } } } };
  const old = defineDynamicSupervisor({ name: 'fleet', init: () => flags });
  const next = defineDynamicSupervisor({ name: 'fleet', version: 1, init: () => ({ ...flags, childrenMax: 0 }) });
  const tree = await plantTree(world, (test) => test.node.start(old, undefined, { name: 'root' }));
  await replace(tree, old, next);
  t.match(tree.logged, [{ event: 'supervisor_change_refused', fields: { message: /"childrenMax"/ } }]);
  castStartChild(tree.node, 'root');
  await tree.settle();
  t.equal(tree.node.info().processCount, 2);
});
