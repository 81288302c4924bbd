/**
 * One conversation under load: which messages are due, sent, accepted, delivered and receipted, and whether the server
 * keeps its promises. Numbers only; no socket, no clock.
 *
 *   due ──▶ sent ──▶ accepted (flushed) ──▶ delivered ──▶ acknowledged by the recipient ──▶ receipted: one full cycle
 *
 * Each station is one counter, since ids are 1, 2, 3 … and every station must see them in that order: exactly once, in
 * order, is `id === last + 1`. A violation throws a `BenchError`, which ends the run, however fast it was.
 *
 * The intended time of each message is kept until its receipt, so that every latency counts from the intention. Read
 * next: `pair-load.ts`, which drives many pairs.
 */

import { BenchError, type BenchCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';

const RING_MASK: number = LIMITS.outstandingCountMax - 1;

/** How far the messages of a pair have come; each is the highest id, or position, that reached the station. */
export interface PairProgress {
  readonly due: number;
  readonly sent: number;
  readonly accepted: number;
  readonly delivered: number;
  readonly receipted: number;
}

/** Takes latencies. `count` messages share one. */
export type TakeLatency = (intendedMs: number, count: number) => void;

export class Pair implements PairProgress {
  /** Shown in failures. */
  readonly name: string;
  due = 0;
  sent = 0;
  accepted = 0;
  delivered = 0;
  receipted = 0;
  /** Highest inbox position received, and the highest one that the recipient has acknowledged. */
  position = 0;
  acknowledged = 0;
  /** Highest id that the recipient has acknowledged by its position. */
  #acknowledgedId = 0;
  readonly #intendedMs: Float64Array = new Float64Array(LIMITS.outstandingCountMax);
  readonly #sentMs: Float64Array = new Float64Array(LIMITS.outstandingCountMax);

  constructor(name: string) {
    this.name = name;
  }

  /** Messages that wait for their receipt, those that are due and not sent counted. */
  get outstanding(): number {
    return this.due - this.receipted;
  }

  /** Whether every message that was due has completed its cycle. */
  get isIdle(): boolean {
    return this.receipted === this.due && this.acknowledged === this.position;
  }

  /**
   * Makes `count` more messages due.
   *
   * @throws {BenchError} BENCH_OVERRUN when more are outstanding than a queue that shrinks again ever holds.
   */
  intend(count: number, intendedMs: number): void {
    if (this.outstanding + count > LIMITS.outstandingCountMax) {
      throw this.#error('BENCH_OVERRUN', `${this.outstanding} messages wait for their receipt`);
    }
    for (let rest = count; rest > 0; rest -= 1) {
      this.due += 1;
      this.#intendedMs[this.due & RING_MASK] = intendedMs;
    }
  }

  /** The intended time of the message that is sent next; meaningless when none is due. */
  get nextIntendedMs(): number {
    return this.#intendedMs[(this.sent + 1) & RING_MASK]!;
  }

  /** The next message that is due, sent now; 0 when there is none. */
  takeDue(nowMs: number): number {
    if (this.sent === this.due) return 0;
    this.sent += 1;
    this.#sentMs[this.sent & RING_MASK] = nowMs;
    return this.sent;
  }

  /** When message `id` was written. Kept until its receipt, like its intended time. */
  sentMs(id: number): number {
    return this.#sentMs[id & RING_MASK]!;
  }

  /**
   * The sender is told that everything up to `id` is flushed.
   *
   * @returns How many that adds.
   */
  accept(id: number): number {
    if (id > this.sent) throw this.#error('BENCH_FALSE_RECEIPT', `<ack id="${id}"> with ${this.sent} sent`);
    const count = Math.max(0, id - this.accepted);
    this.accepted += count;
    return count;
  }

  /** The recipient gets message `id` at `position` of its inbox. Returns its intended time. */
  deliver(id: number, position: number): number {
    if (id !== this.delivered + 1 || position !== this.position + 1) this.#refuseDelivery(id, position);
    if (id > this.sent) throw this.#error('BENCH_FALSE_RECEIPT', `message ${id} delivered with ${this.sent} sent`);
    this.delivered = id;
    this.position = position;
    return this.#intendedMs[id & RING_MASK]!;
  }

  #refuseDelivery(id: number, position: number): never {
    const code = id <= this.delivered ? 'BENCH_DUPLICATE' : 'BENCH_GAP';
    const expected = `expected id ${this.delivered + 1} at ${this.position + 1}`;
    throw this.#error(code, `message ${id} at position ${position}, ${expected}`);
  }

  /** The position that the recipient has to acknowledge, or 0 when it has done so. Counts as acknowledged from now on. */
  takeAcknowledgement(): number {
    if (this.acknowledged === this.position) return 0;
    this.acknowledged = this.position;
    this.#acknowledgedId = this.delivered;
    return this.position;
  }

  /**
   * The sender is told that everything up to `id` is delivered.
   *
   * @param take - Called with the intended times of the messages that this adds, neighbours with equal times together.
   * @returns How many that adds: full cycles.
   */
  receipt(id: number, take: TakeLatency): number {
    if (id > this.#acknowledgedId) {
      throw this.#error(
        'BENCH_FALSE_RECEIPT',
        `delivered receipt for ${id}, acknowledged up to ${this.#acknowledgedId}`,
      );
    }
    if (id <= this.receipted) return 0;
    const count = id - this.receipted;
    this.#takeTimes(this.receipted + 1, id, take);
    this.receipted = id;
    return count;
  }

  #takeTimes(first: number, last: number, take: TakeLatency): void {
    let runMs = this.#intendedMs[first & RING_MASK]!;
    let count = 1;
    for (let id = first + 1; id <= last; id += 1) {
      const intendedMs = this.#intendedMs[id & RING_MASK]!;
      if (intendedMs === runMs) {
        count += 1;
        continue;
      }
      take(runMs, count);
      runMs = intendedMs;
      count = 1;
    }
    take(runMs, count);
  }

  #error(code: BenchCode, detail: string): BenchError {
    return new BenchError(code, `${this.name}: ${detail}`);
  }
}
