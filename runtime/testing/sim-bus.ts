/**
 * Several nodes on one thread, joined by a bus in memory that the test moves: messages arrive when and in the order that
 * the test or a seed says, connections break, and what is under way then is lost, as in life.
 *
 * Messages keep their order from one connection to another as long as neither breaks.
 */

import { type Bus } from '../cluster/bus.ts';
import { joinCluster, type ClusterLink } from '../cluster/join.ts';
import { type MemberEvent, Membership, type MembershipOptions } from '../cluster/membership.ts';
import type { VersionRange } from '../cluster/greeting.ts';
import { ClusterTransport } from '../cluster/transport.ts';
import type { Random } from '../contracts.ts';
import { createTestNode, type TestNode } from './test-node.ts';
import { VirtualClock } from './virtual-clock.ts';

interface Passage {
  readonly from: SimBus;
  readonly to: SimBus;
  readonly subject: string;
  readonly bytes: Uint8Array;
}

const NOTHING = (): boolean => false;

/** The server that all connections of a test are made to. */
export class SimBusNetwork {
  readonly buses: SimBus[] = [];
  /** Whether a message is carried; asked when it arrives. What is not is lost. */
  carries: (from: SimBus, to: SimBus, subject: string) => boolean = () => true;
  /** Whether messages wait where they are, as for a process that stands still; they come when this says no. */
  holds: (from: SimBus, to: SimBus) => boolean = NOTHING;
  #passages: Passage[] = [];

  connect(messageBytesMax: number = 1024 * 1024): SimBus {
    const bus = new SimBus(this, messageBytesMax);
    this.buses.push(bus);
    return bus;
  }

  /** Messages under way that are not held. */
  get count(): number {
    return this.#free().length;
  }

  #free(): readonly Passage[] {
    return this.holds === NOTHING ? this.#passages : this.#passages.filter(({ from, to }) => !this.holds(from, to));
  }

  publish(from: SimBus, subject: string, bytes: Uint8Array): void {
    for (const to of this.buses) {
      if (to !== from && to.isUp && to.listensTo(subject)) this.#passages.push({ from, to, subject, bytes });
    }
  }

  /** Whether anybody but `asking` who is connected listens on a subject. */
  hasListener(asking: SimBus, subject: string): boolean {
    return this.buses.some((bus) => bus !== asking && bus.isUp && bus.listensTo(subject));
  }

  /** Delivers the oldest message, or the oldest of two connections that `random` draws. Whether there was one. */
  deliver(random?: Random): boolean {
    const free = this.#free();
    if (free.length === 0) return false;
    const drawn = free[random === undefined ? 0 : random.integer(free.length)]!;
    const index = this.#passages.findIndex(({ from, to }) => from === drawn.from && to === drawn.to);
    const { from, to, subject, bytes } = this.#passages.splice(index, 1)[0]!;
    if (this.carries(from, to, subject)) to.receive(subject, bytes);
    return true;
  }

  /** Loses what is under way from and to a connection. */
  forget(bus: SimBus): void {
    this.#passages = this.#passages.filter(({ from, to }) => from !== bus && to !== bus);
  }
}

export class SimBus implements Bus {
  readonly messageBytesMax: number;
  readonly #network: SimBusNetwork;
  readonly #subscriptions: Map<string, Set<(bytes: Uint8Array) => void>> = new Map();
  readonly #listeners: Set<(isUp: boolean) => void> = new Set();
  #isUp: boolean = true;

