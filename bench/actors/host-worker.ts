/** Entry of a worker thread of `host-main.ts`. The first runs the program when it is told to; others assist it. */

import { joinWorkers } from '../../runtime/index.ts';
import type { HostCommand } from './host-control.ts';
import { stderrLog } from './host-log.ts';
import { findProgram } from './programs/index.ts';
import { answer, type Run } from './serve.ts';

const joined = joinWorkers({ log: () => stderrLog });
const program = findProgram(joined.data);
const run: Run = (sizes) => program.run(joined.node, sizes);

if (joined.worker > 1) program.assist?.(joined.node);
joined.onMessage((command) => void answer(run, (command as HostCommand).sizes).then((said) => joined.post(said)));
joined.ready();
