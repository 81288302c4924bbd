import t from 'tap';

import { createTestNode } from '../runtime/testing/test-node.ts';
import {
  countChildren,
  deleteChild,
  getChildSpec,
  isSupervisorReport,
  restartChild,
  startChild,
  startSupervisor,
  type SupervisorOptions,
  type SupervisorReport,
  terminateChild,
  whichChildren,
} from './index.ts';
import { LIMITS } from './limits.ts';
import { newWorld, plantTree, spec, startTree, type World } from './test-kit.ts';

// The names before the colons are those of the cases in OTP's supervisor_SUITE.

const three = (world: World): ReturnType<typeof spec>[] => ['a', 'b', 'c'].map((id) => spec(world, id));

t.test('sup_start_normal: children start in order and stop in reverse order', async (t) => {
  const tree = await startTree((world) =>
    ['a', 'b', 'c'].map((id, index) => spec(world, id, { slowStart: index === 1 })),
  );
  t.strictSame(tree.happened(), ['start a', 'start b', 'start c']);
  const end = tree.node.awaitExit(tree.root, 1_000);
  tree.node.exit(tree.root, 'shutdown');
  t.equal(await tree.ask(end), 'shutdown');
  t.strictSame(tree.happened(), ['stop c', 'stop b', 'stop a']);
  t.equal(tree.node.info().processCount, 0);
  t.strictSame(tree.logged, []);
});

t.test('a supervisor of quick children starts without a promise', async (t) => {
  const { node } = createTestNode();
  const result = startSupervisor(node, { name: 'root', children: [spec(newWorld(), 'a')] });
  t.notOk(result instanceof Promise);
});

t.test('sup_start_fail: a child that does not start fails the supervisor and stops those before it', async (t) => {
  const test = createTestNode();
  const world = newWorld();
  world.failing.set('c', 1);
  const result = Promise.resolve(startSupervisor(test.node, { name: 'root', children: three(world) }));
  await test.settle();
  t.match(await result, {
    error: { shutdown: { failed_to_start_child: 'c', reason: { error: { message: 'c does not start' } } } },
  });
  t.strictSame(world.events, ['start a', 'start b', 'fail c', 'stop b', 'stop a']);
  t.match(test.logged.at(-1), { event: 'supervisor_report', fields: { errorContext: 'start_error' } });
  t.equal(test.node.info().processCount, 0);
});

const wrongFlags: [string, object, RegExp][] = [
  ['an unknown strategy', { strategy: 'all_for_one' }, /"strategy" expected one_for_one, one_for_all, rest_for_one/],
  ['a negative intensity', { intensity: -1 }, /"intensity"/],
  ['a period of 0', { periodMs: 0 }, /"periodMs"/],
  ['an unknown automatic shutdown', { autoShutdown: 'always' }, /"autoShutdown" expected never/],
  ['no children', { children: undefined }, /"children" expected an array/],
  ['a faulty specification', { children: [{ id: 'a' }] }, /"start.behavior" expected a behaviour/],
];
for (const [name, flags, message] of wrongFlags) {
  t.test(`sup_flags: ${name} fails the start and says why`, async (t) => {
    const { node } = createTestNode();
    const result = startSupervisor(node, { name: 'root', children: [], ...flags } as SupervisorOptions);
    t.match(result, { error: { error: { message } } });
    t.equal(node.info().processCount, 0);
  });
}

t.test('sup_start_ignore_child: a child that declines is no failure, and keeps its specification', async (t) => {
  const world = newWorld();
  world.declining.add('a');
  const tree = await plantTree(world, (test) =>
    startSupervisor(test.node, {
      name: 'root',
      children: [spec(world, 'a'), spec(world, 'b', { restart: 'temporary' }), spec(world, 'c')],
    }),
  );
  t.match(await tree.ask(whichChildren(tree.node, 'root')), [
    { id: 'a', pid: undefined },
    { id: 'b', pid: tree.pidOf('b') },
    { id: 'c', pid: tree.pidOf('c') },
  ]);
  world.declining.delete('a');
  t.match(await tree.ask(restartChild(tree.node, 'root', 'a')), { ok: tree.pidOf('a') });
  t.strictSame(tree.reports(), []);
});