  constructor(network: SimBusNetwork, messageBytesMax: number) {
    this.#network = network;
    this.messageBytesMax = messageBytesMax;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  publish(subject: string, bytes: Uint8Array): void {
    if (bytes.length > this.messageBytesMax) throw new RangeError(`${bytes.length} bytes are too many for the bus`);
    if (this.#isUp) this.#network.publish(this, subject, bytes);
  }

  subscribe(subject: string, onMessage: (bytes: Uint8Array) => void): () => void {
    const ofSubject = this.#subscriptions.get(subject) ?? new Set();
    this.#subscriptions.set(subject, ofSubject);
    ofSubject.add(onMessage);
    return () => void ofSubject.delete(onMessage);
  }

  isDeserted(subject: string): Promise<boolean> {
    return Promise.resolve(this.#isUp && !this.#network.hasListener(this, subject));
  }

  watch(listener: (isUp: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  listensTo(subject: string): boolean {
    return (this.#subscriptions.get(subject)?.size ?? 0) > 0;
  }

  receive(subject: string, bytes: Uint8Array): void {
    for (const onMessage of this.#subscriptions.get(subject) ?? []) onMessage(bytes);
  }

  /** Breaks the connection: what is under way is lost. */
  break(): void {
    this.#network.forget(this);
    this.#set(false);
  }

  mend(): void {
    this.#set(true);
  }

  close(): Promise<void> {
    this.#set(false);
    return Promise.resolve();
  }

  #set(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    for (const listener of [...this.#listeners]) listener(isUp);
  }
}

/** One node of a simulated cluster, with one thread. */
export interface SimMember extends TestNode {
  readonly bus: SimBus;
  readonly membership: Membership;
  readonly link: Pick<ClusterLink, 'transport'>;
  /** What its membership has told, in order. */
  readonly events: MemberEvent[];
  /** Whether a later life of its name was heard of. */
  isSuperseded(): boolean;
}

export interface SimCluster {
  readonly clock: VirtualClock;
  readonly network: SimBusNetwork;
  readonly members: readonly SimMember[];
  /** Adds a node and announces it. `life` defaults to the wall clock. */
  add(name: string, options?: SimMemberOptions): SimMember;
  /** Runs all nodes and delivers messages until nothing is left to do at this moment of virtual time. */
  settle(random?: Random): Promise<void>;
  /** Settles, and moves time on by `ms` in steps, settling after each. */
  advance(ms: number, random?: Random): Promise<void>;
  /** Stops a node as SIGKILL does: it says nothing more and hears nothing. */
  kill(member: SimMember): void;
}

export interface SimMemberOptions {
  /** Default: the wall clock. */
  readonly life?: number;
  readonly versions?: VersionRange;
  readonly messageBytesMax?: number;
  /** Default: all are let in. */
  readonly judge?: MembershipOptions['judge'];
}

const STEP_MS = 25;
/** Messages of a moment; far above what a test sends. */
const SETTLE_COUNT_MAX = 100_000;

export function createSimCluster(names: readonly string[]): SimCluster {
  const clock = new VirtualClock();
  const network = new SimBusNetwork();
  const members: SimMember[] = [];
  const alive = new Set<SimMember>();
  const cluster: SimCluster = {
    clock,
    network,
    members,
    add(name, options = {}) {
      const member = createMember(name, members.length, clock, network, options);
      members.push(member);
      alive.add(member);
      return member;
    },
    async settle(random) {
      let left = SETTLE_COUNT_MAX;
      do {
        while (network.deliver(random))
          if (--left === 0) throw new Error('what the nodes say to each other has no end');
        for (const { loop } of alive) await loop.settle();
      } while (network.count > 0 || [...alive].some(({ loop }) => loop.deferredCount > 0));
    },
    async advance(ms, random) {
      await cluster.settle(random);
      for (let leftMs = ms; leftMs > 0; leftMs -= STEP_MS) {
        clock.advance(Math.min(STEP_MS, leftMs));
        await cluster.settle(random);
      }
    },
    kill(member) {
      alive.delete(member);
      member.bus.break();
    },
  };
  for (const name of names) cluster.add(name);
  return cluster;
}

function createMember(
  name: string,
  index: number,
  clock: VirtualClock,
  network: SimBusNetwork,
  { life = clock.nowMs(), versions, messageBytesMax, judge }: SimMemberOptions,
): SimMember {
  const test = createTestNode({ name, seed: index + 1, clock });
  const bus = network.connect(messageBytesMax);
  const seat = { cluster: 'sim', life };
  const transport =
    versions === undefined
      ? joinCluster(test.node, seat, bus).transport
      : new ClusterTransport(test.node.kernel, { cluster: 'sim', life, bus, versions });
  const events: MemberEvent[] = [];
  let superseded = false;
  const membership = new Membership({
    cluster: 'sim',
    node: name,
    life,
    bus,
    clock,
    log: test.node.log,
    versions,
    judge,
    onSuperseded: () => void (superseded = true),
    onEvent(event) {
      events.push(event);
      if (event.type === 'down') transport.nodeDown(event.node);
      else transport.nodeUp(event.member);
    },
  });
  membership.announce([0], {});
  return { ...test, bus, membership, link: { transport }, events, isSuperseded: () => superseded };
}
