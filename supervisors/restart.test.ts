import t from 'tap';

import type { Pid } from '../runtime/index.ts';
import type { Restart } from './child-spec.ts';
import {
  type ChildSpec,
  countChildren,
  deleteChild,
  restartChild,
  startChild,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  supervisorSpec,
  terminateChild,
  whichChildren,
} from './index.ts';
import type { StrategyName } from './strategy.ts';
import { newWorld, plantTree, spec, startTree, type Tree, WAYS, worker, type World } from './test-kit.ts';

// The names before the colons are those of the cases in OTP's supervisor_SUITE.

type Outcome = 'restarted and reported' | 'reported' | 'gone';

/** Restart type × way of exit. */
const OUTCOMES: Record<Restart, Record<string, Outcome>> = {
  permanent: {
    normal: 'restarted and reported',
    shutdown: 'restarted and reported',
    '{shutdown, …}': 'restarted and reported',
    'an error thrown': 'restarted and reported',
    kill: 'restarted and reported',
    'a link to nobody': 'restarted and reported',
    'a lost connection': 'restarted and reported',
  },
  transient: {
    normal: 'gone',
    shutdown: 'gone',
    '{shutdown, …}': 'gone',
    'an error thrown': 'restarted and reported',
    kill: 'restarted and reported',
    'a link to nobody': 'restarted and reported',
    'a lost connection': 'restarted and reported',
  },
  temporary: {
    normal: 'gone',
    shutdown: 'gone',
    '{shutdown, …}': 'gone',
    'an error thrown': 'reported',
    kill: 'reported',
    'a link to nobody': 'reported',
    'a lost connection': 'reported',
  },
};

/** What happens to a, b and c when b ends and is restarted. */
const RESTARTS: Record<StrategyName, string[]> = {
  one_for_one: ['start b'],
  one_for_all: ['stop c', 'stop a', 'start a', 'start b', 'start c'],
  rest_for_one: ['stop c', 'start b', 'start c'],
  simple_one_for_one: ['start b'],
};

/** Three children, of whom b is of the given restart type. */
async function startThree(strategy: StrategyName, restart: Restart): Promise<Tree> {
  if (strategy === 'simple_one_for_one') return startThreeAlike(restart);
  return startTree((world) => [spec(world, 'a'), spec(world, 'b', { restart }), spec(world, 'c')], { strategy });
}

async function startThreeAlike(restart: Restart): Promise<Tree> {
  const world = newWorld();
  const child = { start: { behavior: worker, args: { world, ends: 'in order' } }, restart };
  const tree = await plantTree(world, (test) =>
    startDynamicSupervisor(test.node, { name: 'root', child, intensity: 3 }),
  );
  for (const id of ['a', 'b', 'c']) {
    const { ok } = (await tree.ask(startDynamicChild(tree.node, 'root', { id }))) as { ok: Pid };
    tree.node.register(id, ok);
  }
  return tree;
}

for (const strategy of Object.keys(RESTARTS) as StrategyName[]) {
  for (const [restart, ways] of Object.entries(OUTCOMES) as [Restart, Record<string, Outcome>][]) {
    t.strictSame(Object.keys(ways), Object.keys(WAYS), 'every way of exit is in the table');
    for (const [way, outcome] of Object.entries(ways)) {
      t.test(`${strategy}: a ${restart} child that ends by ${way} is ${outcome}`, async (t) => {
        const tree = await startThree(strategy, restart);
        tree.happened();
        await tree.end('b', way);
        const restarted = outcome === 'restarted and reported';
        const own = way === 'kill' ? [] : ['stop b'];
        t.strictSame(tree.happened(), [...own, ...(restarted ? RESTARTS[strategy] : [])]);
        const contexts = outcome === 'gone' ? [] : ['child_terminated'];
        t.strictSame(
          tree.reports().map((report) => report.split(' ')[0]),
          contexts,
        );
        const { active, specs } = await tree.ask(countChildren(tree.node, 'root'));
        t.equal(active, restarted ? 3 : 2);
        const remembered = restart === 'temporary' ? 2 : 3;
        t.equal(specs, strategy === 'simple_one_for_one' ? 1 : remembered);
      });
    }
  }
}

