/**
 * Carries packets between this worker and all others: those of its own node by the transport that is there, those of other
 * nodes over channels on a bus.
 *
 * `membership.ts` says which nodes live and which workers they have; for each there is a channel, opened by greetings in
 * both directions. While it is open the worker has a place, and sends find it. A node that is down, a worker that is no
 * longer named, or a channel that its other end has begun anew is lost as a thread is: `../noconnection.ts`.
 */

import type { SendResult } from '../envelope.ts';
import { receivePacket } from '../inbound.ts';
import type { Kernel } from '../kernel.ts';
import { LIMITS as RUNTIME } from '../limits.ts';
import { losePlace } from '../noconnection.ts';
import type { Pid } from '../pid.ts';
import type { Ref } from '../ref.ts';
import { PACKET, type Packet, type Transport, withoutReason } from '../transport.ts';
import { DEFINE_SHAPE } from '../worker/format.ts';
import { PACKET_HEADER_BYTES } from '../worker/ring.ts';
import { type Bus, subjects } from './bus.ts';
import { Channel, type ChannelEnd, type ChannelPort, FRAME_HEADER_BYTES, readFrameHeader } from './channel.ts';
import {
  agreeOn,
  type Hello,
  isGreeting,
  type Member,
  readHello,
  VERSIONS,
  type VersionRange,
  writeGreeting,
} from './greeting.ts';
import { LIMITS } from './limits.ts';

/** Places of other nodes' workers begin here: above all numbers of this node's. */
const FIRST_PLACE = 1_024;

export interface ClusterTransportOptions {
  readonly cluster: string;
  /** Which life of this node; see `Member`. */
  readonly life: number;
  readonly bus: Bus;
  /** Default: those of this code. */
  readonly versions?: VersionRange;
}

export class ClusterTransport implements Transport {
  readonly #kernel: Kernel;
  readonly #options: ClusterTransportOptions;
  readonly #bus: Bus;
  readonly #versions: VersionRange;
  /** Of this node's own workers; null if there is one alone. */
  readonly #near: Transport | null;
  readonly #members: Map<string, Member> = new Map();
  /** By node, then by worker; whether open or not. */
  readonly #channels: Map<string, Map<number, Channel>> = new Map();
  /** By what this side calls it. */
  readonly #byNumber: Map<number, Channel> = new Map();
  /** By place; null where none is. */
  readonly #places: (Channel | null)[] = [];
  readonly #freePlaces: number[] = [];
  /** Channels with something to flush at the end of the turn. */
  readonly #dirty: Set<Channel> = new Set();
  readonly #endings: (() => void)[] = [];
  #lastNumber: number = 0;
  #timer: unknown;
  // When frames last left, and the timer that waits until they may again.
  #flushedMs: number = -Infinity;
  #gathering: unknown = undefined;
  #isClosed: boolean = false;

