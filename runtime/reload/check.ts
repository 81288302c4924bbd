/**
 * Whether a version may be tried at all: looks at it, converts copies of the states of living actors, and lets it handle
 * recent messages in a shadow beside the version that runs. Nothing of a living actor is changed.
 *
 * What is found are refusals, each with its reason; and notes, for what an operator may want to know and may have wanted.
 */

import type { AnyBehavior, BehaviorSlot, MessagesVersion } from '../behavior.ts';
import { codeOf } from '../behavior.ts';
import type { Kernel } from '../kernel.ts';
import { FLAG, type Process } from '../process.ts';
import { findCaptures, type ScriptFinder, type Scripts } from './captures.ts';
import { messageOf } from './compile.ts';
import { RELOAD_LIMITS } from './limits.ts';
import type { Recorded } from './recorder.ts';
import { type Refusal, refusal } from './refusals.ts';
import { initInShadow, runInShadow } from './shadow.ts';
import { compareShapes, missingFields, type Shape, shapeOf } from './shape.ts';
import { copyState } from './stand-in.ts';
import { overAll, type Pause } from './sweep.ts';

/** What a check of one worker found. Plain data. */
export interface CheckReport {
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
  /** Living actors whose states were converted, and messages that were replayed. */
  readonly sampled: number;
  readonly replayed: number;
}

export interface CheckParts {
  readonly kernel: Kernel;
  readonly slot: BehaviorSlot;
  readonly next: AnyBehavior;
  readonly records: readonly Recorded[];
  /** Of the version that runs and of the new one. */
  readonly scripts: Scripts;
  readonly finder: ScriptFinder;
  readonly pause: Pause;
  readonly aside: Aside;
}

/** Runs `run`, and undoes what it does to anything that a copy of a state cannot stand in for. */
export type Aside = <Result>(run: () => Result) => Result;

/** Looks at the version alone: no actor is needed. */
export function checkDeclarations(current: AnyBehavior, next: AnyBehavior): Refusal[] {
  return [...checkVersion(current, next), ...checkMessages(current, next), ...checkHandlers(current, next)];
}

/** Everything else. */
export async function checkStates(parts: CheckParts): Promise<CheckReport> {
  const { next, records, aside } = parts;
  const check = new Check(parts);
  const breath = breathOf(parts);
  const { kernel, slot } = parts;
  const was = aside(() => initInShadow(kernel, slot.current));
  await breath();
  const is = aside(() => initInShadow(kernel, next));
  await breath();
  check.compareInits(was, is);
  const samples = await sampleOf(parts);
  for (const process of samples) {
    await breath();
    aside(() => check.convert(process));
  }
  for (const record of records) {
    await breath();
    aside(() => check.replay(record));
  }
  const { refusals, notes } = check;
  if (samples.length === 0) notes.push(`no actor of ${next.name} lives here: nothing was converted`);
  return {
    refusals: firstOfEach(refusals),
    notes: [...new Set(notes)].slice(0, RELOAD_LIMITS.differenceCountMax),
    sampled: samples.length,
    replayed: check.replayed,
  };
}

function checkVersion(current: AnyBehavior, next: AnyBehavior): Refusal[] {
  const [was, is] = [current.version ?? 0, next.version ?? 0];
  return is > was ? [] : [refusal('RELOAD_VERSION', `version ${was} runs, this one is ${is}`)];
}

const FIRST_MESSAGES: MessagesVersion = Object.freeze({ speaks: 1, understands: Object.freeze([1]) });

function checkMessages(current: AnyBehavior, next: AnyBehavior): Refusal[] {
  const [was, is] = [current.messages ?? FIRST_MESSAGES, next.messages ?? FIRST_MESSAGES];
  const found: Refusal[] = [];
  const list = ({ understands }: MessagesVersion): string => understands.join(', ');
  if (!was.understands.includes(is.speaks)) {
    const detail = `the new version speaks messages ${is.speaks}, the running one understands ${list(was)}`;
    found.push(refusal('RELOAD_MESSAGES', detail));
  }
  if (!is.understands.includes(was.speaks)) {
    const detail = `the running version speaks messages ${was.speaks}, the new one understands ${list(is)}`;
    found.push(refusal('RELOAD_MESSAGES', detail));
  }
  return found;
}

