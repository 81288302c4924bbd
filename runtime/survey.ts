/**
 * Who is at the top: passes over all actors of a worker, in slices, that keep the first few by queue, age, work or memory.
 *
 * Work (messages and time) is ranked by what came since the pass before, because a total says who is old and not who is
 * busy. For that a survey keeps 12 bytes for each slot between passes; drop it when nobody looks any more.
 *
 *   pass  ──step 3 ms──▶ ──step 3 ms──▶ … ──▶ result: totals, groups by behaviour, and the first of each ranking
 *
 * Source: recon's proc_window and proc_count, observer's process list. Differs: one pass serves several rankings.
 */

import type { BehaviorSlot } from './behavior.ts';
import { LIMITS } from './limits.ts';
import { mailboxCount, oldestEntry } from './mailbox.ts';
import type { RuntimeNode } from './node.ts';
import { describeProcess, type ProcessInfo } from './process-info.ts';
import { FLAG, type Process } from './process.ts';
import { estimateBytes } from './state-size.ts';
import type { ProcessWalk } from './walk.ts';

/** `queue`: messages that wait; `age`: how long the oldest has; `messages`, `time`: since the pass before; `memory`: estimated bytes. */
export type RankBy = 'queue' | 'age' | 'messages' | 'time' | 'memory';

export interface Ranking {
  readonly by: RankBy;
  /** Of actors of this behaviour alone. */
  readonly behavior?: string | undefined;
  /** 1 to LIMITS.surveyRowsMax. */
  readonly countMax: number;
}

/** One actor in a ranking. */
export interface Ranked extends ProcessInfo {
  /** Since the pass before, or since its start if there was none. */
  readonly messages: number;
  readonly timeMs: number;
  /** What it holds by itself: a lower bound, see `state-size.ts`. */
  readonly bytes: number;
}

/** All actors of one behaviour. */
export interface SurveyGroup {
  readonly behavior: string;
  readonly count: number;
  readonly queued: number;
  readonly messages: number;
  readonly timeMs: number;
}

export interface SurveyResult {
  /** Visited; fewer than there are if the pass is not at its end. */
  readonly visited: number;
  readonly isComplete: boolean;
  /** Milliseconds since the pass before began; 0 if there was none: then work counts from the start of each actor. */
  readonly windowMs: number;
  /** Messages that wait in all mailboxes. */
  readonly queued: number;
  readonly groups: readonly SurveyGroup[];
  /** In the order of the rankings asked for. */
  readonly rankings: readonly (readonly Ranked[])[];
}

interface Group {
  readonly behavior: BehaviorSlot;
  count: number;
  queued: number;
  messages: number;
  timeUs: number;
}

/** Passes over one worker, one after the other. */
export class Survey {
  readonly #node: RuntimeNode;
  readonly #baseline: Baseline = new Baseline();
  #beganMs: number | undefined;

  constructor(node: RuntimeNode) {
    this.#node = node;
  }

  /** Begins a pass; one that is under way must have ended, or is left. */
  begin(rankings: readonly Ranking[]): SurveyPass {
    const nowMs = this.#node.clock.monotonicMs();
    const windowMs = this.#beganMs === undefined ? 0 : nowMs - this.#beganMs;
    this.#beganMs = nowMs;
    return new SurveyPass(this.#node, this.#baseline, rankings, windowMs);
  }
}

export class SurveyPass {
  readonly #walk: ProcessWalk;
  readonly #baseline: Baseline;
  readonly #windowMs: number;
  readonly #tops: readonly Top[];
  readonly #groups: Map<BehaviorSlot, Group> = new Map();
  #group: Group | undefined;
  #queued: number = 0;
  #isComplete: boolean = false;

  constructor(node: RuntimeNode, baseline: Baseline, rankings: readonly Ranking[], windowMs: number) {
    this.#walk = node.walk();
    this.#baseline = baseline;
    this.#windowMs = windowMs;
    this.#tops = rankings.map((ranking) => new Top(ranking));
  }

  /** Goes on for about `sliceMs`. Returns whether the pass is at its end. */
  step(sliceMs: number): boolean {
    this.#isComplete ||= this.#walk.step(sliceMs, (process) => this.#visit(process as unknown as Process));
    return this.#isComplete;
  }

