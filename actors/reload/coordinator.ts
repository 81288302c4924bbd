/**
 * A reload of the whole node, from the main thread: bundle once, and take every worker from step to step, each when all have
 * done the one before. So no worker runs a version that another cannot compile.
 *
 *   bundle ─▶ prepare ─▶ check ─▶ canary ─▶ watch ─▶ switch ─▶ watch ─▶ keep ─▶ forget
 *                │          │        └─────────┴────────┴────────┴───────┴─▶ back
 *                └──────────┴─▶ refused
 *
 * One reload at a time. It decides by `findFault` over the sums of all workers; what a worker does is
 * `runtime/reload/worker-reload.ts`.
 */

import { createHash } from 'node:crypto';
import type { Clock, Logger } from '../../runtime/index.ts';
import {
  findFault,
  NO_TRIAL,
  RELOAD_LIMITS,
  refusal,
  sumTrials,
  type Fault,
  type LiveBehavior,
  type Refusal,
  type ReloadAnswer,
  type ReloadMemory,
  type ReloadStep,
  type SweepReport,
  type TrialCounts,
} from '../../runtime/reload/index.ts';
import { bundleBehavior, type BundledVersion, type SourceRoot } from './bundle.ts';
import type { ReloadHistory } from './history.ts';
import type { Outcome, ReloadReport } from './report.ts';
import { travels } from './shell.ts';

export interface ReloadOptions {
  /** Of the behaviour and its module: `actors/connection`. */
  readonly name: string;
  /** A file to load in place of the module's own. */
  readonly file?: string | undefined;
  /** Share of the actors that try the version first, 0 to 1. */
  readonly canary: number;
  /** Milliseconds to watch each of the two stages. */
  readonly observeMs: number;
  /** Milliseconds for recording messages, before they are replayed. */
  readonly recordMs: number;
  /** Milliseconds that an actor may hold on to the version before. */
  readonly timeoutMs: number;
  /** Number the version one above the one that runs, whatever the source says. */
  readonly renumber: boolean;
  readonly checkOnly: boolean;
  /** SHA-256 that the bundle must have, hex: of the node that begins a reload through a cluster. */
  readonly expect?: string | undefined;
  /** Name of the reload through a cluster that this one is a part of: by it, and no other reload with it, it can be taken back. */
  readonly run?: string | undefined;
}

export interface RollbackOptions extends Pick<ReloadOptions, 'name' | 'observeMs' | 'timeoutMs'> {
  /** Only if the last reload that was not taken back is a part of this one, as its `run` said. */
  readonly of?: string | undefined;
}

/** The options that nobody gave. */
export const DEFAULT_OPTIONS: Omit<ReloadOptions, 'name'> = Object.freeze({
  canary: RELOAD_LIMITS.canaryShareDefault,
  observeMs: RELOAD_LIMITS.observeMsDefault,
  recordMs: RELOAD_LIMITS.recordMsDefault,
  timeoutMs: RELOAD_LIMITS.timeoutMsDefault,
  renumber: false,
  checkOnly: false,
});

/** The workers, as far as they are asked here. */
export interface ReloadWorkers {
  /** Takes one step in each worker. @throws if one does not answer: nothing is known then. */
  ask(step: ReloadStep, timeoutMs: number): Promise<ReloadAnswer[]>;
}

export interface CoordinatorParts {
  readonly workers: ReloadWorkers;
  readonly root: SourceRoot;
  readonly history: ReloadHistory;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A version as it was loaded; without a text it is the one that the node was started with. */
interface KeptVersion {
  readonly version: number;
  readonly text: string;
  /** See `ReloadOptions`. */
  readonly run: string | undefined;
}

/** By name, the version that runs, last, and those below it, which can be gone back to one by one. */
type LiveVersions = Map<string, readonly KeptVersion[]>;

type Draft = { -readonly [Field in keyof ReloadReport]: ReloadReport[Field] };

export class Coordinator {
  readonly #parts: CoordinatorParts;
  readonly #live: LiveVersions = new Map();
  #isBusy: boolean = false;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
  }

