import t from 'tap';

import { systemClock, systemLoop, systemRandom } from './system-adapters.ts';

t.test('the clock goes on, fires once, and not what was cleared', async (t) => {
  const startMs = systemClock.monotonicMs();
  let fired = 0;
  systemClock.clearTimer(systemClock.setTimer(1, () => (fired += 100)));
  await new Promise<void>((resolve) => {
    systemClock.setTimer(5, () => {
      fired += 1;
      resolve();
    });
  });
  t.equal(fired, 1);
  t.ok(systemClock.monotonicMs() > startMs);
  const before = new Date().getTime();
  const now = systemClock.nowMs();
  t.ok(now > before - 1_000 && now < new Date().getTime() + 1_000, 'the time of day, however long this took');
});

t.test('randomness is in its bounds, and bytes are nobody else’s', async (t) => {
  for (let index = 0; index < 100; index += 1) t.ok(systemRandom.integer(3) < 3);
  t.equal(systemRandom.integer(1), 0);
  const bytes = systemRandom.bytes(16);
  t.equal(bytes.buffer.byteLength, 16);
  t.not(bytes.join(), systemRandom.bytes(16).join());
});

t.test('what is deferred runs later and once', async (t) => {
  let runs = 0;
  systemLoop.defer(() => (runs += 1));
  t.equal(runs, 0);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  t.equal(runs, 1);
});

t.test('soon comes after what promises that have settled do, and before the loop goes round', async (t) => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      setImmediate(() => {
        order.push('loop');
        resolve();
      });
      void (async () => (await Promise.resolve(), order.push('resumed')))();
      systemLoop.soon!(() => order.push('soon'));
    });
  });
  t.strictSame(order, ['resumed', 'soon', 'loop']);
});
