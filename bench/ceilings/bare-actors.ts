/**
 * The ceiling of the actors: plain objects and one queue of messages, and nothing else. No pids, no mailboxes, no links, no
 * accounting, no bounds, no turns: what is between this figure and ours is what a runtime costs.
 */

import { inRandomOrder } from '../actors/programs/million.ts';
import { type Figure, perSecond, verify } from '../actors/program.ts';
import type { Run } from '../actors/serve.ts';
import { systemClock } from '../harness/clock.ts';

interface BareActor {
  receive(message: number, queue: RunQueue): void;
}

/** Messages in the order in which they were sent, with their receivers: a ring whose size is a power of two. */
export class RunQueue {
  #actors: (BareActor | undefined)[] = new Array<BareActor | undefined>(CAPACITY).fill(undefined);
  #messages: number[] = new Array<number>(CAPACITY).fill(0);
  #head = 0;
  #tail = 0;

  /** @throws {RangeError} When more wait than fit: the programs here send in batches. */
  send(to: BareActor, message: number): void {
    if (this.#tail - this.#head === CAPACITY) throw new RangeError('the run queue is full');
    const place = this.#tail & (CAPACITY - 1);
    this.#actors[place] = to;
    this.#messages[place] = message;
    this.#tail += 1;
  }

  /** Runs until nothing waits. */
  run(): void {
    while (this.#head < this.#tail) {
      const place = this.#head & (CAPACITY - 1);
      this.#head += 1;
      this.#actors[place]!.receive(this.#messages[place]!, this);
    }
  }
}

const CAPACITY = 4_096;
/** As in the programs. */
const BATCH_MESSAGES = 1_000;

/** By the names of our programs. */
export const BARE_PROGRAMS: Readonly<Record<string, Run>> = {
  ping_pong: async ({ messages }) => [pingPong(messages!)],
  counting: async ({ messages }) => [counting(messages!)],
  million: async ({ actors, passes }) => million(actors!, passes!),
};

function timed(work: () => void): number {
  const startMs = systemClock.nowMs();
  work();
  return systemClock.nowMs() - startMs;
}

class Player implements BareActor {
  peer: BareActor = this;
  count = 0;

  receive(left: number, queue: RunQueue): void {
    this.count += 1;
    if (left > 1) queue.send(this.peer, left - 1);
  }
}

function pingPong(messages: number): Figure {
  const queue = new RunQueue();
  const pinger = new Player();
  const ponger = new Player();
  pinger.peer = ponger;
  ponger.peer = pinger;
  queue.send(ponger, messages);
  const elapsedMs = timed(() => queue.run());
  verify('messages', pinger.count + ponger.count, messages);
  return ['ping_pong_msgs_per_s', perSecond(messages, elapsedMs)];
}

class Counter implements BareActor {
  count = 0;

  receive(message: number): void {
    this.count += message;
  }
}

/** Sends one message to each of `actors`, batch by batch. */
function visit(actors: readonly BareActor[], queue: RunQueue): void {
  for (let start = 0; start < actors.length; start += BATCH_MESSAGES) {
    const end = Math.min(start + BATCH_MESSAGES, actors.length);
    for (let index = start; index < end; index += 1) queue.send(actors[index]!, 1);
    queue.run();
  }
}

function counting(messages: number): Figure {
  const queue = new RunQueue();
  const counter = new Counter();
  const elapsedMs = timed(() => {
    for (let sent = 0; sent < messages; sent += 1) {
      queue.send(counter, 1);
      if (sent % BATCH_MESSAGES === 0) queue.run();
    }
    queue.run();
  });
  verify('counted messages', counter.count, messages);
  return ['counting_msgs_per_s', perSecond(messages, elapsedMs)];
}

function million(count: number, passes: number): Figure[] {
  const queue = new RunQueue();
  const actors: Counter[] = [];
  const spawnMs = timed(() => {
    for (let index = 0; index < count; index += 1) actors.push(new Counter());
  });
  const figures: Figure[] = [['spawn_per_s', perSecond(count, spawnMs)]];
  const orders = { each_1m_msgs_per_s: actors, random_1m_msgs_per_s: inRandomOrder(actors) };
  for (const [metric, order] of Object.entries(orders)) {
    for (let pass = 0; pass < passes; pass += 1) {
      figures.push([
        metric,
        perSecond(
          count,
          timed(() => visit(order, queue)),
        ),
      ]);
    }
  }
  const visits = actors.reduce((sum, actor) => sum + actor.count, 0);
  verify('visits', visits, 2 * count * passes);
  return figures;
}
