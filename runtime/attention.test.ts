import t from 'tap';

import { type Behavior, NO_REPLY } from './behavior.ts';
import type { Context } from './behavior.ts';
import type { Actor } from './actor.ts';
import { isResponse } from './envelope.ts';
import type { Pid } from './pid.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';

type Step = (ctx: Context) => void | Promise<void>;
/** Runs what it is cast, and notes everything else that comes. */
const puppet: Behavior<{ seen: unknown[] }, unknown[], Step, Step, unknown> = {
  name: 'puppet',
  init: (seen) => ({ seen }),
  handleCast: (step, _state, ctx) => step(ctx),
  handleCall(step, from, state, ctx) {
    state.seen.push('call');
    void step(ctx);
    ctx.reply(from, 'early');
    return NO_REPLY;
  },
  handleInfo: (info, state) => void state.seen.push(info),
  handleContinue(term, state, ctx) {
    state.seen.push(term);
    if (typeof term === 'number' && term > 0) ctx.continue(term - 1);
    return term instanceof Promise ? (term as Promise<void>) : undefined;
  },
};

function start(): { test: TestNode; seen: unknown[]; pid: Pid<Step> } {
  const test = createTestNode();
  const seen: unknown[] = [];
  return { test, seen, pid: test.node.spawn(puppet, seen) };
}

t.test('a continue runs before messages that already wait, several in their order', async (t) => {
  const { test, seen, pid } = start();
  test.node.cast(pid, (ctx) => {
    ctx.continue('first');
    ctx.continue('second');
  });
  test.node.send(pid, 'message');
  await test.settle();
  t.strictSame(seen, ['first', 'second', 'message']);
  t.equal(test.node.kernel.processes.get(pid)!.annex?.attention ?? null, null, 'and nothing is left of it');
});

t.test('init may continue: the start is over before, messages come after', async (t) => {
  const test = createTestNode();
  const order: string[] = [];
  const opener: Behavior<null> = {
    name: 'opener',
    init(_args, ctx) {
      ctx.continue('open');
      return null;
    },
    handleContinue: (term) => void order.push(String(term)),
    handleInfo: (info) => void order.push(String(info)),
  };
  const result = test.node.start(opener, undefined) as { ok: Pid };
  order.push('started');
  test.node.send(result.ok, 'message');
  await test.settle();
  t.strictSame(order, ['started', 'open', 'message']);
});

t.test('an actor that continues and continues gives way to its neighbours after each', async (t) => {
  const { test, seen, pid } = start();
  const other: Behavior<null> = { name: 'other', init: () => null, handleInfo: () => void seen.push('other') };
  const neighbour = test.node.spawn(other, undefined);
  test.node.cast(pid, (ctx) => ctx.continue(100));
  test.node.send(neighbour, 'x');
  await test.settle();
  t.equal(seen.length, 102);
  t.ok(seen.indexOf('other') < 3, `${seen.indexOf('other')} continues before the neighbour`);
});

t.test('messages wait for the promise of a continue', async (t) => {
  const { test, seen, pid } = start();
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  test.node.cast(pid, (ctx) => {
    ctx.continue(gate);
    ctx.continue('next');
  });
  test.node.send(pid, 'message');
  await test.settle();
  t.strictSame(seen, [gate]);
  open();
  await test.settle();
  t.strictSame(seen, [gate, 'next', 'message']);
});

t.test('a continue without a handler ends the actor, and so does one that throws', async (t) => {
  const test = createTestNode();
  const careless: Behavior<null> = {
    name: 'careless',
    init: (_args, ctx) => {
      ctx.continue('x');
      return null;
    },
  };
  const throwing: Behavior<null> = { ...careless, handleContinue: () => Promise.reject(new RangeError('no')) };
  const [first, second] = [test.node.spawn(careless, undefined), test.node.spawn(throwing, undefined)];
  const ends = Promise.all([test.node.awaitExit(first, 100), test.node.awaitExit(second, 100)]);
  await test.settle();
  t.match(await ends, [{ error: { code: 'RT_NO_HANDLER' } }, { error: { name: 'RangeError' } }]);
});

t.test('a receive timeout fires if nothing came, once', async (t) => {
  const { test, seen, pid } = start();
  test.node.cast(pid, (ctx) => ctx.receiveTimeout(50));
  await test.advance(49);
  t.strictSame(seen, []);
  await test.advance(200);
  t.strictSame(seen, ['timeout']);
  t.match(test.node.info(), { timerCount: 0 });
});

t.test('a message in time ends a receive timeout, even one that had not been looked at yet', async (t) => {
  const { test, seen, pid } = start();
  test.node.cast(pid, (ctx) => ctx.receiveTimeout(50));
  await test.advance(20);
  test.node.send(pid, 'in time');
  await test.advance(100);
  t.strictSame(seen, ['in time']);
  test.node.cast(pid, (ctx) => ctx.receiveTimeout(50));
  await test.settle();
  test.node.send(pid, 'at the last moment');
  test.clock.advance(50);
  await test.settle();
  t.strictSame(seen, ['in time', 'at the last moment'], 'the timer fired while the message waited');
});

t.test(
  'a receive timeout set while messages wait is over with the first of them; infinity takes it back',
  async (t) => {
    const { test, seen, pid } = start();
    test.node.cast(pid, (ctx) => ctx.receiveTimeout(10));
    test.node.send(pid, 'waits');
    await test.advance(100);
    t.strictSame(seen, ['waits']);
    test.node.cast(pid, (ctx) => {
      ctx.receiveTimeout(10);
      ctx.receiveTimeout('infinity');
    });
    await test.advance(100);
    t.strictSame(seen, ['waits']);
    t.throws(() => (pid as Pid as Actor).receiveTimeout(-1), RangeError);
  },
);

