/**
 * The part of a reload that one worker carries out: compile, check, try, switch, keep, or take back.
 *
 * It decides nothing: the coordinator of the node tells every worker the next step when all have done the last one. Each
 * step answers with plain data. At most one behaviour is on trial at a time.
 *
 *   prepare ─▶ check ─▶ canary ─▶ switch ─▶ keep ─▶ forget
 *                          └────────┴────────┴────▶ back
 */

import { getHeapStatistics } from 'node:v8';

import { type AnyBehavior, type BehaviorSlot, behaviorSlotOf } from '../behavior.ts';
import type { Clock, Loop } from '../contracts.ts';
import type { Kernel } from '../kernel.ts';
import type { RuntimeNode } from '../node.ts';
import type { Process } from '../process.ts';
import { ScriptFinder } from './captures.ts';
import { type Aside, type CheckReport, checkDeclarations, checkStates } from './check.ts';
import { compileBundle, type Shell } from './compile.ts';
import { RELOAD_LIMITS } from './limits.ts';
import { Recorder } from './recorder.ts';
import { type Refusal, refusal } from './refusals.ts';
import { collectGarbage } from './collect-garbage.ts';
import { type Stall, StallWatch } from './stall-watch.ts';
import { overAll, type Pause, sweep, type SweepReport } from './sweep.ts';
import { Trial } from './trial.ts';
import type { TrialCounts } from './verdict.ts';

/** What a worker is told. Plain data. */
export type ReloadStep =
  | { readonly step: 'list' | 'counts' | 'keep' | 'forget' | 'drop' | 'memory' }
  /** A part of the text that the next `prepare` completes: a message between threads has a bound. */
  | { readonly step: 'part'; readonly text: string }
  /** Without a text: the version that the program was started with, to go back to. */
  | {
      readonly step: 'prepare';
      readonly name: string;
      readonly version: number | undefined;
      readonly isBack: boolean;
      readonly modules: readonly string[];
    }
  | { readonly step: 'watch'; readonly ms: number }
  | { readonly step: 'check'; readonly recordMs: number }
  | { readonly step: 'canary'; readonly share: number }
  | { readonly step: 'switch' | 'back'; readonly timeoutMs: number };

/** What it answers. */
export type ReloadAnswer =
  | { readonly step: 'list'; readonly behaviors: readonly LiveBehavior[]; readonly collected: readonly number[] }
  | { readonly step: 'part' }
  | { readonly step: 'prepared'; readonly from: number; readonly to: number; readonly compileMs: number }
  | { readonly step: 'refused'; readonly refusals: readonly Refusal[] }
  | { readonly step: 'checked'; readonly report: CheckReport }
  | { readonly step: 'canary'; readonly actors: number }
  | { readonly step: 'swept'; readonly sweep: SweepReport; readonly stall: Stall }
  | { readonly step: 'counts'; readonly counts: TrialCounts }
  | { readonly step: 'kept'; readonly counts: TrialCounts }
  | { readonly step: 'forgotten' | 'dropped'; readonly stall: Stall }
  | { readonly step: 'memory'; readonly memory: ReloadMemory }
  | { readonly step: 'watched'; readonly stallMs: number };

/** What a worker holds, after a full collection. Bytes; versions as in `LiveBehavior.loaded`. */
export interface ReloadMemory {
  readonly heapBytes: number;
  readonly loaded: number;
}

/** One behaviour that can be reloaded. */
export interface LiveBehavior {
  readonly name: string;
  readonly version: number;
  /** Versions that were loaded into this worker and are still in memory, the first one not counted. */
  readonly loaded: number;
}

export interface WorkerReloadParts {
  readonly node: RuntimeNode;
  readonly loop: Loop;
  /** Every behaviour that may be reloaded, as the program imports it. */
  readonly behaviors: readonly AnyBehavior[];
  readonly shell: Shell;
  /** The exports of a module that the program has loaded itself, by its id; to know its functions. */
  readonly loadedModule: (id: string) => Promise<object | undefined>;
  /** Runs what a check runs, so that nothing of it shows outside: in counts that the program keeps for the thread. */
  readonly aside: Aside;
}

interface Prepared {
  readonly slot: BehaviorSlot;
  readonly next: AnyBehavior;
  readonly modules: readonly string[];
}

export class WorkerReload {
  readonly #parts: WorkerReloadParts;
  readonly #kernel: Kernel;
  readonly #slots: Map<string, BehaviorSlot> = new Map();
  readonly #finder: ScriptFinder = new ScriptFinder();
  readonly #pause: Pause;
  readonly #stalls: StallWatch;
  /** Versions in memory by name; a version that was collected takes its mark with it. */
  readonly #loaded: Map<string, number> = new Map();
  readonly #collected: number[] = [];
  readonly #registry: FinalizationRegistry<{ readonly name: string; readonly version: number }>;
  #text: string = '';
  #prepared: Prepared | undefined;
  #trial: Trial | undefined;
  #sweeps: number = 0;

