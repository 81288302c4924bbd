/**
 * What a thread shows of itself in shared memory: whether it is in a turn, in which one, and which actor runs.
 *
 *   word  field
 *   0     turns begun plus turns ended, modulo 2^32: odd within a turn
 *   1     slot of the actor that runs or ran last
 *   2     its creation
 *   3     number of its behaviour
 *   4     the system's number of the thread; 0 where it is not known
 *   64 …  names of behaviours by number, 64 bytes each: a length and UTF-8
 *
 * A thread that is stuck answers nobody, so it must have told before. The words are written without atomics, because a
 * turn of an actor may take 30 ns: another thread sees them a little late, which is all the same to a watchdog, and sees
 * them although the writer never comes back. `worker/watchdog.ts` reads them.
 */

import type { BehaviorSlot } from './behavior.ts';
import { Pid } from './pid.ts';
import type { Process } from './process.ts';

const TURN = 0;
const SLOT = 1;
const CREATION = 2;
const BEHAVIOR = 3;
const THREAD = 4;
const WORDS = 16;
const NAME_BYTES = 64;
/** Behaviours with a name here; a program has some ten. Later ones share the last place. */
const NAME_COUNT = 256;
const OTHERS = NAME_COUNT - 1;

/** What another thread read. */
export interface PulseSample {
  /** Changes with each turn that begins or ends. */
  readonly turn: number;
  readonly inTurn: boolean;
  /** The behaviour that runs or, outside of a turn, ran last; undefined if none ever did. */
  readonly behavior: string | undefined;
  /** Its actor. */
  readonly pid: Pid | undefined;
}

/** Bytes of a thread's pulse. */
export const PULSE_BYTES: number = WORDS * 4 + NAME_COUNT * NAME_BYTES;

/** The writing end; one for each thread. */
export class Pulse {
  readonly #words: Int32Array;
  readonly #names: Uint8Array;
  #nameCount: number = 0;

  constructor(memory: SharedArrayBuffer | ArrayBuffer) {
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#names = new Uint8Array(memory, WORDS * 4);
  }

  /** Tells the system's number of this thread, under which others can look what it gets of the processors. */
  nameThread(thread: number): void {
    this.#words[THREAD] = thread;
  }

  /** A turn of the scheduler begins, or ends. */
  beat(): void {
    this.#words[TURN] += 1;
  }

  /** `process` is about to run. */
  enter(process: Process): void {
    const { behavior } = process;
    const words = this.#words;
    words[SLOT] = process.slot;
    words[CREATION] = process.creation;
    words[BEHAVIOR] = behavior.number === 0 ? this.#introduce(behavior) : behavior.number;
  }

  /** Writes the name of a behaviour, once, before the first of its actors runs. */
  #introduce(behavior: BehaviorSlot): number {
    this.#nameCount = Math.min(this.#nameCount + 1, OTHERS);
    behavior.number = this.#nameCount;
    const text = this.#nameCount === OTHERS ? 'one of many' : behavior.name;
    const place = this.#names.subarray(behavior.number * NAME_BYTES, (behavior.number + 1) * NAME_BYTES);
    place[0] = new TextEncoder().encodeInto(text, place.subarray(1)).written;
    return behavior.number;
  }
}

/** Reads what the thread `worker` of `node` shows. */
export function readPulse(memory: SharedArrayBuffer, node: string, worker: number): PulseSample {
  const words = new Int32Array(memory, 0, WORDS);
  const turn = Atomics.load(words, TURN);
  const number = Atomics.load(words, BEHAVIOR);
  const inTurn = (turn & 1) === 1;
  if (number === 0) return { turn, inTurn, behavior: undefined, pid: undefined };
  const pid = new Pid(node, worker, Atomics.load(words, SLOT), Atomics.load(words, CREATION));
  return { turn, inTurn, behavior: readName(memory, number), pid };
}

/** The system's number of the thread; 0 where it has told none. */
export function readThread(memory: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(memory, 0, WORDS), THREAD);
}

function readName(memory: SharedArrayBuffer, number: number): string {
  const place = new Uint8Array(memory, WORDS * 4 + number * NAME_BYTES, NAME_BYTES);
  // Text is not decoded from memory that others may change meanwhile.
  return new TextDecoder().decode(Uint8Array.from(place.subarray(1, 1 + place[0]!)));
}
