/**
 * What server and generators use over the time of a run, for its charts, where no phase of messages is followed (`live-phase.ts`); and how many of a crowd have
 * something by when, out of a histogram.
 */

import { ProcessGroup, type GroupUse } from './process-group.ts';
import { LIMITS } from '../limits.ts';
import { systemClock, type Cancel, type Clock } from './clock.ts';
import type { LatencyHistogram } from './histogram.ts';
import type { Recorder, Unit } from './report.ts';

/** Whose use is followed. */
export interface CourseOf {
  readonly servers: () => readonly number[];
  readonly generators: () => readonly number[];
}

/** Follows processes from its making on. */
export class Course {
  readonly #recorder: Pick<Recorder, 'point'>;
  readonly #clock: Clock;
  readonly #sinceMs: number;
  readonly #groups: readonly (readonly [string, ProcessGroup])[];
  readonly #cancel: Cancel;
  #before: { readonly atMs: number; readonly uses: readonly GroupUse[] };

  constructor(recorder: Pick<Recorder, 'point'>, { servers, generators }: CourseOf, clock: Clock = systemClock) {
    this.#recorder = recorder;
    this.#clock = clock;
    this.#sinceMs = clock.nowMs();
    this.#groups = [
      ['server', new ProcessGroup(servers)],
      ['generators', new ProcessGroup(generators)],
    ];
    this.#before = this.#use();
    this.#cancel = clock.every(LIMITS.courseLookMs, () => this.#look());
  }

  /** Seconds since it began: where a figure of now belongs in the charts. */
  seconds(): number {
    return (this.#clock.nowMs() - this.#sinceMs) / 1_000;
  }

  /** Adds a figure of now to a chart. */
  point(chart: string, name: string, unit: Unit, value: number | undefined): void {
    this.#recorder.point(chart, name, unit, this.seconds(), value);
  }

  stop(): void {
    this.#cancel();
  }

  #use(): { readonly atMs: number; readonly uses: readonly GroupUse[] } {
    return { atMs: this.#clock.nowMs(), uses: this.#groups.map(([, group]) => group.use()) };
  }

  #look(): void {
    const [before, now] = [this.#before, this.#use()];
    this.#before = now;
    this.#groups.forEach(([name], index) => {
      const [then, after] = [before.uses[index]!, now.uses[index]!];
      // One that has not been seen before has not used all of it since.
      const isNew = then.cpuMs === 0;
      const cores = isNew ? undefined : (after.cpuMs - then.cpuMs) / (now.atMs - before.atMs);
      this.point('CPU', `${name} (cores)`, 'cores', cores);
      this.point('Memory', name, 'bytes', after.bytes);
    });
  }
}

/**
 * How many had something by when: the course of a crowd, from the latencies of its members.
 *
 * @param latencies - Of all, from the moment at which the time of the chart begins.
 */
export function chartArrivals(
  recorder: Pick<Recorder, 'point'>,
  chart: string,
  name: string,
  latencies: LatencyHistogram,
): void {
  recorder.point(chart, name, 'client', 0, 0);
  for (let percent = 2; percent <= 100; percent += 2) {
    const ms = latencies.percentileMs(percent);
    if (ms !== undefined) recorder.point(chart, name, 'client', ms / 1_000, (latencies.count * percent) / 100);
  }
}
