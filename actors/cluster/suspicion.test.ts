import t from 'tap';
import { VirtualClock } from '../../runtime/testing/index.ts';
import { promisesSettled } from '../../runtime/testing/virtual-clock.ts';
import { LIMITS } from './limits.ts';
import { Liveness } from './liveness.ts';
import { formatSeat, seatKey } from './shard-record.ts';
import { Suspicion } from './suspicion.ts';

const SELF = { node: 'a', worker: 1 };
const OTHER = { node: 'b', worker: 1 };

/** What becomes of a seat that is silent when the servers answer so, one answer after the other. */
async function isAliveAfter(answers: readonly boolean[], isHeardBetween = false): Promise<boolean> {
  const clock = new VirtualClock();
  const liveness = new Liveness(SELF);
  const hear = (node: string): void => {
    const said = { leaving: false, isLocal: false, copies: [], empty: [], revision: 0 };
    const record = { node, worker: 1, workers: 1, life: 1, ...said };
    liveness.note(seatKey(record), formatSeat(record), clock.monotonicMs());
  };
  const asked = [...answers];
  const suspicion = new Suspicion({ isDeserted: async () => asked.shift() === true }, liveness, clock);
  hear('a');
  hear('b');
  for (let ms = 0; ms <= LIMITS.suspectMs + LIMITS.desertedMs + 100; ms += 100) {
    if (ms === LIMITS.suspectMs + 200 && isHeardBetween) hear('b');
    suspicion.look(OTHER, clock.monotonicMs());
    await promisesSettled();
    clock.advance(100);
    if (ms % LIMITS.renewalMs === 0) hear('a');
  }
  await promisesSettled();
  return liveness.isAlive(OTHER, clock.monotonicMs());
}

t.test('a silent seat is dead when the servers say twice that it has no connection', async (t) => {
  t.notOk(await isAliveAfter([true, true]));
});

t.test('one that had none for a moment, or of which they know nothing, keeps its time', async (t) => {
  t.ok(await isAliveAfter([true, false, false]));
  t.ok(await isAliveAfter([false, false, false]));
});

t.test('one that is heard while it is asked for lives', async (t) => {
  t.ok(await isAliveAfter([true, true], true));
});
