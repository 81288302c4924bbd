import t from 'tap';

import { type Behavior, behaviorSlotOf, replaceBehavior } from './behavior.ts';
import type { Pid } from './pid.ts';
import { LIMITS } from './limits.ts';
import * as sys from './sys.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';
import { createTestWorkers } from './testing/test-workers.ts';

interface State {
  count: number;
  secret: string;
}
const counter: Behavior<State, void, 'add', 'read' | 'hang', number> = {
  name: 'counter',
  init: () => ({ count: 0, secret: 's3cret' }),
  handleCast: (_message, state) => void (state.count += 1),
  handleCall: (request, _from, state) => (request === 'hang' ? new Promise(() => {}) : state.count),
  handleInfo: (_info, state) => void (state.count += 100),
  formatStatus: ({ count }) => ({ count }),
};

function start(options?: { mailboxMax: number }): { test: TestNode; pid: Pid<'add'> } {
  const test = createTestNode();
  return { test, pid: test.node.spawn(counter, undefined, options) };
}

/** Waits for a request while the node runs. */
async function during<T>(test: TestNode, request: Promise<T>): Promise<T> {
  await test.settle();
  return request;
}

t.test('a suspended actor handles nothing, keeps what arrives, answers sys, and goes on where it was', async (t) => {
  const { test, pid } = start();
  t.equal(await during(test, sys.suspend(test.node, pid)), 'ok');
  t.equal(await during(test, sys.suspend(test.node, pid)), 'ok', 'twice is once');
  for (let count = 0; count < 3; count += 1) test.node.cast(pid, 'add');
  await test.settle();
  t.strictSame(await during(test, sys.getState(test.node, pid)), { count: 0, secret: 's3cret' });
  t.match(await during(test, sys.getStatus(test.node, pid)), {
    sysState: 'suspended',
    status: 'paused',
    messageQueueLen: 3,
  });
  t.equal(await during(test, sys.resume(test.node, pid)), 'ok');
  t.match(await during(test, sys.getState(test.node, pid)), { count: 3 });
  t.equal(test.node.kernel.processes.get(pid)!.annex?.attention ?? null, null, 'and nothing is left of it');
});

t.test('the turn end of an actor that was suspended within the turn waits until it is resumed', async (t) => {
  const test = createTestNode();
  let ends = 0;
  let suspended: Promise<unknown> = Promise.resolve();
  const batcher: Behavior<null, void, 'ask'> = {
    name: 'batcher',
    init: () => null,
    handleCast(_message, _state, ctx) {
      ctx.requestTurnEnd();
      suspended = sys.suspend(test.node, ctx.self);
    },
    handleTurnEnd: () => void (ends += 1),
  };
  const pid = test.node.spawn(batcher, undefined);
  test.node.cast(pid, 'ask');
  await test.settle();
  t.equal(await suspended, 'ok');
  t.equal(ends, 0);
  t.equal(await during(test, sys.resume(test.node, pid)), 'ok');
  t.equal(ends, 1);
});

t.test('a full mailbox does not keep sys out', async (t) => {
  const { test, pid } = start({ mailboxMax: 2 });
  await during(test, sys.suspend(test.node, pid));
  t.strictSame(
    [1, 2, 3].map(() => test.node.cast(pid, 'add')),
    ['ok', 'ok', 'full'],
  );
  t.match(await during(test, sys.getState(test.node, pid)), { count: 0 });
  await during(test, sys.resume(test.node, pid));
  t.match(await during(test, sys.getState(test.node, pid)), { count: 2 });
});

t.test('too many requests at a time are refused', async (t) => {
  const { test, pid } = start();
  test.node.call(pid, 'hang', 60_000).catch(() => {});
  await test.settle();
  const asked = Array.from({ length: LIMITS.systemRequestCountMax }, () => sys.resume(test.node, pid, 1_000));
  await t.rejects(sys.resume(test.node, pid), { code: 'RT_CALL_FULL' });
  const outcomes = Promise.allSettled(asked);
  await test.advance(2_000);
  t.ok(
    (await outcomes).every(({ status }) => status === 'rejected'),
    'an open handler is waited for',
  );
});

