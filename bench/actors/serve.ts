/** The side of a process that runs a program on its own thread: takes `HostCommand`s, answers as `host-control.ts` says. */

import { isBenchError } from '../errors.ts';
import type { HostAnswer, HostCommand } from './host-control.ts';
import type { Figure, Sizes } from './program.ts';

/** Runs a program once. */
export type Run = (sizes: Sizes) => Promise<readonly Figure[]>;

/**
 * Serves the program that the first argument of this process names.
 *
 * @throws {RangeError} for a name that is not in `programs`; {TypeError} in a process that was not forked.
 */
export function serve(programs: Readonly<Record<string, Run>>): void {
  const name = process.argv[2] ?? '';
  const run = Object.hasOwn(programs, name) ? programs[name] : undefined;
  if (run === undefined)
    throw new RangeError(`"program" expected one of ${Object.keys(programs).join(', ')}, got ${name}`);
  if (process.send === undefined) throw new TypeError('a process that serves is forked by the benchmark');
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => undefined);
  process.on('message', ({ sizes }: HostCommand) => void answer(run, sizes).then(tell));
  tell({ kind: 'ready' });
}

function tell(answer: HostAnswer): void {
  process.send!(answer);
}

/**
 * Runs a program and makes what became of it an answer. The heap is left as the run before left it: a full collection
 * between runs takes optimised code with it whose objects have died, and a short run then measures the compiler.
 */
export async function answer(run: Run, sizes: Sizes): Promise<HostAnswer> {
  try {
    return { kind: 'figures', figures: await run(sizes) };
  } catch (error) {
    if (isBenchError(error)) return { kind: 'failed', code: error.code, detail: error.detail };
    return { kind: 'failed', code: 'BENCH_CHILD', detail: error instanceof Error ? error.stack! : String(error) };
  }
}
