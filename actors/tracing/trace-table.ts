/**
 * The memory in which the threads of a node note when a traced message reached each stage.
 *
 *   header   sample threshold │ two seeds
 *   slot     state │ key, 64 bits │ outcome ║ received │ began │ flushed │ answered │ written │ acknowledged │ arrived
 *
 * Nothing of a trace travels with a message: whoever has the message makes its key of who sends what to whom, and looks whether a place has
 * this key. So what is not traced costs nothing on its way, other nodes are told nothing, and threads need not talk about traces. Keys are
 * hashes under seeds of this process and leave it in no form.
 *
 * Each stamp of a slot is written by one thread at a time; a slot is claimed by compare-and-exchange, released by the main thread alone, and
 * rests before it is claimed again, so that a late stamp of one message is not taken for another's.
 */

import { LIMITS } from './limits.ts';

/** What is noted of a message, each once: by the first device, member or shard where there are several. */
export const STAGES = {
  /** The connection has read it. */
  received: 0,
  /** Its commit began: until then it waited for the one before. */
  began: 1,
  /** The commit is on the disk; of a group, at its owner. */
  flushed: 2,
  /** Its sender's check mark, or refusal, was written. */
  answered: 3,
  /** It was written to a socket of its recipient. */
  written: 4,
  /** Its removal, after the acknowledgement of a device, is on the disk. */
  acknowledged: 5,
  /** Of a group: it is on the disk in the inboxes of a shard with members. */
  arrived: 6,
} as const;

export type Stage = (typeof STAGES)[keyof typeof STAGES];

const STAGE_COUNT = 7;

/** `free` → `claimed` → `open` → `resting` → `free`. */
const FREE = 0;
const CLAIMED = 1;
const OPEN = 2;
const RESTING = 3;

const HEADER_INTS = 4;
const SLOT_INTS = 4;
const HEADER_BYTES = HEADER_INTS * Int32Array.BYTES_PER_ELEMENT;
const INTS_BYTES = LIMITS.slotCount * SLOT_INTS * Int32Array.BYTES_PER_ELEMENT;

export const TRACE_BYTES: number =
  HEADER_BYTES + INTS_BYTES + LIMITS.slotCount * STAGE_COUNT * Float64Array.BYTES_PER_ELEMENT;

/** What became of a message, as far as its sender was told. */
export type Outcome = 'unanswered' | 'stored' | 'refused';

const OUTCOMES: readonly Outcome[] = ['unanswered', 'stored', 'refused'];

/** A message that was followed to its end, or for as long as it is. */
export interface CollectedTrace {
  /** By stage, in microseconds of the table's clock; 0 for what was not reached. */
  readonly stamps: readonly number[];
  readonly outcome: Outcome;
}

/** One thread's view of the memory. */
export class TraceTable {
  readonly #header: Int32Array;
  readonly #ints: Int32Array;
  readonly #stamps: Float64Array;

  /** @param memory - Of `TRACE_BYTES`, zeroed, shared by all threads. */
  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, HEADER_INTS);
    this.#ints = new Int32Array(memory, HEADER_BYTES, LIMITS.slotCount * SLOT_INTS);
    this.#stamps = new Float64Array(memory, HEADER_BYTES + INTS_BYTES, LIMITS.slotCount * STAGE_COUNT);
  }

  /** @param oneIn - One message in so many is traced, from 1 on. */
  setSample(oneIn: number): void {
    Atomics.store(this.#header, 0, Math.floor(2 ** 32 / oneIn) - 1);
  }

  setSeeds(one: number, other: number): void {
    Atomics.store(this.#header, 1, one);
    Atomics.store(this.#header, 2, other);
  }

  get seeds(): readonly [number, number] {
    return [Atomics.load(this.#header, 1), Atomics.load(this.#header, 2)];
  }

  /** Whether messages with this key are traced: the same answer on every thread. */
  isSampled(high: number): boolean {
    return high >>> 0 <= this.#header[0]! >>> 0;
  }

  /** Begins a trace. Returns its slot; -1 when there is none free. */
  claim(high: number, low: number, nowUs: number): number {
    for (let probe = 0; probe < LIMITS.probeCount; probe++) {
      const slot = (low + probe) & (LIMITS.slotCount - 1);
      const at = slot * SLOT_INTS;
      if (Atomics.compareExchange(this.#ints, at, FREE, CLAIMED) !== FREE) continue;
      this.#ints[at + 1] = high;
      this.#ints[at + 2] = low;
      this.#ints[at + 3] = 0;
      this.#stamps.fill(0, slot * STAGE_COUNT, (slot + 1) * STAGE_COUNT);
      this.#stamps[slot * STAGE_COUNT] = nowUs;
      Atomics.store(this.#ints, at, OPEN);
      return slot;
    }
    return -1;
  }

  /** The slot of an open trace; -1 for a message that is not followed. */
  find(high: number, low: number): number {
    for (let probe = 0; probe < LIMITS.probeCount; probe++) {
      const slot = (low + probe) & (LIMITS.slotCount - 1);
      if (this.isOpen(slot, high, low)) return slot;
    }
    return -1;
  }

  isOpen(slot: number, high: number, low: number): boolean {
    const at = slot * SLOT_INTS;
    return Atomics.load(this.#ints, at) === OPEN && this.#ints[at + 1] === high && this.#ints[at + 2] === low;
  }

  /** The first stamp of a stage stays. */
  stamp(slot: number, stage: Stage, nowUs: number): void {
    const at = slot * STAGE_COUNT + stage;
    if (this.#stamps[at] === 0) this.#stamps[at] = nowUs;
  }

  answer(slot: number, outcome: Outcome, nowUs: number): void {
    this.#ints[slot * SLOT_INTS + 3] = OUTCOMES.indexOf(outcome);
    this.stamp(slot, STAGES.answered, nowUs);
  }

  /** Takes out what has ended, or began before `overdueUs`. For one thread alone, with a pause between two calls. */
  collect(overdueUs: number): CollectedTrace[] {
    const collected: CollectedTrace[] = [];
    for (let slot = 0; slot < LIMITS.slotCount; slot++) {
      const at = slot * SLOT_INTS;
      const state = Atomics.load(this.#ints, at);
      if (state === RESTING) Atomics.store(this.#ints, at, FREE);
      if (state !== OPEN || !this.#isOver(slot, overdueUs)) continue;
      Atomics.store(this.#ints, at, RESTING);
      collected.push(this.#read(slot));
    }
    return collected;
  }

  #isOver(slot: number, overdueUs: number): boolean {
    const at = slot * STAGE_COUNT;
    if (this.#stamps[at]! < overdueUs || this.#outcome(slot) === 'refused') return true;
    return this.#stamps[at + STAGES.answered]! > 0 && this.#stamps[at + STAGES.acknowledged]! > 0;
  }

  #outcome(slot: number): Outcome {
    return OUTCOMES[this.#ints[slot * SLOT_INTS + 3]!]!;
  }

  #read(slot: number): CollectedTrace {
    const at = slot * STAGE_COUNT;
    return { stamps: [...this.#stamps.subarray(at, at + STAGE_COUNT)], outcome: this.#outcome(slot) };
  }
}
