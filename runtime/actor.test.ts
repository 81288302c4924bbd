import t from 'tap';

import type { Behavior, Context, StartResult } from './behavior.ts';
import { isDown, isExit } from './envelope.ts';
import type { Pid } from './pid.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';

/** Starts children as told and keeps what it hears. */
interface Parent {
  heard: unknown[];
}
const parent: Behavior<Parent, { trap: boolean; heard: unknown[] }, (ctx: Context) => void> = {
  name: 'parent',
  init({ trap, heard }, ctx) {
    ctx.trapExit(trap);
    return { heard };
  },
  handleCast: (step, _state, ctx) => step(ctx),
  handleInfo: (info, state) => void state.heard.push(info),
};

type How = 'well' | 'throws' | 'stops' | 'well later' | 'throws later' | 'never';
const child: Behavior<How, How> = {
  name: 'child',
  init(how, ctx): How | Promise<How> {
    if (how === 'throws') throw new Error('no');
    if (how === 'stops') ctx.stop({ shutdown: 'not today' });
    if (how === 'throws later') return Promise.reject(new Error('no'));
    if (how === 'never') return new Promise(() => {});
    return how === 'well later' ? Promise.resolve(how) : how;
  },
  handleInfo: () => {},
};

interface Family {
  test: TestNode;
  pid: Pid<(ctx: Context) => void>;
  heard: unknown[];
  startChild(how: How): Promise<StartResult>;
}

async function createFamily(trap: boolean): Promise<Family> {
  const test = createTestNode();
  const heard: unknown[] = [];
  const pid = test.node.spawn(parent, { trap, heard });
  await test.settle();
  const startChild = async (how: How): Promise<StartResult> => {
    let result: StartResult | Promise<StartResult> | undefined;
    test.node.cast(pid, (ctx) => void (result = ctx.startLink(child, how)));
    await test.settle();
    return result!;
  };
  return { test, pid, heard, startChild };
}

for (const how of ['well', 'well later'] as const) {
  t.test(`startLink of a child that starts ${how}: a pid, a link, no news`, async (t) => {
    const { test, pid, heard, startChild } = await createFamily(true);
    const result = (await startChild(how)) as { ok: Pid };
    t.equal(test.node.processInfo(result.ok)?.status, 'waiting');
    t.equal(test.node.processInfo(result.ok)?.linkCount, 1);
    t.equal(test.node.processInfo(pid)?.linkCount, 1);
    t.equal(test.node.processInfo(result.ok)?.monitoredByCount, 0);
    t.equal(test.node.kernel.expected.size, 0);
    t.strictSame(heard, []);
  });
}

for (const how of ['throws', 'stops', 'throws later'] as const) {
  for (const trap of [true, false]) {
    const whose = trap ? 'that traps exits' : 'that does not';
    t.test(`startLink of a child that ${how} in init tells a parent ${whose} once`, async (t) => {
      const { test, pid, heard, startChild } = await createFamily(trap);
      const result = (await startChild(how)) as { error: unknown };
      t.match(result.error, how === 'stops' ? { shutdown: 'not today' } : { error: { message: 'no' } });
      t.strictSame(heard, [], 'and not by a signal too');
      t.equal(test.node.processInfo(pid)?.linkCount, 0, 'and the parent lives');
      t.equal(test.node.info().processCount, 1);
    });
  }
}

t.test('a child that is killed during a slow init fails its start', async (t) => {
  const { test, pid, heard } = await createFamily(true);
  let result: StartResult | undefined;
  test.node.cast(pid, (ctx) => {
    void Promise.resolve(ctx.startLink(child, 'never', { name: 'slow' })).then((settled) => (result = settled));
  });
  await test.settle();
  t.equal(test.node.processInfo(test.node.whereis('slow')!)?.status, 'starting');
  test.node.exit(test.node.whereis('slow')!, 'kill');
  await test.settle();
  t.equal(test.node.whereis('slow'), undefined);
  t.strictSame(result, { error: 'killed' });
  t.strictSame(heard, [], 'told once');
});

t.test('a parent that ends takes a child in its slow init along', async (t) => {
  const { test, pid } = await createFamily(false);
  test.node.cast(pid, (ctx) => void ctx.startLink(child, 'never'));
  await test.settle();
  t.equal(test.node.info().processCount, 2);
  test.node.exit(pid, 'kill');
  await test.settle();
  t.equal(test.node.info().processCount, 0);
});

t.test('spawn does not wait: a failing init is an ordinary exit', async (t) => {
  const { test, pid, heard } = await createFamily(true);
  test.node.cast(pid, (ctx) => void ctx.spawn(child, 'throws', { link: true, monitor: true }));
  await test.settle();
  t.equal(heard.filter(isDown).length, 1);
  t.equal(heard.filter(isExit).length, 1);
  t.match(heard, [{ reason: { error: { message: 'no' } } }, { reason: { error: { message: 'no' } } }]);
});

t.test('messages sent before init has run are handled after it', async (t) => {
  const test = createTestNode();
  const heard: unknown[] = [];
  const pid = test.node.spawn(parent, { trap: false, heard });
  test.node.send(pid, 'early');
  await test.settle();
  t.strictSame(heard, ['early']);
});

t.test('a taken name fails the second start and leaves the first alone', async (t) => {
  const { test, pid } = await createFamily(true);
  const first = test.node.spawn(child, 'well', { name: 'only' });
  t.throws(() => test.node.spawn(child, 'well', { name: 'only' }), { code: 'RT_NAME_TAKEN' });
  let result: unknown;
  test.node.cast(pid, (ctx) => void (result = ctx.startLink(child, 'well', { name: 'only' })));
  await test.settle();
  t.match(result, { error: { error: { code: 'RT_NAME_TAKEN' } } });
  t.equal(test.node.whereis('only'), first);
  t.equal(test.node.info().processCount, 2, 'and nothing of the others');
});

t.test('a wrong bound or name is a wrong call', async (t) => {
  const { node } = createTestNode();
  t.throws(() => node.spawn(child, 'well', { mailboxMax: 0 }), RangeError);
  t.throws(() => node.spawn(child, 'well', { mailboxMax: NaN }), RangeError);
  t.throws(() => node.spawn(child, 'well', { name: '' }), RangeError);
  t.equal(node.info().processCount, 0);
});

t.test('a stopped node starts nothing', async (t) => {
  const test = createTestNode();
  const stopping = test.node.stop();
  await test.settle();
  await stopping;
  t.throws(() => test.node.spawn(child, 'well'), { code: 'RT_NODE_STOPPED' });
});
