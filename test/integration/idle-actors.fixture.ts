/**
 * Creates idle supervised actors, sends each a message and stops them, several times over, and prints the heap after each
 * time. Run with `--expose-gc`; arguments: actors, times.
 */

import { createNode, type Behavior, systemClock, systemLoop, systemRandom } from '../../runtime/index.ts';
import { castStartChild, startDynamicSupervisor } from '../../supervisors/index.ts';

const [count, times] = process.argv.slice(2).map(Number) as [number, number];
const collect = (globalThis as { gc?: () => void }).gc!;
const node = createNode({ name: 'idle', clock: systemClock, random: systemRandom, loop: systemLoop, log: console });

let heard = 0;
const idle: Behavior<null, void, 'hello'> = {
  name: 'idle',
  init: () => null,
  handleCast: () => void (heard += 1),
};

/** Lets the loop go round until `done`. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => systemLoop.defer(() => resolve(undefined)));
}

async function live(count: number): Promise<void> {
  const before = node.info().processCount;
  await startDynamicSupervisor(node, { name: 'idlers', child: { start: { behavior: idle } } });
  for (let sent = 0; sent < count;) {
    if (castStartChild(node, 'idlers') === 'ok') sent += 1;
    else await until(() => node.info().readyCount === 0);
  }
  await until(() => node.info().processCount === before + 1 + count);
  heard = 0;
  for (const pid of node.processes()) if (node.processInfo(pid)!.behavior === 'idle') node.cast(pid, 'hello');
  await until(() => heard === count);
  node.exit(node.whereis('idlers')!, 'shutdown');
  await until(() => node.info().processCount === before);
}

/**
 * What stays: the least of several looks, since a compilation that goes on beside us holds memory for a while.
 *
 * @param above - More than this may be such a while on a busy machine: then it is looked at more often, for as long as a leak would stay.
 */
async function heapBytes(above: number): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < 12 || (least > above && round < 200); round += 1) {
    collect();
    await new Promise((resolve) => systemClock.setTimer(10, () => resolve(undefined)));
    least = Math.min(least, process.memoryUsage().heapUsed);
  }
  return least;
}

export type Report = { readonly heap: readonly number[]; readonly processCount: number; readonly heard: number };

// A smaller life first, so that the code is compiled and the spare backlogs are there.
await live(50_000);
const heap: number[] = [await heapBytes(Infinity)];
for (let time = 0; time < times; time += 1) {
  await live(count);
  heap.push(await heapBytes(heap[0]!));
}
const report: Report = { heap, processCount: node.info().processCount, heard };
console.log(JSON.stringify(report));
