import fc from 'fast-check';
import t from 'tap';

import { Outbox } from './outbox.ts';
import { createRingMemory, PACKET_HEADER_BYTES, RingReader, RingWriter } from './ring.ts';

const CAPACITY_BYTES = 128;

function append(outbox: Outbox, packet: Uint8Array): void {
  outbox.reserve(packet.length);
  outbox.bytes.set(packet, outbox.at);
  outbox.commit(outbox.at + packet.length);
}

function createPair(): { outbox: Outbox; reader: RingReader } {
  const memory = createRingMemory(CAPACITY_BYTES);
  return { outbox: new Outbox(new RingWriter(memory)), reader: new RingReader(memory) };
}

/** Takes what is in the ring and cuts it into packets. */
function takePackets(reader: RingReader): Uint8Array[] {
  const target = new Uint8Array(CAPACITY_BYTES);
  const bytes = reader.take(target);
  const view = new DataView(target.buffer);
  const packets: Uint8Array[] = [];
  for (let at = 0; at < bytes;) {
    const start = at + PACKET_HEADER_BYTES;
    at = start + view.getUint32(at, true);
    packets.push(target.slice(start, at));
  }
  return packets;
}

t.test('a packet that was appended may be changed by its owner', async (t) => {
  const { outbox, reader } = createPair();
  const packet = new Uint8Array([1, 2]);
  append(outbox, packet);
  packet.fill(9);
  t.equal(outbox.flush(), true);
  t.strictSame(takePackets(reader), [new Uint8Array([1, 2])]);
});

t.test('only whole packets move, the rest waits and the reader is asked for room', async (t) => {
  const { outbox, reader } = createPair();
  for (let index = 0; index < 3; index += 1) append(outbox, new Uint8Array(56).fill(index));
  t.equal(outbox.flush(), true);
  t.equal(outbox.pendingBytes, 60);
  t.equal(outbox.flush(), false, 'nothing fits, nothing moves');
  t.equal(takePackets(reader).length, 2);
  t.equal(reader.writerWaits(), true);
  t.equal(outbox.flush(), true);
  t.strictSame(takePackets(reader), [new Uint8Array(56).fill(2)]);
  t.equal(outbox.pendingBytes, 0);
});

t.test('the largest packet of a ring passes through it', async (t) => {
  const { outbox, reader } = createPair();
  const packet = new Uint8Array(CAPACITY_BYTES - PACKET_HEADER_BYTES).fill(7);
  append(outbox, packet);
  t.equal(outbox.flush(), true);
  t.strictSame(takePackets(reader), [packet]);
});

t.test('every packet arrives once and in order, whatever is flushed and taken when', async (t) => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.nat(CAPACITY_BYTES - PACKET_HEADER_BYTES) },
    { weight: 2, arbitrary: fc.constant('flush' as const) },
    { weight: 2, arbitrary: fc.constant('take' as const) },
  );
  const keepsPackets = fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
    const { outbox, reader } = createPair();
    const sent: string[] = [];
    const taken: string[] = [];
    const take = (): void => void taken.push(...takePackets(reader).map((packet) => packet.join()));
    for (const [index, each] of steps.entries()) {
      if (each === 'flush') outbox.flush();
      else if (each === 'take') take();
      else {
        const packet = new Uint8Array(each).fill(index);
        append(outbox, packet);
        sent.push(packet.join());
      }
    }
    while (outbox.pendingBytes > 0) {
      outbox.flush();
      take();
    }
    take();
    return sent.join('|') === taken.join('|');
  });
  fc.assert(keepsPackets, { numRuns: 200 });
  t.pass();
});

t.test('a burst of megabytes is held and drained', async (t) => {
  const { outbox, reader } = createPair();
  for (let index = 0; index < 20_000; index += 1) append(outbox, new Uint8Array(100).fill(index));
  t.equal(outbox.pendingBytes, 20_000 * 104);
  let count = 0;
  while (outbox.pendingBytes > 0) {
    outbox.flush();
    for (const packet of takePackets(reader)) {
      if (packet[0] !== (count & 0xff)) t.fail(`packet ${count} is out of order`);
      count += 1;
    }
  }
  t.equal(count, 20_000);
});
