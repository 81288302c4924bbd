/**
 * Whose figure is it? What a run has to say about itself: a generator at its limit, a generator that was late, neighbours on
 * the machine. A note is for the reader; what is distrusted fails a run with `--check`.
 */

import { LIMITS } from '../limits.ts';
import type { LoadResult } from './load-process.ts';
import type { Recorder } from './report.ts';
import type { ServerWindow } from './server-watch.ts';

/** What both ends of a phase used, as metrics; and a word to the reader where the generators, or somebody else, had too much of the machine. */
export function recordUse(
  recorder: Recorder,
  phase: string,
  window: ServerWindow,
  load: Pick<LoadResult, 'cpuCores' | 'cpuCoresMax'>,
): void {
  recorder.metric('server_cores', window.cpuCores, 'cores');
  recorder.metric('server_rss_bytes_max', window.rssBytesMax, 'bytes');
  recorder.metric('generator_cores', load.cpuCores, 'cores');
  noteBusyGenerator(recorder, phase, load.cpuCoresMax);
  noteOthers(recorder, phase, window.machineCores - window.cpuCores - load.cpuCores);
}

/** At its limit a generator measures itself: the rate is what it could ask for, and not what the server could do. */
export function noteBusyGenerator(recorder: Recorder, phase: string, coresMax: number): void {
  if (coresMax < LIMITS.generatorCoreShareMax) return;
  const share = Math.round(coresMax * 100);
  recorder.note(
    `${phase}: a generator was busy ${share} % of a core, so the figure is a lower bound of what was measured`,
  );
}

/** A neighbour that takes a core turns a latency into the length of its time slice. */
export function noteOthers(recorder: Recorder, phase: string, cores: number): void {
  if (!(cores > LIMITS.otherCoresMax)) return;
  recorder.note(
    `${phase}: other processes used ${cores.toFixed(1)} cores; run again on a machine that has nothing else to do`,
  );
}

/**
 * Lateness counts as latency, so that nothing is hidden; here it is said whose it is. Of an open loop only: a closed one intends
 * a message when it can send it.
 */
export function judgeLateness(
  recorder: Recorder,
  phase: string,
  { sending, delivery }: Pick<LoadResult, 'sending' | 'delivery'>,
): void {
  const lateMs = sending.percentileMs(99) ?? 0;
  if (lateMs < LIMITS.generatorLagMsMax) return;
  const p99Ms = delivery.percentileMs(99) ?? 0;
  if (lateMs >= p99Ms * LIMITS.generatorLateShareMax) {
    recorder.distrust(
      `${phase}: the generator was late (by ${lateMs.toFixed(1)} of ${p99Ms.toFixed(1)} ms at p99): the figures are not the server's`,
    );
    return;
  }
  recorder.note(
    `${phase}: one send in a hundred was ${lateMs.toFixed(1)} ms late in the generator; it counts as latency`,
  );
}
