import t from 'tap';
import { Pid } from '../../runtime/index.ts';
import { LIMITS } from './limits.ts';
import { Orphans } from './orphans.ts';
import type { Seat } from './placement.ts';

const A: Seat = { node: 'a', worker: 1 };
const B: Seat = { node: 'b', worker: 1 };
const FIRST = new Pid('a', 1, 1, 1);
const SECOND = new Pid('a', 1, 2, 1);

interface World {
  readonly orphans: Orphans;
  isLeased: boolean;
  /** Who serves each shard. */
  readonly serving: Map<number, Seat>;
  /** What was told: slot of the pid, what, shard. */
  take(): unknown[];
}

function world(): World {
  const told: unknown[] = [];
  const serving = new Map([[5, A]]);
  const prospect = { isLeased: (): boolean => made.isLeased, servedBy: (shard: number) => serving.get(shard) };
  const info = (event: string, fields: object = {}): void => void told.push([event, fields]);
  const orphans = new Orphans(prospect, { info }, (pid, found, shard) => told.push([pid.slot, found, shard]));
  const made: World = { orphans, isLeased: true, serving, take: () => told.splice(0) };
  return made;
}

t.test('who lost an owner is told when another one serves, once', async (t) => {
  const { orphans, serving, take } = world();
  orphans.wait(5, A, FIRST, 0);
  orphans.wait(5, A, SECOND, 10);
  orphans.look(20);
  t.strictSame(take(), [], 'the owner has not said yet that it serves no more');
  serving.delete(5);
  orphans.look(LIMITS.sameOwnerMs + 1);
  t.strictSame(take(), [], 'nobody serves it');
  serving.set(5, B);
  orphans.look(LIMITS.sameOwnerMs + 2);
  t.strictSame(take(), [
    [1, 'shard-served', 5],
    [2, 'shard-served', 5],
  ]);
  orphans.look(LIMITS.sameOwnerMs + 3);
  t.strictSame(take(), []);
});

t.test('an owner that goes on saying that it serves was started again', async (t) => {
  const { orphans, take } = world();
  orphans.wait(5, A, FIRST, 0);
  orphans.look(LIMITS.sameOwnerMs);
  t.strictSame(take(), []);
  orphans.look(LIMITS.sameOwnerMs + 1);
  t.strictSame(take(), [[1, 'shard-served', 5]]);
});

t.test('losses of one shard from two owners are two', async (t) => {
  const { orphans, serving, take } = world();
  orphans.wait(5, A, FIRST, 0);
  serving.set(5, B);
  orphans.wait(5, B, SECOND, 0);
  orphans.look(1);
  t.strictSame(take(), [[1, 'shard-served', 5]], 'who lost the present one waits');
});

t.test('who waits on a seat that is cut off is let go, whoever serves', async (t) => {
  const cut = world();
  cut.orphans.wait(5, A, FIRST, 0);
  cut.isLeased = false;
  cut.orphans.wait(5, A, SECOND, 0);
  cut.serving.set(5, B);
  cut.orphans.look(1);
  t.match(cut.take(), [
    ['connections_let_go', { shard: 5, count: 2, isLeased: false, waitedMs: 1 }],
    [1, 'shard-missing', 5],
    [2, 'shard-missing', 5],
  ]);
});

t.test('nobody waits for ever', async (t) => {
  const { orphans, serving, take } = world();
  serving.delete(5);
  orphans.wait(5, A, FIRST, 0);
  orphans.look(LIMITS.orphanMs);
  t.strictSame(take(), []);
  orphans.look(LIMITS.orphanMs + 1);
  t.match(take(), [
    ['connections_let_go', { count: 1, isLeased: true }],
    [1, 'shard-missing', 5],
  ]);
});

t.test('a crowd is told in parts, each of them once, and who came first is told first', async (t) => {
  const { orphans, serving, take } = world();
  const count = 2 * LIMITS.orphansToldMax + 1;
  for (let slot = 1; slot <= count; slot++) orphans.wait(5, A, new Pid('a', 1, slot, 1), 0);
  serving.set(5, B);
  const parts: unknown[][] = [];
  for (let look = 1; look <= 4; look++) {
    orphans.look(look);
    parts.push(take());
  }
  t.strictSame(
    parts.map(({ length }) => length),
    [LIMITS.orphansToldMax, LIMITS.orphansToldMax, 1, 0],
  );
  t.strictSame(
    parts.flat(),
    Array.from({ length: count }, (_, index) => [index + 1, 'shard-served', 5]),
  );
});