const KEPT = ['handleCall', 'handleCast', 'handleInfo', 'handleContinue', 'handleTurnEnd', 'wake'] as const;

function checkHandlers(current: AnyBehavior, next: AnyBehavior): Refusal[] {
  const gone = KEPT.filter((name) => current[name] !== undefined && next[name] === undefined);
  return gone.map((name) => refusal('RELOAD_HANDLER', name));
}

/** Gives the loop back once a slice has passed since it last did. */
function breathOf({ kernel: { clock }, pause }: CheckParts): () => Promise<void> {
  let sinceMs = clock.monotonicMs();
  return async () => {
    if (clock.monotonicMs() - sinceMs < RELOAD_LIMITS.sliceMs) return;
    await pause.breath();
    sinceMs = clock.monotonicMs();
  };
}

/** Some living actors, from the whole table. */
async function sampleOf({ kernel, slot, pause }: CheckParts): Promise<Process[]> {
  const found: Process[] = [];
  const stride = Math.max(1, Math.floor(kernel.processes.count / (RELOAD_LIMITS.sampleCountMax * 8)));
  const isFull = (): boolean => found.length >= RELOAD_LIMITS.sampleCountMax;
  let at = 0;
  const visit = (process: Process): void => {
    if (isFull() || process.behavior !== slot || process.has(NOT_SAMPLED)) return;
    // The first ones anyhow, in case there are no others.
    if (at++ % stride === 0 || found.length <= 2) found.push(process);
  };
  await overAll(kernel, pause, visit, isFull);
  return found.filter((process) => process.behavior === slot && !process.has(NOT_SAMPLED));
}

const NOT_SAMPLED = FLAG.dead | FLAG.starting | FLAG.exiting | FLAG.suspended;

/** What a function returned, whatever that is. */
interface Made {
  readonly made: unknown;
}

class Check {
  readonly #parts: CheckParts;
  readonly refusals: Refusal[] = [];
  readonly notes: string[] = [];
  replayed: number = 0;
  /** What the two `init` make; undefined where they could not be tried. */
  #was: Shape | undefined;
  #is: Shape | undefined;

  constructor(parts: CheckParts) {
    this.#parts = parts;
  }

  compareInits(was: Made | undefined, is: Made | undefined): void {
    const { next } = this.#parts;
    if (was === undefined || is === undefined) {
      this.notes.push(`init could not be tried without its real arguments: shapes were not compared`);
      return;
    }
    this.#was = shapeOf(was.made);
    this.#is = shapeOf(is.made);
    this.#refuseCaptures(is.made);
    const differences = compareShapes(this.#was, this.#is);
    if (differences.length === 0) return;
    const detail = differences.slice(0, RELOAD_LIMITS.differenceCountMax).join('; ');
    if (next.codeChange === undefined) this.refusals.push(refusal('RELOAD_SHAPE', detail));
    else if (next.codeBack === undefined) this.refusals.push(refusal('RELOAD_NO_WAY_BACK', detail));
  }

  /** Converts a copy of the state of a living actor, there and back. */
  convert(process: Process): void {
    const { next } = this.#parts;
    const state = this.#copyOf(process);
    if (state === undefined) return;
    const was = shallow(state);
    const converted = this.#attempt('RELOAD_CODE_CHANGE', () =>
      next.codeChange === undefined ? state : next.codeChange(state, process.version),
    );
    if (converted === undefined) return;
    if (next.codeChange !== undefined && isChanged(state, was)) {
      this.refusals.push(refusal('RELOAD_IN_PLACE', changesOf(state, was)));
    }
    this.#refuseMissing('RELOAD_CODE_CHANGE', converted.made, this.#is);
    this.#refuseCaptures(converted.made);
    if (next.codeBack !== undefined) this.#convertBack(converted.made, process.version);
  }

