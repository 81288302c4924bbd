import t from 'tap';

import type { Behavior, Pid } from '../runtime/index.ts';
import { Pid as PidClass } from '../runtime/index.ts';
import { createTestNode, type TestNode } from '../runtime/testing/test-node.ts';
import {
  castStartChild,
  countChildren,
  type DynamicSupervisorOptions,
  startDynamicChild,
  startDynamicSupervisor,
  terminateDynamicChild,
  whichChildren,
} from './index.ts';

interface Args {
  id: number;
  fail?: boolean;
  later?: boolean;
  shared?: string;
}
const starts: Args[] = [];
const connection: Behavior<Args, Args, 'crash' | 'leave'> = {
  name: 'connection',
  init(args, ctx): Args | Promise<Args> {
    starts.push(args);
    if (args.fail === true) throw new Error('refused');
    ctx.trapExit(true);
    return args.later === true ? Promise.resolve(args) : args;
  },
  handleCast(message, _state, ctx) {
    if (message === 'crash') throw new Error('crash');
    ctx.stop();
  },
  terminate: (_reason, { id }) => void ended.push(id),
};
const ended: number[] = [];

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

t.test('all children are stopped when it ends, more of them than one batch', async (t) => {
  const fleet = startFleet();
  for (let id = 0; id < 2_500; id += 1) castStartChild(fleet.node, 'fleet', { id });
  await fleet.settle();
  fleet.node.exit(fleet.root, 'shutdown');
  await fleet.settle();
  t.equal(ended.length, 2_500);
  t.equal(fleet.node.info().processCount, 0);
  t.strictSame(fleet.logged, []);
});
