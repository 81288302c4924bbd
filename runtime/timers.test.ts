import fc from 'fast-check';
import t from 'tap';

import { LIMITS } from './limits.ts';
import { RefSource } from './ref.ts';
import { VirtualClock } from './testing/virtual-clock.ts';
import { Timer, TimerWheel } from './timers.ts';

interface Wheel {
  clock: VirtualClock;
  wheel: TimerWheel;
  fired: { name: unknown; atMs: number }[];
  set(delayMs: number, name: unknown): Timer;
}

function createWheel(): Wheel {
  const clock = new VirtualClock();
  const refs = new RefSource('n', 0, 1);
  const fired: Wheel['fired'] = [];
  const wheel = new TimerWheel(clock, ({ message }) => void fired.push({ name: message, atMs: clock.monotonicMs() }));
  const set = (delayMs: number, name: unknown): Timer => {
    const timer = new Timer(refs, wheel.dueTick(delayMs), null, 'somebody', name, null);
    wheel.add(timer);
    return timer;
  };
  return { clock, wheel, fired, set };
}

const DAY_MS = 86_400_000;
// Both sides of the border of each level.
const delays = [0, 1, 2, 255, 256, 257, 16_383, 16_384, 16_385, 1_048_575, 1_048_576, DAY_MS, 2 ** 26, 30 * DAY_MS];
for (const delayMs of [...delays, LIMITS.timerDelayMsMax]) {
  t.test(`a timer of ${delayMs} ms fires then, not before and not again`, async (t) => {
    const { clock, wheel, fired, set } = createWheel();
    clock.advance(100.25);
    set(delayMs, 'only');
    const dueMs = Math.max(101, Math.ceil(100.25 + delayMs));
    clock.advance(dueMs - 100.25 - 0.25);
    t.equal(fired.length, 0);
    clock.advance(0.25);
    t.strictSame(fired, [{ name: 'only', atMs: dueMs }]);
    clock.advance(10_000);
    t.equal(fired.length, 1);
    t.equal(wheel.count, 0);
  });
}

t.test('a cancelled timer does not fire, and is cancelled once', async (t) => {
  const { clock, wheel, fired, set } = createWheel();
  const timer = set(500, 'cancelled');
  set(500, 'kept');
  t.equal(wheel.cancel(timer), true);
  t.equal(wheel.cancel(timer), false);
  clock.advance(1_000);
  t.strictSame(fired, [{ name: 'kept', atMs: 500 }]);
});

t.test('a timer that fired cannot be cancelled', async (t) => {
  const { clock, wheel, set } = createWheel();
  const timer = set(1, 'x');
  clock.advance(1);
  t.equal(wheel.cancel(timer), false);
});

t.test('a shorter timer is not held up by a longer one, whenever it is set', async (t) => {
  const { clock, fired, set } = createWheel();
  set(100_000, 'long');
  clock.advance(777);
  set(3, 'short');
  clock.advance(99_223);
  t.strictSame(fired, [
    { name: 'short', atMs: 780 },
    { name: 'long', atMs: 100_000 },
  ]);
});

t.test('a timer that moves down a level is not slept over for one that is already below', async (t) => {
  const { clock, fired, set } = createWheel();
  set(260, 'moves down at 256');
  set(100, 'brings the wheel to 100');
  set(101, 'wakes it once more');
  clock.advance(100);
  set(240, 'is below, due at 340');
  clock.advance(300);
  t.strictSame(
    fired.map(({ atMs }) => atMs),
    [100, 101, 260, 340],
  );
});

t.test('fires what a list of due times would fire, under any mix of operations', async (t) => {
  const delay = fc.oneof(fc.nat(300), fc.nat(20_000), fc.nat(3_000_000));
  const step = fc.oneof(
    fc.record({ type: fc.constant('set' as const), ms: delay }),
    fc.record({ type: fc.constant('advance' as const), ms: delay }),
    fc.record({ type: fc.constant('cancel' as const), ms: fc.nat(20) }),
  );
  const matchesList = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const { clock, wheel, fired, set } = createWheel();
    const timers: Timer[] = [];
    const dueMs = new Map<number, number>();
    for (const { type, ms } of steps) {
      if (type === 'set') {
        dueMs.set(timers.length, Math.max(clock.monotonicMs() + ms, clock.monotonicMs() + 1));
        timers.push(set(ms, timers.length));
      } else if (type === 'cancel') {
        if (ms >= timers.length) continue;
        if (wheel.cancel(timers[ms]!) !== dueMs.delete(ms)) return false;
      } else {
        fired.length = 0;
        clock.advance(ms);
        const due = [...dueMs].filter(([, atMs]) => atMs <= clock.monotonicMs());
        for (const [index] of due) dueMs.delete(index);
        const expected = new Map(due);
        if (fired.length !== due.length) return false;
        if (!fired.every(({ name, atMs }) => expected.get(name as number) === atMs)) return false;
        if (!fired.every(({ atMs }, index) => index === 0 || fired[index - 1]!.atMs <= atMs)) return false;
      }
      if (wheel.count !== dueMs.size) return false;
    }
    return true;
  });
  fc.assert(matchesList, { numRuns: 300 });
  t.pass();
});

t.test('stop leaves nothing, neither here nor in the clock', async (t) => {
  const { clock, wheel, fired, set } = createWheel();
  for (const delayMs of delays) set(delayMs, delayMs);
  wheel.stop();
  t.equal(wheel.count, 0);
  t.equal(clock.timerCount, 0);
  clock.advance(DAY_MS * 60);
  t.strictSame(fired, []);
});
