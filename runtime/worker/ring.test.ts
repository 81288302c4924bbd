import { Worker } from 'node:worker_threads';

import fc from 'fast-check';
import t from 'tap';

import { createRingMemory, RingReader, RingWriter } from './ring.ts';

const CAPACITY_BYTES = 64;

function createEnds(): { writer: RingWriter; reader: RingReader; memory: SharedArrayBuffer } {
  const memory = createRingMemory(CAPACITY_BYTES);
  return { memory, writer: new RingWriter(memory), reader: new RingReader(memory) };
}

t.test('what is written is taken, byte for byte, across the end of the memory', async (t) => {
  const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: CAPACITY_BYTES }), fc.boolean()), { maxLength: 60 });
  const keepsBytes = fc.property(sizes, (steps) => {
    const { writer, reader } = createEnds();
    const target = new Uint8Array(CAPACITY_BYTES);
    const sent: number[] = [];
    const taken: number[] = [];
    let next = 0;
    for (const [size, take] of steps) {
      if (size <= writer.freeBytes()) {
        const bytes = Uint8Array.from({ length: size }, () => next++ & 0xff);
        writer.write(bytes);
        sent.push(...bytes);
      }
      if (writer.freeBytes() + reader.availableBytes() !== CAPACITY_BYTES) return false;
      if (take) taken.push(...target.subarray(0, reader.take(target)));
    }
    taken.push(...target.subarray(0, reader.take(target)));
    return sent.join() === taken.join() && writer.freeBytes() === CAPACITY_BYTES;
  });
  fc.assert(keepsBytes, { numRuns: 200 });
  t.pass();
});

t.test('counters that pass 2^31 and 2^32 do no harm', async (t) => {
  const memory = createRingMemory(CAPACITY_BYTES);
  const header = new Int32Array(memory);
  for (const start of [2 ** 31 - 32, 2 ** 32 - 32]) {
    header[0] = start | 0;
    header[16] = start | 0;
    const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
    const target = new Uint8Array(CAPACITY_BYTES);
    for (let round = 0; round < 4; round += 1) {
      t.equal(writer.freeBytes(), CAPACITY_BYTES);
      writer.write(new Uint8Array(48).fill(round + 1));
      t.equal(writer.freeBytes(), CAPACITY_BYTES - 48);
      t.equal(reader.take(target), 48);
      t.ok(target.subarray(0, 48).every((byte) => byte === round + 1));
    }
  }
});

t.test('the writer that waits is noticed once', async (t) => {
  const { writer, reader } = createEnds();
  t.equal(reader.writerWaits(), false);
  writer.waitForRoom();
  t.equal(reader.writerWaits(), true);
  t.equal(reader.writerWaits(), false);
});

t.test('an end made later continues where the other one was', async (t) => {
  const { memory, writer, reader } = createEnds();
  writer.write(new Uint8Array([1, 2, 3]));
  const target = new Uint8Array(CAPACITY_BYTES);
  t.equal(new RingReader(memory).take(target), 3);
  new RingWriter(memory).write(new Uint8Array([4]));
  t.equal(reader.availableBytes(), 4, 'and an end that slept sees what was published');
});

// A thread that writes 32-bit numbers 0, 1, 2 … into a ring whenever there is room for one.
const COUNTING_WRITER = `
const { workerData } = require('node:worker_threads');
import(workerData.module).then(({ RingWriter }) => {
  const writer = new RingWriter(workerData.memory);
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  for (let number = 0; number < workerData.count; ) {
    if (writer.freeBytes() < 4) continue;
    view.setUint32(0, number++);
    writer.write(bytes);
  }
});`;

t.test('between two threads nothing is lost, torn or out of order', async (t) => {
  const { memory, reader } = createEnds();
  const count = 100_000;
  const module = new URL('./ring.js', import.meta.url).href;
  const thread = new Worker(COUNTING_WRITER, { eval: true, workerData: { module, memory, count } });
  const target = new Uint8Array(CAPACITY_BYTES);
  const view = new DataView(target.buffer);
  let expected = 0;
  while (expected < count) {
    const bytes = reader.take(target);
    for (let at = 0; at < bytes; at += 4) {
      if (view.getUint32(at) !== expected) t.fail(`got ${view.getUint32(at)} for ${expected}`);
      expected += 1;
    }
    if (bytes === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(expected, count);
  await new Promise((resolve) => thread.once('exit', resolve));
});

for (const capacityBytes of [0, 32, 100, 2 ** 31, NaN]) {
  t.test(`a capacity of ${capacityBytes} is refused`, async (t) => {
    t.throws(() => createRingMemory(capacityBytes), RangeError);
  });
}
