import t from 'tap';

import type { Behavior, Pid, StartResult } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import {
  type ChildSpec,
  childSpec,
  countChildren,
  deleteChild,
  restartChild,
  startChild,
  startSupervisor,
  type SupervisorOptions,
  supervisorSpec,
  terminateChild,
  whichChildren,
} from './index.ts';

/** What the children of a test have done, in order. */
interface World {
  events: string[];
  /** Ids whose next starts fail, with how often. */
  failing: Map<string, number>;
}
interface Args {
  id: string;
  world: World;
  /** How it takes `shutdown`: at once, in its own time, or not at all. */
  ends?: 'at once' | 'in order' | 'never';
  slowStart?: boolean;
}
const worker: Behavior<Args, Args, 'crash' | 'leave'> = {
  name: 'worker',
  init(args, ctx): Args | Promise<Args> {
    const { id, world, ends = 'at once' } = args;
    const failures = world.failing.get(id) ?? 0;
    world.failing.set(id, failures - 1);
    if (failures > 0) throw new Error(`${id} does not start`);
    if (ends !== 'at once') ctx.trapExit(true);
    world.events.push(`start ${id}`);
    return args.slowStart === true ? Promise.resolve(args) : args;
  },
  handleCast(message, { id }, ctx) {
    if (message === 'crash') throw new Error(`${id} crashes`);
    ctx.stop();
  },
  terminate(_reason, { id, world, ends }) {
    world.events.push(`stop ${id}`);
    return ends === 'never' ? new Promise(() => {}) : undefined;
  },
};

interface Tree extends TestNode {
  world: World;
  root: Pid;
  pidOf(id: string): Pid | undefined;
  restarts(): string[];
}

function newWorld(): World {
  return { events: [], failing: new Map() };
}

function spec(world: World, id: string, rest: Partial<Args & ChildSpec> = {}): ChildSpec {
  const { ends, slowStart, ...fields } = rest;
  return childSpec(id, worker, { id, world, ends, slowStart } as Args, { ...fields, options: { name: id } });
}

async function startTree(
  children: (world: World) => ChildSpec[],
  options: Partial<SupervisorOptions> = {},
): Promise<Tree> {
  const test = createTestNode();
  const world = newWorld();
  let result: StartResult<never> | undefined;
  const starting = startSupervisor(test.node, { name: 'root', intensity: 3, children: children(world), ...options });
  void Promise.resolve(starting).then((settled) => (result = settled));
  await test.settle();
  return {
    ...test,
    world,
    root: (result as { ok: Pid }).ok,
    pidOf: (id) => test.node.whereis(id),
    restarts: () => world.events.splice(0).filter((event) => event.startsWith('start')),
  };
}

async function ask<T>(test: TestNode, request: Promise<T>): Promise<T> {
  await test.settle();
  return request;
}

