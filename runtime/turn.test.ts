import t from 'tap';

import { type Behavior, behaviorSlotOf, type Context, NO_REPLY, replaceBehavior } from './behavior.ts';
import type { From } from './envelope.ts';
import { LIMITS } from './limits.ts';
import type { Pid } from './pid.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';

interface Trace {
  events: unknown[];
  from?: From;
}
type Step = (ctx: Context, state: Trace) => unknown;

/** Does what it is told, and keeps a trace of its life. */
const puppet: Behavior<Trace, unknown[], Step, Step, unknown> = {
  name: 'puppet',
  init: (events) => ({ events }),
  handleCast: (step, state, ctx) => step(ctx, state) as void,
  handleCall(step, from, state, ctx) {
    state.from = from;
    return step(ctx, state);
  },
  handleInfo: (info, state) => void state.events.push(info),
  handleTurnEnd: (state) => void state.events.push('turn end'),
  terminate: (reason, state) => void state.events.push(['terminate', reason]),
};

function spawnPuppet(test: TestNode): { pid: Pid<Step>; events: unknown[] } {
  const events: unknown[] = [];
  return { pid: test.node.spawn(puppet, events), events };
}

const TIMEOUT_MS = 100;
const crash = (): never => {
  throw new Error('on purpose');
};

t.test('a handler that throws ends its actor, in order, and is reported without the message', async (t) => {
  const test = createTestNode();
  const { pid, events } = spawnPuppet(test);
  test.node.cast(pid, () => crash());
  test.node.send(pid, 'never handled');
  const exit = test.node.awaitExit(pid, TIMEOUT_MS);
  await test.settle();
  t.match(await exit, { error: { name: 'Error', message: 'on purpose' } });
  t.match(events, [['terminate', { error: { message: 'on purpose' } }]]);
  const reports = test.logged.filter(({ event }) => event === 'actor_crashed');
  t.match(reports, [{ level: 'error', fields: { pid: pid.toString(), behavior: 'puppet', mailboxCount: 1 } }]);
  t.notMatch(JSON.stringify(reports), 'never handled');
});

t.test('a handler whose promise rejects ends its actor the same way', async (t) => {
  const test = createTestNode();
  const { pid, events } = spawnPuppet(test);
  test.node.cast(pid, async () => crash());
  await test.settle();
  t.match(events, [['terminate', { error: { message: 'on purpose' } }]]);
  t.equal(test.node.info().processCount, 0);
});

t.test('an actor whose promise is open handles nothing else, and the rest in order after it', async (t) => {
  const test = createTestNode();
  const { pid, events } = spawnPuppet(test);
  let open = (): void => {};
  test.node.cast(pid, () => new Promise<void>((resolve) => (open = resolve)));
  for (const message of [1, 2]) test.node.send(pid, message);
  await test.settle();
  t.strictSame(events, []);
  t.equal(test.node.processInfo(pid)?.status, 'suspended');
  t.equal(test.node.processInfo(pid)?.messageQueueLen, 2);
  open();
  await test.settle();
  t.strictSame(events, [1, 2]);
});

t.test('a suspended actor is killed at once, and its handler stops at its next step', async (t) => {
  const test = createTestNode();
  const { pid, events } = spawnPuppet(test);
  let open = (): void => {};
  let stopped: unknown;
  test.node.cast(pid, async (ctx) => {
    await new Promise<void>((resolve) => (open = resolve));
    try {
      ctx.send(ctx.self, 'from the dead');
    } catch (thrown) {
      stopped = thrown;
    }
  });
  await test.settle();
  test.node.exit(pid, 'kill');
  await test.settle();
  t.equal(test.node.processInfo(pid), undefined);
  open();
  await test.settle();
  t.match(stopped, { code: 'RT_EXITED' });
  t.strictSame(events, [], 'a killed actor is not asked to terminate');
});

t.test('stop ends the actor after the handler, and its reply is still sent', async (t) => {
  const test = createTestNode();
  const { pid, events } = spawnPuppet(test);
  const reply = test.node.call(pid, (ctx: Context) => (ctx.stop({ shutdown: 'done' }), 'last words'), TIMEOUT_MS);
  await test.settle();
  t.equal(await reply, 'last words');
  t.strictSame(events, [['terminate', { shutdown: 'done' }]]);
  t.strictSame(test.logged, [], 'which is no crash');
});

t.test('a call can be answered later and from elsewhere', async (t) => {
  const test = createTestNode();
  const { pid } = spawnPuppet(test);
  const other = spawnPuppet(test);
  const reply = test.node.call(pid, () => NO_REPLY, TIMEOUT_MS);
  await test.settle();
  test.node.cast(pid, (ctx, state) => void ctx.cast(other.pid, (theirs) => void theirs.reply(state.from!, 'via')));
  await test.settle();
  t.equal(await reply, 'via');
});

t.test('turn end comes once after all the messages of the turn', async (t) => {
  const test = createTestNode();
  const { pid, events } = spawnPuppet(test);
  for (const message of [1, 2, 3]) {
    test.node.cast(pid, (ctx) => ctx.requestTurnEnd());
    test.node.send(pid, message);
  }
  await test.settle();
  t.strictSame(events, [1, 2, 3, 'turn end']);
});

t.test('turn end waits for the open promise of its actor', async (t) => {
  const test = createTestNode();
  const { pid, events } = spawnPuppet(test);
  let open = (): void => {};
  test.node.cast(pid, (ctx) => {
    ctx.requestTurnEnd();
    return new Promise<void>((resolve) => (open = resolve));
  });
  await test.settle();
  t.strictSame(events, []);
  open();
  await test.settle();
  t.strictSame(events, ['turn end']);
});

