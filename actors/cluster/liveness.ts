/**
 * Who lives, as far as this worker can tell. Pure: time comes in as monotonic milliseconds.
 *
 * Silence proves nothing while the listener is deaf: a worker that was paused or cut off finds that everybody has been silent. So others are
 * judged only while this worker hears its own renewals come back, and their silence counts from when it began to.
 */

import { LIMITS } from './limits.ts';
import { parseSeat, sameSeat, seatKey, type CopyState, type SeatLife, type SeatRecord } from './shard-record.ts';
import type { Seat } from './placement.ts';

/** A new one for each renewal. */
interface Heard {
  readonly record: SeatRecord;
  readonly atMs: number;
  /** Whether its connection was found to be gone since. */
  isDeserted: boolean;
}

export class Liveness {
  readonly #self: Seat;
  readonly #heard = new Map<string, Heard>();
  /** When this worker heard itself last, and since when without a gap. */
  #echoMs = -Infinity;
  #hearingSinceMs = Infinity;

  constructor(self: Seat) {
    this.#self = self;
  }

  /**
   * A seat's key has changed; `undefined` when it went: its worker has left. Returns what the seat says.
   *
   * @throws {RangeError} what `parseSeat` throws.
   */
  note(key: string, value: string | undefined, nowMs: number): SeatRecord | undefined {
    if (value === undefined) return void this.#heard.delete(key);
    const record = parseSeat(value);
    this.#heard.set(key, { record, atMs: nowMs, isDeserted: false });
    if (sameSeat(record, this.#self)) this.#hearSelf(nowMs);
    return record;
  }

  #hearSelf(nowMs: number): void {
    if (nowMs - this.#echoMs > LIMITS.leaseMs) this.#hearingSinceMs = nowMs;
    this.#echoMs = nowMs;
  }

  /** Whether others can be judged at all, and for how long by now. */
  hearingMs(nowMs: number): number {
    return nowMs - this.#echoMs > LIMITS.leaseMs ? 0 : Math.max(0, nowMs - this.#hearingSinceMs);
  }

  /** How long a seat has been silent; 0 while it cannot be judged, Infinity for one that left or was never there. */
  silenceMs(seat: Seat, nowMs: number): number {
    const heard = this.#heard.get(seatKey(seat));
    const hearingMs = this.hearingMs(nowMs);
    if (heard === undefined) return hearingMs > LIMITS.deadMs ? Infinity : 0;
    return Math.min(nowMs - heard.atMs, hearingMs);
  }

  isAlive(seat: Seat, nowMs: number): boolean {
    if (this.#heard.get(seatKey(seat))?.isDeserted === true) return false;
    return this.silenceMs(seat, nowMs) <= LIMITS.deadMs;
  }

  /** Whether it is worth asking if a seat has a connection: it has been silent for a while, and counts as alive. */
  isSuspect(seat: Seat, nowMs: number): boolean {
    return this.silenceMs(seat, nowMs) > LIMITS.suspectMs && this.isAlive(seat, nowMs);
  }

  /** When a seat was heard last. */
  heardMs(seat: Seat): number | undefined {
    return this.#heard.get(seatKey(seat))?.atMs;
  }

  /** A seat has no connection any more: it is dead until it is heard again. Nothing if it was heard after `heardMs`. */
  noteDeserted(seat: Seat, heardMs: number): void {
    const heard = this.#heard.get(seatKey(seat));
    if (heard?.atMs === heardMs) heard.isDeserted = true;
  }

  /** Whether that life of a worker is over: silent for too long, or followed by another. */
  isOver({ node, worker, life }: SeatLife, nowMs: number): boolean {
    const record = this.recordOf({ node, worker });
    return (record !== undefined && record.life !== life) || !this.isAlive({ node, worker }, nowMs);
  }

  recordOf(seat: Seat): SeatRecord | undefined {
    return this.#heard.get(seatKey(seat))?.record;
  }

  /** What a seat said last of its copy of a shard. */
  copyOf(seat: Seat, shard: number): CopyState | undefined {
    return this.recordOf(seat)?.copies.find((copy) => copy.shard === shard);
  }

  /** Nodes that may get shards: with all their workers alive and none leaving. Sorted. */
  nodes(nowMs: number): { readonly node: string; readonly workers: number }[] {
    const nodes = new Map<string, { readonly node: string; readonly workers: number; count: number }>();
    for (const { record } of this.#heard.values()) {
      if (record.leaving || !this.isAlive(record, nowMs)) continue;
      const known = nodes.get(record.node) ?? { node: record.node, workers: record.workers, count: 0 };
      known.count++;
      nodes.set(record.node, known);
    }
    return [...nodes.values()]
      .filter(({ count, workers }) => count === workers)
      .sort((left, right) => (left.node < right.node ? -1 : 1));
  }
}

/**
 * The right of an owner to act: for a while from the beginning of the last renewal that was acknowledged.
 *
 * A lease that has lapsed is not valid again with the next renewal: somebody else may own by now what this worker thinks it owns. It has to
 * be confirmed, by reading the registry after that renewal. Otherwise an owner that was cut off would, for a moment after the heal, answer from what
 * it knew before (it did: a client was asked for a message that the new owner had acknowledged).
 */
export class Lease {
  #untilMs = -Infinity;
  #lapses = 0;
  #confirmed = 0;

  /** A renewal that began at `beganMs` was acknowledged at `nowMs`. */
  renewed(beganMs: number, nowMs: number): void {
    if (nowMs >= this.#untilMs) this.#lapses++;
    this.#untilMs = Math.max(this.#untilMs, beganMs + LIMITS.leaseMs);
  }

  /** How often it has lapsed: what is read from now on confirms it. */
  get lapses(): number {
    return this.#lapses;
  }

  /** The connection by which it was renewed is gone: it is not waited for its end, for others may know already that nobody is here. */
  forfeit(): void {
    this.#untilMs = -Infinity;
  }

  /** The registry was read, beginning when there had been so many lapses. */
  confirm(lapses: number): void {
    this.#confirmed = Math.max(this.#confirmed, lapses);
  }

  get isConfirmed(): boolean {
    return this.#confirmed === this.#lapses;
  }

  isValid(nowMs: number): boolean {
    return this.isConfirmed && nowMs < this.#untilMs;
  }
}
