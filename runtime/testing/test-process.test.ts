import t from 'tap';

import { type Behavior, NO_REPLY } from '../behavior.ts';
import type { From } from '../envelope.ts';
import type { Pid } from '../pid.ts';
import { failOn, TestProcess } from './test-process.ts';

/** Asks a store for each request, and answers when it has gathered what a turn brought. */
interface Desk {
  open: { from: From; value: unknown }[];
}
const desk: Behavior<Desk, { store: Pid }, string, 'ask' | 'leave', unknown> = {
  name: 'desk',
  init({ store }, ctx) {
    ctx.trapExit(true);
    ctx.monitor(store);
    ctx.register('desk');
    return { open: [] };
  },
  async handleCall(request, from, state, ctx) {
    if (request === 'leave') return ctx.stop({ shutdown: 'asked' });
    state.open.push({ from, value: await ctx.call('store', 'read', 100) });
    ctx.requestTurnEnd();
    return NO_REPLY;
  },
  handleCast(message, _state, ctx) {
    if (ctx.cast('printer', message) === 'full') ctx.sendAfter(50, message);
  },
  handleInfo: (_info, _state, ctx) => ctx.stop('shutdown'),
  handleTurnEnd: (state, ctx) => state.open.splice(0).forEach(({ from, value }) => ctx.reply(from, value)),
};

t.test('records what init does', async (t) => {
  const test = new TestProcess(desk);
  await test.start({ store: test.pid(1) });
  t.match(test.take(), [
    { type: 'monitor', pid: test.pid(1) },
    { type: 'register', name: 'desk' },
  ]);
  t.equal(test.trapsExits, true);
  t.strictSame(test.take(), [], 'and each effect is told once');
});

t.test('a call that needs another actor gets the reply that the test gives', async (t) => {
  const test = await new TestProcess(desk, { onCall: () => 7 }).start({ store: new TestProcess(desk).pid(1) });
  test.take();
  const from = test.from(2);
  t.equal(await test.call('ask', from), NO_REPLY);
  t.match(test.take(), [{ type: 'call', to: 'store', request: 'read', timeoutMs: 100 }, { type: 'requestTurnEnd' }]);
  t.strictSame(test.turnEnd(), [{ type: 'reply', from, value: 7 }]);
});

t.test('a call that the test refuses rejects', async (t) => {
  const refuse = (): never => {
    throw new Error('store is down');
  };
  const test = await new TestProcess(desk, { onCall: refuse }).start({ store: new TestProcess(desk).pid(1) });
  await t.rejects(test.call('ask'), { message: 'store is down' });
});

t.test('a send that the test refuses is refused', async (t) => {
  const test = await new TestProcess(desk, { onSend: () => 'full' }).start({ store: new TestProcess(desk).pid(1) });
  test.take();
  t.match(await test.cast('page'), [
    { type: 'cast', to: 'printer', message: 'page', result: 'full' },
    { type: 'timer', delayMs: 50, message: 'page' },
  ]);
});

t.test('a stop is recorded with its reason', async (t) => {
  const test = await new TestProcess(desk).start({ store: new TestProcess(desk).pid(1) });
  t.equal(test.stopped, undefined);
  await test.call('leave');
  t.strictSame(test.stopped, { shutdown: 'asked' });
  t.match((await test.info({ type: 'EXIT', pid: test.pid(1), reason: 'killed' })).at(-1), { reason: 'shutdown' });
});

/** Works in two halves, with a timer, a request and a packed state. */
const worker: Behavior<{ done: string[] }, void, string> = {
  name: 'worker',
  init(_args, ctx) {
    ctx.continue('open');
    return { done: [] };
  },
  handleContinue: (term, state) => void state.done.push(`continue ${String(term)}`),
  handleCast(message, state, ctx) {
    state.done.push(message);
    const timer = ctx.sendAfter(100, 'late');
    ctx.sendAfter(10, 'soon');
    if (message === 'cancel') ctx.cancelTimer(timer);
    if (message === 'ask') ctx.sendRequest('other', 'question', 50);
    if (message === 'child') ctx.spawn(worker, undefined);
    ctx.receiveTimeout(500);
    ctx.hibernate();
  },
  handleInfo(info, state, ctx) {
    state.done.push(
      typeof info === 'string' ? `${info} at ${ctx.clock.monotonicMs()}` : (info as { type: string }).type,
    );
  },
  hibernate: ({ done }) => done.join(),
  wake: (packed) => ({ done: (packed as string).split(',') }),
  codeChange: ({ done }, from) => ({ done: [...done, `from ${from}`] }),
};

t.test('what was to be continued runs before the next message, or when the test says so', async (t) => {
  const test = await new TestProcess(worker).start();
  t.strictSame(test.take(), [{ type: 'continue', term: 'open' }]);
  await test.cast('x');
  t.strictSame(test.state.done, ['continue open', 'x']);
  const other = await new TestProcess(worker).start();
  await other.continues();
  t.strictSame(other.state.done, ['continue open']);
});

t.test('timers for itself come due in their order when the test moves time on; a cancelled one does not', async (t) => {
  const test = await new TestProcess(worker).start();
  await test.continues();
  t.match(await test.cast('x'), [
    { type: 'timer' },
    { type: 'timer' },
    { type: 'receiveTimeout' },
    { type: 'hibernate' },
  ]);
  await test.advance(99);
  t.strictSame(test.state.done.slice(2), ['soon at 10']);
  await test.advance(1);
  t.strictSame(test.state.done.slice(2), ['soon at 10', 'late at 100']);
  await test.cast('cancel');
  await test.advance(1_000);
  t.strictSame(test.state.done.slice(4), ['cancel', 'soon at 110']);
});

t.test('failures are injected where the test wants them', async (t) => {
  const sends = failOn(2, 'full', 'ok');
  t.strictSame([sends(), sends(), sends()], ['ok', 'full', 'ok']);
  const test = await new TestProcess(worker, { onSpawn: failOn(1, new RangeError('no room'), undefined) }).start();
  await t.rejects(test.cast('child'), { message: 'no room' });
  t.ok((await test.cast('child')).some(({ type }) => type === 'spawn'));
});

t.test('news of ends, responses, code change and hibernation are handed in', async (t) => {
  const test = await new TestProcess(worker).start();
  const asked = (await test.cast('ask')).find((effect) => effect.type === 'sendRequest')!;
  await test.info({ type: 'RESPONSE', ref: (asked as { ref: unknown }).ref, ok: 1 });
  await test.down(test.pid(1), 'killed');
  await test.exit(test.pid(1), 'shutdown');
  t.strictSame(test.state.done.slice(2), ['RESPONSE', 'DOWN', 'EXIT']);
  t.equal(test.hibernate(), 'continue open,ask,RESPONSE,DOWN,EXIT');
  t.strictSame(test.codeChange(3).done.slice(-2), ['EXIT', 'from 3']);
});
