import t from 'tap';

import { type Behavior, type Context, NO_REPLY } from './behavior.ts';
import type { From } from './envelope.ts';
import { LIMITS } from './limits.ts';
import type { Pid } from './pid.ts';
import { createTestNode } from './testing/test-node.ts';

type Request = 'echo' | 'never' | 'crash' | 'leave';
const server: Behavior<{ open: From[] }, void, unknown, Request, unknown> = {
  name: 'server',
  init: () => ({ open: [] }),
  handleCall(request, from, state, ctx) {
    if (request === 'echo') return request;
    if (request === 'crash') throw new Error('on purpose');
    if (request === 'leave') ctx.stop();
    state.open.push(from);
    return NO_REPLY;
  },
  handleCast: (message, state, ctx) => void state.open.splice(0).map((from) => ctx.reply(from, message)),
};

/** Runs steps with its context, asynchronous ones too. */
const client: Behavior<null, void, (ctx: Context) => void | Promise<void>> = {
  name: 'client',
  init: () => null,
  handleCast: (step, _state, ctx) => step(ctx),
};

t.test('a reply settles the call and leaves nothing behind', async (t) => {
  const { node, settle, clock } = createTestNode();
  const pid = node.spawn(server, undefined);
  const reply = node.call(pid, 'echo', 50);
  await settle();
  t.equal(await reply, 'echo');
  t.equal(node.kernel.expected.size, 0);
  t.equal(node.info().timerCount, 0);
  t.equal(node.processInfo(pid)?.monitoredByCount, 0);
  clock.advance(100);
  await settle();
});

t.test('the time of a wait that begins in a turn-end callback runs too', async (t) => {
  const { node, settle, advance } = createTestNode();
  const pid = node.spawn(server, undefined);
  let outcome: unknown;
  const removal = node.onTurnEnd(() => {
    removal();
    void node.awaitExit(pid, 50).then((told) => (outcome = told));
  });
  await settle();
  await advance(100);
  t.equal(outcome, 'timeout');
});

t.test('undefined is a reply', async (t) => {
  const { node, settle } = createTestNode();
  const pid = node.spawn(server, undefined);
  const reply = node.call(pid, 'never', 50);
  await settle();
  node.cast(pid, undefined);
  await settle();
  t.equal(await reply, undefined);
});

t.test('a call fails at its deadline and not before, and a late reply is nobody’s', async (t) => {
  const { node, advance, settle } = createTestNode();
  const pid = node.spawn(server, undefined);
  let outcome: unknown;
  node.call(pid, 'never', 50).catch((error: unknown) => (outcome = error));
  await advance(49);
  t.equal(outcome, undefined);
  await advance(1);
  t.match(outcome, { code: 'RT_CALL_TIMEOUT' });
  node.cast(pid, 'late');
  await settle();
  t.equal(node.processInfo(pid)?.status, 'waiting', 'and does the callee no harm');
});

for (const [request, reason] of [
  ['crash', { error: { message: 'on purpose' } }],
  ['leave', 'normal'],
] as const) {
  t.test(`a callee that ends by ${request} fails the call at once, with its reason`, async (t) => {
    const { node, settle } = createTestNode();
    const failed = t.rejects(node.call(node.spawn(server, undefined), request, 50), { code: 'RT_CALL_EXITED', reason });
    await settle();
    await failed;
    t.equal(node.info().timerCount, 0);
  });
}

t.test('a call to nobody fails at once', async (t) => {
  const { node, settle } = createTestNode();
  const pid = node.spawn(server, undefined);
  node.exit(pid, 'kill');
  await settle();
  await t.rejects(node.call(pid, 'echo', 50), { code: 'RT_CALL_NOPROC' });
  await t.rejects(node.call('nobody', 'echo', 50), { code: 'RT_CALL_NOPROC' });
  await t.rejects(node.call({ name: 'server', worker: 3 }, 'echo', 50), {
    code: 'RT_CALL_REFUSED',
    detail: 'noconnection',
  });
});

t.test('a call to a full mailbox is refused and not sent', async (t) => {
  const { node, settle } = createTestNode();
  const pid = node.spawn(server, undefined, { mailboxMax: 1 });
  const first = node.call(pid, 'echo', 50);
  await t.rejects(node.call(pid, 'echo', 50), { code: 'RT_CALL_FULL' });
  await settle();
  t.equal(await first, 'echo');
  t.equal(node.kernel.expected.size, 0);
});

t.test('the time of a call to an actor that cannot run begins to run all the same', async (t) => {
  const { node, settle, advance } = createTestNode();
  const pid = node.spawn(client, undefined);
  node.cast(pid, () => new Promise(() => {}));
  await settle();
  let outcome: unknown;
  node.call(pid, 'echo', 50).catch((error: unknown) => (outcome = error));
  await advance(50);
  t.match(outcome, { code: 'RT_CALL_TIMEOUT' });
});

t.test('a call that its turn answers sets no timer, one that waits sets one', async (t) => {
  const { node, settle, loop } = createTestNode();
  const pid = node.spawn(server, undefined);
  await settle();
  const answered = node.call(pid, 'echo', 50);
  loop.run();
  t.equal(node.info().timerCount, 0);
  t.equal(await answered, 'echo');
  node.call(pid, 'never', 50).catch(() => {});
  t.equal(node.info().timerCount, 0);
  loop.run();
  t.equal(node.info().timerCount, 1);
});

t.test('an actor that calls itself is told so', async (t) => {
  const { node, settle } = createTestNode();
  let outcome: unknown;
  const pid = node.spawn(client, undefined);
  node.cast(pid, (ctx) => ctx.call(ctx.self, 'x', 50).then(undefined, (error: unknown) => void (outcome = error)));
  await settle();
  t.match(outcome, { code: 'RT_CALL_SELF' });
});

t.test('a caller that ends leaves neither monitor nor timer, and its code does not go on', async (t) => {
  const { node, settle } = createTestNode();
  const callee = node.spawn(server, undefined);
  const caller = node.spawn(client, undefined);
  let wentOn = false;
  node.cast(caller, async (ctx) => {
    await ctx.call(callee, 'never', 50).finally(() => (wentOn = true));
  });
  await settle();
  t.equal(node.processInfo(callee)?.monitoredByCount, 1);
  node.exit(caller, 'kill');
  await settle();
  t.equal(node.processInfo(callee)?.monitoredByCount, 0);
  t.equal(node.info().timerCount, 0);
  t.equal(node.kernel.expected.size, 0);
  node.cast(callee, 'late');
  await settle();
  t.equal(wentOn, false);
});

t.test('awaitExit tells the reason, noproc of the dead, and timeout', async (t) => {
  const { node, settle, advance } = createTestNode();
  const pid: Pid = node.spawn(server, undefined);
  const impatient = node.awaitExit(pid, 10);
  const patient = node.awaitExit(pid, 'infinity');
  await advance(10);
  t.equal(await impatient, 'timeout');
  node.exit(pid, { shutdown: 'why' });
  await settle();
  t.strictSame(await patient, { shutdown: 'why' });
  t.equal(await node.awaitExit(pid, 10), 'noproc');
  t.equal(node.info().timerCount, 0);
});

for (const timeoutMs of [0, -1, NaN, Infinity, LIMITS.callTimeoutMsMax + 1]) {
  t.test(`a timeout of ${timeoutMs} ms is a wrong call`, async (t) => {
    const { node } = createTestNode();
    t.throws(() => node.call('x', 'x', timeoutMs), RangeError);
    t.throws(() => node.awaitExit(node.kernel.self, timeoutMs), RangeError);
  });
}
