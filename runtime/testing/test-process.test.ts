import t from 'tap';

import { type Behavior, NO_REPLY } from '../behavior.ts';
import type { From } from '../envelope.ts';
import type { Pid } from '../pid.ts';
import { TestProcess } from './test-process.ts';

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
