import t from 'tap';

import type { WorkerDeath } from '../runtime/index.ts';
import { VirtualClock } from '../runtime/testing/virtual-clock.ts';
import { restartWorkers } from './worker-restarts.ts';

const deathOf = (worker: number): WorkerDeath => ({
  worker,
  cause: 'exit',
  status: 1,
  error: undefined,
  behavior: undefined,
});

t.test('workers are started again up to the intensity, all of them together', async (t) => {
  const clock = new VirtualClock();
  const restart = restartWorkers(clock, { intensity: 2, periodMs: 1_000 });
  t.equal(restart(deathOf(1)), true);
  t.equal(restart(deathOf(2)), true);
  t.equal(restart(deathOf(3)), false);
  clock.advance(1_001);
  t.equal(restart(deathOf(1)), true);
});

t.test('by default one restart in five seconds is allowed', async (t) => {
  const clock = new VirtualClock();
  const restart = restartWorkers(clock);
  t.strictSame([restart(deathOf(1)), restart(deathOf(1))], [true, false]);
  clock.advance(5_001);
  t.equal(restart(deathOf(1)), true);
});

t.test('limits out of bounds are refused when the rule is made', async (t) => {
  t.throws(() => restartWorkers(new VirtualClock(), { intensity: -1 }), RangeError);
});
