import t from 'tap';

import type { Behavior } from './behavior.ts';
import { Pulse, PULSE_BYTES, readPulse } from './pulse.ts';
import { createTestNode } from './testing/test-node.ts';

const named = (name: string): Behavior<null, void> => ({ name, init: () => null, handleInfo: () => undefined });

t.test('it shows the actor that ran last, with its behaviour, across any number of them', async (t) => {
  const memory = new SharedArrayBuffer(PULSE_BYTES);
  const { node, settle } = createTestNode({ name: 'n', worker: 3 });
  node.kernel.pulse = new Pulse(memory);
  const sample = (): ReturnType<typeof readPulse> => readPulse(memory, 'n', 3);
  t.match(sample(), { turn: 0, inTurn: false, behavior: undefined, pid: undefined });
  for (const name of ['first', 'é'.repeat(100), ...Array.from({ length: 252 }, (_, index) => `b${index}`)]) {
    const pid = node.spawn(named(name), undefined);
    await settle();
    t.equal(`${sample().pid}`, `${pid}`);
    t.ok(name.startsWith(sample().behavior!), name);
  }
  for (const name of ['late', 'later']) {
    node.spawn(named(name), undefined);
    await settle();
    t.equal(sample().behavior, 'one of many');
  }
  node.spawn(named('first'), undefined);
});

t.test('the count of turns is odd within a turn', async (t) => {
  const memory = new SharedArrayBuffer(PULSE_BYTES);
  const pulse = new Pulse(memory);
  t.equal(readPulse(memory, 'n', 1).inTurn, false);
  pulse.beat();
  t.match(readPulse(memory, 'n', 1), { turn: 1, inTurn: true });
  pulse.beat();
  t.match(readPulse(memory, 'n', 1), { turn: 2, inTurn: false });
});