  /** Takes the place of the transport that `kernel` has, and passes on to it what stays on this node. */
  constructor(kernel: Kernel, options: ClusterTransportOptions) {
    const { bus, cluster, versions = VERSIONS } = options;
    this.#kernel = kernel;
    this.#options = options;
    this.#bus = bus;
    this.#versions = versions;
    this.#near = kernel.transport;
    kernel.transport = this;
    this.#endings.push(
      bus.subscribe(subjects.worker(cluster, kernel.name, kernel.worker), (bytes) => this.#receive(bytes)),
      bus.watch((isUp) => this.#busChanged(isUp)),
      kernel.scheduler.onTurnEnd(() => this.#flush()),
      // A hook that ran after ours may have sent something.
      kernel.scheduler.onIdle(() => this.#flush()),
    );
    this.#arm();
  }

  /** A node is there, or says something new of itself. */
  nodeUp(member: Member): void {
    const { node, life, workers, versions } = member;
    if (node === this.#kernel.name || this.#isClosed) return;
    const known = this.#members.get(node);
    if (known !== undefined && known.life !== life) this.nodeDown(node);
    this.#members.set(node, member);
    if (agreeOn(this.#versions, versions) === undefined) return this.#refuse(member);
    for (const [worker, channel] of this.#channels.get(node) ?? []) if (!workers.includes(worker)) this.#lose(channel);
    for (const worker of workers) if (this.#channelOf(node, worker) === undefined) this.#begin({ node, worker, life });
  }

  /** A node is gone: everybody here who is concerned is told. */
  nodeDown(node: string): void {
    this.#members.delete(node);
    for (const channel of [...(this.#channels.get(node)?.values() ?? [])]) this.#lose(channel);
    this.#channels.delete(node);
  }

  /** The workers of other nodes that can be sent to. */
  reached(): readonly ChannelEnd[] {
    return this.#places.filter((channel) => channel !== null).map(({ end }) => end);
  }

  /** Parts from all other nodes; this one goes on alone. */
  close(): void {
    this.#isClosed = true;
    this.#flushNow();
    for (const ending of this.#endings) ending();
    this.#kernel.clock.clearTimer(this.#timer);
    for (const node of [...this.#members.keys()]) this.nodeDown(node);
  }

  // --- Transport ------------------------------------------------------------------------------------------------

  reaches(worker: number): boolean {
    return worker < FIRST_PLACE ? this.#near?.reaches(worker) === true : this.#at(worker) !== undefined;
  }

  placeOf(node: string, worker: number): number | undefined {
    const channel = this.#channels.get(node)?.get(worker);
    return channel?.isOpen === true ? channel.place : undefined;
  }

  message(
    worker: number,
    kind: typeof PACKET.info | typeof PACKET.cast,
    to: Pid | string,
    message: unknown,
  ): SendResult {
    if (worker < FIRST_PLACE) return this.#near?.message(worker, kind, to, message) ?? 'noconnection';
    const channel = this.#at(worker);
    if (channel === undefined) return 'noconnection';
    const result = channel.appendMessage(kind, to, message);
    if (result === 'ok') this.#appended(channel);
    return result;
  }

  send(worker: number, packet: Packet): SendResult {
    if (worker < FIRST_PLACE) return this.#near?.send(worker, packet) ?? 'noconnection';
    const channel = this.#at(worker);
    if (channel === undefined) return 'noconnection';
    const result = channel.append(packet, true);
    if (result === 'ok') this.#appended(channel);
    return result;
  }

  reply(worker: number, ref: Ref, value: unknown): SendResult {
    if (worker < FIRST_PLACE) return this.#near?.reply(worker, ref, value) ?? 'noconnection';
    const channel = this.#at(worker);
    if (channel === undefined) return 'noconnection';
    const result = channel.append([PACKET.reply, ref, value], false);
    if (result !== 'ok') channel.append([PACKET.refused, ref, result], false);
    this.#appended(channel);
    return result;
  }

  signal(worker: number, packet: Packet): void {
    if (worker < FIRST_PLACE) return this.#near?.signal(worker, packet);
    const channel = this.#at(worker);
    if (channel === undefined) return;
    if (channel.append(packet, false) !== 'ok') channel.append(withoutReason(packet), false);
    this.#appended(channel);
  }

  #at(place: number): Channel | undefined {
    return this.#places[place - FIRST_PLACE] ?? undefined;
  }

  #appended(channel: Channel): void {
    const { scheduler } = this.#kernel;
    this.#dirty.add(channel);
    if (!scheduler.running) scheduler.wake();
    if (channel.outbox.pendingBytes >= RUNTIME.workerFlushBytes) channel.flush();
  }

  /**
   * Sends what was gathered, if the last time was LIMITS.gatherMs ago, or else when it will be. What has no room waits for an
   * acknowledgement, which flushes.
   */
  #flush(): void {
    if (this.#dirty.size === 0 || this.#gathering !== undefined) return;
    const { clock } = this.#kernel;
    const waitMs = this.#flushedMs + LIMITS.gatherMs - clock.monotonicMs();
    if (waitMs <= 0) return this.#flushNow();
    this.#gathering = clock.setTimer(waitMs, () => this.#flushNow());
  }

  #flushNow(): void {
    const { clock } = this.#kernel;
    if (this.#gathering !== undefined) clock.clearTimer(this.#gathering);
    this.#gathering = undefined;
    this.#flushedMs = clock.monotonicMs();
    for (const channel of this.#dirty) channel.flush();
    this.#dirty.clear();
  }

  // --- channels -------------------------------------------------------------------------------------------------

  #begin(end: ChannelEnd): Channel {
    this.#lastNumber += 1;
    const channel = new Channel(this.#kernel.name, end, this.#lastNumber, this.#port(end));
    let ofNode = this.#channels.get(end.node);
    if (ofNode === undefined) this.#channels.set(end.node, (ofNode = new Map()));
    ofNode.set(end.worker, channel);
    this.#byNumber.set(channel.number, channel);
    this.#greet(channel);
    return channel;
  }

  #port({ node, worker }: ChannelEnd): ChannelPort {
    const bus = this.#bus;
    const { clock } = this.#kernel;
    const subject = subjects.worker(this.#options.cluster, node, worker);
    return {
      get isUp(): boolean {
        return bus.isUp;
      },
      messageBytesMax: bus.messageBytesMax,
      publish: (bytes) => bus.publish(subject, bytes),
      monotonicMs: () => clock.monotonicMs(),
    };
  }

  #open(channel: Channel): void {
    if (channel.isOpen) return;
    channel.isOpen = true;
    const index = this.#freePlaces.pop() ?? this.#places.length;
    this.#places[index] = channel;
    channel.place = FIRST_PLACE + index;
    this.#kernel.log.debug('channel_open', { node: channel.end.node, worker: channel.end.worker });
  }

  /** Ends a channel, and tells everybody here who is concerned. What waits for it is dropped. */
  #lose(channel: Channel): void {
    const { node, worker } = channel.end;
    const { place } = channel;
    this.#byNumber.delete(channel.number);
    this.#dirty.delete(channel);
    const ofNode = this.#channels.get(node);
    if (ofNode?.get(worker) === channel) ofNode.delete(worker);
    if (!channel.isOpen) return;
    channel.isOpen = false;
    this.#places[place - FIRST_PLACE] = null;
    losePlace(this.#kernel, { node, worker, place });
    this.#freePlaces.push(place - FIRST_PLACE);
  }

  #channelOf(node: string, worker: number): Channel | undefined {
    return this.#channels.get(node)?.get(worker);
  }

  #refuse({ node, versions }: Member): void {
    this.#kernel.log.error('node_refused', {
      node,
      reason: 'no version in common',
      ours: this.#versions,
      theirs: versions,
    });
  }

  // --- greetings ------------------------------------------------------------------------------------------------

  #greet({ end, number, peerNumber, isOpen }: Channel): void {
    const { name: node, worker } = this.#kernel;
    const { life, cluster } = this.#options;
    const versions = this.#versions;
    const hello: Hello = { kind: 'hello', node, worker, life, versions, mine: number, yours: peerNumber, open: isOpen };
    this.#bus.publish(subjects.worker(cluster, end.node, end.worker), writeGreeting(hello));
  }

  #receiveHello(hello: Hello): void {
    const { node, worker, life, versions, mine, yours } = hello;
    const member = this.#members.get(node);
    const version = agreeOn(this.#versions, versions);
    // Not known to live, or another life: it will greet again, when membership has told us.
    if (member?.life !== life || !member.workers.includes(worker) || version === undefined) return;
    let channel = this.#channelOf(node, worker) ?? this.#begin({ node, worker, life });
    // Under way since before its writer began anew.
    if (mine < channel.peerNumber) return;
    // One that is not open has carried nothing and stays: if both sides began anew for each other's new beginning, as after greetings that waited with a
    // process that stood still, there would be no end to it.
    if (channel.isOpen && mine !== channel.peerNumber) {
      this.#lose(channel);
      channel = this.#begin({ node, worker, life });
    }
    channel.peerNumber = mine;
    channel.version = version;
    if (yours === channel.number) this.#open(channel);
    if (!hello.open || yours !== channel.number) this.#greet(channel);
    channel.flush();
  }

  // --- what arrives ---------------------------------------------------------------------------------------------

  #receive(bytes: Uint8Array): void {
    if (isGreeting(bytes)) {
      const hello = readHello(bytes);
      if (hello !== undefined) this.#receiveHello(hello);
      return;
    }
    const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const header = readFrameHeader(frame);
    const channel = header === undefined ? undefined : this.#byNumber.get(header.to);
    // Of a channel that has ended here; its other end will hear of that by a greeting.
    if (header === undefined || channel === undefined || channel.peerNumber !== header.from) return;
    this.#open(channel);
    if (channel.arrive(header, frame.length) === 'taken') this.#dispatch(channel, frame);
    if (channel.shouldAcknowledge) channel.acknowledge();
    if (channel.outbox.pendingBytes > 0) channel.flush();
  }

  #dispatch(channel: Channel, frame: Buffer): void {
    for (let at = FRAME_HEADER_BYTES; at < frame.length;) {
      const start = at + PACKET_HEADER_BYTES;
      try {
        at = start + frame.readUInt32LE(at);
        // Written by our own encoder, so a refusal is a bug; but not one worth the other packets.
        if (at > frame.length) throw new RangeError('a packet is longer than its frame');
        const kind = channel.decoder.open(frame, start, at);
        if (kind === DEFINE_SHAPE) channel.decoder.define();
        else receivePacket(this.#kernel, kind, channel.decoder, channel.end.node);
      } catch (thrown) {
        this.#kernel.log.error('packet_refused', { from: channel.end.node, error: (thrown as Error).message });
      }
    }
  }

  // --- time -----------------------------------------------------------------------------------------------------

  #busChanged(isUp: boolean): void {
    this.#kernel.log.info(isUp ? 'bus_up' : 'bus_down', {});
    if (!isUp) return;
    for (const channel of this.#byNumber.values()) {
      if (!channel.isOpen) {
        this.#greet(channel);
        continue;
      }
      channel.askAgain();
      channel.sendAgain();
    }
  }

  #arm(): void {
    this.#timer = this.#kernel.clock.setTimer(LIMITS.tickMs, () => {
      this.#tick();
      if (!this.#isClosed) this.#arm();
    });
  }

  #tick(): void {
    for (const channel of [...this.#byNumber.values()]) {
      if (!channel.isBusy) continue;
      if (!channel.isOpen) this.#greet(channel);
      else if (channel.tick() === 'lost') this.#giveUp(channel);
    }
  }

  #giveUp(channel: Channel): void {
    const { end } = channel;
    this.#kernel.log.warn('channel_lost', { node: end.node, worker: end.worker });
    this.#lose(channel);
    if (this.#members.has(end.node)) this.#begin(end);
  }
}
