import t from 'tap';

import type { Behavior, Context } from './behavior.ts';
import * as genEvent from './gen-event.ts';
import { LIMITS } from './limits.ts';
import type { Pid } from './pid.ts';
import * as sys from './sys.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';

interface Told {
  readonly seen: unknown[];
  readonly name: string;
}
/** Notes everything; does what an event of type function says. */
const listener: genEvent.EventHandler<unknown, Told, Told, unknown, unknown> = {
  name: 'listener',
  init({ seen, name }, _ctx, inherited) {
    seen.push([name, 'init', inherited]);
    return { seen, name };
  },
  handleEvent(event, { seen, name }) {
    seen.push([name, event]);
    return typeof event === 'function' ? (event as (by: string) => void)(name) : undefined;
  },
  handleCall: (request, state) =>
    typeof request === 'function' ? (request as (state: Told) => unknown)(state) : `${state.name} got ${request}`,
  handleInfo: (info, { seen, name }) => void seen.push([name, 'info', info]),
  terminate(end, { seen, name }) {
    seen.push([name, 'terminate', end]);
    return `last words of ${name}`;
  },
};

interface Setup {
  readonly test: TestNode;
  readonly manager: Pid<genEvent.Notification<unknown>>;
  readonly seen: unknown[];
  during<T>(request: Promise<T>): Promise<T>;
  add(name: string): Promise<genEvent.AddResult>;
}
function setUp(): Setup {
  const test = createTestNode();
  const manager = test.node.spawn(genEvent.behavior<unknown>(), undefined);
  const seen: unknown[] = [];
  const during = async <T>(request: Promise<T>): Promise<T> => {
    await test.settle();
    return request;
  };
  const add = (name: string): Promise<genEvent.AddResult> =>
    during(genEvent.addHandler(test.node, manager, listener, { seen, name }, { id: name }));
  return { test, manager, seen, during, add };
}

type Step = (ctx: Context) => void | Promise<void>;
/** An actor for `addSupHandler`. */
function spawnOwner(test: TestNode): { pid: Pid<Step>; infos: unknown[] } {
  const infos: unknown[] = [];
  const behavior: Behavior<null, void, Step> = {
    name: 'owner',
    init(_args, ctx) {
      ctx.trapExit(true);
      return null;
    },
    handleCast: (step, _state, ctx) => step(ctx),
    handleInfo: (info) => void infos.push(info),
  };
  return { pid: test.node.spawn(behavior, undefined), infos };
}

t.test('each handler gets each event, in the order they were added in', async (t) => {
  const { test, manager, seen, during, add } = setUp();
  for (const name of ['a', 'b']) t.equal(await add(name), 'ok');
  seen.length = 0;
  t.equal(genEvent.notify(test.node, manager, 1), 'ok');
  await during(genEvent.syncNotify(test.node, manager, 2));
  t.strictSame(seen, [
    ['a', 1],
    ['b', 1],
    ['a', 2],
    ['b', 2],
  ]);
  t.strictSame(await during(genEvent.whichHandlers(test.node, manager)), ['a', 'b']);
  test.node.send(manager, 'info');
  await test.settle();
  t.strictSame(seen.at(-1), ['b', 'info', 'info']);
});

t.test('a handler that throws is removed and reported, and the others go on', async (t) => {
  const { test, manager, seen, during, add } = setUp();
  for (const name of ['a', 'b', 'c']) await add(name);
  seen.length = 0;
  const bad = (by: string): void => {
    if (by === 'b') throw new RangeError('secret contents');
  };
  await during(genEvent.syncNotify(test.node, manager, bad));
  t.match(seen, [
    ['a', bad],
    ['b', bad],
    ['b', 'terminate', { type: 'error', reason: { error: { name: 'RangeError' } } }],
    ['c', bad],
  ]);
  t.strictSame(await during(genEvent.whichHandlers(test.node, manager)), ['a', 'c']);
  t.match(test.logged, [
    { level: 'error', event: 'event_handler_crashed', fields: { handler: 'b', kind: 'listener' } },
  ]);
  const rejecting = (by: string): unknown => (by === 'c' ? Promise.reject(new Error('later')) : undefined);
  await during(genEvent.syncNotify(test.node, manager, rejecting));
  t.strictSame(await during(genEvent.whichHandlers(test.node, manager)), ['a']);
});

