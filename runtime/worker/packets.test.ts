/**
 * Encoder and decoder together. The slow twin is the general codec of `../codec.ts`; the two must agree on every value that
 * both keep exactly, and what they keep differently is named.
 */

import fc from 'fast-check';
import t from 'tap';

import { decode, encode } from '../codec.ts';
import { isRuntimeError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { Monitor } from '../monitors.ts';
import { Pid } from '../pid.ts';
import { Ref, RefSource } from '../ref.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { PACKET } from '../transport.ts';
import { Decoder } from './decoder.ts';
import { Encoder } from './encoder.ts';
import { DEFINE_SHAPE } from './format.ts';

const NODE = 'a.b';
const TARGET = new Pid(NODE, 1, 7, 99);

/** One direction between two threads, without the ring. */
class Wire {
  readonly encoder: Encoder;
  readonly decoder: Decoder = new Decoder(NODE);
  definitions: number = 0;
  bytes: Buffer;

  constructor(bytesMax: number = 100_000, roomBytes: number = 64) {
    this.encoder = new Encoder(NODE, bytesMax);
    this.bytes = Buffer.alloc(roomBytes);
  }

  /** Writes a message as `Peer` does; returns its bytes. */
  write(message: unknown): Buffer {
    for (;;) {
      const end = this.encoder.message(this.bytes, 0, PACKET.cast, TARGET, message);
      const shapes = this.encoder.takeDefined();
      for (const shape of shapes ?? []) this.#define((bytes) => this.encoder.definition(bytes, 0, shape));
      if (shapes === null && end <= this.bytes.length) return Buffer.from(this.bytes.subarray(0, end));
      this.#reserve(end);
    }
  }

  read(packet: Buffer): unknown {
    this.decoder.open(packet, 0, packet.length);
    this.decoder.address();
    return this.decoder.last();
  }

  pass(message: unknown): unknown {
    return this.read(this.write(message));
  }

  #define(write: (bytes: Buffer) => number): void {
    this.definitions += 1;
    this.#reserve(write(this.bytes));
    const end = write(this.bytes);
    if (this.decoder.open(this.bytes, 0, end) !== DEFINE_SHAPE) throw new Error('no definition');
    this.decoder.define();
  }

  #reserve(bytes: number): void {
    if (bytes > this.bytes.length) this.bytes = Buffer.alloc(bytes * 2);
  }
}

class Point {
  x: number = 1;
  y: number = 2;
}

const BOUNDARY_STRINGS = [63, 64, 255, 256, 4_000].flatMap((length) => [
  'x'.repeat(length),
  'é'.repeat(length),
  '漢'.repeat(length),
]);

const VALUES: readonly unknown[] = [
  ...[null, undefined, true, false, '', 'alice', 'é', '漢', 'x\ud800y'],
  ...[0, -0, 1, 127, 128, -1, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53, 0.1, NaN, Infinity],
  ...BOUNDARY_STRINGS,
  ...[[], [[]], [1, [2, ['a']]], Array.from({ length: 300 }, (_, index) => index)],
  ...[{}, { a: 1 }, { b: { c: [{ d: null }] } }, { 1: 'a', z: 'b', 0: 'c' }, { 'a key': 1, ключ: 2 }],
  ...[new Uint8Array(0), new Uint8Array([1, 2, 255]), new Uint8Array(5_000).fill(9), Buffer.from('bytes')],
  ...[TARGET, new Pid(NODE, 200, 2 ** 24, 2 ** 30 - 1), new Pid('elsewhere', 1, 2, 3), new Pid(NODE, 300, 2, 3)],
  ...[new Ref(NODE, 1, 99, 2 ** 40), new Ref('elsewhere', 1, 2, 3)],
  ...[10n, new Map([['k', { x: 1 }]]), new Set([1, 'a']), new Date(5), new Float64Array([1.5]), /x/g],
  { pid: TARGET, ref: new Ref(NODE, 1, 2, 3), body: new Uint8Array([1]), list: [{ a: 1 }, { a: 2 }] },
];

