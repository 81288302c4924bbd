import t from 'tap';

import { createSeededRandom } from './seeded-random.ts';
import { ManualLoop, VirtualClock } from './virtual-clock.ts';

t.test('virtual time stands still, and fires timers each at its own time', async (t) => {
  const clock = new VirtualClock(1_000);
  const fired: [string, number][] = [];
  const fire =
    (name: string): (() => void) =>
    () =>
      void fired.push([name, clock.monotonicMs()]);
  clock.setTimer(20, fire('late'));
  const cleared = clock.setTimer(5, fire('cleared'));
  clock.setTimer(10, () => clock.setTimer(5, fire('nested')));
  clock.clearTimer(cleared);
  clock.advance(19);
  t.strictSame(fired, [['nested', 15]]);
  clock.advance(1);
  t.strictSame(fired.at(-1), ['late', 20]);
  t.equal(clock.nowMs(), 1_020);
  clock.jumpWall(-500);
  t.equal(clock.nowMs(), 520);
  t.equal(clock.monotonicMs(), 20);
  t.equal(clock.timerCount, 0);
});

t.test('a manual loop runs what was deferred, one round at a time', async (t) => {
  const loop = new ManualLoop();
  const ran: number[] = [];
  loop.defer(() => {
    ran.push(1);
    loop.defer(() => ran.push(2));
  });
  t.equal(loop.run(), true);
  t.strictSame(ran, [1]);
  void Promise.resolve().then(() => loop.defer(() => ran.push(3)));
  await loop.settle();
  t.strictSame(ran, [1, 2, 3]);
  t.equal(loop.run(), false);
});

t.test('a seed gives its numbers, in their bounds and spread', async (t) => {
  const draw = (seed: number): number[] => {
    const random = createSeededRandom(seed);
    return Array.from({ length: 1_000 }, () => random.integer(10));
  };
  t.strictSame(draw(1), draw(1));
  t.not(draw(1).join(), draw(2).join());
  for (let digit = 0; digit < 10; digit += 1) {
    const count = draw(3).filter((drawn) => drawn === digit).length;
    t.ok(count > 60 && count < 140, `${digit} came ${count} times`);
  }
  t.equal(createSeededRandom(1).bytes(5).length, 5);
});