t.test('children start in order and stop in reverse order', async (t) => {
  const tree = await startTree((world) =>
    ['a', 'b', 'c'].map((id, index) => spec(world, id, { ends: 'in order', slowStart: index === 1 })),
  );
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.strictSame(tree.world.events, ['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
  t.equal(tree.node.info().processCount, 0);
  t.strictSame(tree.logged, []);
});

t.test('a supervisor of quick children starts without a promise', async (t) => {
  const { node } = createTestNode();
  const result = startSupervisor(node, { name: 'root', children: [spec(newWorld(), 'a')] });
  t.notOk(result instanceof Promise);
});

t.test('a child that crashes is restarted, the others are left alone', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b')]);
  const before = { a: tree.pidOf('a'), b: tree.pidOf('b') };
  tree.restarts();
  tree.node.cast('a', 'crash');
  await tree.settle();
  t.strictSame(tree.restarts(), ['start a']);
  t.not(tree.pidOf('a'), before.a);
  t.equal(tree.pidOf('b'), before.b);
  t.match(
    tree.logged.filter(({ event }) => event === 'supervisor_report'),
    [
      {
        fields: {
          supervisor: 'root',
          errorContext: 'child_terminated',
          reason: 'Error: a crashes',
          offender: { id: 'a', pid: String(before.a), restart: 'permanent', behavior: 'worker' },
        },
      },
    ],
  );
});

for (const [restart, message, restarted] of [
  ['permanent', 'leave', true],
  ['permanent', 'crash', true],
  ['transient', 'leave', false],
  ['transient', 'crash', true],
  ['temporary', 'leave', false],
  ['temporary', 'crash', false],
] as const) {
  t.test(`a ${restart} child that has a ${message} is ${restarted ? '' : 'not '}restarted`, async (t) => {
    const tree = await startTree((world) => [spec(world, 'a', { restart })]);
    tree.restarts();
    tree.node.cast('a', message);
    await tree.settle();
    t.strictSame(tree.restarts(), restarted ? ['start a'] : []);
    const { specs } = await ask(tree, countChildren(tree.node, 'root'));
    t.equal(specs, restart === 'temporary' ? 0 : 1);
  });
}

t.test('too many restarts end the supervisor with shutdown, and its other children in order', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b', { ends: 'in order' })], { intensity: 2 });
  const end = tree.node.awaitExit(tree.root, 1_000);
  for (const time of [1, 2, 3]) {
    t.ok(tree.pidOf('a'), `alive before crash ${time}`);
    tree.node.cast('a', 'crash');
    await tree.settle();
  }
  t.equal(await end, 'shutdown');
  t.match(tree.world.events.at(-1), 'stop b');
  t.equal(tree.node.info().processCount, 0);
  const last = tree.logged.at(-1);
  t.match(last, { fields: { errorContext: 'shutdown', reason: 'reached_max_restart_intensity' } });
});

t.test('restarts that are far enough apart never end the supervisor', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a')], { intensity: 1, periodMs: 1_000 });
  for (let time = 0; time < 5; time += 1) {
    tree.node.cast('a', 'crash');
    await tree.advance(1_001);
    t.ok(tree.pidOf('a'));
  }
});

t.test('a restart that fails is tried again, and requests are heard in between', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a')]);
  tree.world.failing.set('a', 2);
  tree.node.cast('a', 'crash');
  await tree.settle();
  t.match(await ask(tree, whichChildren(tree.node, 'root')), [{ id: 'a', pid: 'restarting' }]);
  await tree.advance(5, 1);
  t.ok(tree.pidOf('a'));
  const contexts = tree.logged
    .filter(({ event }) => event === 'supervisor_report')
    .map(({ fields }) => fields['errorContext']);
  t.strictSame(contexts, ['child_terminated', 'start_error', 'start_error']);
});

t.test('a restart that keeps failing ends the supervisor', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a')]);
  tree.world.failing.set('a', 100);
  tree.node.cast('a', 'crash');
  await tree.advance(20, 1);
  t.equal(tree.node.info().processCount, 0);
});

t.test('a child that does not start fails the supervisor and stops those before it', async (t) => {
  const test = createTestNode();
  const world = newWorld();
  world.failing.set('b', 1);
  const children = ['a', 'b', 'c'].map((id) => spec(world, id, { ends: 'in order' }));
  const result = startSupervisor(test.node, { name: 'root', children });
  t.match(await ask(test, Promise.resolve(result)), {
    error: { shutdown: { failed_to_start_child: 'b', reason: { error: { message: 'b does not start' } } } },
  });
  t.strictSame(world.events, ['start a', 'stop a']);
  t.equal(test.node.info().processCount, 0);
});

t.test('a child that does not end in its time is killed, reported, and does not hold up the rest', async (t) => {
  const tree = await startTree((world) => [
    spec(world, 'a', { ends: 'in order' }),
    spec(world, 'stuck', { ends: 'never', shutdown: 200 }),
  ]);
  tree.node.exit(tree.root, 'shutdown');
  await tree.advance(199);
  t.strictSame(tree.world.events.slice(2), ['stop stuck']);
  await tree.advance(1);
  t.strictSame(tree.world.events.slice(2), ['stop stuck', 'stop a']);
  t.match(tree.logged, [{ fields: { errorContext: 'shutdown_error', reason: 'killed', offender: { id: 'stuck' } } }]);
});