  constructor(parts: WorkerReloadParts) {
    this.#parts = parts;
    this.#kernel = parts.node.kernel;
    this.#pause = pauseOf(parts.loop, parts.node.clock);
    this.#stalls = new StallWatch(parts.node.clock);
    for (const behavior of parts.behaviors) this.#slots.set(behavior.name, behaviorSlotOf(behavior));
    this.#registry = new FinalizationRegistry(({ name, version }) => this.#noteCollected(name, version));
  }

  /** Carries out one step. Rejects only for a step out of order, which is a bug of the caller. */
  async take(step: ReloadStep): Promise<ReloadAnswer> {
    if (step.step !== 'counts') this.#stalls.during = step.step;
    switch (step.step) {
      case 'list':
        return { step: 'list', behaviors: this.#list(), collected: [...this.#collected] };
      case 'part':
        this.#text += step.text;
        return { step: 'part' };
      case 'prepare':
        return this.#prepare(step);
      case 'check':
        return this.#check(step.recordMs);
      case 'canary':
        return this.#canary(step.share);
      case 'switch':
        return this.#switch(step.timeoutMs);
      case 'counts':
        return { step: 'counts', counts: this.#onTrial().counts() };
      case 'keep':
        return this.#keep();
      case 'forget':
        return this.#forget();
      case 'back':
        return this.#back(step.timeoutMs);
      case 'drop':
        this.#prepared = undefined;
        return { step: 'dropped', stall: this.#stalls.stop() };
      case 'watch':
        return this.#watchLoop(step.ms);
      case 'memory':
        return { step: 'memory', memory: await this.#memory() };
    }
  }

  close(): void {
    this.#stalls.stop();
    this.#finder.close();
  }

  #list(): LiveBehavior[] {
    return [...this.#slots.values()].map(({ name, version }) => ({
      name,
      version,
      loaded: this.#loaded.get(name) ?? 0,
    }));
  }

  #prepare({ name, version, isBack, modules }: Extract<ReloadStep, { step: 'prepare' }>): ReloadAnswer {
    const text = this.#text;
    this.#text = '';
    // What was prepared and never tried is left behind by a reload that was broken off.
    if (this.#trial !== undefined) return refuse('RELOAD_BUSY', name);
    const slot = this.#slots.get(name);
    if (slot === undefined) return refuse('RELOAD_UNKNOWN', name);
    this.#stalls.start();
    const beganMs = this.#kernel.clock.monotonicMs();
    const compiled = text === '' ? this.#first(name) : compileBundle({ name, text, version }, this.#parts.shell);
    if ('code' in compiled) return { step: 'refused', refusals: [compiled] };
    const { behavior: next } = compiled;
    if (text !== '') this.#watchOver(next);
    // What goes back is older, and was live beside the one that runs.
    const refusals = isBack ? [] : checkDeclarations(slot.current, next);
    if (refusals.length > 0) return { step: 'refused', refusals };
    this.#prepared = { slot, next, modules };
    const compileMs = this.#kernel.clock.monotonicMs() - beganMs;
    return { step: 'prepared', from: slot.version, to: next.version ?? 0, compileMs };
  }

  /** The version that the program imported. */
  #first(name: string): { readonly behavior: AnyBehavior } {
    return { behavior: this.#parts.behaviors.find((each) => each.name === name)! };
  }

  /** Counts the version until nothing refers to it. */
  #watchOver(next: AnyBehavior): void {
    const { name, version = 0 } = next;
    this.#loaded.set(name, (this.#loaded.get(name) ?? 0) + 1);
    this.#registry.register(next, { name, version });
  }

  #noteCollected(name: string, version: number): void {
    this.#loaded.set(name, (this.#loaded.get(name) ?? 1) - 1);
    this.#collected.push(version);
    if (this.#collected.length > RELOAD_LIMITS.historyCountMax) this.#collected.shift();
  }

