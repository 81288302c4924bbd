/**
 * Puts reloads into a node: the part of a worker, and the coordinator on the main thread.
 */

import { fileURLToPath } from 'node:url';
import { systemLoop, type Clock, type Logger, type RuntimeNode } from '../../runtime/index.ts';
import { WorkerReload, type ReloadAnswer, type ReloadStep } from '../../runtime/reload/index.ts';
import { askWorker, type Askable } from '../admin/ask.ts';
import { countAside } from '../metrics/meter.ts';
import { traceAside } from '../tracing/message-trace.ts';
import { sourceRootOf } from './bundle.ts';
import { Coordinator } from './coordinator.ts';
import { ReloadHistory } from './history.ts';
import { BEHAVIORS, NODE_MODULES, SHELL } from './shell.ts';
import { SourceWatch } from './watch.ts';

/** The folder that was compiled to: `actors/` lies in it. */
const BUILD: string = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '');

/** The question that a worker answers, for the table of the agent `admin`. */
export const RELOAD_QUESTION = 'reload';

/** The part of one worker; ask it by its `take`. */
export function openWorkerReload(node: RuntimeNode): WorkerReload {
  return new WorkerReload({
    node,
    loop: systemLoop,
    behaviors: BEHAVIORS,
    shell: shellModule,
    loadedModule: async (id) => (await import(new URL(`../../${id}.js`, import.meta.url).href)) as object,
    aside: (run) => countAside(() => traceAside(run)),
  });
}

export interface CoordinatorOptions {
  readonly workers: Askable;
  /** Directory of the store. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Reloads on save. */
export function watchSources(coordinator: Coordinator, clock: Clock, log: Logger): SourceWatch {
  return new SourceWatch({ coordinator, root: sourceRootOf(BUILD), clock, log });
}

export function openCoordinator({ workers, directory, clock, log }: CoordinatorOptions): Coordinator {
  const history = new ReloadHistory(directory, log);
  for (const each of history.endedByRestart(BEHAVIORS)) log.info('reload_ended_by_restart', { ...each });
  return new Coordinator({
    workers: { ask: (step, timeoutMs) => askAll(workers, step, timeoutMs) },
    root: sourceRootOf(BUILD),
    history,
    clock,
    log,
  });
}

function askAll(workers: Askable, step: ReloadStep, timeoutMs: number): Promise<ReloadAnswer[]> {
  const numbers = Array.from({ length: workers.workerCount }, (_, index) => index + 1);
  return Promise.all(
    numbers.map((worker) => askWorker<ReloadAnswer>(workers, worker, RELOAD_QUESTION, step, timeoutMs)),
  );
}

/** The namespaces of ECMAScript modules as a bundle's `require` gives them. */
function shellModule(id: string): unknown {
  if (id.startsWith('shell:')) return SHELL[id.slice('shell:'.length)];
  return NODE_MODULES.has(id) ? process.getBuiltinModule(id) : undefined;
}
