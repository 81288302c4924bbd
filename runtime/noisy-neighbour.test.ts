/**
 * One actor that never runs out of messages, among ten thousand: what it costs the others, counted and not timed.
 */

import t from 'tap';

import type { Behavior } from './behavior.ts';
import { LIMITS } from './limits.ts';
import { createTestNode, type TestNode } from './testing/test-node.ts';

const ACTOR_COUNT = 10_000;
const MESSAGE_MS = 0.01;

interface Street {
  test: TestNode;
  /** Messages that anybody has handled so far: the clock of this test. */
  handled(): number;
  /** Handled messages between the arrival of a message and its turn, for each of the quiet ones. */
  latencies: number[];
  sendToAll(): void;
}

async function createStreet(noisy: boolean): Promise<Street> {
  const test = createTestNode();
  const { node, clock } = test;
  let handled = 0;
  const latencies: number[] = [];
  const quiet: Behavior<null> = {
    name: 'quiet',
    init: () => null,
    handleInfo(sentAt) {
      latencies.push(handled - (sentAt as number));
      handled += 1;
      clock.advance(MESSAGE_MS);
    },
  };
  const loud: Behavior<null> = {
    name: 'loud',
    init: () => null,
    handleInfo(_info, _state, ctx) {
      handled += 1;
      clock.advance(MESSAGE_MS);
      ctx.send(ctx.self, 'again');
    },
  };
  const pids = Array.from({ length: ACTOR_COUNT }, () => node.spawn(quiet, undefined));
  await test.settle();
  if (noisy) node.send(node.spawn(loud, undefined), 'begin');
  for (let round = 0; round < 100; round += 1) test.loop.run();
  const sendToAll = (): void => pids.forEach((pid) => node.send(pid, handled));
  return { test, handled: () => handled, latencies, sendToAll };
}

function percentile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.ceil(values.length * share) - 1]!;
}

/** Sends to each actor alone and to all at once, and lets the loop go round until all have run. */
function observe(street: Street): { alone: number; together: number } {
  const { test, latencies } = street;
  const [first, ...rest] = test.node.processes();
  t.ok(first);
  for (const pid of rest.slice(0, 500)) {
    const before = latencies.length;
    test.node.send(pid, street.handled());
    for (let round = 0; latencies.length === before && round < 10; round += 1) test.loop.run();
  }
  const alone = percentile(latencies.splice(0), 0.99);
  street.sendToAll();
  for (let round = 0; latencies.length < ACTOR_COUNT && round < 1_000; round += 1) test.loop.run();
  return { alone, together: percentile(latencies.splice(0), 0.99) };
}

t.test('the p99 of the others grows by at most one turn’s budget', async (t) => {
  const calm = observe(await createStreet(false));
  const noisy = observe(await createStreet(true));
  t.ok(noisy.alone <= calm.alone + LIMITS.turnMessagesMax, `one message: ${calm.alone}, then ${noisy.alone}`);
  t.ok(noisy.together <= calm.together + LIMITS.turnMessagesMax, `all: ${calm.together}, then ${noisy.together}`);
  t.ok(noisy.alone > calm.alone, 'and the test sees that there is a noisy one');
});

t.test('the loop gets back to its sockets within a slice, however long the noisy one goes on', async (t) => {
  const { test } = await createStreet(true);
  const stepsMs: number[] = [];
  for (let round = 0; round < 200; round += 1) {
    const before = test.clock.monotonicMs();
    t.equal(test.loop.run(), true);
    stepsMs.push(test.clock.monotonicMs() - before);
  }
  // The clock is looked at every so many turns, and each may use its whole budget.
  const overrunMs = LIMITS.sliceCheckTurns * 1.5 * LIMITS.turnMessagesMax * MESSAGE_MS;
  t.ok(Math.max(...stepsMs) <= LIMITS.sliceMsMax + overrunMs, `${Math.max(...stepsMs)} ms at most`);
});
