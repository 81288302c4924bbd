/**
 * What of the machine was short while a crowd came and was held, and what of it gave out first. Figures in, findings out; pure.
 *
 * A mark that is missed says that something was not enough, and not what. So each second is looked at for what can give out. What is at its
 * limit for some seconds in a row is kept: since when, with how many connections, for how long, and the figures that show it. Who reads
 * them is `machine-pressure.ts`; the report has the findings when a mark was missed (`harness/report.ts`).
 */

import type { GaveOut, Resource } from '../harness/report.ts';
import { LIMITS } from '../limits.ts';

/** One second. What could not be read is `undefined` and is not judged. */
export interface PressureSample {
  /** Seconds since the run began. */
  readonly atS: number;
  readonly connected: number;
  /** Of the time of all processors, 0 to 1. */
  readonly busyShare: number | undefined;
  /** Processors that servers and generators used; the rest was the kernel's, and neighbours'. */
  readonly ownCores: number | undefined;
  /** Threads that ran or wanted to, at the moment of the look. */
  readonly runnable: number | undefined;
  readonly processors: number;
  /** Share of the second in which everybody who wanted to run waited for the disk, or for memory. */
  readonly diskStallShare: number | undefined;
  readonly memoryStallShare: number | undefined;
  readonly availableBytes: number | undefined;
  /** Below this the run ends itself. */
  readonly memoryFloorBytes: number;
  /** Connections of the fullest node, and what its descriptors allow. */
  readonly fullestNode: number;
  readonly connectionsOfNodeMax: number;
  /** Clients that were told to come back later and wait. */
  readonly waiting: number;
  /** How late the generators sent, and how late messages arrived, at p99. */
  readonly lateMs: number | undefined;
  readonly p99Ms: number | undefined;
}

/** How far a resource is used up: at 1 and above it is at its limit. */
type Judge = (sample: PressureSample) => number;

const JUDGES: Readonly<Record<Resource, Judge>> = {
  processor: processorUse,
  memory: memoryUse,
  disk: ({ diskStallShare = 0 }) => diskStallShare / LIMITS.scarceDiskStallShare,
  descriptors: ({ fullestNode, connectionsOfNodeMax, waiting }) =>
    waiting > 0 ? fullestNode / connectionsOfNodeMax : 0,
  generator: generatorUse,
};

/** Nearly all of it busy; or most of it, with others in the queue for each processor. */
function processorUse({ busyShare = 0, runnable = 0, processors }: PressureSample): number {
  const isQueued = runnable >= processors * (1 + LIMITS.scarceQueueOfProcessor);
  return busyShare / (isQueued ? LIMITS.scarceBusyShareQueued : LIMITS.scarceBusyShare);
}

function memoryUse({ availableBytes, memoryFloorBytes, memoryStallShare = 0 }: PressureSample): number {
  const stalled = memoryStallShare / LIMITS.scarceMemoryStallShare;
  if (availableBytes === undefined) return stalled;
  return Math.max(stalled, (memoryFloorBytes * LIMITS.scarceMemoryFloors) / Math.max(1, availableBytes));
}

/** Late, and so much of what a message takes that the figure is hardly the server's. */
function generatorUse({ lateMs = 0, p99Ms = 0 }: PressureSample): number {
  if (lateMs < LIMITS.generatorLagMsMax || p99Ms === 0) return 0;
  return lateMs / p99Ms / LIMITS.generatorLateShareMax;
}

/** One resource over the run. */
interface Course {
  /** The stretch that goes on. */
  stretch: { readonly since: PressureSample; seconds: number } | undefined;
  /** The first one that was long enough. */
  first: PressureSample | undefined;
  /** Seconds at the limit, all stretches together. */
  seconds: number;
  worst: { readonly sample: PressureSample; readonly use: number } | undefined;
}

/** Takes the seconds of a phase one by one. */
export class PressureLog {
  readonly #phase: string;
  readonly #courses: ReadonlyMap<Resource, Course>;
  #seconds = 0;

  constructor(phase: string) {
    this.#phase = phase;
    const course = (): Course => ({ stretch: undefined, first: undefined, seconds: 0, worst: undefined });
    this.#courses = new Map((Object.keys(JUDGES) as Resource[]).map((what) => [what, course()]));
  }

  note(sample: PressureSample): void {
    this.#seconds += 1;
    for (const [what, course] of this.#courses) follow(course, sample, JUDGES[what](sample));
  }

  /** What gave out, the first one first; what came nearest to its limit where nothing did. Nothing where nobody looked. */
  findings(): GaveOut[] {
    if (this.#seconds === 0) return [];
    const found = [...this.#courses].filter(([, { first }]) => first !== undefined);
    found.sort(([, one], [, other]) => one.first!.atS - other.first!.atS);
    return (found.length > 0 ? found : [this.#nearest()]).map(([what, course]) => this.#describe(what, course));
  }

  #nearest(): [Resource, Course] {
    return [...this.#courses].reduce((top, each) => (each[1].worst!.use > top[1].worst!.use ? each : top));
  }

  #describe(what: Resource, { first, seconds, worst }: Course): GaveOut {
    const { atS, connected: connections } = first ?? worst!.sample;
    return {
      phase: this.#phase,
      what,
      isAtLimit: first !== undefined,
      sinceS: Math.round(atS),
      connections,
      seconds,
      ofSeconds: this.#seconds,
      figures: figuresOf(what, worst!.sample),
    };
  }
}

function follow(course: Course, sample: PressureSample, use: number): void {
  if (use > (course.worst?.use ?? -1)) course.worst = { sample, use };
  if (use < 1) {
    course.stretch = undefined;
    return;
  }
  course.seconds += 1;
  course.stretch ??= { since: sample, seconds: 0 };
  course.stretch.seconds += 1;
  if (course.stretch.seconds >= LIMITS.scarceSeconds) course.first ??= course.stretch.since;
}

/** What shows it, of the worst second. */
function figuresOf(what: Resource, sample: PressureSample): string {
  const percent = (share: number | undefined): string => `${Math.round((share ?? 0) * 100)} %`;
  const mib = (bytes: number | undefined): string => `${Math.round((bytes ?? 0) / 2 ** 20)} MiB`;
  switch (what) {
    case 'processor':
      return `${percent(sample.busyShare)} of ${sample.processors} processors busy, ${(sample.ownCores ?? 0).toFixed(2)} of them with servers and generators, ${sample.runnable ?? 0} threads ran or waited for one`;
    case 'memory':
      return `${mib(sample.availableBytes)} available, ${percent(sample.memoryStallShare)} of the time lost to reclaiming`;
    case 'disk':
      return `everybody waited for the disk for ${percent(sample.diskStallShare)} of the time`;
    case 'descriptors':
      return `a node had ${sample.fullestNode} of ${sample.connectionsOfNodeMax} connections, ${sample.waiting} clients waited for a place`;
    case 'generator':
      return `sends were ${Math.round(sample.lateMs ?? 0)} ms late at p99, messages ${Math.round(sample.p99Ms ?? 0)} ms`;
  }
}
