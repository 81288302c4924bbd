/**
 * Carries packets between the threads of one node, over rings of shared memory.
 *
 * A packet is encoded when it is sent and gathered with the others for the same thread; at the end of the scheduler's
 * turn each gathering is published with one store, and its thread is woken if it sleeps. What does not fit into a ring
 * waits here, up to a bound, in order; then a send returns `full`. Signals are never refused: their number is bounded by
 * the links and monitors that exist.
 */

import { decode, encode } from '../codec.ts';
import type { SendResult } from '../envelope.ts';
import { receivePacket } from '../inbound.ts';
import type { Kernel } from '../kernel.ts';
import { LIMITS } from '../limits.ts';
import { PACKET, type Packet, type Transport } from '../transport.ts';
import { Bells, type Mesh, ringMemory } from './mesh.ts';
import { Outbox } from './outbox.ts';
import { PACKET_HEADER_BYTES, RingReader, RingWriter } from './ring.ts';

export class RingTransport implements Transport {
  readonly #kernel: Kernel;
  readonly #outboxes: (Outbox | null)[] = [];
  readonly #readers: (RingReader | null)[] = [];
  readonly #bells: Bells;
  readonly #scratch: Uint8Array;
  readonly #view: DataView;
  readonly #packetBytesMax: number;

  /** Joins `kernel` to the mesh; from here on its turns receive, send and sleep. */
  constructor(kernel: Kernel, mesh: Mesh) {
    this.#kernel = kernel;
    this.#bells = new Bells(mesh.bells, kernel.worker, () => kernel.scheduler.wake());
    for (let thread = 0; thread < mesh.threadCount; thread += 1) {
      const other = thread !== kernel.worker;
      this.#outboxes.push(other ? new Outbox(new RingWriter(ringMemory(mesh, kernel.worker, thread))) : null);
      this.#readers.push(other ? new RingReader(ringMemory(mesh, thread, kernel.worker)) : null);
    }
    const capacityBytes = this.#readers.find((reader) => reader !== null)!.capacityBytes;
    this.#packetBytesMax = Math.min(LIMITS.workerPacketBytesMax, capacityBytes - PACKET_HEADER_BYTES);
    this.#scratch = Buffer.allocUnsafeSlow(capacityBytes);
    this.#view = new DataView(this.#scratch.buffer);
    kernel.transport = this;
    kernel.scheduler.onTurnStart(() => this.#receive());
    kernel.scheduler.onTurnEnd(() => this.#flush());
    kernel.scheduler.onIdle(() => this.#sleep());
    kernel.scheduler.wake();
  }

  reaches(worker: number): boolean {
    return this.#outboxes[worker] != null;
  }

  send(worker: number, packet: Packet): SendResult {
    const outbox = this.#outboxes[worker]!;
    if (outbox.pendingBytes >= LIMITS.workerOverflowBytesMax) return 'full';
    const bytes = tryEncode(packet);
    if (bytes === undefined) return 'unencodable';
    if (bytes.length > this.#packetBytesMax) return 'too_large';
    this.#append(worker, outbox, bytes);
    return 'ok';
  }

  signal(worker: number, packet: Packet): void {
    const outbox = this.#outboxes[worker];
    if (outbox == null) return;
    const bytes = tryEncode(packet);
    const fits = bytes !== undefined && bytes.length <= this.#packetBytesMax;
    this.#append(worker, outbox, fits ? bytes : encode(withoutReason(packet)));
  }

  #append(worker: number, outbox: Outbox, bytes: Uint8Array): void {
    outbox.append(bytes);
    if (!this.#kernel.scheduler.running) this.#kernel.scheduler.wake();
    if (outbox.pendingBytes >= LIMITS.workerFlushBytes && outbox.flush()) this.#bells.ring(worker);
  }

  #receive(): void {
    this.#bells.awake();
    for (const [thread, reader] of this.#readers.entries()) {
      if (reader === null) continue;
      const bytes = reader.take(this.#scratch);
      if (bytes === 0) continue;
      if (reader.writerWaits()) this.#bells.ring(thread);
      this.#dispatch(bytes, thread);
    }
  }

  #dispatch(bytes: number, thread: number): void {
    for (let at = 0; at < bytes;) {
      const start = at + PACKET_HEADER_BYTES;
      at = start + this.#view.getUint32(at, true);
      try {
        receivePacket(this.#kernel, decode(this.#scratch, start, at) as Packet);
      } catch (thrown) {
        // Written by our own encoder: a bug, but not one worth the other packets.
        this.#kernel.log.error('packet_refused', { from: thread, error: (thrown as Error).message });
      }
    }
  }

  #flush(): void {
    for (const [thread, outbox] of this.#outboxes.entries()) {
      if (outbox !== null && outbox.pendingBytes > 0 && outbox.flush()) this.#bells.ring(thread);
    }
  }

  #sleep(): void {
    this.#bells.announceSleep();
    // Whoever acted before the announcement did not ring: a reader that made room (and a hook that ran after ours at
    // the end of the turn may have sent something), or a writer that published.
    this.#flush();
    if (this.#readers.some((reader) => reader !== null && reader.availableBytes() > 0)) {
      this.#bells.awake();
      this.#kernel.scheduler.wake();
    } else {
      this.#bells.sleep();
    }
  }
}

function tryEncode(packet: Packet): Uint8Array | undefined {
  try {
    return encode(packet);
  } catch {
    return undefined;
  }
}

/** The packet with a reason that can travel in place of one that cannot. */
function withoutReason(packet: Packet): Packet {
  const reason = { error: { name: 'RuntimeError', code: 'RT_ENCODE', message: 'the exit reason cannot be encoded' } };
  if (packet[0] === PACKET.down) return [packet[0], packet[1], packet[2], reason];
  if (packet[0] === PACKET.exit) return [packet[0], packet[1], packet[2], reason, packet[4]];
  return packet;
}
