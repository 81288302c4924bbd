/** What an idle actor under a dynamic supervisor takes: its own memory and what its supervisor keeps of it. */

import { memoryUsage } from 'node:process';
import type { Behavior } from '../../../runtime/index.ts';
import { countChildren, startDynamicChild, startDynamicSupervisor } from '../../../supervisors/index.ts';
import { BenchError } from '../../errors.ts';
import { endRoot } from '../perform.ts';
import { type Program, verify } from '../program.ts';

const NAME = 'idle_actors';

const idle: Behavior<{ count: number }, undefined, 'bump', 'count', number> = {
  name: 'idle',
  init: () => ({ count: 0 }),
  handleCast: (_bump, state) => void (state.count += 1),
  handleCall: (_count, _from, state) => state.count,
};

export const idleMemory: Program<'actors'> = {
  name: 'idle_memory',
  question: 'how much memory does an idle supervised actor take?',
  metrics: { bytes_per_actor: 'bytes' },
  // 3 MB at the least: what one collection leaves of the start is some hundred KB, and differs from one to the next.
  sizes: { actors: { full: 1_000_000, quick: 100_000, warmUp: 1_000, tiny: 10_000 } },
  peers: ['beam'],
  rounds: { full: 3, quick: 1, isFresh: true },
  async run(node, { actors }) {
    const count = node.info().processCount;
    const started = await startDynamicSupervisor(node, { name: NAME, child: { start: { behavior: idle } } });
    if ('error' in started) throw new BenchError('BENCH_RESULT', 'the supervisor did not start');
    const supervisor = node.whereis(NAME)!;
    const before = usedBytes();
    for (let index = 0; index < actors; index += 1) await startDynamicChild(node, supervisor);
    const after = usedBytes();
    verify('idle actors', (await countChildren(node, supervisor)).active, actors);
    await endRoot(node, supervisor, count);
    return [['bytes_per_actor', (after - before) / actors]];
  },
};

/** After a full collection, what this thread's heap and its buffers hold. */
function usedBytes(): number {
  if (globalThis.gc === undefined) throw new BenchError('BENCH_CHILD', 'the process was started without --expose-gc');
  globalThis.gc();
  const { heapUsed, external } = memoryUsage();
  return heapUsed + external;
}
