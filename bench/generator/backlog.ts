/**
 * What waits for one device under load: several conversations, each with its messages 1, 2, 3 …, and whether the server gives
 * them back as it took them: all of them, each once, each conversation in its order, the positions ascending.
 *
 * Numbers only; no socket, no clock. Read next: `backlog-load.ts`, which fills and drains many of them.
 */

import { BenchError, type BenchCode } from '../errors.ts';

/** One conversation of a backlog. */
interface Waiting {
  sent: number;
  accepted: number;
  received: number;
  receipted: number;
}

export class Backlog {
  /** Shown in failures. */
  readonly name: string;
  /** Messages of each conversation. */
  readonly messages: number;
  readonly #conversations: Map<string, Waiting> = new Map();
  #position = 0;
  #acknowledged = 0;
  #received = 0;
  /** Whether the end-of-queue mark was received. */
  isDrained = false;

  constructor(name: string, senders: readonly string[], messages: number) {
    this.name = name;
    this.messages = messages;
    for (const sender of senders) {
      this.#conversations.set(sender, { sent: 0, accepted: 0, received: 0, receipted: 0 });
    }
  }

  get total(): number {
    return this.#conversations.size * this.messages;
  }

  get received(): number {
    return this.#received;
  }

  /** Whether every message is on the server's disk. */
  get isFilled(): boolean {
    return this.#every(({ accepted }) => accepted === this.messages);
  }

  /** Whether every message came, and its sender knows. */
  get isDone(): boolean {
    return this.isDrained && this.#every(({ receipted }) => receipted === this.messages);
  }

  #every(holds: (waiting: Waiting) => boolean): boolean {
    for (const waiting of this.#conversations.values()) if (!holds(waiting)) return false;
    return true;
  }

  /** The next message of a conversation, sent now; 0 when all are sent. */
  takeNext(sender: string): number {
    const waiting = this.#of(sender);
    if (waiting.sent === this.messages) return 0;
    waiting.sent += 1;
    return waiting.sent;
  }

  /** The sender is told that everything up to `id` is flushed. Returns how many that adds. */
  accept(sender: string, id: number): number {
    const waiting = this.#of(sender);
    if (id > waiting.sent) throw this.#error('BENCH_FALSE_RECEIPT', `<ack id="${id}"> with ${waiting.sent} sent`);
    const count = Math.max(0, id - waiting.accepted);
    waiting.accepted += count;
    return count;
  }

  /**
   * The device gets a message.
   *
   * @throws {BenchError} BENCH_DUPLICATE, BENCH_GAP: not the next one of its conversation, or not behind the last position.
   */
  receive(sender: string, id: number, position: number): void {
    const waiting = this.#of(sender);
    if (id !== waiting.received + 1 || position <= this.#position) {
      const code = id <= waiting.received ? 'BENCH_DUPLICATE' : 'BENCH_GAP';
      throw this.#error(code, `message ${id} at ${position} after ${waiting.received}, position ${this.#position}`);
    }
    waiting.received = id;
    this.#position = position;
    this.#received += 1;
  }

  /** The position to acknowledge, or 0 when all are. Counts as acknowledged from now on. */
  takeAcknowledgement(): number {
    if (this.#acknowledged === this.#position) return 0;
    this.#acknowledged = this.#position;
    return this.#position;
  }

  /** The end-of-queue mark. @throws {BenchError} BENCH_LOST when something is missing. */
  drained(): void {
    if (this.#received !== this.total) {
      throw this.#error('BENCH_LOST', `${this.total - this.#received} messages are missing at the end of the queue`);
    }
    this.isDrained = true;
  }

  /** The sender is told that everything up to `id` is delivered. */
  receipt(sender: string, id: number): void {
    const waiting = this.#of(sender);
    if (id > waiting.received) {
      throw this.#error('BENCH_FALSE_RECEIPT', `delivered receipt for ${id}, received up to ${waiting.received}`);
    }
    waiting.receipted = Math.max(waiting.receipted, id);
  }

  #of(sender: string): Waiting {
    const waiting = this.#conversations.get(sender);
    if (waiting === undefined) throw this.#error('BENCH_UNEXPECTED', 'a message of somebody who sent none');
    return waiting;
  }

  #error(code: BenchCode, detail: string): BenchError {
    return new BenchError(code, `${this.name}: ${detail}`);
  }
}