  #convertBack(state: unknown, version: number): void {
    const back = this.#attempt('RELOAD_NO_WAY_BACK', () => this.#parts.next.codeBack!(state, version));
    if (back !== undefined) this.#refuseMissing('RELOAD_NO_WAY_BACK', back.made, this.#was);
  }

  /** Lets both versions handle what an actor has handled. What the running one cannot do in a shadow says nothing. */
  replay(record: Recorded): void {
    const { kernel, slot, next } = this.#parts;
    const before = runInShadow(kernel, slot.current, record, record.state);
    if (before.threw !== undefined) return;
    const converted = this.#attempt('RELOAD_CODE_CHANGE', () => convertCopy(next, record));
    if (converted === undefined) return;
    const after = runInShadow(kernel, next, record, converted.made);
    this.replayed += 1;
    if (after.threw !== undefined) {
      this.refusals.push(refusal('RELOAD_SHADOW', `${record.kind}: ${after.threw}`));
    } else if (after.ended && !before.ended) {
      this.refusals.push(refusal('RELOAD_SHADOW', `${record.kind}: the actor ended itself`));
    } else if (after.effects.join() !== before.effects.join()) {
      this.notes.push(`${record.kind} has other effects: ${differenceOf(before.effects, after.effects)}`);
    }
    this.#refuseCaptures(after.state);
  }

  /** As the version that it is of would find it. */
  #copyOf(process: Process): unknown {
    const copied = copyState(process.state, () => undefined);
    const { wake } = codeOf(process);
    if (!process.has(FLAG.hibernated) || wake === undefined) return copied;
    return this.#attempt('RELOAD_CODE_CHANGE', () => wake(copied))?.made;
  }

  #attempt(code: Refusal['code'], run: () => unknown): Made | undefined {
    try {
      return { made: run() };
    } catch (error) {
      this.refusals.push(refusal(code, `it threw ${messageOf(error)}`));
      return undefined;
    }
  }

  #refuseMissing(code: Refusal['code'], state: unknown, wanted: Shape | undefined): void {
    if (wanted === undefined) return;
    const missing = missingFields(state, wanted);
    if (missing.length > 0) this.refusals.push(refusal(code, missing.join('; ')));
  }

  #refuseCaptures(state: unknown): void {
    const { scripts, finder } = this.#parts;
    this.refusals.push(...findCaptures(state, scripts, finder));
  }
}

function convertCopy(next: AnyBehavior, { state, version }: Recorded): unknown {
  const copied = copyState(state, () => undefined);
  return next.codeChange === undefined ? copied : next.codeChange(copied, version);
}

function shallow(state: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof state === 'object' && state !== null ? Object.entries(state) : []);
}

function isChanged(state: unknown, was: ReadonlyMap<string, unknown>): boolean {
  const is = shallow(state);
  return is.size !== was.size || [...is].some(([name, value]) => !was.has(name) || !Object.is(was.get(name), value));
}

function changesOf(state: unknown, was: ReadonlyMap<string, unknown>): string {
  const is = shallow(state);
  const names = new Set([...is.keys(), ...was.keys()]);
  return [...names].filter((name) => !Object.is(is.get(name), was.get(name)) || !is.has(name)).join(', ');
}

function differenceOf(before: readonly string[], after: readonly string[]): string {
  const gone = before.filter((each) => !after.includes(each)).map((each) => `no longer ${each}`);
  const fresh = after.filter((each) => !before.includes(each));
  return [...gone, ...fresh].slice(0, RELOAD_LIMITS.differenceCountMax).join('; ') || 'in another order';
}

/** The same trouble of twelve actors is one. */
function firstOfEach(refusals: readonly Refusal[]): Refusal[] {
  const seen = new Map(refusals.map((each) => [`${each.code} ${each.detail}`, each]));
  return [...seen.values()].slice(0, 2 * RELOAD_LIMITS.differenceCountMax);
}