t.test('a handler that takes time holds up the ones behind it and the next event', async (t) => {
  const { test, manager, seen, add } = setUp();
  for (const name of ['a', 'b']) await add(name);
  seen.length = 0;
  let open = (): void => {};
  const slow = (by: string): unknown => (by === 'a' ? new Promise<void>((resolve) => (open = resolve)) : undefined);
  genEvent.notify(test.node, manager, slow);
  genEvent.notify(test.node, manager, 'next');
  await test.settle();
  t.strictSame(seen, [['a', slow]]);
  open();
  await test.settle();
  t.strictSame(seen, [
    ['a', slow],
    ['b', slow],
    ['a', 'next'],
    ['b', 'next'],
  ]);
});

t.test('calls reach one handler; one that throws is gone, and the caller is told why', async (t) => {
  const { test, manager, during, add } = setUp();
  await add('a');
  t.strictSame(await during(genEvent.call(test.node, manager, 'a', 'x', 100)), { ok: 'a got x' });
  t.strictSame(await during(genEvent.call(test.node, manager, 'z', 'x', 100)), { error: 'not_found' });
  const bad = (): never => {
    throw new TypeError('no');
  };
  t.match(await during(genEvent.call(test.node, manager, 'a', bad, 100)), { error: { error: { name: 'TypeError' } } });
  t.strictSame(await during(genEvent.whichHandlers(test.node, manager)), []);
});

t.test('handlers are deleted, and remove or replace themselves', async (t) => {
  const { test, manager, seen, during, add } = setUp();
  for (const name of ['a', 'b', 'c']) await add(name);
  t.strictSame(await during(genEvent.deleteHandler(test.node, manager, 'a', 'why')), { ok: 'last words of a' });
  t.strictSame(seen.at(-1), ['a', 'terminate', { type: 'args', args: 'why' }]);
  t.strictSame(await during(genEvent.deleteHandler(test.node, manager, 'a')), { error: 'not_found' });
  const leave = (by: string): unknown => (by === 'b' ? genEvent.removeHandler() : undefined);
  await during(genEvent.syncNotify(test.node, manager, leave));
  t.strictSame(await during(genEvent.whichHandlers(test.node, manager)), ['c']);
  const next = { handler: listener, args: { seen, name: 'd' }, id: 'd' };
  const answer = genEvent.call(test.node, manager, 'c', () => genEvent.swapTo('go', next, 'swapped'), 100);
  t.strictSame(await during(answer), { ok: 'swapped' });
  t.strictSame(seen.slice(-2), [
    ['c', 'terminate', { type: 'args', args: 'go' }],
    ['d', 'init', 'last words of c'],
  ]);
  t.strictSame(await during(genEvent.whichHandlers(test.node, manager)), ['d']);
});

t.test('a swap keeps the place, hands the inheritance over, and adds where there was nothing', async (t) => {
  const { test, manager, seen, during, add } = setUp();
  for (const name of ['a', 'b']) await add(name);
  const swap = (id: string, name: string): Promise<genEvent.AddResult> =>
    during(genEvent.swapHandler(test.node, manager, id, 'x', { handler: listener, args: { seen, name }, id: name }));
  t.equal(await swap('a', 'c'), 'ok');
  t.strictSame(seen.at(-1), ['c', 'init', 'last words of a']);
  t.equal(await swap('nobody', 'd'), 'ok');
  t.strictSame(seen.at(-1), ['d', 'init', undefined]);
  t.strictSame(await during(genEvent.whichHandlers(test.node, manager)), ['c', 'b', 'd']);
});

t.test('what cannot be added is refused', async (t) => {
  const { test, manager, during, add } = setUp();
  await add('a');
  t.strictSame(await add('a'), { error: 'already_added' });
  const failing: genEvent.EventHandler = {
    name: 'failing',
    init() {
      throw new RangeError('no');
    },
    handleEvent: () => {},
  };
  t.match(await during(genEvent.addHandler(test.node, manager, failing, undefined)), {
    error: { error: { name: 'RangeError' } },
  });
  for (let count = 1; count < LIMITS.eventHandlerCountMax; count += 1) void add(String(count));
  await test.settle();
  t.strictSame(await add('one more'), { error: 'too_many' });
});