for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one'] as const) {
  t.test(`${strategy}_escalation: one restart too many ends the supervisor, and its children in order`, async (t) => {
    const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b'), spec(world, 'c')], {
      strategy,
      intensity: 2,
    });
    const end = tree.node.awaitExit(tree.root, 1_000);
    for (const time of [1, 2, 3]) {
      t.ok(tree.pidOf('b'), `alive before crash ${time}`);
      tree.happened();
      await tree.end('b');
    }
    t.equal(await end, 'shutdown');
    t.strictSame(tree.happened(), ['stop b', 'stop c', 'stop a']);
    t.equal(tree.node.info().processCount, 0);
    t.match(tree.logged.at(-1), { fields: { errorContext: 'shutdown', reason: 'reached_max_restart_intensity' } });
  });

  t.test(`${strategy}: restarts that are far enough apart never end the supervisor`, async (t) => {
    const tree = await startTree((world) => [spec(world, 'a')], { strategy, intensity: 1, periodMs: 1_000 });
    for (let time = 0; time < 5; time += 1) {
      await tree.end('a');
      await tree.advance(1_001);
      t.ok(tree.pidOf('a'));
    }
  });

  t.test(
    `hanging_restart_loop (${strategy}): a restart that keeps failing does not keep requests waiting`,
    async (t) => {
      const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b')], { strategy, intensity: 100 });
      tree.world.failing.set('a', 50);
      await tree.end('a');
      await tree.advance(10, 1);
      t.match((await tree.ask(whichChildren(tree.node, 'root')))[0], { id: 'a', pid: 'restarting' });
      t.match(await tree.ask(restartChild(tree.node, 'root', 'a')), { error: 'SUP_RESTARTING' });
      t.match(await tree.ask(deleteChild(tree.node, 'root', 'a')), { error: 'SUP_RESTARTING' });
      t.match(await tree.ask(startChild(tree.node, 'root', spec(tree.world, 'a'))), { error: 'SUP_ALREADY_PRESENT' });
      t.match(await tree.ask(terminateChild(tree.node, 'root', 'a')), { ok: true }, 'and it can be called off');
      const failures = tree.world.failing.get('a');
      await tree.advance(10, 1);
      t.equal(tree.world.failing.get('a'), failures);
      t.match(await tree.ask(deleteChild(tree.node, 'root', 'a')), { ok: true });
    },
  );

  t.test(`${strategy}: a restart that keeps failing counts each time, and ends the supervisor`, async (t) => {
    const tree = await startTree((world) => [spec(world, 'a')], { strategy, intensity: 5 });
    tree.world.failing.set('a', 100);
    await tree.end('a');
    await tree.advance(20, 1);
    t.equal(tree.node.info().processCount, 0);
    t.equal(tree.world.failing.get('a'), 100 - 5);
    const starts = tree.reports().filter((report) => report === 'start_error a');
    t.equal(starts.length, 5);
    t.strictSame([tree.reports()[0], tree.reports().at(-1)], ['child_terminated a', 'shutdown a']);
  });
}

t.test('multiple_restarts: each life is a new actor', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a')], { intensity: 10 });
  const lives = new Set([`${tree.pidOf('a')}`]);
  for (let time = 0; time < 10; time += 1) {
    await tree.end('a');
    lives.add(`${tree.pidOf('a')}`);
  }
  t.equal(lives.size, 11);
});

t.test('a restart that fails is tried again', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a')]);
  tree.world.failing.set('a', 2);
  await tree.end('a');
  t.match(await tree.ask(countChildren(tree.node, 'root')), { specs: 1, active: 0 }, 'count_restarting_children');
  await tree.advance(5, 1);
  t.ok(tree.pidOf('a'));
  t.strictSame(tree.reports(), ['child_terminated a', 'start_error a', 'start_error a']);
});

t.test('one_for_all_other_child_fails_restart: all are stopped and started again', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b'), spec(world, 'c')], {
    strategy: 'one_for_all',
  });
  tree.happened();
  tree.world.failing.set('b', 1);
  await tree.end('c');
  t.strictSame(tree.happened(), ['stop c', 'stop b', 'stop a', 'start a', 'fail b']);
  t.match(await tree.ask(whichChildren(tree.node, 'root')), [
    { id: 'a', pid: tree.pidOf('a') },
    { id: 'b', pid: 'restarting' },
    { id: 'c', pid: undefined },
  ]);
  await tree.advance(2, 1);
  t.strictSame(tree.happened(), ['stop a', 'start a', 'start b', 'start c']);
  t.strictSame(tree.reports(), ['child_terminated c', 'start_error b']);
});

t.test('rest_for_one_other_child_fails_restart: it goes on from the one that failed', async (t) => {
  const tree = await startTree((world) => ['a', 'b', 'c', 'd'].map((id) => spec(world, id)), {
    strategy: 'rest_for_one',
  });
  tree.happened();
  tree.world.failing.set('c', 1);
  await tree.end('b');
  t.strictSame(tree.happened(), ['stop b', 'stop d', 'stop c', 'start b', 'fail c']);
  const b = tree.pidOf('b');
  await tree.advance(2, 1);
  t.strictSame(tree.happened(), ['start c', 'start d']);
  t.equal(tree.pidOf('b'), b);
});

t.test('temporary_bystander: stopped with the others and not started again', async (t) => {
  for (const strategy of ['one_for_all', 'rest_for_one'] as const) {
    const tree = await startTree(
      (world) => [spec(world, 'a'), spec(world, 'b', { restart: 'temporary' }), spec(world, 'c')],
      { strategy },
    );
    tree.happened();
    await tree.end('a');
    t.strictSame(tree.happened(), ['stop a', 'stop c', 'stop b', 'start a', 'start c'], strategy);
    t.match(await tree.ask(countChildren(tree.node, 'root')), { specs: 2, active: 2 });
  }
});

