/**
 * A channel: packets from this worker to one of another node and back, in order and without loss, over a bus that may
 * lose. OTP's distribution channel.
 *
 * Packets of a turn leave as one frame; a frame has a number, is kept until it is acknowledged, and is sent again from
 * the first unacknowledged one on (go-back-N) when the bus is there again or nothing has moved for LIMITS.retryMs. So the
 * death of a NATS server is a pause for actors, and only the death of a node is one of their concern. What is under way
 * is bounded by a window; behind it packets wait in an outbox with a bound of its own, and then a send says `full`.
 *
 *   frame:  offset  bytes  field, little endian
 *           0       1      0xbb
 *           1       1      version
 *           2       1      1: the writer misses a frame, and wants all again that it has not acknowledged; else 0
 *           3       6      what the reader calls the channel
 *           9       6      what the writer calls it
 *           15      6      number of this frame, from 1; 0: none, it only acknowledges
 *           21      6      number of the last frame that the writer has received, in order
 *           27             packets, as in worker/format.ts
 *
 * It knows neither the bus nor the clock: `transport.ts` asks it and carries out.
 */

import { LIMITS as RUNTIME } from '../limits.ts';
import { createDecoderCaches, Decoder } from '../worker/decoder.ts';
import { Encoder } from '../worker/encoder.ts';
import { Lane } from '../worker/lane.ts';
import { Outbox, type PacketWriter } from '../worker/outbox.ts';
import { PACKET_HEADER_BYTES } from '../worker/ring.ts';
import { LIMITS } from './limits.ts';

export const FRAME_HEADER_BYTES: 27 = 27;
const MAGIC = 0xbb;
const AT = Object.freeze({ version: 1, missing: 2, to: 3, from: 9, number: 15, acknowledged: 21 });
const FIELD_BYTES = 6;

export interface FrameHeader {
  readonly version: number;
  readonly isMissing: boolean;
  readonly to: number;
  readonly from: number;
  readonly number: number;
  readonly acknowledged: number;
}

/** The head of a frame; `undefined` if the bytes are none. */
export function readFrameHeader(bytes: Buffer): FrameHeader | undefined {
  if (bytes.length < FRAME_HEADER_BYTES || bytes[0] !== MAGIC) return undefined;
  return {
    version: bytes[AT.version]!,
    isMissing: bytes[AT.missing] === 1,
    to: bytes.readUIntLE(AT.to, FIELD_BYTES),
    from: bytes.readUIntLE(AT.from, FIELD_BYTES),
    number: bytes.readUIntLE(AT.number, FIELD_BYTES),
    acknowledged: bytes.readUIntLE(AT.acknowledged, FIELD_BYTES),
  };
}

// Of all channels of this thread: a worker of a large cluster has thousands.
const CACHES = createDecoderCaches();

/** What a channel asks of the transport. */
export interface ChannelPort {
  readonly isUp: boolean;
  readonly messageBytesMax: number;
  /** Sends a frame, which is not changed any more. */
  publish(bytes: Uint8Array): void;
  monotonicMs(): number;
}

/** Whose channel it is. */
export interface ChannelEnd {
  readonly node: string;
  readonly worker: number;
  readonly life: number;
}

/** What became of a frame that arrived. `gap`: an earlier one is missing. */
export type Arrival = 'taken' | 'repeated' | 'gap' | 'acknowledgement';

export class Channel extends Lane implements PacketWriter {
  readonly end: ChannelEnd;
  /** What this side calls it. */
  readonly number: number;
  /** What the other side calls it; 0 until it has said so. */
  peerNumber: number = 0;
  /** The version that both sides have agreed on; 0 until they have. */
  version: number = 0;
  /** Whether both sides know both numbers. */
  isOpen: boolean = false;
  /** Where the transport has it. */
  place: number = 0;
  readonly decoder: Decoder;
  readonly #port: ChannelPort;
  // Sent and not acknowledged, oldest first; the first of them has number `#acknowledged + 1`.
  readonly #underWay: Uint8Array[] = [];
  #underWayBytes: number = 0;
  #acknowledged: number = 0;
  #sent: number = 0;
  #progressMs: number = 0;
  #sentAgainMs: number = 0;
  #received: number = 0;
  #unacknowledgedBytes: number = 0;
  #owesAcknowledgement: boolean = false;
  #misses: boolean = false;

  /** @param ownName - This node. */
  constructor(ownName: string, end: ChannelEnd, number: number, port: ChannelPort) {
    const forwarding = new ForwardingWriter();
    const bytesMax = Math.min(
      RUNTIME.workerPacketBytesMax,
      port.messageBytesMax - FRAME_HEADER_BYTES - PACKET_HEADER_BYTES,
    );
    super(new Outbox(forwarding, 0), new Encoder(ownName, bytesMax, end.node));
    forwarding.writer = this;
    this.decoder = new Decoder(end.node, ownName, CACHES);
    this.end = end;
    this.number = number;
    this.#port = port;
  }

  /** Frames under way, and whether an acknowledgement is owed: something to look at with the next tick. */
  get isBusy(): boolean {
    return this.#underWay.length > 0 || this.#owesAcknowledgement || !this.isOpen || this.outbox.pendingBytes > 0;
  }