t.test('a supervised handler goes with its owner, and its owner hears when it goes', async (t) => {
  const { test, manager, seen, during } = setUp();
  const owner = spawnOwner(test);
  const addAll: Step = async (ctx) => {
    for (const name of ['a', 'b', 'c', 'd']) {
      await genEvent.addSupHandler(ctx, manager, listener, { seen, name }, { id: name });
    }
  };
  test.node.cast(owner.pid, addAll);
  await test.settle();
  t.equal(test.node.processInfo(owner.pid)!.linkCount, 1);
  await during(genEvent.deleteHandler(test.node, manager, 'a'));
  await during(
    genEvent.call(
      test.node,
      manager,
      'b',
      () => {
        throw new Error('broken');
      },
      100,
    ),
  );
  await during(
    genEvent.swapHandler(test.node, manager, 'c', 'x', { handler: listener, args: { seen, name: 'e' }, id: 'e' }),
  );
  t.match(owner.infos, [
    { type: 'gen_event_EXIT', manager, handler: 'a', reason: 'normal' },
    { type: 'gen_event_EXIT', manager, handler: 'b', reason: { error: { message: 'broken' } } },
    { type: 'gen_event_EXIT', manager, handler: 'c', reason: { swapped: 'e' } },
  ]);
  t.ok(owner.infos.every(genEvent.isHandlerExit));
  test.node.exit(owner.pid, 'kill');
  await test.settle();
  t.strictSame(await during(genEvent.whichHandlers(test.node, manager)), ['e'], 'd went, e was not supervised');
  t.match(seen.at(-1), ['d', 'terminate', { type: 'owner_exit', reason: 'killed' }]);
});

t.test('a handler that was put in the place of another is supervised by whoever asked for that', async (t) => {
  const { test, manager, seen, add } = setUp();
  t.equal(await add('a'), 'ok');
  const owner = spawnOwner(test);
  const answers: unknown[] = [];
  test.node.cast(owner.pid, async (ctx) => {
    const next = { handler: listener, args: { seen, name: 'b' }, id: 'b' };
    answers.push(await genEvent.swapSupHandler(ctx, manager, 'a', 'x', next));
  });
  await test.settle();
  t.strictSame(answers, ['ok']);
  t.equal(test.node.processInfo(owner.pid)!.linkCount, 1);
  test.node.exit(owner.pid, 'kill');
  await test.settle();
  t.match(seen.at(-1), ['b', 'terminate', { type: 'owner_exit', reason: 'killed' }]);
});

t.test('the link goes with the last supervised handler, and a manager that ends takes all along', async (t) => {
  const { test, manager, seen, during } = setUp();
  const owner = spawnOwner(test);
  const add =
    (name: string): Step =>
    async (ctx) =>
      void (await genEvent.addSupHandler(ctx, manager, listener, { seen, name }, { id: name }));
  test.node.cast(owner.pid, add('a'));
  await test.settle();
  await during(genEvent.deleteHandler(test.node, manager, 'a'));
  t.equal(test.node.processInfo(owner.pid)!.linkCount, 0);
  test.node.cast(owner.pid, add('b'));
  await test.settle();
  await during(sys.terminate(test.node, manager, 'shutdown'));
  t.strictSame(seen.at(-1), ['b', 'terminate', { type: 'stop' }]);
  t.match(owner.infos.at(-1), { type: 'gen_event_EXIT', handler: 'b', reason: 'shutdown' });
});

t.test('sys sees each handler’s state', async (t) => {
  const { test, manager, during } = setUp();
  const counter: genEvent.EventHandler<unknown, number, number> = {
    name: 'counter',
    init: (start) => start,
    handleEvent: () => {},
    formatStatus: (state) => `${state} so far`,
  };
  await during(genEvent.addHandler(test.node, manager, counter, 5));
  t.strictSame(await during(sys.getState(test.node, manager)), [{ id: 'counter', state: 5 }]);
  t.match(await during(sys.getStatus(test.node, manager)), { state: [{ id: 'counter', state: '5 so far' }] });
  await during(
    sys.replaceState<{ id: string; state: number }>(test.node, manager, ({ id, state }) => ({ id, state: state + 1 })),
  );
  t.strictSame(await during(sys.getState(test.node, manager)), [{ id: 'counter', state: 6 }]);
});
