/**
 * One other thread as seen from this one: the ring to it with what waits for it, the ring from it, and the shapes that
 * both sides have agreed on. Made anew, all of it, for each life of that thread.
 */

import { LIMITS } from '../limits.ts';
import { Decoder } from './decoder.ts';
import { Encoder } from './encoder.ts';
import { Lane } from './lane.ts';
import { Outbox } from './outbox.ts';
import { PACKET_HEADER_BYTES, RingReader, RingWriter } from './ring.ts';

export class Peer extends Lane {
  readonly reader: RingReader;
  readonly decoder: Decoder;

  /**
   * @param nodeName - Of both threads.
   * @param outgoing - The memory of the ring to it.
   * @param incoming - The memory of the ring from it.
   */
  constructor(nodeName: string, outgoing: SharedArrayBuffer, incoming: SharedArrayBuffer) {
    const writer = new RingWriter(outgoing);
    const bytesMax = Math.min(LIMITS.workerPacketBytesMax, writer.capacityBytes - PACKET_HEADER_BYTES);
    super(new Outbox(writer), new Encoder(nodeName, bytesMax));
    this.reader = new RingReader(incoming);
    this.decoder = new Decoder(nodeName);
  }
}