  get underWayBytes(): number {
    return this.#underWayBytes;
  }

  /** Sends what waits, as far as the window allows. */
  flush(): void {
    while (this.outbox.pendingBytes > 0 && this.outbox.flush());
  }

  // --- as the writer behind its outbox --------------------------------------------------------------------------

  freeBytes(): number {
    if (!this.isOpen || !this.#port.isUp) return 0;
    const frameBytes = Math.min(LIMITS.frameBytesMax, this.#port.messageBytesMax) - FRAME_HEADER_BYTES;
    return Math.max(0, Math.min(frameBytes, LIMITS.windowBytes - this.#underWayBytes));
  }

  write(packets: Uint8Array): void {
    const frame = this.#frame(packets.length, this.#sent + 1);
    frame.set(packets, FRAME_HEADER_BYTES);
    if (this.#underWay.length === 0) this.#progressMs = this.#port.monotonicMs();
    this.#sent += 1;
    this.#underWay.push(frame);
    this.#underWayBytes += frame.length;
    this.#port.publish(frame);
  }

  /** Room comes with an acknowledgement, after which the transport flushes. */
  waitForRoom(): void {}

  // --- what arrives ---------------------------------------------------------------------------------------------

  /** Takes the head of a frame for this channel in. The packets of a frame that was `taken` are to be handled now. */
  arrive(header: FrameHeader, bytes: number): Arrival {
    this.#takeAcknowledgement(header.acknowledged);
    if (header.isMissing) this.#sendMissing();
    if (header.number === 0) return 'acknowledgement';
    this.#owesAcknowledgement = true;
    if (header.number <= this.#received) return 'repeated';
    if (header.number > this.#received + 1) {
      this.#misses = true;
      return 'gap';
    }
    this.#misses = false;
    this.#received = header.number;
    this.#unacknowledgedBytes += bytes;
    return 'taken';
  }

  /** Whether so much has arrived that the other side should hear of it without waiting for the next tick. */
  get shouldAcknowledge(): boolean {
    return this.#unacknowledgedBytes >= LIMITS.acknowledgeBytes;
  }

  /** Tells how far this side has received, if it has not been told. */
  acknowledge(): void {
    if (!this.#owesAcknowledgement || !this.isOpen || !this.#port.isUp) return;
    this.#port.publish(this.#frame(0, 0));
  }

  /** The bus was gone, and what was sent here meanwhile with it: asks for it, whether or not there was any. */
  askAgain(): void {
    this.#owesAcknowledgement = true;
    this.#misses = true;
    this.acknowledge();
  }

  #takeAcknowledgement(number: number): void {
    if (number <= this.#acknowledged || number > this.#sent) return;
    const count = number - this.#acknowledged;
    for (const frame of this.#underWay.splice(0, count)) this.#underWayBytes -= frame.length;
    this.#acknowledged = number;
    this.#progressMs = this.#port.monotonicMs();
  }

  // --- time -----------------------------------------------------------------------------------------------------

  /** Sends everything that is under way once more: the bus is there again and may have lost any of it. */
  sendAgain(): void {
    if (!this.isOpen || !this.#port.isUp) return;
    this.#sentAgainMs = this.#port.monotonicMs();
    for (const frame of this.#underWay) this.#port.publish(frame);
    this.flush();
  }

  /** Time has passed. `lost`: nothing has moved for so long, on a bus that works, that it is to be given up. */
  tick(): 'well' | 'lost' {
    this.acknowledge();
    if (this.#underWay.length === 0) return 'well';
    const nowMs = this.#port.monotonicMs();
    if (!this.#port.isUp) {
      this.#progressMs = nowMs;
      return 'well';
    }
    if (nowMs - this.#progressMs >= LIMITS.lostMs) return 'lost';
    if (nowMs - Math.max(this.#progressMs, this.#sentAgainMs) >= LIMITS.retryMs) this.sendAgain();
    return 'well';
  }

  /** Each gap is noticed with each frame behind it; once in a while is enough. */
  #sendMissing(): void {
    if (this.#port.monotonicMs() - this.#sentAgainMs >= LIMITS.tickMs) this.sendAgain();
  }

  #frame(bytes: number, number: number): Buffer {
    const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + bytes);
    frame[0] = MAGIC;
    frame[AT.version] = this.version;
    frame[AT.missing] = this.#misses ? 1 : 0;
    frame.writeUIntLE(this.peerNumber, AT.to, FIELD_BYTES);
    frame.writeUIntLE(this.number, AT.from, FIELD_BYTES);
    frame.writeUIntLE(number, AT.number, FIELD_BYTES);
    frame.writeUIntLE(this.#received, AT.acknowledged, FIELD_BYTES);
    this.#owesAcknowledgement = false;
    this.#unacknowledgedBytes = 0;
    return frame;
  }
}

/** An outbox asks for its writer before the channel, which is one, exists. */
class ForwardingWriter implements PacketWriter {
  writer: PacketWriter | null = null;

  freeBytes(): number {
    return this.writer!.freeBytes();
  }

  write(bytes: Uint8Array): void {
    this.writer!.write(bytes);
  }

  waitForRoom(): void {
    this.writer!.waitForRoom();
  }
}
