/**
 * Several workers of one node on one thread, joined by a network that the test moves: every order of turns and of
 * arrivals can be had, which real threads do not allow.
 *
 * Packets are encoded as between threads, so what arrives is a copy, and they keep their order between each pair of
 * workers. What may be lost in life (a message that meets a full mailbox or a full ring) a test may lose here.
 */

import { decode, encode } from '../codec.ts';
import type { SendResult } from '../envelope.ts';
import { receivePacket } from '../inbound.ts';
import type { Random } from '../contracts.ts';
import { loseWorker } from '../noconnection.ts';
import type { RuntimeNode } from '../node.ts';
import type { Pid } from '../pid.ts';
import type { Ref } from '../ref.ts';
import { type IncomingPacket, PACKET, type Packet, type Transport } from '../transport.ts';
import { createTestNode, type TestNode } from './test-node.ts';

/** What the network does with a message that may be refused. `lost`: the sender is told that it went. */
export type Fate = 'delivered' | 'lost' | 'full';

export class SimNetwork {
  /** Asked for each message between workers; signals and replies are always delivered. */
  fateOf: (from: number, to: number, packet: Packet) => Fate = () => 'delivered';
  /** Called when a packet is on its way. */
  onPacket: () => void = () => {};
  readonly #nodes: readonly RuntimeNode[];
  /** Packets under way from worker `a` to worker `b`, at `a * count + b`. */
  readonly #lanes: Uint8Array[][];
  readonly #lost: Set<number> = new Set();

  /** Joins `nodes`, which are the workers 0, 1, 2 … of one node. */
  constructor(nodes: readonly RuntimeNode[]) {
    this.#nodes = nodes;
    this.#lanes = Array.from({ length: nodes.length ** 2 }, () => []);
    for (const [worker, { kernel }] of nodes.entries()) kernel.transport = this.#transportOf(worker);
  }

  /** Packets under way. */
  get count(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.length, 0);
  }

  /** Delivers the oldest packet of one pair of workers, drawn by `random`, or of the first. Whether there was one. */
  deliver(random?: Random): boolean {
    const busy = this.#lanes.flatMap((lane, index) => (lane.length > 0 ? [index] : []));
    if (busy.length === 0) return false;
    const index = busy[random === undefined ? 0 : random.integer(busy.length)]!;
    const { kernel } = this.#nodes[index % this.#nodes.length]!;
    const [kind, ...elements] = decode(this.#lanes[index]!.shift()!) as [number, ...unknown[]];
    receivePacket(kernel, kind, new ArrivedPacket(elements));
    return true;
  }

  /** Ends `worker` as a dead thread ends: what it sent has arrived, the others hear of it, nothing reaches it again. */
  lose(worker: number): void {
    while (this.deliver());
    this.#lost.add(worker);
    for (const { kernel } of this.#nodes) if (!this.#lost.has(kernel.worker)) loseWorker(kernel, worker);
  }

  #transportOf(from: number): Transport {
    const reaches = (worker: number): boolean =>
      worker !== from && worker < this.#nodes.length && !this.#lost.has(worker) && !this.#lost.has(from);
    const post = (to: number, packet: readonly unknown[]): void => {
      this.#lanes[from * this.#nodes.length + to]!.push(Uint8Array.from(encode(packet)));
      this.onPacket();
    };
    const send = (to: number, packet: Packet): SendResult => {
      if (!reaches(to)) return 'noconnection';
      const fate = packet[0] === PACKET.reply ? 'delivered' : this.fateOf(from, to, packet);
      if (fate === 'full') return 'full';
      try {
        if (fate === 'delivered') post(to, packet);
        return 'ok';
      } catch {
        return 'unencodable';
      }
    };
    const reply = (to: number, ref: Ref, value: unknown): SendResult => {
      const result = send(to, [PACKET.reply, ref, value]);
      if (result === 'unencodable') post(to, [PACKET.refused, ref, result]);
      return result;
    };
    return {
      reaches,
      placeOf: () => undefined,
      send,
      reply,
      message: (to, kind, target, message) => send(to, [kind, target, message] as Packet),
      signal: (to, packet) => void (reaches(to) && post(to, packet)),
    };
  }
}

/** The elements of a packet, as the runtime reads them. */
class ArrivedPacket implements IncomingPacket {
  slot: number = 0;
  creation: number = 0;
  readonly #elements: unknown[];

  constructor(elements: unknown[]) {
    this.#elements = elements;
  }

  address(): string | null {
    const to = this.#elements.shift() as Pid | string;
    if (typeof to === 'string') return to;
    this.slot = to.slot;
    this.creation = to.creation;
    return null;
  }

  last(): unknown {
    return this.#elements.shift();
  }

  rest(): unknown[] {
    return this.#elements;
  }
}

export interface TestWorkers {
  readonly workers: readonly TestNode[];
  readonly network: SimNetwork;
  /** Runs all workers and delivers packets until nothing is left to do at this moment of virtual time. */
  settle(): Promise<void>;
  /** Settles, moves every worker's time on by `ms`, and settles. */
  advance(ms: number): Promise<void>;
}

/** @param count - Workers, the main one included. */
export function createTestWorkers(count: number, options: { name?: string; seed?: number } = {}): TestWorkers {
  const { name = 'test', seed = 1 } = options;
  const workers = Array.from({ length: count }, (_, worker) => createTestNode({ name, worker, seed: seed + worker }));
  const network = new SimNetwork(workers.map(({ node }) => node));
  const settle = async (): Promise<void> => {
    do {
      while (network.deliver());
      for (const { loop } of workers) await loop.settle();
    } while (network.count > 0 || workers.some(({ loop }) => loop.deferredCount > 0));
  };
  return {
    workers,
    network,
    settle,
    async advance(ms) {
      await settle();
      for (const { clock } of workers) clock.advance(ms);
      await settle();
    },
  };
}
