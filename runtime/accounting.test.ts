import fc from 'fast-check';
import t from 'tap';

import type { Behavior } from './behavior.ts';
import { annexOf, COUNT_CARRY } from './process.ts';
import { createTestNode } from './testing/test-node.ts';

/** Spends the virtual time that a message says. */
const worker: Behavior<(ms: number) => void, (ms: number) => void> = {
  name: 'worker',
  init: (spend) => spend,
  handleInfo: (ms, spend) => spend(ms as number),
};

t.test('messages are counted exactly, for each actor and for the node', async (t) => {
  const sends = fc.array(fc.nat(4), { maxLength: 300 });
  const counts = fc.asyncProperty(sends, async (drawn) => {
    const { node, settle } = createTestNode();
    const pids = [0, 1, 2, 3, 4].map(() => node.spawn(worker, () => {}));
    for (const index of drawn) node.send(pids[index]!, 0);
    await settle();
    const expected = pids.map((_, at) => drawn.filter((index) => index === at).length);
    const counted = pids.map((pid) => node.processInfo(pid)!.reductions);
    return counted.join() === expected.join() && node.info().handledCount === drawn.length;
  });
  await t.resolves(fc.assert(counts, { numRuns: 50 }));
});

t.test('the message that a handler throws on, stops in or suspends on is counted too', async (t) => {
  const { node, settle } = createTestNode();
  const how: Behavior<null, void, unknown, string> = {
    name: 'how',
    init: () => null,
    handleInfo(message, _state, ctx): void | Promise<void> {
      if (message === 'throw') throw new Error('on purpose');
      if (message === 'stop') ctx.stop();
      if (message === 'suspend') return Promise.resolve();
    },
  };
  for (const message of ['throw', 'stop', 'suspend']) node.send(node.spawn(how, undefined), message);
  await settle();
  t.equal(node.info().handledCount, 3);
});

t.test('the age of the oldest message is told, and is that of the oldest', async (t) => {
  const { node, clock, settle, advance } = createTestNode();
  let open = (): void => {};
  const slow: Behavior<null> = {
    name: 'slow',
    init: () => null,
    handleInfo: (message) => (message === 'wait' ? new Promise<void>((resolve) => (open = resolve)) : undefined),
  };
  clock.advance(1);
  const pid = node.spawn(slow, undefined);
  node.send(pid, 'wait');
  await settle();
  t.equal(node.processInfo(pid)?.messageQueueAgeMs, 0);
  node.send(pid, 'first');
  clock.advance(1_000);
  node.send(pid, 'second');
  t.equal(node.processInfo(pid)?.messageQueueAgeMs, 1_000, 'though nothing ran meanwhile');
  await advance(500);
  t.equal(node.processInfo(pid)?.messageQueueAgeMs, 1_500);
  open();
  await settle();
  t.equal(node.processInfo(pid)?.messageQueueAgeMs, 0);
});

t.test('a message that came after the worker had slept is as old as it is', async (t) => {
  const { node, clock, settle } = createTestNode();
  const pid = node.spawn(worker, () => {});
  await settle();
  clock.advance(60_000);
  node.send(pid, 0);
  t.equal(node.processInfo(pid)?.messageQueueAgeMs, 0);
  clock.advance(3);
  t.equal(node.processInfo(pid)?.messageQueueAgeMs, 3);
});

t.test('time is estimated from samples, and regular turn-taking does not mislead it', async (t) => {
  const { node, clock, loop, settle } = createTestNode();
  const costsMs = [0, 0.01, 0.02, 0.07];
  const pids = costsMs.map((ms) => node.spawn(worker, () => clock.advance(ms)));
  await settle();
  const ROUNDS = 40_000;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const pid of pids) node.send(pid, 0);
    while (loop.run());
  }
  for (const [index, costMs] of costsMs.entries()) {
    const spentMs = costMs * ROUNDS;
    const { runtimeMs } = node.processInfo(pids[index]!)!;
    t.ok(Math.abs(runtimeMs - spentMs) <= spentMs * 0.15, `${runtimeMs} of ${spentMs} ms`);
  }
  const busyMs = costsMs.reduce((sum, costMs) => sum + costMs * ROUNDS, 0);
  t.ok(Math.abs(node.info().busyMs - busyMs) < 1, 'what the node spent in all is exact');
});

t.test('counts are carried over where they would leave the small integers', async (t) => {
  const { node, settle } = createTestNode();
  const pid = node.spawn(worker, () => {});
  await settle();
  const process = node.kernel.processes.get(pid)!;
  process.handledCount = COUNT_CARRY - 1;
  process.busyUs = COUNT_CARRY + 5;
  for (let index = 0; index < 3; index += 1) node.send(pid, 0);
  await settle();
  t.match(node.processInfo(pid), { reductions: COUNT_CARRY + 2, runtimeMs: (COUNT_CARRY + 5) / 1_000 });
  t.equal(process.handledCount, 0);
  t.equal(annexOf(process).carriedCount, COUNT_CARRY + 2);
});
