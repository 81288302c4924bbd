/**
 * How far a copy is behind its owner, in records and in time. Pure.
 *
 * Sequences of a log grow, but not by one, since not everything in it is a record. So the owner notes now and then where it is and how many records it has
 * written, and looks up what a copy has said against these notes. In records it is never too low: a copy counts as no further than the note
 * before it.
 */

/** Where an owner was. */
export interface LagNote {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  /** What its disk had flushed. */
  readonly sequence: number;
  /** Records that it had written in its life. */
  readonly records: number;
}

export interface Lag {
  readonly records: number;
  /** For how long the copy has lacked something; 0 if it lacks nothing. */
  readonly ms: number;
}

/** Notes that are kept: the newest ones as they came, older ones ever more sparsely. */
const NOTES_MAX = 128;

const NONE: Lag = { records: 0, ms: 0 };

export class LagMeter {
  #notes: LagNote[] = [];

  note(note: LagNote): void {
    const last = this.#notes.at(-1);
    if (last?.sequence === note.sequence) return;
    this.#notes.push(note);
    if (this.#notes.length > NOTES_MAX) this.#notes.splice(leastMissed(this.#notes), 1);
  }

  /**
   * @param sequence - What the copy has flushed, as it last said.
   * @param now - Where the owner is.
   */
  of(sequence: number, now: LagNote): Lag {
    if (sequence >= now.sequence) return NONE;
    const next = this.#notes.findIndex((note) => note.sequence > sequence);
    if (next === -1) return { records: 1, ms: 0 };
    const had = this.#notes[next - 1] ?? this.#notes[next]!;
    return { records: Math.max(1, now.records - had.records), ms: now.atMs - this.#notes[next]!.atMs };
  }
}

/** Which note tells least: without it the gap is the smallest for how long ago it is. The first and the last always stay. */
function leastMissed(notes: readonly LagNote[]): number {
  const nowMs = notes.at(-1)!.atMs;
  let least = 1;
  let leastGap = Infinity;
  for (let index = 1; index < notes.length - 1; index++) {
    const gap = (notes[index + 1]!.atMs - notes[index - 1]!.atMs) / (nowMs - notes[index]!.atMs);
    if (gap < leastGap) [least, leastGap] = [index, gap];
  }
  return least;
}