t.test('sup_start_ignore_temporary_child: a temporary one that declines is forgotten', async (t) => {
  const world = newWorld();
  for (const id of ['a', 'b']) world.declining.add(id);
  const tree = await plantTree(world, (test) =>
    startSupervisor(test.node, { name: 'root', children: [spec(world, 'a', { restart: 'temporary' })] }),
  );
  const added = await tree.ask(startChild(tree.node, 'root', spec(world, 'b', { restart: 'temporary' })));
  t.strictSame(added, { ok: undefined });
  t.strictSame(await tree.ask(whichChildren(tree.node, 'root')), []);
});

t.test('a child that declines when it is restarted is left alone', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b')]);
  tree.world.declining.add('a');
  await tree.end('a');
  await tree.advance(10, 1);
  t.match(await tree.ask(whichChildren(tree.node, 'root')), [
    { id: 'a', pid: undefined },
    { id: 'b', pid: tree.pidOf('b') },
  ]);
});

t.test('sup_start_map: a specification is kept with its defaults', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b', { type: 'supervisor' })]);
  t.match(await tree.ask(getChildSpec(tree.node, 'root', 'a')), {
    ok: { id: 'a', restart: 'permanent', shutdown: 5_000, type: 'worker', significant: false },
  });
  t.match(await tree.ask(getChildSpec(tree.node, 'root', 'b')), { ok: { shutdown: 'infinity', type: 'supervisor' } });
  t.match(await tree.ask(getChildSpec(tree.node, 'root', 'z')), { error: 'SUP_NOT_FOUND' });
  t.match(await tree.ask(getChildSpec(tree.node, 'root', tree.pidOf('a')!)), { error: 'SUP_NOT_FOUND' });
});

t.test('do_not_save_start_parameters_for_temporary_children', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { restart: 'temporary' }), spec(world, 'b')]);
  const argsOf = async (id: string): Promise<unknown> => {
    const result = await tree.ask(getChildSpec(tree.node, 'root', id));
    return 'ok' in result ? result.ok.start.args : 'none';
  };
  t.strictSame([await argsOf('a'), (await argsOf('b')) !== undefined], [undefined, true]);
});

t.test('do_not_save_child_specs_for_temporary_children', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { restart: 'temporary' })]);
  t.match(await tree.ask(terminateChild(tree.node, 'root', 'a')), { ok: true });
  t.match(await tree.ask(restartChild(tree.node, 'root', 'a')), { error: 'SUP_NOT_FOUND' });
  t.match(await tree.ask(startChild(tree.node, 'root', spec(tree.world, 'a'))), { ok: tree.pidOf('a') });
});

t.test('sup_stop_infinity: a child has all the time it takes', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { ends: 'never', shutdown: 'infinity' })]);
  tree.node.exit(tree.root, 'shutdown');
  await tree.advance(3_600_000);
  t.ok(tree.pidOf('a'));
  tree.node.exit(tree.pidOf('a')!, 'kill');
  await tree.settle();
  t.equal(tree.node.info().processCount, 0);
  t.strictSame(tree.reports(), ['shutdown_error a']);
});

t.test(
  'sup_stop_timeout: a child that ignores shutdown is killed, reported, and does not hold up the rest',
  async (t) => {
    const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'stuck', { ends: 'never', shutdown: 200 })]);
    tree.happened();
    tree.node.exit(tree.root, 'shutdown');
    await tree.advance(199);
    t.strictSame(tree.happened(), ['stop stuck']);
    await tree.advance(1);
    t.strictSame(tree.happened(), ['stop a']);
    t.match(tree.logged, [{ fields: { errorContext: 'shutdown_error', reason: 'killed', offender: { id: 'stuck' } } }]);
  },
);

t.test('sup_stop_brutal_kill: does not ask', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { shutdown: 'brutal_kill' })]);
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.strictSame(tree.happened(), ['start a']);
  t.strictSame(tree.logged, []);
});