t.test('an actor hibernates when nothing waits, and wakes for a message', async (t) => {
  const test = createTestNode();
  const log: string[] = [];
  const sleeper: Behavior<{ text: string }, string, 'sleep' | 'work'> = {
    name: 'sleeper',
    init: (text, ctx) => {
      ctx.hibernate();
      return { text };
    },
    handleCast: (message, state, ctx) => {
      log.push(`${message} ${state.text}`);
      if (message === 'sleep') ctx.hibernate();
    },
    handleInfo: (info, { text }) => void log.push(`${String(info)} ${text}`),
    hibernate: ({ text }) => text,
    wake: (packed) => ({ text: packed as string }),
    terminate: (_reason, { text }) => void log.push(`end ${text}`),
  };
  const { ok: pid } = test.node.start(sleeper, 'abc') as { ok: Pid };
  const stateOf = (): unknown => test.node.kernel.processes.get(pid)!.state;
  await test.settle();
  t.equal(stateOf(), 'abc', 'packed');
  t.equal(test.node.processInfo(pid)!.status, 'hibernating');
  test.node.cast(pid, 'work');
  await test.settle();
  t.strictSame(stateOf(), { text: 'abc' });
  test.node.cast(pid, 'sleep');
  test.node.cast(pid, 'work');
  await test.settle();
  t.strictSame(stateOf(), { text: 'abc' }, 'a message waited: it did not fall asleep');
  test.node.cast(pid, 'sleep');
  await test.settle();
  t.equal(stateOf(), 'abc');
  test.node.exit(pid, 'shutdown');
  await test.settle();
  t.strictSame(log, ['work abc', 'sleep abc', 'work abc', 'sleep abc'], 'it did not trap exits: no terminate');
});

t.test('terminate finds the state of a hibernating actor unpacked', async (t) => {
  const test = createTestNode();
  const ends: unknown[] = [];
  const sleeper: Behavior<{ n: number }> = {
    name: 'sleeper',
    init: (_args, ctx) => {
      ctx.trapExit(true);
      ctx.hibernate();
      return { n: 1 };
    },
    hibernate: ({ n }) => n,
    wake: (packed) => ({ n: packed as number }),
    terminate: (_reason, state) => void ends.push(state),
  };
  const { ok: pid } = test.node.start(sleeper, undefined) as { ok: Pid };
  await test.settle();
  t.equal(test.node.kernel.processes.get(pid)!.state, 1);
  test.node.exit(pid, 'shutdown');
  await test.settle();
  t.strictSame(ends, [{ n: 1 }]);
});

t.test('a request’s response comes as a message, whatever it is', async (t) => {
  const { test, seen, pid } = start();
  const server: Behavior<null, void, void, string, string> = {
    name: 'server',
    init: () => null,
    handleCall: (request, _from, _state, ctx) => {
      if (request === 'die') ctx.exit(ctx.self, 'kill');
      return request === 'answer' ? 'yes' : (NO_REPLY as never);
    },
  };
  const target = test.node.spawn(server, undefined);
  const refs: unknown[] = [];
  test.node.cast(pid, (ctx) => {
    for (const request of ['answer', 'wait', 'die']) refs.push(ctx.sendRequest(target, request, 100));
    for (const to of ['nobody', pid]) refs.push(ctx.sendRequest(to, 'x', 100));
  });
  test.node.send(pid, 'other messages come in between');
  await test.advance(200);
  const responses = seen.filter(isResponse);
  t.equal(seen.length, 6);
  t.strictSame(new Set(responses.map(({ ref }) => ref)), new Set(refs));
  const told = refs.map((ref) => responses.find((each) => each.ref === ref)!);
  t.match(told[0], { ok: 'yes' });
  t.match(told[1], { error: { code: 'RT_CALL_EXITED' } });
  t.match(told[2], { error: { code: 'RT_CALL_EXITED', detail: 'killed' } });
  t.match(told[3], { error: { code: 'RT_CALL_NOPROC' } });
  t.match(told[4], { error: { code: 'RT_CALL_SELF' } });
  t.equal(test.node.kernel.expected.size, 0);
});

t.test('a response that does not come in time is one as well, and a later reply is dropped', async (t) => {
  const { test, seen, pid } = start();
  let answer = (): unknown => undefined;
  const slow: Behavior<null, void, void, string, string> = {
    name: 'slow',
    init: () => null,
    handleCall: (_request, from, _state, ctx) => {
      answer = () => ctx.reply(from, 'late');
      return NO_REPLY as never;
    },
  };
  const target = test.node.spawn(slow, undefined);
  test.node.cast(pid, (ctx) => void ctx.sendRequest(target, 'x', 100));
  await test.advance(101);
  t.match(seen, [{ type: 'RESPONSE', error: { code: 'RT_CALL_TIMEOUT' } }]);
  t.equal(answer(), 'noproc');
  await test.settle();
  t.equal(seen.length, 1);
});

t.test('refs are unique', async (t) => {
  const { test, pid } = start();
  const made = new Set<string>();
  test.node.cast(pid, (ctx) => {
    for (let count = 0; count < 100; count += 1) made.add(ctx.makeRef().toString());
  });
  await test.settle();
  t.equal(made.size, 100);
});
