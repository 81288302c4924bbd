/**
 * A server and its generators around one measurement: started together, stopped together, and what their end says noted in the result.
 *
 * Read next: `server-process.ts` and `load-process.ts`, the two; `../workloads/storm.ts` for a measurement.
 */

import { isBenchError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { overdue, systemClock, within } from './clock.ts';
import { Course } from './course.ts';
import { LoadProcesses } from './load-process.ts';
import type { WorkloadContext } from './registry.ts';
import { ServerProcess } from './server-process.ts';

/** What loads the server: our generators, or those that a measurement brings along. */
export interface Generators {
  readonly pids: readonly number[];
  /** The server logged a verification code. */
  takeCode(phone: string, code: string): void;
  stop(): Promise<unknown>;
}

/** The server that is started. */
export interface ServerPlan {
  /** Worker threads; 0 leaves it to the server. */
  readonly workers: number;
  /** Further flags of `blindbeam start`. */
  readonly flags?: readonly string[] | undefined;
  /** The script to start in place of the command line. */
  readonly script?: string | undefined;
  /** Where its store lies; the system's temporary directory unless it is said. */
  readonly parent?: string | undefined;
  /** Whether the result charts what both take of the machine over the run. */
  readonly hasCourse?: boolean;
}

/** A server, and how many generator processes load it. */
export interface ServerUnderLoad extends ServerPlan {
  readonly generators: number;
}

type Context = Pick<WorkloadContext, 'signal' | 'recorder' | 'keepData'>;

/**
 * Runs `measure` with a server and generator processes; stops both, whatever happens.
 *
 * @throws {BenchError} What `measure` rejects with; BENCH_SERVER when the server ends meanwhile.
 */
export function withServer<Result>(
  context: Context,
  plan: ServerUnderLoad,
  measure: (server: ServerProcess, load: LoadProcesses) => Promise<Result>,
): Promise<Result> {
  const load = new LoadProcesses(plan.generators, context.signal);
  return withServerUnder(context, plan, load, (server) => measure(server, load));
}

/** As `withServer`, with generators of one's own, which are stopped at the end. */
export async function withServerUnder<Result>(
  context: Context,
  { workers, flags: further = [], script, parent, hasCourse = false }: ServerPlan,
  load: Generators,
  measure: (server: ServerProcess) => Promise<Result>,
): Promise<Result> {
  const { signal, keepData, recorder } = context;
  const flags = workers === 0 ? further : ['--workers', String(workers), ...further];
  const onCode = (phone: string, code: string): void => load.takeCode(phone, code);
  const server = new ServerProcess({
    flags,
    ...(script === undefined ? {} : { script }),
    parent,
    keepData,
    signal,
    onCode,
  });
  const usage = { servers: () => [server.pid], generators: () => load.pids };
  const course = hasCourse ? new Course(recorder, usage) : undefined;
  const { late, cancel } = overdue(signal, LIMITS.interruptedMsMax);
  try {
    return await Promise.race([measure(server), server.gone, late]);
  } catch (error) {
    // The connections of a server that dies are gone a moment before the process is: its own last words say more.
    if (isBenchError(error, 'BENCH_CONNECT')) await within(server.gone, LIMITS.lastWordsMsMax, () => error, signal);
    throw error;
  } finally {
    cancel();
    course?.stop();
    await load.stop();
    const beganMs = systemClock.nowMs();
    const endedItself = await server.stop();
    noteEnd(context, server, endedItself, systemClock.nowMs() - beganMs);
  }
}

function noteEnd({ recorder, keepData }: Context, server: ServerProcess, endedItself: boolean, tookMs: number): void {
  if (!endedItself) recorder.note(`the server did not stop within ${Math.round(tookMs)} ms and was killed`);
  else if (tookMs > LIMITS.serverStopHurriedMsMax) recorder.note(`the server took ${Math.round(tookMs)} ms to stop`);
  const lastError = server.loggedErrors.at(-1);
  if (lastError !== undefined) recorder.note(`the server logged errors, the last: ${lastError}`);
  if (keepData) recorder.note(`the store is kept in ${server.dataDirectory}`);
}
