/**
 * Which entries of our inbox are stored: everything up to a position, and some beyond it that came ahead of their turn.
 *
 * And what may be acknowledged. An acknowledgement covers its entry and all that were pushed before it on the same connection, so
 * it names the last one before which nothing is missing, in the order of pushing. Without messages ahead of their
 * turn that order is the order of positions. Values; `inbox.ts` keeps them durable.
 */

/** An entry as far as its place is concerned. */
export interface Placed {
  readonly seq: number;
  /** Set on an entry ahead of its turn. */
  readonly after?: number | undefined;
}

/** The entries that are stored. A value: `note` makes another. */
export class Positions {
  /** Everything up to here is stored, or gone from the inbox. */
  readonly through: number;
  /** Those beyond it. The server sends a window of them at most on a connection. */
  readonly ahead: ReadonlySet<number>;

  constructor(through: number, ahead: Iterable<number> = []) {
    this.through = through;
    this.ahead = new Set(ahead);
  }

  has(seq: number): boolean {
    return seq <= this.through || this.ahead.has(seq);
  }

  /** With one more. An entry in its turn says that nothing smaller is missing. */
  note({ seq, after }: Placed): Positions {
    if (this.has(seq) && after !== undefined) return this;
    if (after !== undefined) return new Positions(this.through, [...this.ahead, seq]);
    const through = Math.max(this.through, seq);
    return this.ahead.size === 0 ? new Positions(through) : new Positions(through, above(this.ahead, through));
  }
}

function above(positions: ReadonlySet<number>, through: number): number[] {
  return [...positions].filter((seq) => seq > through);
}

/** What was pushed on the present connection and is not acknowledged, in the order of pushing. */
export class PushOrder {
  #pushed: Placed[] = [];

  /** Another connection: the server pushes from the beginning. */
  reset(): void {
    this.#pushed = [];
  }

  push(entry: Placed): void {
    this.#pushed.push({ seq: entry.seq, after: entry.after });
  }

  /** The position to acknowledge now that these are stored; `undefined` when nothing new may be. */
  acknowledge(stored: Positions): number | undefined {
    let count = 0;
    while (count < this.#pushed.length && stored.has(this.#pushed[count]!.seq)) count += 1;
    if (count === 0) return undefined;
    return this.#pushed.splice(0, count).at(-1)!.seq;
  }
}
