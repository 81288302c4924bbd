import fc from 'fast-check';
import t from 'tap';

import type { Behavior, Context, OverflowPolicy } from './behavior.ts';
import { isDown } from './envelope.ts';
import { MAILBOX_OVERFLOW } from './overflow.ts';
import type { Pid } from './pid.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';

type Step = (ctx: Context) => void;
const hoarder: Behavior<unknown[], unknown[], Step, unknown, unknown> = {
  name: 'hoarder',
  init: (heard) => heard,
  handleCast: (step, _heard, ctx) => step(ctx),
  handleInfo: (info, heard) => void heard.push(info),
  handleCall: (request, _from, heard) => (heard.push(request), 'done'),
};

interface Hoarder {
  test: TestNode;
  pid: Pid<Step>;
  heard: unknown[];
}
async function createHoarder(overflow: OverflowPolicy | undefined, mailboxMax: number = 2): Promise<Hoarder> {
  const test = createTestNode();
  const heard: unknown[] = [];
  const pid = test.node.spawn(hoarder, heard, overflow === undefined ? { mailboxMax } : { mailboxMax, overflow });
  await test.settle();
  return { test, pid, heard };
}

for (const { overflow, results, handled, refusedCount, droppedCount } of [
  { overflow: undefined, results: ['ok', 'ok', 'full', 'full'], handled: [1, 2], refusedCount: 2, droppedCount: 0 },
  { overflow: 'refuse', results: ['ok', 'ok', 'full', 'full'], handled: [1, 2], refusedCount: 2, droppedCount: 0 },
  { overflow: 'drop_newest', results: ['ok', 'ok', 'ok', 'ok'], handled: [1, 2], refusedCount: 0, droppedCount: 2 },
  { overflow: 'drop_oldest', results: ['ok', 'ok', 'ok', 'ok'], handled: [3, 4], refusedCount: 0, droppedCount: 2 },
] as const) {
  t.test(`a mailbox of two with the policy ${overflow ?? 'left out'} gets four messages`, async (t) => {
    const { test, pid, heard } = await createHoarder(overflow);
    t.strictSame(
      [1, 2, 3, 4].map((message) => test.node.send(pid, message)),
      results,
    );
    t.match(test.node.processInfo(pid), { messageQueueLen: 2, messageQueueMax: 2, refusedCount, droppedCount });
    t.match(test.node.info(), { refusedCount, droppedCount });
    await test.settle();
    t.strictSame(heard, handled);
  });
}

t.test('an actor with the policy exit ends, though it traps exits, and says why', async (t) => {
  const { test, pid, heard } = await createHoarder('exit');
  test.node.cast(pid, (ctx) => void ctx.trapExit(true));
  await test.settle();
  const ended = test.node.awaitExit(pid, 'infinity');
  t.strictSame(
    [1, 2, 3, 4].map((message) => test.node.send(pid, message)),
    ['ok', 'ok', 'full', 'full'],
  );
  await test.settle();
  t.match(await ended, { error: { code: 'RT_MAILBOX_OVERFLOW' } });
  t.strictSame(heard, [], 'before it handles what waits');
  t.match(test.logged, [{ event: 'mailbox_overflow', fields: { behavior: 'hoarder', mailboxMax: 2 } }]);
  t.equal(test.logged.length, 1, 'once, however many messages came');
});

for (const overflow of ['refuse', 'drop_newest', 'drop_oldest'] as const) {
  t.test(`an actor that hears of overflow is told once, behind what waits, with the policy ${overflow}`, async (t) => {
    const test = createTestNode();
    const heard: unknown[] = [];
    const pid = test.node.spawn({ ...hoarder, hearsOverflow: true }, heard, { mailboxMax: 2, overflow });
    await test.settle();
    for (const message of [1, 2, 3, 4]) test.node.send(pid, message);
    await test.settle();
    t.equal(heard.filter((info) => info === MAILBOX_OVERFLOW).length, 1);
    const numbers = heard.filter((info) => typeof info === 'number');
    t.strictSame(numbers, overflow === 'drop_oldest' ? [3, 4] : [1, 2]);
    for (const message of [5, 6, 7]) test.node.send(pid, message);
    await test.settle();
    t.equal(heard.filter((info) => info === MAILBOX_OVERFLOW).length, 1);
  });
}

for (const overflow of ['drop_oldest', 'drop_newest'] as const) {
  t.test(`a request that ${overflow} loses fails its caller at once`, async (t) => {
    const { test, pid, heard } = await createHoarder(overflow, 1);
    const calls = [1, 2].map((request) => test.node.call(pid, request, 1_000).catch((error: unknown) => error));
    await test.settle();
    const [lost, kept] = overflow === 'drop_oldest' ? [0, 1] : [1, 0];
    t.match(await calls[lost], { code: 'RT_CALL_FULL' });
    t.equal(await calls[kept], 'done');
    t.strictSame(heard, [kept + 1]);
    t.equal(test.node.info().timerCount, 0);
    t.equal(test.node.kernel.expected.size, 0);
  });
}

t.test('news of a death and timers are kept, and a message is lost in their place', async (t) => {
  const { test, pid, heard } = await createHoarder('drop_oldest', 1);
  const mortal = test.node.spawn(hoarder, []);
  test.node.cast(pid, (ctx) => {
    ctx.monitor(mortal);
    ctx.sendAfter(5, 'timer');
  });
  await test.settle();
  // Both arrive while the actor cannot run: the loop is not moved.
  test.node.exit(mortal, 'kill');
  test.loop.run();
  for (const message of [1, 2]) t.equal(test.node.send(pid, message), 'ok');
  test.clock.advance(10);
  t.equal(test.node.send(pid, 3), 'ok');
  await test.settle();
  const kinds = heard.map((info) => (isDown(info) ? 'down' : info));
  t.ok(kinds.includes('down'));
  t.ok(kinds.includes('timer'));
});

t.test('a policy that is none is a wrong call', async (t) => {
  const { node } = createTestNode();
  t.throws(() => node.spawn(hoarder, [], { overflow: 'panic' as never }), RangeError);
});

t.test('a bounded mailbox never holds more than its bound, under any policy and any traffic', async (t) => {
  const policy = fc.constantFrom<OverflowPolicy>('refuse', 'drop_oldest', 'drop_newest');
  const traffic = fc.array(fc.constantFrom('send', 'send', 'send', 'call', 'run'), { maxLength: 120 });
  const keepsBound = fc.asyncProperty(policy, fc.integer({ min: 1, max: 9 }), traffic, async (overflow, max, steps) => {
    const { test, pid, heard } = await createHoarder(overflow, max);
    let accepted = 0;
    for (const [index, step] of steps.entries()) {
      if (step === 'run') test.loop.run();
      else if (step === 'send' && test.node.send(pid, index) === 'ok') accepted += 1;
      else if (step === 'call')
        void test.node.call(pid, index, 1_000).then(
          () => (accepted += 1),
          () => {},
        );
      if (test.node.processInfo(pid)!.messageQueueLen > max) return false;
    }
    await test.settle();
    const sorted = [...(heard as number[])].sort((a, b) => a - b);
    const inOrder = sorted.join() === heard.join();
    return inOrder && heard.length <= accepted + test.node.info().droppedCount;
  });
  await fc.assert(keepsBound, { numRuns: 200 });
  t.pass();
});
