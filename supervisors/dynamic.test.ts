import t from 'tap';

import type { Behavior, Pid } from '../runtime/index.ts';
import { Pid as PidClass } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import {
  castStartChild,
  countChildren,
  deleteChild,
  type DynamicSupervisorOptions,
  getChildSpec,
  restartChild,
  startChild,
  startDynamicChild,
  startDynamicSupervisor,
  terminateChild,
  terminateDynamicChild,
  whichChildren,
} from './index.ts';
import { LIMITS } from './limits.ts';

interface Args {
  id: number;
  fail?: boolean;
  later?: boolean;
  shared?: string;
  /** Takes this many milliseconds to end, or never does. */
  endMs?: number;
}
const starts: Args[] = [];
const connection: Behavior<Args, Args, 'crash' | 'leave'> = {
  name: 'connection',
  init(args, ctx): Args | Promise<Args> {
    starts.push(args);
    if (args.fail === true) throw new Error('refused');
    if (args.id === DECLINES) return (ctx.stop('normal'), args);
    ctx.trapExit(true);
    return args.later === true ? Promise.resolve(args) : args;
  },
  handleCast(message, _state, ctx) {
    if (message === 'crash') throw new Error('crash');
    ctx.stop();
  },
  async terminate(_reason, { id, endMs }, ctx) {
    if (endMs !== undefined) await ctx.awaitExit(ctx.self, endMs);
    ended.push(id);
  },
};
const ended: number[] = [];
const DECLINES = -1;

interface Fleet extends TestNode {
  root: Pid;
}

function startFleet(options: Partial<DynamicSupervisorOptions['child'] & DynamicSupervisorOptions> = {}): Fleet {
  const { restart, shutdown, start, ...rest } = options;
  const test = createTestNode();
  starts.length = 0;
  ended.length = 0;
  const child = {
    start: start ?? { behavior: connection },
    ...(restart && { restart }),
    ...(shutdown && { shutdown }),
  };
  const result = startDynamicSupervisor(test.node, { name: 'fleet', child, ...rest }) as { ok: Pid };
  return { ...test, root: result.ok };
}

async function ask<T>(test: TestNode, request: Promise<T>): Promise<T> {
  await test.settle();
  return request;
}

async function add(fleet: Fleet, args: Args): Promise<Pid> {
  return ((await ask(fleet, startDynamicChild(fleet.node, 'fleet', args))) as { ok: Pid }).ok;
}

t.test('a temporary child that ends leaves nothing, however it ends', async (t) => {
  const fleet = startFleet();
  for (const message of ['leave', 'crash'] as const) {
    const pid = await add(fleet, { id: 1 });
    fleet.node.cast(pid, message);
    await fleet.settle();
    t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { specs: 1, active: 0 });
    t.equal(fleet.node.processInfo(fleet.root)?.linkCount, 0);
  }
  t.equal(fleet.logged.filter(({ event }) => event === 'supervisor_report').length, 1, 'a report for the crash only');
});

t.test('children are started by cast as well, slow ones too', async (t) => {
  const fleet = startFleet();
  for (let id = 0; id < 500; id += 1) t.equal(castStartChild(fleet.node, 'fleet', { id, later: id % 2 === 0 }), 'ok');
  await fleet.settle();
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { active: 500, workers: 500 });
  t.equal(fleet.node.processInfo(fleet.root)?.linkCount, 500);
});

t.test('a start that fails is told to a caller, and to the log for a cast', async (t) => {
  const fleet = startFleet();
  const told = await ask(fleet, startDynamicChild(fleet.node, 'fleet', { id: 1, fail: true }));
  t.match(told, { error: 'SUP_START_FAILED', reason: { error: { message: 'refused' } } });
  castStartChild(fleet.node, 'fleet', { id: 2, fail: true });
  await fleet.settle();
  t.match(fleet.logged.at(-1), { event: 'supervisor_report', fields: { errorContext: 'start_error' } });
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { active: 0 });
});

t.test('at its bound it refuses and goes on', async (t) => {
  const fleet = startFleet({ childrenMax: 2 });
  const [first] = [await add(fleet, { id: 1 }), await add(fleet, { id: 2 })];
  t.match(await ask(fleet, startDynamicChild(fleet.node, 'fleet', { id: 3 })), { error: 'SUP_CHILDREN_MAX' });
  castStartChild(fleet.node, 'fleet', { id: 3 });
  await fleet.settle();
  t.match(fleet.logged.at(-1), { event: 'supervisor_refused_child', fields: { code: 'SUP_CHILDREN_MAX' } });
  fleet.node.cast(first!, 'leave');
  await fleet.settle();
  t.ok(await add(fleet, { id: 4 }));
});

t.test('a child that is restarted gets its own arguments again', async (t) => {
  const fleet = startFleet({ restart: 'transient', intensity: 5 });
  await add(fleet, { id: 1 });
  const pid = await add(fleet, { id: 2 });
  fleet.node.cast(pid, 'crash');
  await fleet.settle();
  t.strictSame(
    starts.map(({ id }) => id),
    [1, 2, 2],
  );
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { active: 2 });
});

