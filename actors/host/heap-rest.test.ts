import t from 'tap';
import { VirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { collectHeap, drawWait, HeapRest, watchRest } from './heap-rest.ts';

const LOOK_MS = 1_000;

/** A worker as `HeapRest` sees it: each step is a look, with the connections that it has and how busy it was. */
function looks(...steps: readonly (readonly [connections: number, busyMs: number])[]): boolean[] {
  const rest = new HeapRest();
  let [busyMs, comings, before] = [0, 0, 0];
  // The rest after the start.
  for (let look = 0; look < 2; look++) rest.look({ connections: 0, comings, busyMs }, LOOK_MS);
  // That one look has been quiet is forgotten by one that was not.
  rest.look({ connections: 0, comings, busyMs: (busyMs += LOOK_MS) }, LOOK_MS);
  return steps.map(([connections, busy]) => {
    comings += Math.abs(connections - before);
    before = connections;
    return rest.look({ connections, comings, busyMs: (busyMs += busy) }, LOOK_MS);
  });
}

t.test('a crowd that came is followed by one collection, once the worker is quiet', async (t) => {
  const quiet = [10_000, 10] as const;
  t.strictSame(looks([4_000, 900], [10_000, 900], quiet, quiet, quiet, quiet), [
    false,
    false,
    false,
    true,
    false,
    false,
  ]);
});

t.test('so is a crowd that left, and one that came and left between two rests', async (t) => {
  const left = looks([10_000, 0], [10_000, 0], [10_000, 0], [0, 700], [0, 0], [0, 0], [0, 0]);
  t.strictSame(left, [false, false, true, false, false, true, false]);
  t.strictSame(looks([10_000, 900], [0, 900], [0, 0], [0, 0]), [false, false, false, true]);
});

t.test('a busy worker is left alone, whoever comes', async (t) => {
  t.notOk(looks(...Array.from({ length: 20 }, (_, index) => [index * 1_000, 300] as const)).includes(true));
});

t.test('one busy look begins the wait anew', async (t) => {
  t.strictSame(looks([5_000, 0], [5_000, 0], [5_000, 400], [5_000, 0], [5_000, 0]), [false, false, false, false, true]);
});

t.test('few connections more or less are no reason', async (t) => {
  const after = (connections: number): boolean =>
    looks([10_000, 0], [10_000, 0], [10_000, 0], [connections, 0], [connections, 0], [connections, 0]).at(-1)!;
  t.equal(after(11_000), false);
  t.equal(after(14_000), true, 'more than a quarter of those who are there');
  t.equal(after(7_500), true);
  t.equal(looks([199, 0], [199, 0], [199, 0]).at(-1), false, 'below the least number');
  t.equal(looks([200, 0], [200, 0], [200, 0]).at(-1), true);
});

t.test('the garbage of the start is collected once', async (t) => {
  const rest = new HeapRest();
  const empty = { connections: 0, comings: 0, busyMs: 0 };
  t.strictSame(
    [1, 2, 3, 4, 5].map(() => rest.look(empty, LOOK_MS)),
    [false, true, false, false, false],
  );
});

t.test('while a crowd comes slowly nothing is collected, however little it takes', async (t) => {
  const slow = Array.from({ length: 60 }, (_, index) => [1_000 + index * 70, 30] as const);
  const came = looks(...slow, [5_130, 0], [5_130, 0]);
  t.equal(came.indexOf(true), 61, 'two quiet looks after the last has come');
  const few = Array.from({ length: 60 }, (_, index) => [10_000 + index * 50, 30] as const);
  t.ok(looks(...few).includes(true), 'half a percent in a second is a usual coming and going');
});

t.test('when it is time it waits as long as it has drawn, and not at all when it is busy again', async (t) => {
  const draws = [0, 3, 5, 0];
  const rest = new HeapRest(() => draws.shift()!);
  let busyMs = 0;
  const look = (comings: number, busy = 0): boolean =>
    rest.look({ connections: 1_000, comings, busyMs: (busyMs += busy) }, LOOK_MS);
  t.strictSame([look(0), look(0)], [false, true], 'after the start, drawn 0');
  t.strictSame(
    [500, 500, 500, 500, 500, 500].map((comings) => look(comings)),
    [false, false, false, false, false, true],
  );
  look(1_000);
  t.strictSame([look(1_000), look(1_000), look(1_000, 900)], [false, false, false], 'drawn 5, and then busy');
  t.strictSame([look(1_000), look(1_000)], [false, true], 'drawn anew');
  t.strictSame(draws, []);
});

t.test('the wait is drawn from what a crowded machine would take, and is none on one that is not', async (t) => {
  const drawn = (crowding: number): number => drawWait({ integer: (bound) => bound - 1 }, crowding);
  t.strictSame([0, 0.9, 2, 45].map(drawn), [0, 0, 1, 22]);
});

t.test('it looks every second until it is told not to', async (t) => {
  const clock = new VirtualClock();
  let collections = 0;
  const sample = () => ({ connections: 1_000, comings: 1_000, busyMs: 0 });
  const stop = watchRest(clock, sample, () => void (collections += 1));
  clock.advance(10_000);
  t.equal(collections, 1);
  stop();
  t.equal(clock.timerCount, 0);
});

t.test('a collection frees what nobody holds', async (t) => {
  let isFreed = false;
  const registry = new FinalizationRegistry<string>(() => (isFreed = true));
  registry.register(new Array(100_000).fill({}), 'crowd');
  // Kept alive until it has spoken.
  t.teardown(() => registry.unregister({}));
  // It speaks when the engine has a moment for it.
  for (let round = 0; !isFreed && round < 1_000; round += 1) {
    await collectHeap();
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.ok(isFreed, 'the crowd is gone');
});