  async #check(recordMs: number): Promise<ReloadAnswer> {
    const { slot, next, modules } = this.#inHand();
    const scripts = await this.#scriptsOf(slot.current, next, modules);
    const records = await this.#record(slot, recordMs);
    const report = await checkStates({
      kernel: this.#kernel,
      slot,
      next,
      records,
      scripts,
      finder: this.#finder,
      pause: this.#pause,
      aside: this.#parts.aside,
    });
    if (report.refusals.length > 0) this.#prepared = undefined;
    return { step: 'checked', report };
  }

  async #record(slot: BehaviorSlot, recordMs: number): Promise<ReturnType<Recorder['finish']>> {
    if (recordMs === 0) return [];
    const recorder = new Recorder(slot);
    try {
      const deadlineMs = this.#kernel.clock.monotonicMs() + recordMs;
      while (!recorder.isFull && this.#kernel.clock.monotonicMs() < deadlineMs) {
        await this.#pause.sleep(Math.min(RELOAD_LIMITS.pollMs, recordMs));
      }
    } finally {
      recorder.finish();
    }
    return recorder.finish();
  }

  /** The scripts that the two versions are of; those of a version that the program imported are told by its modules. */
  async #scriptsOf(current: AnyBehavior, next: AnyBehavior, modules: readonly string[]): Promise<Set<string>> {
    const finder = this.#finder;
    const scripts = new Set([finder.scriptOf(current.init), finder.scriptOf(next.init)]);
    for (const id of modules) {
      const exports = (await this.#parts.loadedModule(id)) ?? {};
      const known = Object.values(exports).find((each) => typeof each === 'function') as object | undefined;
      if (known !== undefined) scripts.add(finder.scriptOf(known));
    }
    scripts.delete('');
    return scripts;
  }

  async #canary(share: number): Promise<ReloadAnswer> {
    const { slot, next } = this.#inHand();
    const trial = new Trial(slot, next, this.#kernel.clock);
    this.#trial = trial;
    this.#prepared = undefined;
    const chosen: Process[] = [];
    let actors = 0;
    const choose = (process: Process): void => {
      if (process.behavior !== slot) return;
      actors += 1;
      if (isChosen(process, share)) chosen.push(process);
    };
    if (share > 0) await overAll(this.#kernel, this.#pause, choose);
    if (actors < RELOAD_LIMITS.canaryActorCountMin) return { step: 'canary', actors: 0 };
    for (const process of chosen) trial.enlist(process);
    return { step: 'canary', actors: chosen.length };
  }

  async #switch(timeoutMs: number): Promise<ReloadAnswer> {
    const trial = this.#onTrial();
    trial.switch();
    return { step: 'swept', sweep: await this.#sweep(trial, timeoutMs), stall: this.#stalls.longest };
  }

  /** Ends the counting, so that no fault comes between the last counts and what is decided by them. */
  #keep(): ReloadAnswer {
    const trial = this.#onTrial();
    trial.keep();
    return { step: 'kept', counts: trial.counts() };
  }

  #forget(): ReloadAnswer {
    this.#onTrial().forget();
    this.#trial = undefined;
    return { step: 'forgotten', stall: this.#stalls.stop() };
  }

  async #back(timeoutMs: number): Promise<ReloadAnswer> {
    this.#prepared = undefined;
    const trial = this.#trial;
    if (trial === undefined) return { step: 'dropped', stall: this.#stalls.stop() };
    trial.back();
    const report = await this.#sweep(trial, timeoutMs);
    trial.forget();
    this.#trial = undefined;
    return { step: 'swept', sweep: report, stall: this.#stalls.stop() };
  }

  /** What stops the loop when nothing is reloaded: to compare with. */
  async #watchLoop(ms: number): Promise<ReloadAnswer> {
    const stalls = new StallWatch(this.#kernel.clock);
    stalls.start();
    await this.#pause.sleep(ms);
    return { step: 'watched', stallMs: stalls.stop().ms };
  }

  /** Twice, with a turn of the loop between: finalizers run in the second. Stops the worker for as long as that takes. */
  async #memory(): Promise<ReloadMemory> {
    for (let round = 0; round < 3; round += 1) {
      collectGarbage();
      await this.#pause.sleep(1);
    }
    const loaded = [...this.#loaded.values()].reduce((sum, count) => sum + count, 0);
    return { heapBytes: getHeapStatistics().used_heap_size, loaded };
  }

  /** A later sweep of the same trial ends an earlier one. */
  #sweep(trial: Trial, timeoutMs: number): Promise<SweepReport> {
    this.#sweeps += 1;
    const own = this.#sweeps;
    return sweep(this.#kernel, trial, this.#pause, timeoutMs, () => own !== this.#sweeps);
  }

  #inHand(): Prepared {
    if (this.#prepared === undefined) throw new TypeError('nothing is prepared');
    return this.#prepared;
  }

  #onTrial(): Trial {
    if (this.#trial === undefined) throw new TypeError('nothing is on trial');
    return this.#trial;
  }
}

function refuse(code: Refusal['code'], detail: string): ReloadAnswer {
  return { step: 'refused', refusals: [refusal(code, detail)] };
}

const SHARES = 10_000;

/** By a hash of the pid, so that it is the same actors whoever asks, and no run of neighbours. */
function isChosen({ slot, creation }: Process, share: number): boolean {
  const mixed = Math.imul(slot ^ (creation << 16), 0x9e3779b1);
  return ((mixed ^ (mixed >>> 15)) >>> 0) % SHARES < share * SHARES;
}

function pauseOf(loop: Loop, clock: Clock): Pause {
  return {
    breath: () => new Promise((resolve) => loop.defer(resolve)),
    sleep: (ms) => new Promise((resolve) => clock.setTimer(ms, resolve)),
  };
}