t.test('shared arguments and extra ones are merged', async (t) => {
  const fleet = startFleet({ start: { behavior: connection, args: { shared: 'all' } } });
  await add(fleet, { id: 7 });
  t.strictSame(starts, [{ shared: 'all', id: 7 }]);
});

t.test('too many restarts end the supervisor and all its children', async (t) => {
  const fleet = startFleet({ restart: 'permanent', intensity: 1 });
  for (let id = 0; id < 10; id += 1) await add(fleet, { id });
  const end = fleet.node.awaitExit(fleet.root, 1_000);
  const infos = (await ask(fleet, whichChildren(fleet.node, 'fleet'))).map(({ pid }) => pid as Pid);
  for (const pid of infos.slice(0, 2)) fleet.node.cast(pid, 'crash');
  await fleet.settle();
  t.equal(await end, 'shutdown');
  t.equal(fleet.node.info().processCount, 0);
});

t.test('a restart that fails is tried again within the intensity', async (t) => {
  const args: Args = { id: 1 };
  const fleet = startFleet({ restart: 'permanent', intensity: 3 });
  const pid = await add(fleet, args);
  args.fail = true;
  fleet.node.cast(pid, 'crash');
  await fleet.settle();
  t.equal(starts.length, 2);
  args.fail = false;
  await fleet.advance(2, 1);
  t.equal(starts.length, 3);
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { active: 1 });
});

t.test('a child is stopped by its pid, or a copy of it, and is not restarted', async (t) => {
  const fleet = startFleet({ restart: 'permanent' });
  const pid = await add(fleet, { id: 1 });
  const copy = new PidClass(pid.node, pid.worker, pid.slot, pid.creation);
  t.match(await ask(fleet, terminateDynamicChild(fleet.node, 'fleet', copy)), { ok: true });
  t.strictSame(ended, [1]);
  t.match(await ask(fleet, terminateDynamicChild(fleet.node, 'fleet', copy)), { error: 'SUP_NOT_FOUND' });
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { active: 0 });
});

t.test('a restarting child is listed, counted and can be called off by the pid that it had', async (t) => {
  const fleet = startFleet({ restart: 'permanent', intensity: 100 });
  const args: Args = { id: 1 };
  const pid = await add(fleet, args);
  args.fail = true;
  fleet.node.cast(pid, 'crash');
  await fleet.settle();
  t.match(await ask(fleet, whichChildren(fleet.node, 'fleet')), [{ pid: 'restarting', behavior: 'connection' }]);
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { specs: 1, active: 0, workers: 1 });
  const copy = new PidClass(pid.node, pid.worker, pid.slot, pid.creation);
  t.match(await ask(fleet, getChildSpec(fleet.node, 'fleet', copy)), { ok: { restart: 'permanent' } });
  t.match(await ask(fleet, terminateDynamicChild(fleet.node, 'fleet', copy)), { ok: true });
  const tried = starts.length;
  await fleet.advance(10, 1);
  t.equal(starts.length, tried, 'and it is not started again');
});

t.test('simple_one_for_one: what needs an id is refused', async (t) => {
  const fleet = startFleet();
  await add(fleet, { id: 1 });
  for (const request of [restartChild, deleteChild, terminateChild] as const) {
    const asked: Promise<unknown> = request(fleet.node, 'fleet', 'fleet');
    t.match(await ask(fleet, asked), { error: 'SUP_SIMPLE_ONE_FOR_ONE' });
  }
  const spec = { id: 'x', start: { behavior: connection } };
  t.match(await ask(fleet, startChild(fleet.node, 'fleet', spec)), { error: 'SUP_UNKNOWN_REQUEST' });
  t.match(await ask(fleet, getChildSpec(fleet.node, 'fleet', 'x')), { error: 'SUP_NOT_FOUND' });
});

t.test('sup_start_ignore_temporary_child_start_child_simple: a child that declines is no child', async (t) => {
  const fleet = startFleet();
  const declined = await ask(fleet, startDynamicChild(fleet.node, 'fleet', { id: DECLINES }));
  t.strictSame(declined, { ok: undefined });
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { active: 0, workers: 0 });
  t.strictSame(fleet.logged, []);
});

t.test('simple_one_for_one_restart_ignore: one that declines when it is restarted is gone', async (t) => {
  const fleet = startFleet({ restart: 'permanent' });
  const args: Args = { id: 1 };
  const pid = await add(fleet, args);
  args.id = DECLINES;
  fleet.node.cast(pid, 'leave');
  await fleet.settle();
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { active: 0, workers: 0 });
});

t.test('all children are stopped when it ends, more of them than one batch', async (t) => {
  const fleet = startFleet();
  const count = 2 * LIMITS.stopBatchCount + 500;
  for (let id = 0; id < count; id += 1) {
    castStartChild(fleet.node, 'fleet', { id });
    if (id % 5_000 === 0) await fleet.settle();
  }
  await fleet.settle();
  t.equal(fleet.node.info().processCount, count + 1);
  fleet.node.exit(fleet.root, 'shutdown');
  await fleet.settle();
  t.equal(ended.length, count);
  t.equal(fleet.node.info().processCount, 0);
  t.strictSame(fleet.logged, []);
});

