/**
 * Entry of the process in which one program runs: started by `performer.ts` with the program's name, one process for each.
 *
 * The program runs on worker threads of `startWorkers`, as the actors of the product do, and so with the heap that it gives
 * them. This thread passes commands and answers on and does nothing else.
 */

import { createNode, startWorkers, systemClock, systemLoop, systemRandom } from '../../runtime/index.ts';
import { stderrLog } from './host-log.ts';
import type { HostAnswer, HostCommand } from './host-control.ts';
import { findProgram } from './programs/index.ts';

const ENTRY: URL = new URL('./host-worker.js', import.meta.url);

const program = findProgram(process.argv[2]);
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

const pool = await startWorkers({
  node: createNode({ name: 'bench', clock: systemClock, random: systemRandom, loop: systemLoop, log: stderrLog }),
  count: program.workers ?? 1,
  entry: ENTRY,
  data: program.name,
  onMessage: (_worker, answer) => tell(answer as HostAnswer),
});
process.on('message', (command: HostCommand) => pool.post(1, command));
tell({ kind: 'ready' });

function tell(answer: HostAnswer): void {
  process.send!(answer);
}
