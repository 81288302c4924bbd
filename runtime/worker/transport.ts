/**
 * Carries packets between the threads of one node, over rings of shared memory.
 *
 * A packet is encoded when it is sent and gathered with the others for the same thread; at the end of the scheduler's
 * turn each gathering is published with one store, and its thread is woken if it sleeps. What does not fit into a ring
 * waits here, up to a bound, in order; then a send returns `full`. Signals are never refused: their number is bounded by
 * the links and monitors that exist. Other threads come and go while this one runs: `connect`, `disconnect`.
 */

import type { SendResult } from '../envelope.ts';
import { receivePacket } from '../inbound.ts';
import type { Kernel } from '../kernel.ts';
import { LIMITS } from '../limits.ts';
import { loseWorker } from '../noconnection.ts';
import type { Pid } from '../pid.ts';
import type { Ref } from '../ref.ts';
import { PACKET, type Packet, type Transport, withoutReason } from '../transport.ts';
import { DEFINE_SHAPE } from './format.ts';
import { Bells, type Membership, type RingPair } from './mesh.ts';
import { Peer } from './peer.ts';
import { PACKET_HEADER_BYTES } from './ring.ts';

export class RingTransport implements Transport {
  readonly #kernel: Kernel;
  /** By thread number; null for this thread and for those that are not there. */
  readonly #peers: (Peer | null)[] = [];
  readonly #bells: Bells;
  readonly #scratch: Buffer;

  /** Joins `kernel` to the mesh; from here on its turns receive, send and sleep. */
  constructor(kernel: Kernel, membership: Membership) {
    this.#kernel = kernel;
    this.#bells = new Bells(membership.bells, kernel.worker, () => kernel.scheduler.wake());
    this.#scratch = Buffer.allocUnsafeSlow(membership.ringBytes);
    kernel.transport = this;
    kernel.scheduler.onTurnStart(() => this.#receive());
    kernel.scheduler.onTurnEnd(() => this.#flush());
    kernel.scheduler.onIdle(() => this.#sleep());
    for (const [thread, rings] of membership.rings.entries()) {
      this.#peers.push(null);
      if (rings !== null) this.connect(thread, rings);
    }
    kernel.scheduler.wake();
  }

  /** Joins `thread`, which has just begun a life. What it has sent before is received now. */
  connect(thread: number, rings: RingPair): void {
    this.#peers[thread] = new Peer(this.#kernel.name, rings.outgoing, rings.incoming);
    this.#kernel.scheduler.wake();
  }

  /**
   * Parts from `thread`, which has ended: receives what it still published, and then tells everybody here who is
   * concerned. What waits for it is dropped.
   */
  disconnect(thread: number): void {
    const peer = this.#peers[thread];
    if (peer == null) return;
    this.#receiveFrom(peer, thread);
    this.#peers[thread] = null;
    loseWorker(this.#kernel, thread);
  }

  /** Makes `thread` take a turn if it sleeps. */
  wake(thread: number): void {
    this.#bells.ring(thread);
  }

  reaches(worker: number): boolean {
    return this.#peers[worker] != null;
  }

  /** Other nodes are out of its reach; see `../cluster/transport.ts`. */
  placeOf(): undefined {
    return undefined;
  }

  message(
    worker: number,
    kind: typeof PACKET.info | typeof PACKET.cast,
    to: Pid | string,
    message: unknown,
  ): SendResult {
    const peer = this.#peers[worker];
    if (peer == null) return 'noconnection';
    const result = peer.appendMessage(kind, to, message);
    if (result === 'ok') this.#appended(peer, worker);
    return result;
  }

  send(worker: number, packet: Packet): SendResult {
    const peer = this.#peers[worker];
    if (peer == null) return 'noconnection';
    const result = peer.append(packet, true);
    if (result === 'ok') this.#appended(peer, worker);
    return result;
  }

  reply(worker: number, ref: Ref, value: unknown): SendResult {
    const peer = this.#peers[worker];
    if (peer == null) return 'noconnection';
    const result = peer.append([PACKET.reply, ref, value], false);
    if (result !== 'ok') peer.append([PACKET.refused, ref, result], false);
    this.#appended(peer, worker);
    return result;
  }

  signal(worker: number, packet: Packet): void {
    const peer = this.#peers[worker];
    if (peer == null) return;
    if (peer.append(packet, false) !== 'ok') peer.append(withoutReason(packet), false);
    this.#appended(peer, worker);
  }

  #appended(peer: Peer, worker: number): void {
    const { scheduler } = this.#kernel;
    if (!scheduler.running) scheduler.wake();
    if (peer.outbox.pendingBytes >= LIMITS.workerFlushBytes && peer.outbox.flush()) this.#bells.ring(worker);
  }

  #receive(): void {
    this.#bells.awake();
    for (let thread = 0; thread < this.#peers.length; thread += 1) {
      const peer = this.#peers[thread];
      if (peer != null) this.#receiveFrom(peer, thread);
    }
  }

  #receiveFrom(peer: Peer, thread: number): void {
    const bytes = peer.reader.take(this.#scratch);
    if (bytes === 0) return;
    if (peer.reader.writerWaits()) this.#bells.ring(thread);
    this.#dispatch(peer, bytes, thread);
  }

  #dispatch(peer: Peer, bytes: number, thread: number): void {
    for (let at = 0; at < bytes;) {
      const start = at + PACKET_HEADER_BYTES;
      at = start + this.#scratch.readUInt32LE(at);
      try {
        // Written by our own encoder, so a refusal is a bug; but not one worth the other packets.
        if (at > bytes) throw new RangeError('a packet is longer than what was published');
        const kind = peer.decoder.open(this.#scratch, start, at);
        if (kind === DEFINE_SHAPE) peer.decoder.define();
        else receivePacket(this.#kernel, kind, peer.decoder);
      } catch (thrown) {
        this.#kernel.log.error('packet_refused', { from: thread, error: (thrown as Error).message });
      }
    }
  }

  #flush(): void {
    for (let thread = 0; thread < this.#peers.length; thread += 1) {
      const peer = this.#peers[thread];
      if (peer != null && peer.outbox.pendingBytes > 0 && peer.outbox.flush()) this.#bells.ring(thread);
    }
  }

  #sleep(): void {
    this.#bells.announceSleep();
    // Whoever acted before the announcement did not ring: a reader that made room (and a hook that ran after ours at
    // the end of the turn may have sent something), or a writer that published.
    this.#flush();
    if (this.#peers.some((peer) => peer != null && peer.reader.availableBytes() > 0)) {
      this.#bells.awake();
      this.#kernel.scheduler.wake();
    } else {
      this.#bells.sleep();
    }
  }
}
