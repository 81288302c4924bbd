import t from 'tap';

import { Bells, createMesh, ringMemory } from './mesh.ts';

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !condition(); tries += 1) await soon();
}

t.test('every pair of threads has a ring of its own in each direction', async (t) => {
  const mesh = createMesh(3, 64);
  const seen = new Set<SharedArrayBuffer>();
  for (let source = 0; source < 4; source += 1) {
    for (let target = 0; target < 4; target += 1) {
      if (source === target) t.equal(ringMemory(mesh, source, target), null);
      else seen.add(ringMemory(mesh, source, target));
    }
  }
  t.equal(seen.size, 12);
  t.strictSame(structuredClone(mesh).threadCount, 4, 'and the mesh can be handed to a thread');
});

t.test('a bell wakes the thread that sleeps, once', async (t) => {
  const { bells } = createMesh(1, 64);
  let wakes = 0;
  const sleeper = new Bells(bells, 1, () => (wakes += 1));
  const ringer = new Bells(bells, 0, () => {});
  sleeper.announceSleep();
  sleeper.sleep();
  await soon();
  t.equal(wakes, 0);
  ringer.ring(1);
  ringer.ring(1);
  await until(() => wakes > 0);
  await soon();
  t.equal(wakes, 1);
});

t.test('a ring between the announcement and the sleep is not lost', async (t) => {
  const { bells } = createMesh(1, 64);
  let wakes = 0;
  const sleeper = new Bells(bells, 1, () => (wakes += 1));
  sleeper.announceSleep();
  new Bells(bells, 0, () => {}).ring(1);
  sleeper.sleep();
  t.equal(wakes, 1);
});

t.test('a thread that is awake is not rung', async (t) => {
  const { bells } = createMesh(1, 64);
  let wakes = 0;
  const worker = new Bells(bells, 1, () => (wakes += 1));
  const ringer = new Bells(bells, 0, () => {});
  worker.announceSleep();
  worker.sleep();
  worker.awake();
  ringer.ring(1);
  await soon();
  t.equal(wakes, 0);
  worker.announceSleep();
  worker.sleep();
  ringer.ring(1);
  await until(() => wakes > 0);
  t.equal(wakes, 1, 'and the wait of the first sleep serves the second');
});