t.test('child_adm: children are added, stopped, started again and deleted by request', async (t) => {
  const tree = await startTree(() => []);
  const { node, world } = tree;
  t.strictSame(await tree.ask(startChild(node, 'root', spec(world, 'a'))), { ok: tree.pidOf('a') });
  const again = await tree.ask(startChild(node, 'root', spec(world, 'a')));
  t.strictSame(again, { error: 'SUP_ALREADY_STARTED', pid: tree.pidOf('a') });
  t.match(await tree.ask(deleteChild(node, 'root', 'a')), { error: 'SUP_RUNNING' });
  t.match(await tree.ask(restartChild(node, 'root', 'a')), { error: 'SUP_RUNNING' });
  t.match(await tree.ask(terminateChild(node, 'root', 'a')), { ok: true });
  t.match(await tree.ask(terminateChild(node, 'root', 'a')), { ok: true }, 'twice is as good');
  t.equal(tree.pidOf('a'), undefined);
  t.match(await tree.ask(startChild(node, 'root', spec(world, 'a'))), { error: 'SUP_ALREADY_PRESENT' });
  t.match(await tree.ask(restartChild(node, 'root', 'a')), { ok: tree.pidOf('a') });
  await tree.ask(terminateChild(node, 'root', 'a'));
  t.match(await tree.ask(deleteChild(node, 'root', 'a')), { ok: true });
  t.match(await tree.ask(deleteChild(node, 'root', 'a')), { error: 'SUP_NOT_FOUND' });
  t.match(await tree.ask(restartChild(node, 'root', 'a')), { error: 'SUP_NOT_FOUND' });
  t.match(await tree.ask(terminateChild(node, 'root', 'a')), { error: 'SUP_NOT_FOUND' });
  t.strictSame(await tree.ask(whichChildren(node, 'root')), []);
  t.strictSame(tree.logged, [], 'and nothing of that is worth a report');
});

t.test('an added child that does not start is told and not kept', async (t) => {
  const tree = await startTree(() => []);
  tree.world.failing.set('a', 1);
  t.match(await tree.ask(startChild(tree.node, 'root', spec(tree.world, 'a'))), {
    error: 'SUP_START_FAILED',
    reason: { error: { message: 'a does not start' } },
  });
  t.match(await tree.ask(countChildren(tree.node, 'root')), { specs: 0, active: 0 });
});

t.test('a restart by request that fails leaves the child as it was', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a')]);
  await tree.ask(terminateChild(tree.node, 'root', 'a'));
  tree.world.failing.set('a', 1);
  t.match(await tree.ask(restartChild(tree.node, 'root', 'a')), { error: 'SUP_START_FAILED' });
  t.match(await tree.ask(whichChildren(tree.node, 'root')), [{ id: 'a', pid: undefined }]);
  t.match(await tree.ask(restartChild(tree.node, 'root', 'a')), { ok: tree.pidOf('a') });
});

t.test('child_specs: a specification that the supervisor cannot have is refused', async (t) => {
  const tree = await startTree(() => []);
  const significant = spec(tree.world, 'a', { restart: 'transient', significant: true });
  t.match(await tree.ask(startChild(tree.node, 'root', significant)), {
    error: 'SUP_BAD_SPEC',
    message: /"significant" of 'a' expected false/,
  });
  t.throws(() => startChild(tree.node, 'root', { id: 'a' } as never), /"start.behavior"/);
});

t.test('order_of_children: added ones come last, and restarted ones keep their place', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a'), spec(world, 'b')]);
  await tree.ask(startChild(tree.node, 'root', spec(tree.world, 'c')));
  await tree.end('a');
  await tree.ask(terminateChild(tree.node, 'root', 'b'));
  await tree.ask(restartChild(tree.node, 'root', 'b'));
  t.strictSame(
    (await tree.ask(whichChildren(tree.node, 'root'))).map(({ id }) => id),
    ['a', 'b', 'c'],
  );
  tree.happened();
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.strictSame(tree.happened(), ['stop c', 'stop b', 'stop a']);
});