  get history(): ReloadHistory {
    return this.#parts.history;
  }

  /** What can be reloaded, with the versions that run; of the first worker, all are alike. */
  async list(): Promise<readonly LiveBehavior[]> {
    const [answer] = await this.#parts.workers.ask({ step: 'list' }, STEP_MS);
    return answer?.step === 'list' ? answer.behaviors : [];
  }

  /** What each worker holds, after a full collection there. */
  async memory(): Promise<readonly ReloadMemory[]> {
    const answers = await this.#parts.workers.ask({ step: 'memory' }, STEP_MS);
    return answers.flatMap((answer) => (answer.step === 'memory' ? [answer.memory] : []));
  }

  /** The longest that each worker's event loop is away at a time, from now on for `ms`. */
  async stalls(ms: number): Promise<readonly number[]> {
    const answers = await this.#parts.workers.ask({ step: 'watch', ms }, STEP_MS + ms);
    return answers.flatMap((answer) => (answer.step === 'watched' ? [answer.stallMs] : []));
  }

  /** Reloads, or checks alone. Resolves to the report whatever became of it. */
  reload(options: ReloadOptions, tell: Tell = SILENT): Promise<ReloadReport> {
    return this.#alone(options.name, false, (run) => run.reload(options), tell);
  }

  /** Takes the last reload of `name` that was not taken back yet back. */
  rollback(options: RollbackOptions, tell: Tell = SILENT): Promise<ReloadReport> {
    return this.#alone(options.name, true, (run) => run.rollback(options), tell);
  }

