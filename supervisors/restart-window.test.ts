import fc from 'fast-check';
import t from 'tap';

import { LIMITS } from './limits.ts';
import { addRestart, completeLimits, EMPTY_WINDOW, type RestartWindow } from './restart-window.ts';

t.test('allows intensity restarts within a period and not one more', async (t) => {
  const limits = { intensity: 2, periodMs: 1_000 };
  let window: RestartWindow = EMPTY_WINDOW;
  const at = (nowMs: number): boolean => {
    const result = addRestart(window, nowMs, limits);
    window = result.window;
    return result.allowed;
  };
  t.strictSame([at(0), at(10), at(1_000)], [true, true, false], 'at the end of the period the first still counts');
  t.equal(at(2_001), true, 'later it does not');
});

t.test('intensity 0 allows none', async (t) => {
  t.equal(addRestart(EMPTY_WINDOW, 0, { intensity: 0, periodMs: 1 }).allowed, false);
});

t.test('agrees with counting all restarts ever, and never keeps an old one', async (t) => {
  const agrees = fc.property(
    fc.array(fc.nat(50), { maxLength: 60 }),
    fc.nat(5),
    fc.integer({ min: 1, max: 100 }),
    (gapsMs, intensity, periodMs) => {
      let window: RestartWindow = EMPTY_WINDOW;
      let nowMs = 0;
      const all: number[] = [];
      return gapsMs.every((gapMs) => {
        nowMs += gapMs;
        all.push(nowMs);
        const recent = all.filter((atMs) => atMs >= nowMs - periodMs);
        const result = addRestart(window, nowMs, { intensity, periodMs });
        window = result.window;
        return result.allowed === recent.length <= intensity && window.count === recent.length;
      });
    },
  );
  fc.assert(agrees);
  t.pass();
});

t.test('adding makes a new window and leaves the old one as it was', async (t) => {
  const limits = { intensity: 10, periodMs: 100 };
  const one = addRestart(EMPTY_WINDOW, 0, limits).window;
  const two = addRestart(one, 50, limits).window;
  const branches = [addRestart(two, 60, limits), addRestart(two, 140, limits), addRestart(two, 900, limits)];
  t.strictSame(
    branches.map(({ window }) => window.count),
    [3, 2, 1],
  );
  t.strictSame([EMPTY_WINDOW.count, one.count, two.count], [0, 1, 2]);
});

t.test('limits have OTP’s defaults and are checked', async (t) => {
  t.strictSame(completeLimits({}), { intensity: 1, periodMs: 5_000 });
  for (const limits of [{ intensity: -1 }, { intensity: 0.5 }, { intensity: LIMITS.intensityMax + 1 }]) {
    t.throws(() => completeLimits(limits), /"intensity"/);
  }
  for (const periodMs of [0, NaN, Infinity]) t.throws(() => completeLimits({ periodMs }), /"periodMs"/);
});