t.test('turn end that was asked for in an asynchronous init comes when the actor has started', async (t) => {
  const test = createTestNode();
  const events: string[] = [];
  let open = (): void => {};
  const slow: Behavior<null> = {
    name: 'slow',
    init(_args, ctx) {
      ctx.requestTurnEnd();
      return new Promise<null>((resolve) => (open = () => resolve(null)));
    },
    handleTurnEnd: () => void events.push('turn end'),
  };
  test.node.spawn(slow, undefined);
  await test.settle();
  t.strictSame(events, []);
  open();
  await test.settle();
  t.strictSame(events, ['turn end']);
});

t.test('turn end finds the state converted, when the code changes within the turn', async (t) => {
  const test = createTestNode();
  const ends: unknown[] = [];
  const first: Behavior<unknown, void, () => void> = {
    name: 'changed within a turn',
    version: 1,
    init: () => 'state of 1',
    handleCast(change, _state, ctx) {
      ctx.requestTurnEnd();
      change();
    },
    handleTurnEnd: (state) => void ends.push(['1', state]),
  };
  const second: typeof first = {
    ...first,
    version: 2,
    handleTurnEnd: (state) => void ends.push(['2', state]),
    codeChange: () => 'state of 2',
  };
  const pid = test.node.spawn(first, undefined);
  test.node.cast(pid, () => replaceBehavior(behaviorSlotOf(first), second));
  await test.settle();
  t.strictSame(ends, [['2', 'state of 2']]);
});

t.test('a flooded actor gives way after its budget', async (t) => {
  const test = createTestNode();
  const order: string[] = [];
  const [flooded, other] = [spawnPuppet(test), spawnPuppet(test)];
  await test.settle();
  for (let index = 0; index <= LIMITS.turnMessagesMax; index += 1) {
    test.node.cast(flooded.pid, () => void order.push('flooded'));
  }
  test.node.cast(other.pid, () => void order.push('other'));
  await test.settle();
  t.equal(order.indexOf('other'), LIMITS.turnMessagesMax);
});

t.test('a cast or call without a handler ends the actor, an info message does not', async (t) => {
  const test = createTestNode();
  const pid = test.node.spawn({ name: 'deaf', init: () => null }, undefined);
  test.node.send(pid, { secret: 'text' });
  await test.settle();
  t.match(test.logged, [{ event: 'info_unhandled', fields: { behavior: 'deaf' } }]);
  t.notMatch(JSON.stringify(test.logged), 'secret');
  const call = test.node.call(pid, 'x', TIMEOUT_MS);
  const failed = t.rejects(call, { code: 'RT_CALL_EXITED', reason: { error: { code: 'RT_NO_HANDLER' } } });
  await test.settle();
  await failed;
});

t.test('an asynchronous terminate is waited for, and a kill does not wait', async (t) => {
  const test = createTestNode();
  let close = (): void => {};
  const slow: Behavior<null> = {
    name: 'slow',
    init: (_args, ctx) => (ctx.trapExit(true), null),
    terminate: () => new Promise<void>((resolve) => (close = resolve)),
  };
  const result = test.node.start(slow, undefined) as { ok: Pid };
  test.node.exit(result.ok, 'shutdown');
  await test.settle();
  t.equal(test.node.processInfo(result.ok)?.status, 'exiting');
  close();
  await test.settle();
  t.equal(test.node.processInfo(result.ok), undefined);

  const second = test.node.start(slow, undefined) as { ok: Pid };
  test.node.exit(second.ok, 'shutdown');
  await test.settle();
  test.node.exit(second.ok, 'kill');
  await test.settle();
  t.equal(test.node.processInfo(second.ok), undefined);
});

t.test('new code converts the state at the next turn and handles what waited', async (t) => {
  const test = createTestNode();
  const first: Behavior<{ count: number }, void, 'add', 'get', unknown> = {
    name: 'counter',
    init: () => ({ count: 0 }),
    handleCast: (_message, state) => void (state.count += 1),
    handleCall: (_request, _from, state) => state.count,
  };
  const second: Behavior<{ total: number; from: number }, void, 'add', 'get', unknown> = {
    name: 'counter',
    version: 1,
    init: () => ({ total: 0, from: -1 }),
    handleCast: (_message, state) => void (state.total += 10),
    handleCall: (_request, _from, state) => state,
    codeChange: (state, from) => ({ total: (state as unknown as { count: number }).count, from }),
  };
  const pid = test.node.spawn(first, undefined);
  test.node.cast(pid, 'add');
  await test.settle();
  replaceBehavior(behaviorSlotOf(first), second);
  test.node.cast(pid, 'add');
  const reply = test.node.call(pid, 'get', TIMEOUT_MS);
  const young = test.node.call(test.node.spawn(first, undefined), 'get', TIMEOUT_MS);
  await test.settle();
  t.strictSame(await reply, { total: 11, from: 0 });
  t.strictSame(await young, { total: 0, from: -1 }, 'and the old object starts the new code');
  t.throws(() => replaceBehavior(behaviorSlotOf(first), second), RangeError);
});

t.test('code that cannot convert the state ends the actor', async (t) => {
  const test = createTestNode();
  const first: Behavior = { name: 'stuck', init: () => null, handleInfo: () => {} };
  const pid = test.node.spawn(first, undefined);
  await test.settle();
  replaceBehavior(behaviorSlotOf(first), { ...first, version: 1, codeChange: crash });
  test.node.send(pid, 1);
  await test.settle();
  t.equal(test.node.processInfo(pid), undefined);
  t.match(test.logged, [{ event: 'actor_crashed', fields: { reason: 'Error: on purpose' } }]);
});