t.test('one_for_all: a transient sibling is started again, even one that had ended', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { restart: 'transient' }), spec(world, 'b')], {
    strategy: 'one_for_all',
  });
  await tree.end('a', 'normal');
  tree.happened();
  await tree.end('b');
  t.strictSame(tree.happened(), ['stop b', 'start a', 'start b']);
});

t.test('two siblings that crash at once are one restart of all', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b')], {
    strategy: 'one_for_all',
    intensity: 1,
  });
  tree.happened();
  for (const id of ['a', 'b']) tree.node.exit(tree.pidOf(id)!, 'kill');
  await tree.settle();
  t.strictSame(tree.happened(), ['start a', 'start b']);
  t.match(await tree.ask(countChildren(tree.node, 'root')), { active: 2 });
});

t.test('a sibling that ignores its shutdown delays the restart by its time, and is killed', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b', { ends: 'never', shutdown: 50 })], {
    strategy: 'one_for_all',
  });
  tree.happened();
  await tree.end('a');
  await tree.advance(49);
  t.strictSame(tree.happened(), ['stop a', 'stop b']);
  await tree.advance(1);
  t.strictSame(tree.happened(), ['start a', 'start b']);
  t.strictSame(tree.reports(), ['child_terminated a', 'shutdown_error b']);
});

t.test('told to end during a restart, a supervisor finishes the restart and stops everybody', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { slowStart: true }), spec(world, 'b')], {
    strategy: 'one_for_all',
  });
  tree.happened();
  tree.node.cast('a', 'crash');
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.equal(tree.node.info().processCount, 0);
  const events = tree.happened();
  const starts = events.filter((event) => event.startsWith('start')).length;
  t.equal(events.length - starts, starts + 2, `each start has its stop: ${events.join(', ')}`);
});

t.test('terminate during restart: requests wait until a slow restart is over', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b', { ends: 'never', shutdown: 50 })], {
    strategy: 'one_for_all',
  });
  await tree.end('a');
  const request = terminateChild(tree.node, 'root', 'a');
  await tree.settle();
  t.equal(tree.pidOf('a'), undefined, 'a is down while b has its time');
  await tree.advance(50);
  t.match(await request, { ok: true });
  t.strictSame([tree.pidOf('a'), tree.pidOf('b') !== undefined], [undefined, true]);
});

t.test('tree: a supervisor that gives up is restarted by its own, with all below it', async (t) => {
  const tree = await startTree((world) => [
    supervisorSpec({ name: 'inner', intensity: 0, children: [spec(world, 'a'), spec(world, 'b')] }),
    spec(world, 'c'),
  ]);
  const before = tree.pidOf('c');
  tree.happened();
  await tree.end('a');
  t.strictSame(tree.happened(), ['stop a', 'stop b', 'start a', 'start b']);
  t.equal(tree.pidOf('c'), before);
  t.match(await tree.ask(countChildren(tree.node, 'root')), { specs: 2, active: 2, supervisors: 1, workers: 1 });
});

t.test('escalation goes to the root: each level gives up in its turn', async (t) => {
  const nested = (world: World, depth: number): ChildSpec =>
    depth === 0
      ? spec(world, 'leaf')
      : supervisorSpec({ name: `level ${depth}`, intensity: 0, children: [nested(world, depth - 1)] });
  const world = newWorld();
  const tree = await plantTree(world, (test) =>
    startSupervisor(test.node, { name: 'root', intensity: 0, children: [nested(world, 3)] }),
  );
  const end = tree.node.awaitExit(tree.root, 1_000);
  await tree.end('leaf');
  t.equal(await end, 'shutdown');
  t.equal(tree.node.info().processCount, 0);
  t.strictSame(tree.happened(), ['start leaf', 'stop leaf'], 'and nobody is started again');
  t.strictSame(tree.reports(), [
    ...['child_terminated leaf', 'shutdown leaf', 'child_terminated level 1', 'shutdown level 1'],
    ...['child_terminated level 2', 'shutdown level 2', 'child_terminated level 3', 'shutdown level 3'],
  ]);
});

t.test('faulty_application_shutdown: a child whose end takes a sibling along is no crash loop', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { restart: 'transient', shutdown: 'brutal_kill' })], {
    intensity: 1,
  });
  await tree.end('a', '{shutdown, …}');
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.equal(tree.node.info().processCount, 0);
  t.strictSame(tree.reports(), []);
});

t.test('ten thousand children that crash at once are restarted, each once', async (t) => {
  const count = 10_000;
  const tree = await startTree(
    (world) => Array.from({ length: count }, (_, index) => spec(world, `${index}`, { ends: 'at once' })),
    { intensity: count },
  );
  tree.happened();
  for (let index = 0; index < count; index += 1) tree.node.exit(tree.pidOf(`${index}`)!, 'kill');
  await tree.settle();
  t.equal(new Set(tree.happened()).size, count);
  t.match(await tree.ask(countChildren(tree.node, 'root')), { specs: count, active: count });
});
