import fc from 'fast-check';
import t from 'tap';

import { decode, encode } from './codec.ts';
import { Monitor } from './monitors.ts';
import { Pid } from './pid.ts';
import { Ref, RefSource } from './ref.ts';

const PID = new Pid('a.b', 3, 7, 99);

t.test('what is written is read back', async (t) => {
  const values: unknown[] = [
    null,
    undefined,
    true,
    -1,
    2 ** 53 - 1,
    0.1,
    10n,
    -(2n ** 63n),
    'é😀',
    [],
    [1, [2]],
    { a: { b: [undefined, null] } },
    new Map<unknown, unknown>([
      ['k', { x: 1 }],
      [2, [3]],
    ]),
    new Set([1, 'a']),
    new Date(1_700_000_000_000),
    new Uint8Array([1, 2, 255]),
    new Float64Array([1.5, -2]),
    PID,
    new Ref('a.b', 3, 99, 12),
    { pid: PID, refs: [new Ref('a.b', 0, 1, 2)] },
  ];
  for (const value of values) t.strictSame(decode(encode(value)), value);
});

t.test('any plain data is read back', async (t) => {
  // msgpackr renames a key __proto__, so that reading can never change a prototype.
  const plain = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'));
  const readsBack = fc.property(plain, (value) => {
    t.strictSame(decode(encode(value)), withoutNegativeZero(value));
  });
  fc.assert(readsBack, { numRuns: 100 });
});

t.test('a record of the runtime that is a ref travels as the ref', async (t) => {
  const monitor = new Monitor(new RefSource('n', 1, 5), null, PID, null, null);
  const read = decode(encode(monitor));
  t.equal(Object.getPrototypeOf(read), Ref.prototype);
  t.strictSame(read, new Ref('n', 1, 5, 1));
});

t.test('each encoding stands alone', async (t) => {
  encode({ first: 1, second: 2 });
  const later = encode([{ first: 3, second: 4 }]);
  t.throws(() => encode([{ first: 1, third: 2 }, Symbol('x')]), { code: 'RT_ENCODE' });
  t.strictSame(decode(later), [{ first: 3, second: 4 }]);
});

t.test('a decoded value holds no view of the bytes it came from', async (t) => {
  const bytes = encode({ body: new Uint8Array([1, 2, 3]), buffer: Buffer.from([4, 5]) });
  const value = decode(bytes) as { body: Uint8Array; buffer: Uint8Array };
  bytes.fill(0);
  t.strictSame([...value.body, ...value.buffer], [1, 2, 3, 4, 5]);
});

const cycle: { self?: unknown } = {};
cycle.self = cycle;
const refused: [string, unknown][] = [
  ['a function', () => 1],
  ['a method inside', { method(): void {} }],
  ['a symbol', Symbol('x')],
  ['a promise', { later: Promise.resolve(1) }],
  ['a weak map', new WeakMap()],
  ['a cycle', cycle],
];
for (const [name, value] of refused) {
  t.test(`${name} is refused`, async (t) => {
    t.throws(() => encode(value), { code: 'RT_ENCODE' });
    t.strictSame(decode(encode({ after: 1 })), { after: 1 }, 'and does no harm to the next one');
  });
}

t.test('every proper prefix of an encoding is refused', async (t) => {
  const bytes = encode({ a: [1, 'text', new Uint8Array(20)], pid: PID });
  for (let length = 0; length < bytes.length; length += 1) {
    t.throws(() => decode(bytes.slice(0, length)), { code: 'RT_DECODE' }, `${length} bytes`);
  }
});

// The codec writes integers, and an integer has no negative zero.
function withoutNegativeZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