t.test('what is written is read back, on a way that has seen everything before it', async (t) => {
  const wire = new Wire();
  for (const value of [...VALUES, ...VALUES]) t.strictSame(wire.pass(value), value);
});

t.test('the classes of what is read are those of what was written', async (t) => {
  const wire = new Wire();
  for (const value of VALUES.filter((each) => typeof each === 'object' && each !== null)) {
    t.equal(Object.getPrototypeOf(wire.pass(value)), Object.getPrototypeOf(value));
  }
  t.equal(Object.getPrototypeOf(wire.pass(new Point())), Object.prototype, 'a class of the author becomes plain');
  t.equal(Object.getPrototypeOf(wire.pass(Object.create(null))), Object.prototype);
  const monitor = new Monitor(new RefSource(NODE, 1, 5), null, TARGET, null, null);
  t.equal(Object.getPrototypeOf(wire.pass(monitor)), Ref.prototype, 'a record that is a ref becomes the ref');
});

t.test('any message is read back as the general codec reads it', async (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 80 });
  const leaf = fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true }).filter((value) => !Object.is(value, -0)),
    fc.boolean(),
    fc.constantFrom(null, undefined, TARGET, new Ref(NODE, 2, 3, 4)),
    text,
    fc.uint8Array({ maxLength: 90 }),
    fc.date({ noInvalidDate: true }),
  );
  const key = fc.oneof(fc.constantFrom('type', 'id', 'to', 'seen'), fc.string({ maxLength: 70 }));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(
        key.filter((name) => name !== '__proto__'),
        tie('value'),
        { maxKeys: 6 },
      ),
    ),
  }));
  // One way for all runs: shapes, caches and room are those of a long life.
  const wire = new Wire();
  const agrees = fc.property(value, (message) => {
    t.strictSame(wire.pass(message), decode(encode(message)));
  });
  fc.assert(agrees, { numRuns: 400 });
});

t.test('the keys of a shape are told once', async (t) => {
  const wire = new Wire();
  const first = wire.write({ type: 'text', id: 1, to: 'alice', seen: false });
  t.equal(wire.definitions, 1);
  const second = wire.write({ type: 'text', id: 2, to: 'alice', seen: false });
  t.equal(wire.definitions, 1);
  t.equal(second.length, first.length);
  wire.write({ id: 2, type: 'text', to: 'alice', seen: false });
  t.equal(wire.definitions, 2, 'another order of keys is another shape');
  for (let index = 0; index < 100; index += 1) {
    t.strictSame(wire.read(wire.write({ b: index, a: 'x' })), { b: index, a: 'x' }, 'before and after the literal');
  }
});

t.test('objects with more shapes or longer keys than are kept travel with their keys', async (t) => {
  const wire = new Wire();
  for (let index = 0; index < LIMITS.shapeCountMax + 50; index += 1) {
    const message = { [`key${index}`]: index };
    t.strictSame(wire.pass(message), message);
  }
  t.equal(wire.definitions, LIMITS.shapeCountMax);
  const wide = Object.fromEntries(Array.from({ length: LIMITS.shapeKeyCountMax + 1 }, (_, index) => [`k${index}`, 0]));
  const long = { ['k'.repeat(LIMITS.shapeBytesMax)]: 1 };
  for (const message of [wide, long, { wide, long }]) t.strictSame(wire.pass(message), message);
});

t.test('a key __proto__ never becomes a prototype', async (t) => {
  const wire = new Wire();
  const message = JSON.parse('{ "a": 1, "__proto__": { "admin": true } }') as object;
  const read = wire.pass([message, { after: 1 }]) as [Record<string, unknown>, unknown];
  t.equal(read[0]['admin'], undefined);
  t.equal(Object.getPrototypeOf(read[0]), Object.prototype);
  t.strictSame(read[1], { after: 1 });
});