t.test('count_children, which_children: of workers and supervisors, running or not', async (t) => {
  const tree = await startTree((world) => [...three(world), spec(world, 'd', { type: 'supervisor' })]);
  await tree.ask(terminateChild(tree.node, 'root', 'd'));
  await tree.ask(terminateChild(tree.node, 'root', 'c'));
  t.strictSame(await tree.ask(countChildren(tree.node, 'root')), { specs: 4, active: 2, supervisors: 1, workers: 3 });
  t.strictSame(await tree.ask(whichChildren(tree.node, 'root')), [
    { id: 'a', pid: tree.pidOf('a'), type: 'worker', behavior: 'worker' },
    { id: 'b', pid: tree.pidOf('b'), type: 'worker', behavior: 'worker' },
    { id: 'c', pid: undefined, type: 'worker', behavior: 'worker' },
    { id: 'd', pid: undefined, type: 'supervisor', behavior: 'worker' },
  ]);
});

t.test('scale_start_stop_many_children: as many as it may, and not one more', async (t) => {
  const tree = await startTree((world) =>
    Array.from({ length: LIMITS.childCountMax }, (_, index) => spec(world, `${index}`, { ends: 'at once' })),
  );
  t.match(await tree.ask(startChild(tree.node, 'root', spec(tree.world, 'more'))), { error: 'SUP_CHILDREN_MAX' });
  t.equal(tree.node.info().processCount, LIMITS.childCountMax + 1);
  tree.node.exit(tree.root, 'shutdown');
  await tree.settle();
  t.equal(tree.node.info().processCount, 0);
});

t.test('child_unlink: a child that unlinked itself is still stopped', async (t) => {
  const tree = await startTree((world) => [spec(world, 'a', { ends: 'never', shutdown: 100 })]);
  tree.node.cast('a', 'unlink');
  await tree.settle();
  t.equal(tree.node.processInfo(tree.root)?.linkCount, 0);
  tree.node.exit(tree.root, 'shutdown');
  await tree.advance(100);
  t.equal(tree.node.info().processCount, 0);
});

t.test('already_started_outside_supervisor: a name that is taken is the failure of that child alone', async (t) => {
  const tree = await startTree(() => []);
  tree.node.spawn({ name: 'squatter', init: () => null }, undefined, { name: 'a' });
  t.match(await tree.ask(startChild(tree.node, 'root', spec(tree.world, 'a'))), {
    error: 'SUP_START_FAILED',
    reason: { error: { code: 'RT_NAME_TAKEN' } },
  });
  t.ok(tree.node.whereis('root'));
});

t.test('a supervisor that is killed takes its children along', async (t) => {
  const tree = await startTree(three);
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
  t.strictSame(await tree.ask(tree.node.call('root', { type: 'dance' }, 100)), { error: 'SUP_UNKNOWN_REQUEST' });
  t.match(tree.logged, [{ event: 'supervisor_unexpected_info' }]);
  t.ok(tree.pidOf('a'));
});

t.test('a report has OTP’s fields, in the log and as data for an actor', async (t) => {
  const heard: SupervisorReport[] = [];
  const listener = {
    name: 'listener',
    init: () => null,
    handleInfo: (info: unknown): void => void (isSupervisorReport(info) && heard.push(info)),
  };
  const tree = await startTree((world) => [spec(world, 'a', { restart: 'transient', shutdown: 70 })], {
    intensity: 0,
    reportTo: 'listener',
  });
  tree.node.spawn(listener, undefined, { name: 'listener' });
  const pid = tree.pidOf('a')!;
  await tree.end('a');
  const offender = { id: 'a', count: 1, restart: 'transient', shutdown: 70, type: 'worker', significant: false };
  const first = { supervisor: 'root', supervisorPid: tree.root, errorContext: 'child_terminated' };
  t.match(heard, [
    { ...first, reason: { error: { message: 'crash' } }, offender: { ...offender, pid, behavior: 'worker' } },
    { ...first, errorContext: 'shutdown', reason: 'reached_max_restart_intensity', offender },
  ]);
  const logged = tree.logged.filter(({ event }) => event === 'supervisor_report').map(({ fields }) => fields);
  t.match(logged, [
    { ...first, supervisorPid: `${tree.root}`, reason: 'Error: crash', offender: { ...offender, pid: `${pid}` } },
    { errorContext: 'shutdown', reason: 'reached_max_restart_intensity' },
  ]);
  t.notMatch(JSON.stringify(logged), /slowStart/, 'and no arguments');
});
