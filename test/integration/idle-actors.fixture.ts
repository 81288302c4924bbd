/**
 * Creates idle supervised actors, sends each a message and stops them, several times over, and prints what is held after each
 * time. Run with `--expose-gc`; arguments: actors, times, and `leaky` to keep a number of each actor that ended: the least that can stay.
 */

import { createNode, type Behavior, systemClock, systemLoop, systemRandom } from '../../runtime/index.ts';
import { castStartChild, startDynamicSupervisor } from '../../supervisors/index.ts';

const [count, times] = process.argv.slice(2, 4).map(Number) as [number, number];
const isLeaky = process.argv[4] === 'leaky';
const collect = (globalThis as { gc?: () => void }).gc!;
const node = createNode({ name: 'idle', clock: systemClock, random: systemRandom, loop: systemLoop, log: console });

let heard = 0;
const leaked: number[] = [];
const idle: Behavior<null, void, 'hello'> = {
  name: 'idle',
  init: () => null,
  handleCast: () => void (heard += 1),
};

/** Lets the loop go round until `done`. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => systemLoop.defer(() => resolve(undefined)));
}

async function live(): Promise<void> {
  const before = node.info().processCount;
  await startDynamicSupervisor(node, { name: 'idlers', child: { start: { behavior: idle } } });
  for (let sent = 0; sent < count;) {
    if (castStartChild(node, 'idlers') === 'ok') sent += 1;
    else await until(() => node.info().readyCount === 0);
  }
  await until(() => node.info().processCount === before + 1 + count);
  heard = 0;
  for (const pid of node.processes()) {
    if (node.processInfo(pid)!.behavior !== 'idle') continue;
    node.cast(pid, 'hello');
    if (isLeaky) leaked.push(pid.slot);
  }
  await until(() => heard === count);
  node.exit(node.whereis('idlers')!, 'shutdown');
  await until(() => node.info().processCount === before);
}

/** What is held, in the heap and beside it: the least of several looks, since a compilation that goes on beside us holds memory for a while. */
async function heldBytes(): Promise<number> {
  let least = Infinity;
  for (let look = 0; look < 6; look += 1) {
    collect();
    await new Promise((resolve) => systemClock.setTimer(10, () => resolve(undefined)));
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

export type Report = {
  /** After each time. */
  readonly heldBytes: readonly number[];
  readonly processCount: number;
  readonly heard: number;
};

// Once before, so that the code is compiled, and what the node keeps for the next burst is there.
await live();
const held: number[] = [];
for (let time = 0; time < times; time += 1) {
  await live();
  held.push(await heldBytes());
}
const report: Report = { heldBytes: held, processCount: node.info().processCount, heard };
console.log(JSON.stringify(report));
