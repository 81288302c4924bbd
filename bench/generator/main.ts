/**
 * Entry point of a generator process. Started by `../harness/load-process.ts` and by nothing else.
 *
 * It ends when its parent does: the channel closes. Ctrl-C reaches the whole process group, so it is left to the parent,
 * who still wants the report.
 */

import { systemClock } from '../harness/clock.ts';
import type { GeneratorCommand } from './control.ts';
import { Generator } from './generator.ts';

if (process.send === undefined) throw new Error('a generator is started by the benchmark, not by hand');

const generator = new Generator(systemClock, (event) => void process.send?.(event, ignoreClosedChannel));

process.on('message', (command: GeneratorCommand) => generator.take(command));
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => undefined);

/** The parent may be gone; `disconnect` then ends this process. */
function ignoreClosedChannel(): void {}
