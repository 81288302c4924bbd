import t from 'tap';

import { Bells, createMesh } from './mesh.ts';

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 3_000 && !condition(); tries += 1) await soon();
}

t.test('every pair of threads has a ring of its own in each direction, the same for both', async (t) => {
  const mesh = createMesh(3, 64);
  const seen = new Set<SharedArrayBuffer>();
  for (let a = 0; a < 4; a += 1) {
    t.equal(mesh.pair(a, a), null);
    for (let b = 0; b < 4; b += 1) {
      if (a === b) continue;
      t.equal(mesh.pair(a, b)!.outgoing, mesh.pair(b, a)!.incoming);
      seen.add(mesh.pair(a, b)!.outgoing);
    }
  }
  t.equal(seen.size, 12);
  t.equal(structuredClone(mesh.membership(2)).rings.length, 4, 'and what a thread gets can be handed to it');
});

t.test('a thread that comes back has new rings, to those that are there', async (t) => {
  const mesh = createMesh(3, 64);
  const before = mesh.pair(1, 2);
  mesh.remove(2);
  mesh.remove(3);
  t.equal(mesh.pair(1, 2), null);
  mesh.add(2);
  t.notSame(mesh.pair(1, 2), null);
  t.not(mesh.pair(1, 2)!.outgoing, before!.outgoing);
  t.strictSame(
    mesh.membership(2).rings.map((rings) => rings !== null),
    [true, true, false, false],
  );
});

t.test('a bell wakes the thread that sleeps, once', async (t) => {
  const { bells } = createMesh(1, 64).membership(0);
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
  const { bells } = createMesh(1, 64).membership(0);
  let wakes = 0;
  const sleeper = new Bells(bells, 1, () => (wakes += 1));
  sleeper.announceSleep();
  new Bells(bells, 0, () => {}).ring(1);
  sleeper.sleep();
  t.equal(wakes, 1);
});

t.test('a thread that is awake is not rung', async (t) => {
  const { bells } = createMesh(1, 64).membership(0);
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
