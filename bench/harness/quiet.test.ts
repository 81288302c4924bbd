import t from 'tap';
import { LIMITS } from '../limits.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { untilQuiet } from './quiet.ts';

/** A process of one thread that is busy in the seconds that `busySeconds` names, half of each. */
function processOf(busySeconds: readonly number[], clock: ManualClock): () => ReadonlyMap<string, number> {
  return () => new Map([['1', 500 * busySeconds.filter((second) => second <= clock.nowMs() / 1_000).length]]);
}

async function quietAfterMs(
  busySeconds: readonly number[],
): Promise<{ readonly isQuiet: boolean; readonly ms: number }> {
  const clock = new ManualClock();
  const waiting = untilQuiet(1, 1_000, { read: processOf(busySeconds, clock), clock });
  let isOver = false;
  void waiting.then(() => (isOver = true));
  while (!isOver) await clock.pass(1_000);
  return { isQuiet: await waiting, ms: clock.nowMs() };
}

t.test('a server is quiet after some seconds in which it did nothing', async (t) => {
  t.same(await quietAfterMs([]), { isQuiet: true, ms: 4_000 });
  t.same(await quietAfterMs([1, 2]), { isQuiet: true, ms: 6_000 });
});

t.test('what it collects when it became quiet is waited for as well', async (t) => {
  t.same(await quietAfterMs([1, 4]), { isQuiet: true, ms: 8_000 });
});

t.test('one that never rests is not waited for for ever', async (t) => {
  const always = Array.from({ length: 100 }, (_, second) => second);
  const { isQuiet, ms } = await quietAfterMs(always);
  t.notOk(isQuiet);
  t.equal(ms, LIMITS.settlingMsMax);
});

t.test('for a few connections nothing is waited for', async (t) => {
  const clock = new ManualClock();
  t.ok(await untilQuiet(1, 20, { read: processOf([1, 2, 3], clock), clock }));
  t.equal(clock.nowMs(), 0);
});

t.test('where nothing tells, nothing is waited for', async (t) => {
  t.ok(await untilQuiet(1, 1_000, { read: () => undefined, clock: new ManualClock() }));
});