t.test('exit signals act on a suspended actor', async (t) => {
  const { test, pid } = start();
  await during(test, sys.suspend(test.node, pid));
  test.node.exit(pid, 'shutdown');
  await test.settle();
  t.equal(test.node.processInfo(pid), undefined);
});

t.test('state is replaced within the actor; a function that throws changes nothing and ends nobody', async (t) => {
  const { test, pid } = start();
  const replaced = sys.replaceState<State>(test.node, pid, (state) => ({ ...state, count: 41 }));
  t.strictSame(await during(test, replaced), { ok: { count: 41, secret: 's3cret' } });
  const failed = sys.replaceState<State>(test.node, pid, () => {
    throw new RangeError('no');
  });
  t.match(await during(test, failed), { error: 'callback_failed', reason: { error: { name: 'RangeError' } } });
  test.node.cast(pid, 'add');
  t.equal(await during(test, test.node.call(pid, 'read', 100)), 42);
});

t.test('what is told of a state is bounded, a copy, and as the behaviour wants it', async (t) => {
  const { test, pid } = start();
  const status = await during(test, sys.getStatus(test.node, pid));
  t.strictSame(status.state, { count: 0 }, 'formatStatus leaves the secret out');
  t.strictSame(await during(test, sys.getState(test.node, pid, { charsMax: 2 })), { count: 0, secret: 's3[4 more]' });
  t.strictSame(await during(test, sys.getState(test.node, pid, { depthMax: 0 })), '[object]');
  const copy = (await during(test, sys.getState(test.node, pid))) as State;
  copy.count = 7;
  t.match(await during(test, sys.getState(test.node, pid)), { count: 0 });
  t.strictSame(test.logged, []);
});

/** An actor that keeps the trace. */
function tracer(test: TestNode): { pid: Pid; events: sys.TraceEvent[] } {
  const events: sys.TraceEvent[] = [];
  const behavior: Behavior<null> = {
    name: 'tracer',
    init: () => null,
    handleInfo: (info) => void (sys.isTraceEvent(info) && events.push(info)),
  };
  return { pid: test.node.spawn(behavior, undefined), events };
}

t.test('a trace tells what is handled, without contents, and ends at its cap', async (t) => {
  const { test, pid } = start();
  const { pid: to, events } = tracer(test);
  t.equal(await during(test, sys.trace(test.node, pid, { to, eventsMax: 3, forMs: 1_000 })), 'ok');
  test.node.cast(pid, 'add');
  await during(test, test.node.call(pid, 'read', 100));
  for (let count = 0; count < 5; count += 1) test.node.send(pid, 'x');
  await test.settle();
  t.match(events, [
    { event: 'cast', number: 1, pid },
    { event: 'call', number: 2, tookMs: 0 },
    { event: 'info', number: 3 },
    { event: 'end', number: 4, why: 'cap' },
  ]);
  t.ok(events.every((event) => !('content' in event)));
  t.equal(await during(test, sys.noTrace(test.node, pid)), 'not_traced');
  t.match(await during(test, test.node.call(pid, 'read', 100)), 501, 'and every message was handled');
  t.equal(test.node.info().timerCount, 0);
});

t.test('a trace ends at its deadline, idle or not, and when told', async (t) => {
  const { test, pid } = start();
  const { pid: to, events } = tracer(test);
  await during(test, sys.trace(test.node, pid, { to, eventsMax: 100, forMs: 1_000, contents: { charsMax: 1 } }));
  test.node.send(pid, 'abc');
  await test.advance(1_001);
  t.match(events, [
    { event: 'info', content: 'a[2 more]' },
    { event: 'end', why: 'deadline', atMs: 1_000 },
  ]);
  await during(test, sys.trace(test.node, pid, { to, eventsMax: 100, forMs: 1_000 }));
  t.match(await during(test, sys.getStatus(test.node, pid)), { trace: { eventCount: 0, eventsMax: 100 } });
  await during(test, sys.noTrace(test.node, pid));
  await test.settle();
  t.match(events.at(-1), { why: 'stopped' });
  for (const bad of [
    { eventsMax: 0, forMs: 1 },
    { eventsMax: 1, forMs: Infinity },
    { eventsMax: 1e9, forMs: 1 },
  ]) {
    t.throws(() => sys.trace(test.node, pid, { to, ...bad }), RangeError);
  }
});

