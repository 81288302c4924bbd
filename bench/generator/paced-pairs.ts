/**
 * Many conversations under one pace, whatever protocol they speak: a closed loop that keeps so many messages of each in flight, or
 * an open one that intends them at a fixed rate, pair by pair in turn.
 *
 * What is counted and checked of one conversation stands in `pair.ts`; how its messages travel, in the loads that extend this:
 * `pair-load.ts`, `xmpp-load.ts`.
 */

import type { Cancel, Clock } from '../harness/clock.ts';
import { Pace } from '../harness/pace.ts';
import { LIMITS } from '../limits.ts';
import { Tally, type LoadShape, type Subject } from './measured-run.ts';
import type { Pair } from './pair.ts';

/** A conversation, as far as a pace knows it. */
export interface Paced {
  readonly pair: Pair;
  /** Something is due: its sender asks for a turn to speak. */
  wake(): void;
}

export abstract class PacedPairs<Conversation extends Paced> implements Subject {
  readonly tally: Tally = new Tally();
  readonly failed: Promise<never>;
  readonly clock: Clock;
  readonly #conversations: Conversation[] = [];
  readonly #fail: (error: Error) => void;
  #inFlight = 0;
  #next = 0;
  /** The open loop that runs. */
  #pacing: { readonly pace: Pace; readonly cancel: Cancel } | undefined = undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    let fail: (error: Error) => void = ignore;
    this.failed = new Promise<never>((_resolve, reject) => (fail = reject));
    this.failed.catch(ignore);
    this.#fail = fail;
  }

  /** Adds a conversation. Before the first `begin`. */
  protected add(conversation: Conversation): void {
    this.#conversations.push(conversation);
  }

  begin(shape: LoadShape): void {
    if (shape.kind === 'closed') this.#beginClosed(shape.inFlight);
    else this.#beginOpen(shape);
  }

  #beginClosed(inFlight: number): void {
    const nowMs = this.clock.nowMs();
    this.#inFlight = inFlight;
    for (const conversation of this.#conversations) intend(conversation, inFlight, nowMs);
  }

  #beginOpen({ ratePerSecond, index, count }: Extract<LoadShape, { kind: 'open' }>): void {
    const pace = new Pace({ ratePerSecond, startMs: this.clock.nowMs(), index, count });
    const cancel = this.clock.every(LIMITS.paceTickMs, () => this.#keepPace(pace));
    this.#pacing = { pace, cancel };
  }

  /** Intends all messages whose time has come, pair by pair in turn. */
  #keepPace(pace: Pace): void {
    const nowMs = this.clock.nowMs();
    try {
      for (let atMs = pace.take(nowMs); atMs !== undefined; atMs = pace.take(nowMs)) {
        intend(this.#conversations[this.#next]!, 1, atMs);
        this.#next = (this.#next + 1) % this.#conversations.length;
      }
    } catch (error) {
      this.fail(error as Error);
    }
  }

  stop(): void {
    const pacing = this.#pacing;
    this.halt();
    // A generator that stood still at the end of the window still owes what was due before it: leaving that out would omit
    // the very messages that were held up.
    if (pacing !== undefined) this.#keepPace(pacing.pace);
  }

  /** Intends nothing more. */
  protected halt(): void {
    this.#inFlight = 0;
    this.#pacing?.cancel();
    this.#pacing = undefined;
  }

  isIdle(): boolean {
    return this.#conversations.every(({ pair }) => pair.isIdle);
  }

  describe(): string {
    const stuck = this.#conversations.filter(({ pair }) => !pair.isIdle).map(({ pair }) => pair);
    const sum = (count: (pair: Pair) => number): number => stuck.reduce((total, pair) => total + count(pair), 0);
    const stations = [
      `${sum((pair) => pair.due - pair.sent)} not sent`,
      `${sum((pair) => pair.sent - pair.accepted)} not acknowledged to the sender`,
      `${sum((pair) => pair.accepted - pair.delivered)} acknowledged and not delivered`,
      `${sum((pair) => pair.delivered - pair.receipted)} delivered without a receipt`,
    ];
    return `${stuck.length} pairs are stuck: ${stations.join(', ')}`;
  }

  /** Ends the run. The first error counts. */
  fail(error: Error): void {
    this.halt();
    this.#fail(error);
  }

  /** @internal Full cycles of a conversation are complete: a closed loop sends as many again. */
  completed(conversation: Conversation, count: number, nowMs: number): void {
    this.tally.completed += count;
    const room = this.#inFlight - conversation.pair.outstanding;
    if (room > 0) intend(conversation, room, nowMs);
  }
}

function ignore(): void {}

function intend(conversation: Paced, count: number, intendedMs: number): void {
  conversation.pair.intend(count, intendedMs);
  conversation.wake();
}