  async #alone(
    name: string,
    isBack: boolean,
    steps: (run: Run) => Promise<Outcome>,
    tell: Tell,
  ): Promise<ReloadReport> {
    const run = new Run(this.#parts, name, isBack, this.#live, tell);
    if (this.#isBusy) return run.finish(run.refuse(refusal('RELOAD_BUSY', name)));
    this.#isBusy = true;
    try {
      const report = run.finish(await steps(run));
      if (report.outcome !== 'checked') this.#parts.history.add(report);
      return report;
    } finally {
      this.#isBusy = false;
    }
  }
}

/** Gets what goes on, for a person who waits. */
export type Tell = (stage: string) => void;

const SILENT: Tell = () => undefined;
/** For steps that take no time of their own. */
const STEP_MS = 10_000;
/** UTF-16 units of a part of a bundle: three bytes each at most, within LIMITS.workerPacketBytesMax. */
const PART_CHARS = 32_768;

/** One reload. */
class Run {
  readonly #parts: CoordinatorParts;
  readonly #live: LiveVersions;
  readonly #tell: Tell;
  readonly #beganMs: number;
  readonly #draft: Draft;

  constructor(parts: CoordinatorParts, name: string, isBack: boolean, live: LiveVersions, tell: Tell) {
    this.#parts = parts;
    this.#live = live;
    this.#tell = tell;
    this.#beganMs = parts.clock.monotonicMs();
    this.#draft = {
      id: parts.history.nextId,
      name,
      outcome: 'refused',
      from: undefined,
      to: undefined,
      isBack,
      startedAt: new Date(parts.clock.nowMs()).toISOString(),
      tookMs: 0,
      refusals: [],
      notes: [],
      fault: undefined,
      backMs: undefined,
      bundle: undefined,
      compileMs: 0,
      check: undefined,
      canaryActors: 0,
      sweep: undefined,
      stallMs: 0,
      stallDuring: '',
      counts: undefined,
    };
  }

  refuse(...refusals: readonly Refusal[]): Outcome {
    this.#draft.refusals = [...this.#draft.refusals, ...refusals];
    return 'refused';
  }

  finish(outcome: Outcome): ReloadReport {
    this.#draft.outcome = outcome;
    this.#draft.tookMs = this.#parts.clock.monotonicMs() - this.#beganMs;
    const { id, name, from, to, tookMs, fault, refusals } = this.#draft;
    const codes = refusals.map(({ code }) => code);
    this.#parts.log.info('reload', {
      id,
      behavior: name,
      from,
      to,
      outcome,
      tookMs: Math.round(tookMs),
      fault: fault?.code,
      refusals: codes,
    });
    return this.#draft;
  }

  async reload(options: ReloadOptions): Promise<Outcome> {
    const { name, file, renumber, recordMs, checkOnly, expect } = options;
    const running = await this.#find(name);
    if (running === undefined) return this.refuse(refusal('RELOAD_UNKNOWN', name));
    this.#draft.from = running.version;
    const bundled = await this.#bundle(name, file);
    if ('code' in bundled) return this.refuse(bundled);
    const { sha256 = '' } = this.#draft.bundle ?? {};
    if (expect !== undefined && expect !== sha256) {
      return this.refuse(refusal('RELOAD_OTHER_CODE', `${sha256.slice(0, 12)} here, ${expect.slice(0, 12)} there`));
    }
    const version = renumber ? running.version + 1 : undefined;
    if (!(await this.#prepare(bundled.text, version, bundled.modules))) return 'refused';
    if (!(await this.#check(recordMs))) return 'refused';
    if (checkOnly) return this.#drop('checked');
    const outcome = await this.#apply(options);
    if (outcome === 'kept') this.#note(bundled.text, running.version, options.run);
    return outcome;
  }

  /** What went before was live beside what runs: it needs no check, and is watched all the same. */
  async rollback({ of, observeMs, timeoutMs }: RollbackOptions): Promise<Outcome> {
    const { name } = this.#draft;
    const running = await this.#find(name);
    if (running === undefined) return this.refuse(refusal('RELOAD_UNKNOWN', name));
    this.#draft.from = running.version;
    const live = this.#live.get(name) ?? [];
    const below = live.slice(0, -1);
    const before = below.at(-1);
    // Another one came after it, or it was never kept here: what runs is not its doing.
    const isAnother = of !== undefined && live.at(-1)?.run !== of;
    if (before === undefined || isAnother) return this.refuse(refusal('RELOAD_NOTHING_BACK', this.#whyNotBack()));
    if (!(await this.#prepare(before.text, before.version, []))) return 'refused';
    const outcome = await this.#apply({ observeMs, timeoutMs, canary: 0 });
    if (outcome === 'kept') this.#live.set(name, below);
    return outcome;
  }

  /** Whoever restarted the node has a list of reloads, and none of them to go back to. */
  #whyNotBack(): string {
    const { name } = this.#draft;
    const last = this.#live.has(name) ? undefined : this.#parts.history.lastOfBefore(name);
    if (last === undefined) return name;
    return `${name}: #${last.id} (${last.from} → ${last.to}) ended with the process that it was in; this one runs what was built`;
  }

  #note(text: string, from: number, run: string | undefined): void {
    const { name, to } = this.#draft;
    const below = this.#live.get(name) ?? [{ version: from, text: '', run: undefined }];
    this.#live.set(name, [...below, { version: to!, text, run }].slice(-1 - RELOAD_LIMITS.backCountMax));
  }

  async #find(name: string): Promise<LiveBehavior | undefined> {
    const [answer] = await this.#ask({ step: 'list' });
    return answer?.step === 'list' ? answer.behaviors.find((each) => each.name === name) : undefined;
  }

  async #bundle(name: string, file: string | undefined): Promise<BundledVersion | Refusal> {
    const { clock, root } = this.#parts;
    this.#tell('bundling');
    const beganMs = clock.monotonicMs();
    const bundled = await bundleBehavior(root, name, file);
    if (!('code' in bundled)) {
      const { text, modules } = bundled;
      const bundleMs = clock.monotonicMs() - beganMs;
      const sha256 = createHash('sha256').update(text).digest('hex');
      this.#draft.bundle = { bytes: Buffer.byteLength(text), modules, bundleMs, sha256 };
    }
    return bundled;
  }

  /** First phase: every worker has compiled. */
  async #prepare(text: string, version: number | undefined, modules: readonly string[]): Promise<boolean> {
    this.#tell('compiling in every worker');
    for (let at = 0; at < text.length; at += PART_CHARS) {
      await this.#ask({ step: 'part', text: text.slice(at, at + PART_CHARS) });
    }
    const { name, isBack } = this.#draft;
    const travelling = modules.filter(travels);
    const answers = await this.#ask({ step: 'prepare', name, version, isBack, modules: travelling });
    const refusals = answers.flatMap((answer) => (answer.step === 'refused' ? answer.refusals : []));
    for (const answer of answers) {
      if (answer.step !== 'prepared') continue;
      this.#draft.to = answer.to;
      this.#draft.compileMs = Math.max(this.#draft.compileMs, answer.compileMs);
    }
    if (refusals.length === 0) return true;
    this.refuse(...distinct(refusals));
    await this.#drop('refused');
    return false;
  }

  async #check(recordMs: number): Promise<boolean> {
    const { clock } = this.#parts;
    this.#tell('checking against living actors');
    const beganMs = clock.monotonicMs();
    const answers = await this.#ask({ step: 'check', recordMs }, STEP_MS + recordMs);
    const reports = answers.flatMap((answer) => (answer.step === 'checked' ? [answer.report] : []));
    const sum = (part: (report: (typeof reports)[number]) => number): number =>
      reports.reduce((total, each) => total + part(each), 0);
    this.#draft.check = {
      sampled: sum(({ sampled }) => sampled),
      replayed: sum(({ replayed }) => replayed),
      checkMs: clock.monotonicMs() - beganMs,
    };
    this.#draft.notes = [...new Set(reports.flatMap(({ notes }) => notes))];
    const refusals = distinct(reports.flatMap((report) => report.refusals));
    if (refusals.length === 0) return true;
    this.refuse(...refusals);
    await this.#drop('refused');
    return false;
  }

  async #drop(outcome: Outcome): Promise<Outcome> {
    await this.#ask({ step: 'drop' });
    return outcome;
  }

  /** Second phase: all switch, first a share of their actors. */
  async #apply({
    canary,
    observeMs,
    timeoutMs,
  }: Pick<ReloadOptions, 'canary' | 'observeMs' | 'timeoutMs'>): Promise<Outcome> {
    try {
      const begun = await this.#ask({ step: 'canary', share: canary });
      this.#draft.canaryActors = begun.reduce((sum, each) => sum + (each.step === 'canary' ? each.actors : 0), 0);
      const early = this.#draft.canaryActors > 0 ? await this.#observe('canary', observeMs) : undefined;
      if (early !== undefined) return await this.#back(early, timeoutMs);
      const fault = (await this.#switch(timeoutMs)) ?? (await this.#observe('all actors', observeMs));
      if (fault !== undefined) return await this.#back(fault, timeoutMs);
      return await this.#keep(timeoutMs);
    } catch (error) {
      // A worker that does not answer: the others go back, and so does it when it can.
      await this.#back(undefined, timeoutMs);
      throw error;
    }
  }

  /** Switches, and looks at what is counted while the sweep goes on: a slow conversion must not be waited for. */
  async #switch(timeoutMs: number): Promise<Fault | undefined> {
    this.#tell('switching');
    let isDone = false;
    const swept = this.#ask({ step: 'switch', timeoutMs }, STEP_MS + timeoutMs).finally(() => (isDone = true));
    // Awaited below; until then a failure is nobody's business.
    swept.catch(() => undefined);
    while (!isDone) {
      await Promise.race([swept, this.#sleep(RELOAD_LIMITS.pollMs)]);
      const fault = await this.#look();
      if (fault !== undefined) return fault;
    }
    this.#draft.sweep = sumSweeps(await swept);
    return undefined;
  }

  async #observe(what: string, observeMs: number): Promise<Fault | undefined> {
    this.#tell(`watching: ${what}`);
    const { clock } = this.#parts;
    const deadlineMs = clock.monotonicMs() + observeMs;
    for (;;) {
      const fault = await this.#look();
      const leftMs = deadlineMs - clock.monotonicMs();
      if (fault !== undefined || leftMs <= 0) return fault;
      await this.#sleep(Math.min(RELOAD_LIMITS.pollMs, leftMs));
    }
  }

  async #look(): Promise<Fault | undefined> {
    const counts = sumCounts(await this.#ask({ step: 'counts' }));
    this.#draft.counts = counts;
    return findFault(counts);
  }

  /** No worker counts any more, so what the last counts show is all there is: a fault that came since the last look is not missed. */
  async #keep(timeoutMs: number): Promise<Outcome> {
    const counts = sumCounts(await this.#ask({ step: 'keep' }));
    this.#draft.counts = counts;
    const fault = findFault(counts);
    if (fault !== undefined) return this.#back(fault, timeoutMs);
    await this.#forget();
    return 'kept';
  }

  /** All have kept it: a worker that is slow to forget the version before runs the new one as well, and there is no way back any more. */
  async #forget(): Promise<void> {
    try {
      await this.#ask({ step: 'forget' });
    } catch (error) {
      this.#draft.notes = [...this.#draft.notes, 'a worker did not say in time that it forgot the version before'];
      this.#parts.log.warn('reload_forget_failed', { behavior: this.#draft.name, reason: (error as Error).message });
    }
  }

  async #back(fault: Fault | undefined, timeoutMs: number): Promise<Outcome> {
    this.#tell(fault === undefined ? 'rolling back' : `rolling back: ${fault.detail}`);
    const beganMs = this.#parts.clock.monotonicMs();
    this.#draft.fault = fault;
    this.#draft.sweep = sumSweeps(await this.#ask({ step: 'back', timeoutMs }, STEP_MS + timeoutMs));
    this.#draft.backMs = this.#parts.clock.monotonicMs() - beganMs;
    return 'rolled_back';
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.setTimer(ms, resolve));
  }

  async #ask(step: ReloadStep, timeoutMs: number = STEP_MS): Promise<ReloadAnswer[]> {
    const answers = await this.#parts.workers.ask(step, timeoutMs);
    for (const answer of answers) {
      if ('stall' in answer && answer.stall.ms > this.#draft.stallMs) {
        this.#draft.stallMs = answer.stall.ms;
        this.#draft.stallDuring = answer.stall.during;
      }
    }
    return answers;
  }
}

function sumCounts(answers: readonly ReloadAnswer[]): TrialCounts {
  return answers.map((each) => ('counts' in each ? each.counts : NO_TRIAL)).reduce(sumTrials, NO_TRIAL);
}

function sumSweeps(answers: readonly ReloadAnswer[]): SweepReport {
  const sweeps = answers.flatMap((each) => (each.step === 'swept' ? [each.sweep] : []));
  return {
    moved: sweeps.reduce((sum, { moved }) => sum + moved, 0),
    killed: sweeps.reduce((sum, { killed }) => sum + killed, 0),
    slices: sweeps.reduce((sum, { slices }) => sum + slices, 0),
    longestSliceMs: Math.max(0, ...sweeps.map(({ longestSliceMs }) => longestSliceMs)),
  };
}

/** All workers have the same to say, mostly. */
function distinct(refusals: readonly Refusal[]): Refusal[] {
  return [...new Map(refusals.map((each) => [`${each.code} ${each.detail}`, each])).values()];
}