  /** What was seen so far. */
  result(): SurveyResult {
    return {
      visited: this.#walk.visited,
      isComplete: this.#isComplete,
      windowMs: this.#windowMs,
      queued: this.#queued,
      groups: [...this.#groups.values()].map(({ behavior, count, queued, messages, timeUs }) => ({
        behavior: behavior.name,
        count,
        queued,
        messages,
        timeMs: timeUs / 1_000,
      })),
      rankings: this.#tops.map((top) => top.rows()),
    };
  }

  #visit(process: Process): void {
    const { annex, behavior, slot, creation } = process;
    const queued = mailboxCount(process);
    const messages = this.#baseline.messagesSince(slot, creation, process.handledCount + (annex?.carriedCount ?? 0));
    const timeUs = this.#baseline.timeSince(slot, creation, process.busyUs + (annex?.carriedUs ?? 0));
    this.#baseline.settle(slot, creation);
    const group = this.#groupOf(behavior);
    group.count += 1;
    group.queued += queued;
    group.messages += messages;
    group.timeUs += timeUs;
    this.#queued += queued;
    for (const top of this.#tops) top.offer(process, queued, messages, timeUs);
  }

  /** Actors of one behaviour mostly lie side by side. */
  #groupOf(behavior: BehaviorSlot): Group {
    if (this.#group?.behavior === behavior) return this.#group;
    let group = this.#groups.get(behavior);
    if (group === undefined) {
      group = { behavior, count: 0, queued: 0, messages: 0, timeUs: 0 };
      this.#groups.set(behavior, group);
    }
    this.#group = group;
    return group;
  }
}

/** What each slot had done at the pass before, modulo 2^32, which is far more than an actor does in between. */
class Baseline {
  #creations: Int32Array = new Int32Array(0);
  #messages: Uint32Array = new Uint32Array(0);
  #times: Uint32Array = new Uint32Array(0);

  messagesSince(slot: number, creation: number, total: number): number {
    if (slot >= this.#creations.length) this.#grow(slot);
    const before = this.#creations[slot] === creation ? this.#messages[slot]! : 0;
    this.#messages[slot] = total;
    return (total - before) >>> 0;
  }

  timeSince(slot: number, creation: number, total: number): number {
    const before = this.#creations[slot] === creation ? this.#times[slot]! : 0;
    this.#times[slot] = total;
    return (total - before) >>> 0;
  }

  settle(slot: number, creation: number): void {
    this.#creations[slot] = creation;
  }

  #grow(slot: number): void {
    const length = Math.max(1_024, 2 ** Math.ceil(Math.log2(slot + 1)));
    const creations = new Int32Array(length).fill(-1);
    creations.set(this.#creations);
    this.#creations = creations;
    const messages = new Uint32Array(length);
    messages.set(this.#messages);
    this.#messages = messages;
    const times = new Uint32Array(length);
    times.set(this.#times);
    this.#times = times;
  }
}

interface Entry {
  readonly value: number;
  readonly process: Process;
  readonly messages: number;
  readonly timeUs: number;
}

/** The first few of one ranking, in a heap whose root is the last of them. */
class Top {
  readonly #ranking: Ranking;
  readonly #heap: Entry[] = [];
  /** What a value must exceed to get in. */
  #least: number = -1;

  constructor(ranking: Ranking) {
    const { countMax } = ranking;
    if (!(countMax >= 1 && countMax <= LIMITS.surveyRowsMax)) {
      throw new RangeError(`"countMax" expected 1 to ${LIMITS.surveyRowsMax}, got ${countMax}`);
    }
    this.#ranking = ranking;
  }

  offer(process: Process, queued: number, messages: number, timeUs: number): void {
    const { behavior, countMax } = this.#ranking;
    if (behavior !== undefined && process.behavior.name !== behavior) return;
    const value = this.#valueOf(process, queued, messages, timeUs);
    if (value <= this.#least) return;
    const heap = this.#heap;
    if (heap.length < countMax) {
      heap.push({ value, process, messages, timeUs });
      rise(heap, heap.length - 1);
    } else {
      heap[0] = { value, process, messages, timeUs };
      sink(heap, 0);
    }
    if (heap.length === countMax) this.#least = heap[0]!.value;
  }

  rows(): Ranked[] {
    return this.#heap
      .filter(({ process }) => !process.has(FLAG.dead))
      .sort((one, other) => other.value - one.value)
      .map(({ process, messages, timeUs }) => ({
        ...describeProcess(process),
        messages,
        timeMs: timeUs / 1_000,
        bytes: estimateBytes(process),
      }));
  }

  #valueOf(process: Process, queued: number, messages: number, timeUs: number): number {
    switch (this.#ranking.by) {
      case 'queue':
        return queued;
      case 'messages':
        return messages;
      case 'time':
        return timeUs;
      case 'memory':
        return estimateBytes(process);
      case 'age': {
        const entry = oldestEntry(process);
        return entry === 0 ? 0 : process.kernel.scheduler.ageMs(entry);
      }
    }
  }
}

function rise(heap: Entry[], from: number): void {
  let at = from;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (heap[above]!.value <= heap[at]!.value) return;
    swap(heap, at, above);
    at = above;
  }
}

function sink(heap: Entry[], from: number): void {
  let at = from;
  for (;;) {
    const left = 2 * at + 1;
    const right = left + 1;
    let least = at;
    if (left < heap.length && heap[left]!.value < heap[least]!.value) least = left;
    if (right < heap.length && heap[right]!.value < heap[least]!.value) least = right;
    if (least === at) return;
    swap(heap, at, least);
    at = least;
  }
}

function swap(heap: Entry[], one: number, other: number): void {
  const kept = heap[one]!;
  heap[one] = heap[other]!;
  heap[other] = kept;
}