t.test('code is changed in a suspended actor, and only there; a change that throws leaves it as it was', async (t) => {
  const test = createTestNode();
  const first: Behavior<{ v: number }, void, void, 'read', unknown> = {
    name: 'thing',
    version: 1,
    init: () => ({ v: 1 }),
    handleCall: (_request, _from, state) => state,
  };
  const pid = test.node.spawn(first, undefined);
  await test.settle();
  const slot = behaviorSlotOf(first);
  t.match(await during(test, sys.changeCode(test.node, pid)), { error: 'not_suspended' });
  await during(test, sys.suspend(test.node, pid));
  replaceBehavior(slot, {
    ...first,
    version: 2,
    codeChange() {
      throw new TypeError('cannot');
    },
  });
  t.match(await during(test, sys.changeCode(test.node, pid)), { error: 'callback_failed' });
  t.match(await during(test, sys.getStatus(test.node, pid)), { version: 1, state: { v: 1 } });
  replaceBehavior(slot, { ...first, version: 3, codeChange: (state, from) => ({ v: state.v * 10 + from }) });
  t.equal(await during(test, sys.changeCode(test.node, pid)), 'ok');
  t.match(await during(test, sys.getStatus(test.node, pid)), { version: 3, state: { v: 11 } });
  await during(test, sys.resume(test.node, pid));
  t.strictSame(await during(test, test.node.call(pid, 'read', 100)), { v: 11 });
});

t.test('terminate ends in order and tells the reason', async (t) => {
  const { test, pid } = start();
  t.strictSame(await during(test, sys.terminate(test.node, pid, { shutdown: 'asked' })), { shutdown: 'asked' });
  await t.rejects(sys.terminate(test.node, pid), { code: 'RT_CALL_NOPROC' });
  const stubborn: Behavior<null> = {
    name: 'stubborn',
    init: () => null,
    terminate() {
      throw new Error('not now');
    },
  };
  const other = test.node.spawn(stubborn, undefined);
  t.match(await during(test, sys.terminate(test.node, other)), { error: { message: 'not now' } });
});

t.test('an actor cannot ask itself', async (t) => {
  const test = createTestNode();
  let refused: unknown;
  const narcissus: Behavior<null> = {
    name: 'narcissus',
    init: () => null,
    handleInfo: (_info, _state, ctx) =>
      sys.getState(ctx, ctx.self).then(
        () => {},
        (error: unknown) => void (refused = error),
      ),
  };
  const pid = test.node.spawn(narcissus, undefined);
  test.node.send(pid, 'look');
  await test.settle();
  t.match(refused, { code: 'RT_CALL_SELF' });
});

t.test('requests reach actors of other workers, but for a function, which does not travel', async (t) => {
  const { workers, settle } = createTestWorkers(2);
  const pid = workers[1]!.node.spawn(counter, undefined, { name: 'there' });
  const { node } = workers[0]!;
  const suspended = sys.suspend(node, { name: 'there', worker: 1 });
  await settle();
  t.equal(await suspended, 'ok');
  workers[1]!.node.cast(pid, 'add');
  const status = sys.getStatus(node, { name: 'there', worker: 1 });
  await settle();
  t.match(await status, { sysState: 'suspended', messageQueueLen: 1, state: { count: 0 } });
  await t.rejects(
    sys.replaceState(node, { name: 'there', worker: 1 }, (state) => state),
    { code: 'RT_CALL_REFUSED', detail: 'unencodable' },
  );
});