t.test('simple_one_for_one_shutdown: children end side by side, each in its own time', async (t) => {
  const fleet = startFleet({ shutdown: 1_000 });
  for (let id = 1; id <= 9; id += 1) await add(fleet, { id, endMs: 100 * id });
  fleet.node.exit(fleet.root, 'shutdown');
  await fleet.advance(450, 50);
  t.strictSame(ended, [1, 2, 3, 4]);
  await fleet.advance(500, 50);
  t.equal(ended.length, 9);
  t.equal(fleet.node.info().processCount, 0);
  t.strictSame(fleet.logged, []);
});

t.test('sup_stop_timeout_dynamic: those that ignore it are killed together, and are one report', async (t) => {
  const fleet = startFleet({ shutdown: 200 });
  for (let id = 0; id < 50; id += 1) await add(fleet, { id, ...(id % 5 === 0 && { endMs: 5_000 }) });
  const end = fleet.node.awaitExit(fleet.root, 10_000);
  fleet.node.exit(fleet.root, 'shutdown');
  await fleet.advance(199);
  t.equal(ended.length, 40);
  t.ok(fleet.node.processInfo(fleet.root) !== undefined);
  await fleet.advance(2, 1);
  t.equal(await end, 'shutdown');
  t.equal(fleet.node.info().processCount, 0);
  t.match(fleet.logged, [
    { fields: { errorContext: 'shutdown_error', reason: 'killed', offender: { count: 10, pid: undefined } } },
  ]);
});

t.test('of several batches, the later ones do not wait for children of the earlier that take their time', async (t) => {
  const fleet = startFleet({ shutdown: 500 });
  const count = LIMITS.stopBatchCount + 10;
  for (let id = 0; id < count; id += 1) {
    castStartChild(fleet.node, 'fleet', { id, ...(id === 0 && { endMs: 300 }) });
    if (id % 5_000 === 0) await fleet.settle();
  }
  await fleet.settle();
  fleet.node.exit(fleet.root, 'shutdown');
  await fleet.settle();
  t.equal(ended.length, LIMITS.stopBatchCount - 1);
  await fleet.advance(2 * LIMITS.stopPauseMs, LIMITS.stopPauseMs);
  t.equal(ended.length, count - 1);
  await fleet.advance(300, 10);
  t.equal(fleet.node.info().processCount, 0);
  t.strictSame(fleet.logged, []);
});

t.test('sup_stop_brutal_kill_dynamic: nobody is asked', async (t) => {
  const fleet = startFleet({ shutdown: 'brutal_kill' });
  for (let id = 0; id < 20; id += 1) await add(fleet, { id });
  fleet.node.exit(fleet.root, 'shutdown');
  await fleet.settle();
  t.strictSame(ended, []);
  t.equal(fleet.node.info().processCount, 0);
  t.strictSame(fleet.logged, []);
});

t.test('killed while it waits for its children, it takes them and its helpers along', async (t) => {
  const fleet = startFleet({ shutdown: 'infinity' });
  for (let id = 0; id < 20; id += 1) await add(fleet, { id, endMs: 60_000 });
  fleet.node.exit(fleet.root, 'shutdown');
  await fleet.settle();
  t.ok(fleet.node.info().processCount > 20);
  fleet.node.exit(fleet.root, 'kill');
  await fleet.settle();
  t.equal(fleet.node.info().processCount, 0);
});

t.test('simple_one_for_one_scale_many_temporary_children: an end costs the same whatever the number', async (t) => {
  const fleet = startFleet();
  for (let id = 0; id < 10_000; id += 1) castStartChild(fleet.node, 'fleet', { id });
  await fleet.settle();
  const pids = (await ask(fleet, whichChildren(fleet.node, 'fleet'))).map(({ pid }) => pid as Pid);
  for (const pid of pids) fleet.node.cast(pid, 'leave');
  await fleet.settle();
  t.equal(fleet.node.info().processCount, 1);
  t.equal(fleet.node.processInfo(fleet.root)?.linkCount, 0, 'and nothing is left of them');
});

t.test('a storm of ten thousand crashes is ten thousand restarts', async (t) => {
  const count = 10_000;
  const fleet = startFleet({ restart: 'permanent', intensity: count });
  for (let id = 0; id < count; id += 1) castStartChild(fleet.node, 'fleet', { id });
  await fleet.settle();
  const pids = (await ask(fleet, whichChildren(fleet.node, 'fleet'))).map(({ pid }) => pid as Pid);
  starts.length = 0;
  for (const pid of pids) fleet.node.exit(pid, 'kill');
  await fleet.settle();
  t.equal(new Set(starts.map(({ id }) => id)).size, count);
  t.match(await ask(fleet, countChildren(fleet.node, 'fleet')), { active: count });
});