t.test('brutal_kill does not ask', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { ends: 'in order', shutdown: 'brutal_kill' })]);
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.strictSame(tree.world.events, ['start a']);
  t.strictSame(tree.logged, []);
});

t.test('children are added, stopped, started again and deleted by request', async (t) => {
  const tree = await startTree(() => []);
  const added = await ask(tree, startChild(tree.node, 'root', spec(tree.world, 'a')));
  t.strictSame(added, { ok: tree.pidOf('a') });
  t.match(await ask(tree, startChild(tree.node, 'root', spec(tree.world, 'a'))), {
    error: 'SUP_ALREADY_STARTED',
    pid: tree.pidOf('a'),
  });
  t.match(await ask(tree, deleteChild(tree.node, 'root', 'a')), { error: 'SUP_RUNNING' });
  t.match(await ask(tree, restartChild(tree.node, 'root', 'a')), { error: 'SUP_RUNNING' });
  t.match(await ask(tree, terminateChild(tree.node, 'root', 'a')), { ok: true });
  t.equal(tree.pidOf('a'), undefined);
  t.match(await ask(tree, startChild(tree.node, 'root', spec(tree.world, 'a'))), { error: 'SUP_ALREADY_PRESENT' });
  t.match(await ask(tree, restartChild(tree.node, 'root', 'a')), { ok: tree.pidOf('a') });
  await ask(tree, terminateChild(tree.node, 'root', 'a'));
  t.match(await ask(tree, deleteChild(tree.node, 'root', 'a')), { ok: true });
  t.match(await ask(tree, deleteChild(tree.node, 'root', 'a')), { error: 'SUP_NOT_FOUND' });
  t.strictSame(await ask(tree, whichChildren(tree.node, 'root')), []);
  t.strictSame(tree.logged, [], 'and nothing of that is worth a report');
});

t.test('an added child that does not start is told and not kept', async (t) => {
  const tree = await startTree(() => []);
  tree.world.failing.set('a', 1);
  t.match(await ask(tree, startChild(tree.node, 'root', spec(tree.world, 'a'))), {
    error: 'SUP_START_FAILED',
    reason: { error: { message: 'a does not start' } },
  });
  t.match(await ask(tree, countChildren(tree.node, 'root')), { specs: 0, active: 0 });
});

t.test('a supervisor that gives up is restarted by its own, with all below it', async (t) => {
  const tree = await startTree((world) => [
    supervisorSpec({ name: 'inner', intensity: 0, children: [spec(world, 'a'), spec(world, 'b')] }),
    spec(world, 'c'),
  ]);
  const before = tree.pidOf('c');
  tree.restarts();
  tree.node.cast('a', 'crash');
  await tree.settle();
  t.strictSame(tree.restarts(), ['start a', 'start b']);
  t.equal(tree.pidOf('c'), before);
  t.match(await ask(tree, countChildren(tree.node, 'root')), { specs: 2, active: 2, supervisors: 1, workers: 1 });
});

t.test('a supervisor that is killed takes its children along', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b')]);
  tree.node.exit(tree.root, 'kill');
  await tree.settle();
  t.equal(tree.node.info().processCount, 0);
});

t.test('a supervisor that is killed while it waits for a child leaves no orphan', async (t) => {
  const tree = await startTree((world) => [spec(world, 'stuck', { ends: 'never', shutdown: 'infinity' })]);
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.equal(tree.node.info().processCount, 2);
  tree.node.exit(tree.root, 'kill');
  await tree.settle();
  t.equal(tree.node.info().processCount, 0);
});

t.test('a message that a supervisor does not know is noted and does no harm', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a')]);
  tree.node.send('root', { anything: 1 });
  t.strictSame(await ask(tree, tree.node.call('root', { type: 'dance' }, 100)), { error: 'SUP_UNKNOWN_REQUEST' });
  t.match(tree.logged, [{ event: 'supervisor_unexpected_info' }]);
  t.ok(tree.pidOf('a'));
});

t.test('an unknown strategy fails the start', async (t) => {
  const { node } = createTestNode();
  const result = startSupervisor(node, { name: 'root', strategy: 'all_for_one' as never, children: [] });
  t.match(result, { error: { error: { message: /"strategy" expected one_for_one/ } } });
});