const cycle: { self?: unknown } = {};
cycle.self = cycle;
const REFUSED: [string, unknown][] = [
  ['a function', () => 1],
  ['a function deep inside', { a: [{ b: new Map([['c', () => 1]]) }] }],
  ['a symbol', Symbol('x')],
  ['a promise', { later: Promise.resolve(1) }],
  ['a cycle', cycle],
  ['a getter that throws', Object.defineProperty({}, 'bad', { enumerable: true, get: () => JSON.parse('') as never })],
];
for (const [name, value] of REFUSED) {
  t.test(`${name} is refused and does no harm to what follows`, async (t) => {
    const wire = new Wire();
    t.throws(() => wire.write([{ new: 'shape' }, value]));
    t.strictSame(wire.pass({ new: 'shape' }), { new: 'shape' });
    t.strictSame(wire.pass([{ new: 'shape' }, 1]), [{ new: 'shape' }, 1]);
  });
}

t.test('a packet above its bound is refused, one at it is not', async (t) => {
  const wire = new Wire(1_000);
  const empty = wire.write(new Uint8Array(0)).length;
  t.equal(wire.write(new Uint8Array(1_000 - empty)).length, 1_000);
  for (const value of [
    new Uint8Array(1_001 - empty),
    'x'.repeat(2_000),
    'é'.repeat(900),
    Array.from({ length: 2_000 }, () => ({ a: 1 })),
    new Map([['k', 'x'.repeat(2_000)]]),
  ]) {
    t.throws(() => wire.write(value), { name: 'TooLarge' });
  }
  t.strictSame(wire.pass({ a: 1 }), { a: 1 });
});

t.test('what is read holds no view of the bytes it came from', async (t) => {
  const wire = new Wire();
  const packet = wire.write({ small: new Uint8Array([1, 2]), large: new Uint8Array(6_000).fill(3), text: 'abc' });
  const read = wire.read(packet) as { small: Uint8Array; large: Uint8Array; text: string };
  packet.fill(0);
  t.strictSame([...read.small], [1, 2]);
  t.ok(read.large.every((byte) => byte === 3));
  t.equal(read.text, 'abc');
});

t.test('every proper prefix of a packet is refused', async (t) => {
  const wire = new Wire();
  const packet = wire.write({ a: [1, 'text', new Uint8Array(20), 'é'.repeat(80)], pid: TARGET, n: 0.5 });
  for (let length = 1; length < packet.length; length += 1) {
    t.throws(() => wire.read(packet.subarray(0, length)), { code: 'RT_DECODE' }, `${length} bytes`);
  }
  t.throws(() => wire.read(Buffer.concat([packet, Buffer.of(0)])), { code: 'RT_DECODE' }, 'and so is one byte more');
});

t.test('damaged bytes are a value or RT_DECODE, nothing else, and do no harm to what follows', async (t) => {
  const random = createSeededRandom(7);
  const wire = new Wire();
  let refused = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const packet = wire.write(VALUES[random.integer(VALUES.length)]);
    for (let flips = 1 + random.integer(3); flips > 0; flips -= 1) {
      packet[random.integer(packet.length)] = random.integer(256);
    }
    try {
      wire.decoder.open(packet, 0, packet.length);
      wire.decoder.rest();
    } catch (thrown) {
      refused += 1;
      if (!isRuntimeError(thrown, 'RT_DECODE')) t.fail(`${String(thrown)}`);
    }
  }
  t.ok(refused > 1_000, `${refused} of 20,000 refused`);
  for (const value of VALUES) t.strictSame(wire.pass(value), value);
});

t.test('a shape that is out of turn, or none, is refused', async (t) => {
  const other = new Wire();
  const { decoder } = new Wire();
  const tell = (...values: unknown[]): void => {
    const end = other.encoder.packet(other.bytes, 0, [DEFINE_SHAPE, ...values] as never);
    decoder.open(other.bytes, 0, end);
    decoder.define();
  };
  t.throws(() => tell(2, ['a']), { code: 'RT_DECODE' });
  t.throws(() => tell(1, [1]), { code: 'RT_DECODE' });
  t.throws(() => tell(1, 'a'), { code: 'RT_DECODE' });
  tell(1, ['a']);
});
