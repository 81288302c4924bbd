/** Entry of a worker thread of `host-main.ts`. The first runs the program when it is told to; others assist it. */

import { joinWorkers } from '../../runtime/index.ts';
import { isBenchError } from '../errors.ts';
import type { HostAnswer, HostCommand } from './host-control.ts';
import { stderrLog } from './host-log.ts';
import type { Program, Sizes } from './program.ts';
import { findProgram } from './programs/index.ts';

const joined = joinWorkers({ log: () => stderrLog });
const program = findProgram(joined.data);

if (joined.worker > 1) program.assist?.(joined.node);
joined.onMessage((command) => void answer(program, (command as HostCommand).sizes).then(joined.post.bind(joined)));
joined.ready();

async function answer({ run }: Program, sizes: Sizes): Promise<HostAnswer> {
  // What earlier runs left behind is not charged to this one.
  globalThis.gc?.();
  try {
    return { kind: 'figures', figures: await run(joined.node, sizes) };
  } catch (error) {
    if (isBenchError(error)) return { kind: 'failed', code: error.code, detail: error.detail };
    return { kind: 'failed', code: 'BENCH_CHILD', detail: error instanceof Error ? error.stack! : String(error) };
  }
}
