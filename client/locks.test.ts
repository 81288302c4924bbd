/**
 * Turns by name.
 */

import t from 'tap';
import { Locks } from './locks.ts';
import { SeededRandom } from './testing/seeded-random.ts';
import { settle } from './testing/virtual-clock.ts';

t.test('tasks of one name never overlap and keep their order; tasks of others do not wait', async (t) => {
  const locks = new Locks();
  const random = new SeededRandom(3);
  const busy = new Set<string>();
  const order = new Map<string, number[]>();
  const tasks: Promise<void>[] = [];
  for (let n = 0; n < 300; n += 1) {
    const names = ['a', 'b', 'c', 'd'].filter(() => random.chance(0.4));
    const task = async (): Promise<void> => {
      for (const name of names) {
        if (busy.has(name)) t.fail(`${name} is held twice`);
        busy.add(name);
        order.set(name, [...(order.get(name) ?? []), n]);
      }
      for (let turns = random.integer(4); turns > 0; turns -= 1) await Promise.resolve();
      for (const name of names) busy.delete(name);
    };
    tasks.push(locks.run(names, task));
  }
  await Promise.all(tasks);
  for (const [name, numbers] of order) {
    t.same(
      numbers,
      [...numbers].sort((a, b) => a - b),
      `${name} in the order asked`,
    );
  }
});

t.test('a failed task frees its names, and a held one blocks only them', async (t) => {
  const locks = new Locks();
  await t.rejects(
    locks.run(['a'], () => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  let release!: () => void;
  const held = locks.run(['a'], () => new Promise<void>((resolve) => (release = resolve)));
  await settle();
  let isReached = false;
  const waiting = locks.run(['a', 'b'], async () => void (isReached = true));
  t.equal(await locks.run(['c'], async () => 'free'), 'free');
  await settle();
  t.equal(isReached, false);
  release();
  await Promise.all([held, waiting]);
  t.equal(isReached, true);
});
